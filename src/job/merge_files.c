/* job/merge_files.c - see merge_files.h. */
#include "job/merge_files.h"

#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "job/chain.h"
#include "job/journal.h"
#include "job/merge_manifest.h"
#include "job/point_files.h"
#include "job/verify_run.h"
#include "store/layer.h"

/* --- the note --- */

int
merge_note_read(struct repo *repo, const char *dir, struct merge_note *ret,
                struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s/" MERGE_NOTE_FILE, dir);
    CLEANUP_BUF struct buf b = BUF_INIT(MERGE_NOTE_MAX);

    if (repo_get(repo, name, &b, err) < 0)
        return err->class;
    if (merge_note_decode(b.data ? b.data : "", b.len, ret, err) < 0)
        return err_prefix(err, "'%s'", name);
    return 0;
}

int
merge_check_free(struct repo *repo, const char *locator, struct err *err)
{
    struct merge_note note = {.parent_seq = 0};
    struct naming_locator at;
    const char *slash = strrchr(locator, '/');
    CLEANUP_FREE char *dir = NULL;

    if (!slash || naming_locator_parse(locator, &at) < 0)
        return err_set(err, ERR_INVALID, "repo_name", "not a locator of a layer");
    dir = xasprintf("%.*s", (int)(slash - locator), locator);
    if (merge_note_read(repo, dir, &note, err) < 0) {
        if (err->class == ERR_NOT_FOUND) {
            err_clear(err);
            return 0;
        }
        if (err->class != ERR_CORRUPT)
            return err->class;
        err->class = ERR_UNAVAILABLE;
        err_recode(err, "merge_unfinished");
        return err_prefix(err, "a merge that is not understood is at work");
    }
    if (at.seq < note.parent_seq)
        return 0;
    return err_set(err, ERR_UNAVAILABLE, "merge_unfinished",
                   "layer '%s': the merge of layer %06u into %06u is not finished; the "
                   "hub goes on with it by itself",
                   locator, note.parent_seq, note.child_seq);
}

void
merge_files_init(struct merge_files *m, const char *vm_uuid, const char *disk_uuid)
{
    naming_locator_build(vm_uuid, disk_uuid, m->note.parent_seq, m->parent);
    naming_locator_build(vm_uuid, disk_uuid, m->note.child_seq, m->child);
    snprintf(m->dir, sizeof m->dir, "%.*s", (int)(strrchr(m->parent, '/') - m->parent),
             m->parent);
}

/* --- small things --- */

static char *
path_of(const struct merge_files *m, const char *locator, const char *suffix,
        struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s%s", locator, suffix);
    char path[REPO_PATH_SIZE];

    return repo_path(m->repo, name, path, err) < 0 ? NULL : xstrdup(path);
}

/* 1 = it is there, 0 = it is not. */
static int
is_there(const struct merge_files *m, const char *locator, const char *suffix,
         struct err *err)
{
    CLEANUP_FREE char *path = path_of(m, locator, suffix, err);

    return path ? fs_exists(path) : err->class;
}

struct pick {
    const char *prefix; /* NULL = any */
    char **v;
    size_t n;
};

static bool
ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);

    return n > k && strcmp(name + n - k, end) == 0;
}

static bool
is_of_merge(const char *name)
{
    return ends_with(name, ".new") || ends_with(name, ".new.part") ||
           ends_with(name, ".new.tmp") || strcmp(name, MERGE_NOTE_FILE ".tmp") == 0;
}

static int
collect(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    struct pick *p = arg;
    bool wanted =
        p->prefix ? strncmp(name, p->prefix, strlen(p->prefix)) == 0 : is_of_merge(name);

    if (!wanted || kind != REPO_ENTRY_FILE)
        return 0;
    p->v = xreallocarray(p->v, p->n + 1, sizeof *p->v);
    p->v[p->n++] = xstrdup(name);
    return 0;
}

/* Files of @dir whose names begin with @prefix, or that only a merge makes. */
static int
remove_all(struct repo *repo, const char *dir, const char *prefix, struct err *err)
{
    struct pick p = {.prefix = prefix};
    int r = repo_list(repo, dir, collect, &p, err);

    for (size_t i = 0; i < p.n; i++) {
        CLEANUP_FREE char *name = xasprintf("%s/%s", dir, p.v[i]);

        if (r >= 0)
            r = repo_remove(repo, name, true, err);
        free(p.v[i]);
    }
    free(p.v);
    return r < 0 ? err->class : 0;
}

