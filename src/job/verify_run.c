#include "job/verify_run.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "job/worker_run.h"
#include "store/group_roots.h"

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

static void
mark(struct verify_disk *d, size_t depth)
{
    if (!d->damaged)
        d->damaged_from = depth;
    d->damaged = true;
}

static void
add_bad(struct verify_run *v, const struct bad_range_item *bad)
{
    joblog_line(v->log, LOG_LEVEL_ERROR,
                "damaged: disk device_key=%u offset=%llu length=%llu reason=%s", bad->key,
                (unsigned long long)bad->offset, (unsigned long long)bad->length,
                bad_range_to_str(bad->reason));
    if (v->n_bad < VERIFY_BAD_RANGES_MAX)
        v->bad[v->n_bad++] = *bad;
    if (v->on_bad)
        v->on_bad(v->arg, bad);
}

/* Nothing of it can be read; the other disks may be sound. */
static void
leave_out(struct verify_run *v, struct verify_disk *d, struct err *err, struct err *first)
{
    struct bad_range_item bad = {
        .key = d->key, .length = d->size_bytes, .reason = BAD_READ_ERROR};

    joblog_line(v->log, LOG_LEVEL_ERROR, "%s", err->msg);
    snprintf(bad.locator, sizeof bad.locator, "%s", d->locator);
    add_bad(v, &bad);
    mark(d, d->below ? d->below->n : 0);
    d->unreadable = true;
    if (first->class == 0)
        *first = *err;
    err_clear(err);
}

