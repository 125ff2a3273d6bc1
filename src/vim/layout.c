/* vim/layout.c - see layout.h. */
#include "vim/layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "vim/decode.h"

/* "ds:///vmfs/volumes/5f…/" -> "5f…" */
static char *
id_of_url(const char *url)
{
    const char *p = strstr(url, "/vmfs/volumes/");

    return p ? xasprintf("%.*s", (int)strcspn(p + 14, "/"), p + 14) : xstrdup("");
}

void
vim_store_decode(const struct xml_node *object, struct vim_store *ret)
{
    CLEANUP_FREE char *url = vim_prop_text(object, "summary.url");

    ret->id = id_of_url(url);
    ret->name = vim_prop_text(object, "summary.name");
}

#define SECTOR 512

static int
refuse(struct err *err, const char *what, const struct vim_link *l)
{
    return err_set(err, ERR_INVALID, "source_unreadable", "[%.100s] %.200s: %s",
                   l->place.datastore, l->place.path, what);
}

/* ---- addresses ---- */

/* A slash stays in a path.  The names are as the server writes them: a slash in one is
 * %2f and so arrives as %2f, which is what /folder looks for. */
static void
add_encoded(struct buf *b, const char *text, const char *keep)
{
    struct err ignored = ERR_INIT;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~", c) || strchr(keep, c))
            (void)buf_append(b, text, 1, &ignored);
        else
            (void)buf_printf(b, &ignored, "%%%02X", c);
    }
}

char *
vim_folder_url(const char *url, const char *datacenter, const char *datastore,
               const char *path)
{
    size_t n = strlen(url) + strlen(datacenter) + strlen(datastore) + strlen(path);
    CLEANUP_BUF struct buf b = BUF_INIT(3 * n + 64);
    struct err ignored = ERR_INIT; /* it has room for all of it */

    (void)buf_printf(&b, &ignored, "%s/folder/", url);
    add_encoded(&b, path, "/");
    (void)buf_printf(&b, &ignored, "?dcPath=");
    add_encoded(&b, datacenter, "/");
    (void)buf_printf(&b, &ignored, "&dsName=");
    add_encoded(&b, datastore, "");
    return buf_take(&b);
}

/* ---- layers ---- */

/* Where the @file is that a descriptor names, by the name of its datastore. */
static int
place_file(const struct vim_chain *c, const struct vim_link *l, const char *file,
           struct vmdk_place *ret, struct err *err)
{
    CLEANUP_VMDK_PLACE struct vmdk_place p = {0};
    const char *name = NULL;

    if (vmdk_locate(&l->place, file, &p, err) < 0)
        return err->class;
    if (file[0] != '/')
        name = p.datastore;
    for (size_t i = 0; !name && i < c->n_stores; i++)
        if (strcmp(p.datastore, c->stores[i].id) == 0 ||
            strcmp(p.datastore, c->stores[i].name) == 0)
            name = c->stores[i].name;
    if (!name)
        return err_set(err, ERR_INVALID, "source_unreadable",
                       "[%.100s] %.200s: its data are in /vmfs/volumes/%.100s, a "
                       "datastore that cannot be found by that name: move the disk to "
                       "one datastore (Storage vMotion)",
                       l->place.datastore, l->place.path, p.datastore);
    ret->datastore = xstrdup(name);
    ret->path = take_ptr(&p.path);
    return 0;
}

static int
place_extent(const struct vim_chain *c, const struct vim_link *l, const char *file,
             char **ret_url, struct err *err)
{
    CLEANUP_VMDK_PLACE struct vmdk_place p = {0};

    if (place_file(c, l, file, &p, err) < 0)
        return err->class;
    *ret_url = vim_folder_url(c->url, c->datacenter, p.datastore, p.path);
    return 0;
}

bool
vim_layout_has_parent(const struct vim_link *l)
{
    return l->descriptor.parent_cid != VMDK_NO_PARENT && l->descriptor.parent_hint;
}

