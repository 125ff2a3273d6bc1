#include "job/verify_run.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "job/worker_run.h"

/* A layer that is gone, or that cannot be opened, is damage like any other.  A qemu-nbd
 * that does not start for want of something else says nothing about the backup. */
static int
cannot_open(const struct verify_disk *d, struct err *err)
{
    bool gone = err->class == ERR_NOT_FOUND && strcmp(err->code, "qemu_nbd_missing") != 0;

    if (gone || err->class == ERR_CORRUPT || strcmp(err->code, "export_mismatch") == 0) {
        err->class = ERR_CORRUPT;
        err_recode(err, "verification_failed");
    }
    return err_prefix(err, "disk %u", d->key);
}

static int
open_readers(struct verify_run *v, struct err *err)
{
    for (size_t i = 0; i < v->n; i++) {
        struct verify_disk *d = &v->disks[i];
        struct reader_spec s = {.job_id = v->job_id,
                                .repo = v->repo,
                                .locator = d->locator,
                                .key = d->key,
                                .size_bytes = d->size_bytes};

        if (d->source)
            continue;
        v->has_disk = true;
        v->disk = d->key;
        if (reader_open(v->env, &s, &d->reader, err) < 0)
            return cannot_open(d, err);
        d->direct = export_is_direct(d->reader.export);
    }
    v->has_disk = false;
    return 0;
}

static void
fill_layer(struct worker_spec_layer *l, const char *manifest, const char *id,
           const uint8_t root[MANIFEST_HASH_SIZE])
{
    l->manifest = xstrdup(manifest);
    snprintf(l->layer_id, sizeof l->layer_id, "%s", id);
    memcpy(l->layer_root, root, MANIFEST_HASH_SIZE);
}

static int
fill_disk(const struct verify_run *v, const struct verify_disk *d,
          struct worker_spec_disk *s, struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s.manifest", d->locator);
    size_t n = d->below ? d->below->n : 0;
    char path[REPO_PATH_SIZE];

    if (repo_path(v->repo, name, path, err) < 0)
        return err->class;
    s->key = d->key;
    strncpy(s->disk_uuid, d->disk_uuid, sizeof s->disk_uuid - 1);
    s->size_bytes = d->size_bytes;
    s->source = xstrdup(d->source ? d->source : export_uri(d->reader.export));
    s->target = xstrdup(d->target);
    s->resume = d->resume;
    s->layers = xcalloc(n + 1, sizeof *s->layers);
    s->n_layers = n + 1;
    for (size_t i = 0; i < n; i++)
        fill_layer(&s->layers[i], d->below->v[i].manifest, d->below->v[i].layer_id,
                   d->below->v[i].layer_root);
    fill_layer(&s->layers[n], d->manifest ? d->manifest : path, d->layer_id,
               d->layer_root);
    s->delta = d->delta ? xstrdup(d->delta) : NULL;
    s->has_content_root = d->has_content_root;
    memcpy(s->content_root, d->content_root, sizeof s->content_root);
    return 0;
}

static struct verify_disk *
find(struct verify_run *v, uint32_t key)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->disks[i].key == key)
            return &v->disks[i];
    return NULL;
}

static void
on_disk_done(struct verify_disk *d, const struct job_event *e)
{
    d->done = true;
    d->bytes = e->bytes;
    if (e->has_content_root && !d->has_content_root) {
        memcpy(d->content_root, e->content_root, sizeof d->content_root);
        d->has_content_root = true;
    }
}

static void
on_bad_range(struct verify_run *v, const struct verify_disk *d, const struct job_event *e)
{
    struct bad_range_item bad = {.key = e->disk,
                                 .offset = e->offset,
                                 .length = e->length,
                                 .reason = e->bad_reason};

    snprintf(bad.locator, sizeof bad.locator, "%s", d ? d->locator : "");
    joblog_line(v->log, LOG_LEVEL_ERROR,
                "damaged: disk device_key=%u offset=%llu length=%llu reason=%s", e->disk,
                (unsigned long long)e->offset, (unsigned long long)e->length,
                bad_range_to_str(e->bad_reason));
    if (v->n_bad < VERIFY_BAD_RANGES_MAX)
        v->bad[v->n_bad++] = bad;
    if (v->on_bad)
        v->on_bad(v->arg, &bad);
}

static void
on_event(void *arg, const struct job_event *e)
{
    struct verify_run *v = arg;
    struct verify_disk *d = e->has_disk ? find(v, e->disk) : NULL;

    switch (e->type) {
    case EVENT_PROGRESS:
        if (v->on_progress)
            v->on_progress(v->arg);
        break;
    case EVENT_BAD_RANGE:
        on_bad_range(v, d, e);
        break;
    case EVENT_DISK_DONE:
        if (d)
            on_disk_done(d, e);
        break;
    case EVENT_WARNING:
        joblog_line(v->log, LOG_LEVEL_WARN, "worker warning code=%s message='%s'",
                    e->code, e->message);
        break;
    default:
        break;
    }
}

static int
check_done(struct verify_run *v, struct err *err)
{
    for (size_t i = 0; i < v->n; i++)
        if (!v->disks[i].done || !v->disks[i].has_content_root) {
            v->has_disk = true;
            v->disk = v->disks[i].key;
            return err_set(err, ERR_PROTOCOL, "worker_protocol",
                           "the worker reported success without finishing disk %u",
                           v->disks[i].key);
        }
    return 0;
}