static int
open_readers(struct verify_run *v, struct err *first, struct err *err)
{
    for (size_t i = 0; i < v->n; i++) {
        struct verify_disk *d = &v->disks[i];
        struct reader_spec s = {.job_id = v->job_id,
                                .repo = v->repo,
                                .locator = d->locator,
                                .key = d->key,
                                .size_bytes = d->size_bytes,
                                .alone = v->task == WORKER_VERIFY};

        if (d->source)
            continue;
        if (reader_open(v->env, &s, &d->reader, err) >= 0) {
            d->direct = export_is_direct(d->reader.export);
            continue;
        }
        cannot_open(d, err);
        if (first->class == 0) {
            v->has_disk = true;
            v->disk = d->key;
        }
        if (v->task != WORKER_VERIFY || err->class != ERR_CORRUPT)
            return err->class;
        leave_out(v, d, err, first);
    }
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

/* The digests of groups lie beside the manifest. */
static char *
roots_of(const char *manifest)
{
    return xasprintf("%.*s" GROUP_ROOTS_SUFFIX, (int)(strrchr(manifest, '.') - manifest),
                     manifest);
}

static void
fill_roots(const struct verify_disk *d, const char *manifest, struct worker_spec_disk *s)
{
    const struct chain_layer *parent;

    s->roots = roots_of(manifest);
    if (!d->below || d->below->n == 0)
        return;
    parent = &d->below->v[d->below->n - 1];
    s->parent_roots = roots_of(parent->manifest);
    memcpy(s->parent_content_root, parent->content_root, MANIFEST_HASH_SIZE);
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
    if (d->is_new)
        fill_roots(d, path, s);
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
on_bad_range(struct verify_run *v, struct verify_disk *d, const struct job_event *e)
{
    struct bad_range_item bad = {.key = e->disk,
                                 .offset = e->offset,
                                 .length = e->length,
                                 .reason = e->bad_reason};

    snprintf(bad.locator, sizeof bad.locator, "%s", d ? d->locator : "");
    if (d)
        mark(d, d->below ? d->below->n : 0);
    add_bad(v, &bad);
}

static void
add_counters(struct byte_counters *sum, const struct byte_counters *c)
{
    sum->done += c->done;
    sum->read += c->read;
    sum->sent += c->sent;
    sum->zero += c->zero;
    sum->skipped += c->skipped;
    sum->audit += c->audit;
}

static void
on_progress(struct verify_run *v, const struct verify_disk *d, const struct job_event *e)
{
    struct byte_counters shown = e->bytes;

    if (d)
        add_counters(&shown, &d->before);
    live_update(v->live, e->disk, &shown);
}

static void
on_event(void *arg, const struct job_event *e)
{
    struct verify_run *v = arg;
    struct verify_disk *d = e->has_disk ? find(v, e->disk) : NULL;

    switch (e->type) {
    case EVENT_PROGRESS:
        on_progress(v, d, e);
        break;
    case EVENT_BAD_RANGE:
        on_bad_range(v, d, e);
        break;
    case EVENT_DISK_DONE:
        if (d)
            on_disk_done(d, e);
        joblog_line(v->log, LOG_LEVEL_INFO,
                    "disk device_key=%u read back, manifest_bytes=%llu so far", e->disk,
                    (unsigned long long)e->manifest_bytes);
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
        if (!v->disks[i].unreadable &&
            (!v->disks[i].done || !v->disks[i].has_content_root)) {
            v->has_disk = true;
            v->disk = v->disks[i].key;
            return err_set(err, ERR_PROTOCOL, "worker_protocol",
                           "the worker reported success without finishing disk %u",
                           v->disks[i].key);
        }
    return 0;
}

/* Of the disks that can be read. */
static int
run_worker(struct verify_run *v, struct err *err)
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

    strncpy(spec.job_id, v->job_id, sizeof spec.job_id - 1);
    spec.disks = xcalloc(v->n, sizeof *spec.disks);
    for (size_t i = 0; i < v->n; i++)
        if (!v->disks[i].unreadable &&
            fill_disk(v, &v->disks[i], &spec.disks[spec.n_disks++], err) < 0)
            return err->class;
    if (spec.n_disks == 0)
        return 0;
    if (worker_run(&w, err) < 0) {
        v->has_disk = w.has_disk;
        v->disk = w.disk;
        if (err->class == ERR_CORRUPT && w.has_disk && find(v, w.disk)) {
            struct verify_disk *d = find(v, w.disk);

            mark(d, d->below ? d->below->n : 0);
        }
        return err->class;
    }
    return check_done(v, err);
}

int
verify_run(struct verify_run *v, struct err *err)
{
    struct err first = ERR_INIT; /* of the disks that cannot be read */
    int r;

    v->has_disk = false;
    r = open_readers(v, &first, err);
    if (r >= 0) {
        bool has_disk = v->has_disk;
        uint32_t disk = v->disk;

        r = run_worker(v, err);
        /* What ended it for another reason says more than damage. */
        if (first.class != 0 && (r >= 0 || err->class == ERR_CORRUPT)) {
            *err = first;
            r = first.class;
            v->has_disk = has_disk;
            v->disk = disk;
        }
    }
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

    then.direct = then.done = then.damaged = then.unreadable = false;
    then.bytes = (struct byte_counters){.done = 0};
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

/* The first is the cause: what stands on it cannot be had either. */
static void
take_round(struct verify_disk *d, const struct verify_disk *then, size_t depth)
{
    if (then->damaged)
        mark(d, depth);
    d->direct = then->direct && (depth == 0 || d->direct);
    d->done = then->done && (depth == 0 || d->done);
    d->bytes = then->bytes;
    if (then->done)
        add_counters(&d->before, &then->bytes);
    else
        d->before.done += then->size_bytes;
    if (then->locator == d->locator && then->has_content_root) {
        d->has_content_root = true;
        memcpy(d->content_root, then->content_root, sizeof d->content_root);
    }
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
    for (size_t i = 0; r < 0 && i < round.n; i++)
        if (err->class == ERR_CORRUPT && round.has_disk && disks[i].key == round.disk)
            err_prefix(err, "layer '%s'", disks[i].locator);
    memcpy(v->bad, round.bad, sizeof v->bad);
    v->n_bad = round.n_bad;
    v->has_disk = round.has_disk;
    v->disk = round.disk;
    for (size_t i = 0; i < round.n; i++)
        take_round(&v->disks[of[i]], &disks[i], depth);
    return r;
}

/* So that percent and time left are of all rounds. */
static void
tell_totals(const struct verify_run *v)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct verify_disk *d = &v->disks[i];
        uint64_t total = d->size_bytes;

        for (size_t k = 0; d->below && k < d->below->n; k++)
            total += d->below->v[k].size_bytes;
        live_raise_total(v->live, d->key, total);
    }
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
    tell_totals(v);
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