static int
put_json(struct repo *repo, const char *name, const json_t *j, struct err *err)
{
    CLEANUP_FREE char *text = json_line(j);

    return repo_put(repo, name, text, strlen(text), err);
}

/* --- steps 2 and 3 --- */

static int
build_new(struct merge_files *m, struct err *err)
{
    CLEANUP_FREE char *parent = path_of(m, m->parent, ".manifest", err);
    CLEANUP_FREE char *child = path_of(m, m->child, ".manifest", err);
    CLEANUP_FREE char *new = path_of(m, m->child, ".manifest.new", err);
    CLEANUP_FREE char *name = xasprintf("%s.merged.new", m->child);
    const struct merge_manifest how = {.parent = parent,
                                       .child = child,
                                       .new = new,
                                       .parent_layer_id = m->note.parent_layer_id,
                                       .child_layer_id = m->note.child_layer_id};
    CLEANUP_JSON json_t *j = NULL;
    struct merged_layer layer;

    if (err->class != 0 || remove_all(m->repo, m->dir, NULL, err) < 0 ||
        merge_manifest_make(&how, &layer, err) < 0)
        return err->class;
    j = merged_layer_encode(&layer);
    return put_json(m->repo, name, j, err);
}

int
merge_files_prepare(struct merge_files *m, struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s/" MERGE_NOTE_FILE, m->dir);
    CLEANUP_JSON json_t *note = merge_note_encode(&m->note);

    if (put_json(m->repo, name, note, err) < 0)
        return err->class;
    FAILPOINT(MERGE_NOTED);
    if (build_new(m, err) < 0)
        return err->class;
    FAILPOINT(MERGE_MANIFEST_BUILT);
    return 0;
}

int
merge_files_take_back(struct repo *repo, const char *dir, struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s/" MERGE_NOTE_FILE, dir);

    if (remove_all(repo, dir, NULL, err) < 0)
        return err->class;
    return repo_remove(repo, name, true, err);
}

/* --- step 5 --- */

static int
on_started(void *arg, const struct child_id *id, struct err *err)
{
    struct merge_files *m = arg;

    if (journal_held(m->env, m->job_id, m->res_program, id, err) < 0)
        return err->class;
    joblog_line(m->log, LOG_LEVEL_INFO, "qemu-img for '%s' runs, pid=%d", m->parent,
                (int)id->pid);
    FAILPOINT(MERGE_COMMIT_STARTED);
    return 0;
}

static void
on_progress(void *arg, unsigned percent)
{
    struct merge_files *m = arg;
    struct byte_counters c = {.total = m->note.size_bytes};

    c.done = c.total / 100 * percent;
    live_update(m->live, m->key, &c);
    if (percent % 10 == 0)
        joblog_line(m->log, LOG_LEVEL_INFO, "disk %u: %u %% merged", m->key, percent);
}

static int
write_into_parent(struct merge_files *m, struct err *err)
{
    CLEANUP_FREE char *key = xasprintf("%s:qemu-img", m->job_id);
    struct layer_merge lm = {.parent = m->parent,
                             .child = m->child,
                             .size_bytes = m->note.size_bytes,
                             .cancel_fd = live_cancel_fd(m->live),
                             .started = on_started,
                             .progress = on_progress,
                             .arg = m};
    int r;

    live_set_phase(m->live, "merging");
    if (journal_intent(m->env, m->job_id, RES_PROGRAM, key, &m->res_program, err) < 0)
        return err->class;
    r = layer_merge(m->repo, &lm, err);
    /* One that does not end keeps its entry. */
    if (r >= 0 || strcmp(err->code, "merge_hung") != 0)
        journal_released(m->env, m->job_id, &m->res_program);
    return r;
}

static int
read_new_layer(struct merge_files *m, struct merged_layer *ret, struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s.merged.new", m->child);
    CLEANUP_BUF struct buf b = BUF_INIT(MERGE_NOTE_MAX);

    if (repo_get(m->repo, name, &b, err) < 0)
        return err->class;
    return merged_layer_decode(b.data ? b.data : "", b.len, ret, err);
}

static int
run_worker(struct merge_files *m, struct verify_disk *d, struct err *err)
{
    struct verify_run v = {.env = m->env,
                           .job_id = m->job_id,
                           .attempt = 1,
                           .task = WORKER_VERIFY,
                           .repo = m->repo,
                           .live = m->live,
                           .log = m->log,
                           .disks = d,
                           .n = 1,
                           .limits = &m->env->limits};

    live_set_phase(m->live, "verifying");
    return verify_run(&v, err);
}