int
verify_run(struct verify_run *v, struct err *err)
{
    CLEANUP_WORKER_SPEC struct worker_spec spec = {.attempt = v->attempt,
                                                   .task = v->task,
                                                   .salvage = v->salvage,
                                                   .limits = *v->limits,
                                                   .deadlines = v->env->deadlines};
    struct worker_job w = {.env = v->env,
                           .live = v->live,
                           .log = v->log,
                           .spec = &spec,
                           .on_event = on_event,
                           .arg = v};
    int r = open_readers(v, err);

    strncpy(spec.job_id, v->job_id, sizeof spec.job_id - 1);
    spec.disks = xcalloc(v->n, sizeof *spec.disks);
    spec.n_disks = v->n;
    for (size_t i = 0; r >= 0 && i < v->n; i++)
        r = fill_disk(v, &v->disks[i], &spec.disks[i], err);
    if (r >= 0) {
        r = worker_run(&w, err);
        v->has_disk = w.has_disk;
        v->disk = w.disk;
    }
    if (r >= 0)
        r = check_done(v, err);
    for (size_t i = 0; i < v->n; i++)
        reader_close(v->env, v->job_id, v->log, &v->disks[i].reader);
    return r < 0 ? err->class : 0;
}

/* --- whole chains --- */

/* Disk @d as it was when layer @depth of its chain was its tip. */
static struct verify_disk
at_depth(const struct verify_disk *d, size_t depth, struct chain *below)
{
    const struct chain *c = d->below;
    const struct chain_layer *l;
    struct verify_disk then = *d;

    if (!c || depth == c->n)
        return then;
    l = &c->v[depth];
    *below = (struct chain){.v = c->v, .n = depth};
    then.locator = l->locator;
    then.layer_id = l->layer_id;
    then.size_bytes = l->size_bytes;
    then.below = below;
    then.has_content_root = true;
    memcpy(then.layer_root, l->layer_root, sizeof then.layer_root);
    memcpy(then.content_root, l->content_root, sizeof then.content_root);
    return then;
}

static void
mark(struct verify_disk *d, size_t depth)
{
    if (!d->damaged)
        d->damaged_from = depth;
    d->damaged = true;
}

/* What a round at @depth found: ranges name their disks, the error names one. */
static void
mark_damaged(struct verify_run *v, const struct verify_run *round, size_t depth,
             size_t n_bad_before)
{
    for (size_t i = n_bad_before; i < round->n_bad; i++) {
        struct verify_disk *d = find(v, round->bad[i].key);

        if (d)
            mark(d, depth);
    }
    if (round->has_disk && find(v, round->disk))
        mark(find(v, round->disk), depth);
}

/* All disks that have a layer @depth. */
static int
verify_depth(struct verify_run *v, size_t depth, struct err *err)
{
    CLEANUP_FREE struct verify_disk *disks = xcalloc(v->n, sizeof *disks);
    CLEANUP_FREE struct chain *below = xcalloc(v->n, sizeof *below);
    CLEANUP_FREE size_t *of = xcalloc(v->n, sizeof *of);
    struct verify_run round = *v;
    int r;

    round.disks = disks;
    round.n = 0;
    for (size_t i = 0; i < v->n; i++) {
        if (depth > (v->disks[i].below ? v->disks[i].below->n : 0))
            continue;
        of[round.n] = i;
        disks[round.n++] = at_depth(&v->disks[i], depth, &below[i]);
        joblog_line(v->log, LOG_LEVEL_INFO, "layer '%s'", disks[round.n - 1].locator);
    }
    r = verify_run(&round, err);
    if (r < 0 && err->class == ERR_CORRUPT) {
        mark_damaged(v, &round, depth, v->n_bad);
        for (size_t i = 0; i < round.n; i++)
            if (round.has_disk && disks[i].key == round.disk)
                err_prefix(err, "layer '%s'", disks[i].locator);
    }
    memcpy(v->bad, round.bad, sizeof v->bad);
    v->n_bad = round.n_bad;
    v->has_disk = round.has_disk;
    v->disk = round.disk;
    for (size_t i = 0; i < round.n; i++) {
        struct verify_disk *d = &v->disks[of[i]];

        d->direct = disks[i].direct && (depth == 0 || d->direct);
        d->done = disks[i].done && (depth == 0 || d->done);
        d->bytes = disks[i].bytes;
        if (disks[i].locator == d->locator && disks[i].has_content_root) {
            d->has_content_root = true;
            memcpy(d->content_root, disks[i].content_root, sizeof d->content_root);
        }
    }
    return r;
}

int
verify_run_chains(struct verify_run *v, struct err *err)
{
    struct err first = ERR_INIT;
    uint32_t damaged = 0;
    size_t deepest = 0;

    for (size_t i = 0; i < v->n; i++)
        if (v->disks[i].below && v->disks[i].below->n > deepest)
            deepest = v->disks[i].below->n;
    for (size_t depth = 0; depth <= deepest; depth++) {
        if (verify_depth(v, depth, err) >= 0)
            continue;
        if (err->class != ERR_CORRUPT)
            return err->class;
        if (first.class == 0) {
            first = *err;
            damaged = v->disk;
        }
        err_clear(err);
    }
    if (first.class == 0)
        return 0;
    *err = first;
    v->has_disk = true;
    v->disk = damaged;
    return err->class;
}

char *
verify_bad_ranges_text(const struct verify_run *v)
{
    CLEANUP_JSON json_t *a = json_array();

    for (size_t i = 0; i < v->n_bad; i++)
        json_array_append_new(a, json_pack("{s:I, s:s, s:I, s:I, s:s}", "device_key",
                                           (json_int_t)v->bad[i].key, "layer",
                                           v->bad[i].locator, "offset",
                                           (json_int_t)v->bad[i].offset, "length",
                                           (json_int_t)v->bad[i].length, "reason",
                                           bad_range_to_str(v->bad[i].reason)));
    return json_line(a);
}