int
vim_layout_parent(const struct vim_chain *c, const struct vim_link *l,
                  struct vmdk_place *ret, struct err *err)
{
    return place_file(c, l, l->descriptor.parent_hint, ret, err);
}

static json_t *
extent_json(const char *url, uint64_t offset, uint64_t start, uint64_t length)
{
    return json_pack("{s:s?, s:I, s:I, s:I}", "url", url, "offset_bytes",
                     (json_int_t)offset, "start_bytes", (json_int_t)start, "length_bytes",
                     (json_int_t)length);
}

static int
add_extents(const struct vim_chain *c, const struct vim_link *l, enum vmdk_kind kind,
            json_t *list, struct err *err)
{
    uint64_t at = 0;

    for (unsigned i = 0; i < l->descriptor.n_extents; i++) {
        const struct vmdk_extent *e = &l->descriptor.extents[i];
        CLEANUP_FREE char *url = NULL;
        uint64_t length = e->sectors * SECTOR;

        if (e->type != VMDK_ZERO && place_extent(c, l, e->file, &url, err) < 0)
            return err->class;
        if (json_array_append_new(
                list,
                extent_json(url, url ? e->offset_sectors * SECTOR : 0, at, length)) < 0)
            return refuse(err, "its address is not UTF-8", l);
        at += length;
    }
    if (at == c->size_bytes)
        return 0;
    /* A linked clone may be larger than what it was cloned from; a smaller one, or a
     * delta of another size, is not understood. */
    if (at > c->size_bytes || kind != VMDK_KIND_FLAT || l == c->links)
        return err_set(err, ERR_INVALID, "source_unreadable",
                       "[%.100s] %.200s: it describes %" PRIu64
                       " bytes, but the disk has %" PRIu64,
                       l->place.datastore, l->place.path, at, c->size_bytes);
    json_array_append_new(list, extent_json(NULL, 0, at, c->size_bytes - at));
    return 0;
}

/* Each child names the content that it was made on. */
static int
check_links(const struct vim_chain *c, struct err *err)
{
    if (c->n_links == 0 || c->n_links > VIM_LAYERS_MAX)
        return err_set(err, ERR_INVALID, "source_unreadable",
                       "the disk is a chain of %zu files, more than %d: delete snapshots",
                       c->n_links, VIM_LAYERS_MAX);
    for (size_t i = 0; i + 1 < c->n_links; i++)
        if (c->links[i].descriptor.parent_cid != c->links[i + 1].descriptor.cid)
            return refuse(err,
                          "the content id of its parent is another one: the parent was "
                          "changed, or a file of the chain is missing",
                          &c->links[i]);
    return 0;
}

int
vim_layout_layers(const struct vim_chain *c, json_t **ret, struct err *err)
{
    static const char *const words[] = {[VMDK_KIND_FLAT] = "flat",
                                        [VMDK_KIND_COWD] = "cowd",
                                        [VMDK_KIND_SESPARSE] = "sesparse"};
    CLEANUP_JSON json_t *layers = json_array();

    if (check_links(c, err) < 0)
        return err->class;
    for (size_t i = 0; i < c->n_links; i++) {
        const struct vim_link *l = &c->links[i];
        json_t *extents = json_array();
        enum vmdk_kind kind;

        if (vmdk_descriptor_classify(&l->descriptor, &kind, err) < 0) {
            json_decref(extents);
            return err_prefix(err, "[%.100s] %.200s", l->place.datastore, l->place.path);
        }
        json_array_append_new(
            layers, json_pack("{s:s, s:o}", "format", words[kind], "extents", extents));
        if (add_extents(c, l, kind, extents, err) < 0)
            return err->class;
        if (i + 1 < c->n_links && kind == VMDK_KIND_FLAT)
            return refuse(err, "the server names a parent of it, but it is a base", l);
        if (i + 1 == c->n_links && kind != VMDK_KIND_FLAT)
            return refuse(err, "it is a delta, but the server names no parent of it", l);
    }
    *ret = take_ptr(&layers);
    return 0;
}