/* What was written is what the child had: its blocks, the allocated set of the whole, and
 * the content that the child's point promises. */
static int
read_back(struct merge_files *m, struct err *err)
{
    CLEANUP_FREE char *manifest = path_of(m, m->child, ".manifest.new", err);
    CLEANUP_FREE char *delta = path_of(m, m->child, ".manifest", err);
    CLEANUP_CHAIN struct chain below = {.n = 0};
    CLEANUP_POINT struct point point = {.seq = 0};
    CLEANUP_FREE char *name = NULL;
    const struct point_disk *pd;
    struct naming_locator at;
    struct merged_layer layer;
    struct verify_disk d;

    if (err->class != 0 || read_new_layer(m, &layer, err) < 0 ||
        chain_load_below(m->repo, m->parent, &below, err) < 0)
        return err->class;
    (void)naming_locator_parse(m->child, &at); /* built from valid ones */
    name = point_files_name(at.vm_uuid, at.seq);
    if (point_files_read(m->repo, name, &point, err) < 0)
        return err->class;
    pd = point_find_disk(&point, m->child);
    if (!pd)
        return err_set(err, ERR_CORRUPT, "chain_broken",
                       "point '%s' does not name layer '%s'", name, m->child);
    d = (struct verify_disk){.key = m->key,
                             .disk_uuid = at.disk_uuid,
                             .size_bytes = m->note.size_bytes,
                             .locator = m->parent,
                             .layer_id = m->note.child_layer_id,
                             .below = &below,
                             .has_content_root = true,
                             .manifest = manifest,
                             .delta = delta};
    memcpy(d.layer_root, layer.layer_root, sizeof d.layer_root);
    memcpy(d.content_root, pd->content_root, sizeof d.content_root);
    return run_worker(m, &d, err);
}

/* --- step 6 and 7 --- */

static int
rename_into(struct merge_files *m, const char *from, const char *from_suffix,
            const char *to_suffix, struct err *err)
{
    CLEANUP_FREE char *a = xasprintf("%s%s", from, from_suffix);
    CLEANUP_FREE char *b = xasprintf("%s%s", m->child, to_suffix);
    int there = is_there(m, from, from_suffix, err);

    return there > 0 ? repo_rename(m->repo, a, b, err) : there;
}

static int
tidy(struct merge_files *m, struct err *err)
{
    CLEANUP_FREE char *prefix = xasprintf("%s.", strrchr(m->parent, '/') + 1);
    CLEANUP_FREE char *note = xasprintf("%s/" MERGE_NOTE_FILE, m->dir);

    if (remove_all(m->repo, m->dir, prefix, err) < 0 ||
        remove_all(m->repo, m->dir, NULL, err) < 0)
        return err->class;
    FAILPOINT(MERGE_TIDIED);
    if (repo_remove(m->repo, note, true, err) < 0)
        return err->class;
    FAILPOINT(MERGE_NOTE_REMOVED);
    return 0;
}

static int
finish_renames(struct merge_files *m, struct err *err)
{
    if (rename_into(m, m->child, ".manifest.new", ".manifest", err) < 0)
        return err->class;
    FAILPOINT(MERGE_MANIFEST_RENAMED);
    if (rename_into(m, m->child, ".merged.new", ".merged", err) < 0)
        return err->class;
    FAILPOINT(MERGE_RENAMED);
    return tidy(m, err);
}

static int
merge_image(struct merge_files *m, struct err *err)
{
    int manifest = is_there(m, m->child, ".manifest.new", err);
    int layer = manifest < 0 ? manifest : is_there(m, m->child, ".merged.new", err);

    if (layer < 0 || (!(manifest && layer) && build_new(m, err) < 0) ||
        write_into_parent(m, err) < 0)
        return err->class;
    FAILPOINT(MERGE_COMMITTED);
    if (read_back(m, err) < 0)
        return err->class;
    FAILPOINT(MERGE_VERIFIED);
    if (rename_into(m, m->parent, ".qcow2", ".qcow2", err) < 0)
        return err->class;
    FAILPOINT(MERGE_LAYER_RENAMED);
    return 0;
}

int
merge_files_finish(struct merge_files *m, struct err *err)
{
    int image = is_there(m, m->parent, ".qcow2", err);

    if (image < 0 || (image > 0 && merge_image(m, err) < 0) || finish_renames(m, err) < 0)
        return err_prefix(err, "merge of '%s' into '%s'", m->parent, m->child);
    joblog_line(m->log, LOG_LEVEL_INFO, "layer '%s' is merged into '%s'", m->parent,
                m->child);
    return 0;
}
