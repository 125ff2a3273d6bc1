/* job/chain.c - see chain.h. */
#include "job/chain.h"

#include <string.h>

#include "base/mem.h"
#include "job/merge_files.h"
#include "job/point_files.h"
#include "store/layer.h"

void
chain_done(struct chain *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->v[i].manifest);
    free(c->v);
    *c = (struct chain){.n = 0};
}

static int
broken(const char *locator, const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "chain_broken", "layer '%s': %s", locator, what);
}

/* What is missing or damaged breaks the chain; what cannot be reached does not. */
static int
as_broken(struct err *err)
{
    if (err->class == ERR_NOT_FOUND || err->class == ERR_CORRUPT) {
        err->class = ERR_CORRUPT;
        err_recode(err, "chain_broken");
    }
    return err->class;
}

static int
add(struct chain *c, struct repo *repo, const struct point_disk *d, struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s.manifest", d->locator);
    char path[REPO_PATH_SIZE];
    struct chain_layer *l;

    if (repo_path(repo, name, path, err) < 0)
        return err->class;
    c->v = xreallocarray(c->v, c->n + 1, sizeof *c->v);
    l = &c->v[c->n++];
    *l = (struct chain_layer){.manifest = xstrdup(path), .size_bytes = d->size_bytes};
    memcpy(l->locator, d->locator, sizeof l->locator);
    memcpy(l->layer_id, d->layer_id, sizeof l->layer_id);
    memcpy(l->layer_root, d->layer_root, sizeof l->layer_root);
    memcpy(l->content_root, d->content_root, sizeof l->content_root);
    return 0;
}

/* Adds @locator, which must be layer @want ("" = any).  @parent gets the id of the layer
 * that it stands on, "" = none. */
static int
add_layer(struct chain *c, struct repo *repo, const char *locator, const char *want,
          char parent[UUID_STR_SIZE], struct err *err)
{
    CLEANUP_FREE char *name = NULL;
    CLEANUP_POINT struct point point = {.seq = 0};
    const struct point_disk *d;
    struct naming_locator l;

    if (naming_locator_parse(locator, &l) < 0)
        return err_set(err, ERR_INVALID, "repo_name", "not a locator of a layer");
    name = point_files_name(l.vm_uuid, l.seq);
    if (point_files_read(repo, name, &point, err) < 0) {
        as_broken(err);
        return err_prefix(err, "layer '%s'", locator);
    }
    d = point_find_disk(&point, locator);
    if (!d)
        return broken(locator, "the restore point of its number does not name it", err);
    if (want[0] && strcmp(want, d->layer_id) != 0)
        return broken(locator, "it is not the layer that the one above was made on", err);
    snprintf(c->disk_uuid, sizeof c->disk_uuid, "%s", l.disk_uuid);
    snprintf(parent, UUID_STR_SIZE, "%s", d->parent_layer_id);
    return add(c, repo, d, err);
}

static int
backing_of(struct repo *repo, const char *locator, char out[NAMING_LOCATOR_SIZE],
           struct err *err)
{
    if (layer_parent(repo, locator, out, err) >= 0)
        return 0;
    as_broken(err);
    return err_prefix(err, "layer '%s'", locator);
}

/* From the tip down; numbers fall from layer to layer, so the walk ends. */
static int
walk_down(struct chain *c, struct repo *repo, const char *locator, struct err *err)
{
    char at[NAMING_LOCATOR_SIZE], parent[UUID_STR_SIZE] = "";

    if (merge_check_free(repo, locator, err) < 0)
        return err->class;
    snprintf(at, sizeof at, "%s", locator);
    do {
        char below[NAMING_LOCATOR_SIZE];

        if (c->n == LAYER_CHAIN_MAX)
            return broken(at, "there are too many layers", err);
        if (add_layer(c, repo, at, parent, parent, err) < 0 ||
            backing_of(repo, at, below, err) < 0)
            return err->class;
        if ((below[0] == '\0') != (parent[0] == '\0'))
            return broken(at,
                          "its image and its restore point do not agree on whether it "
                          "stands on another layer",
                          err);
        memcpy(at, below, sizeof at);
    } while (at[0]);
    return 0;
}

static void
turn(struct chain *c)
{
    for (size_t i = 0; i < c->n / 2; i++) {
        struct chain_layer swap = c->v[i];

        c->v[i] = c->v[c->n - 1 - i];
        c->v[c->n - 1 - i] = swap;
    }
}

int
chain_load(struct repo *repo, const char *locator, struct chain *ret, struct err *err)
{
    CLEANUP_CHAIN struct chain c = {.n = 0};

    if (walk_down(&c, repo, locator, err) < 0)
        return err->class;
    turn(&c);
    *ret = c;
    c = (struct chain){.n = 0};
    return 0;
}

int
chain_load_below(struct repo *repo, const char *locator, struct chain *ret,
                 struct err *err)
{
    char parent[NAMING_LOCATOR_SIZE];

    if (backing_of(repo, locator, parent, err) < 0)
        return err->class;
    if (parent[0])
        return chain_load(repo, parent, ret, err);
    *ret = (struct chain){.n = 0};
    return 0;
}
