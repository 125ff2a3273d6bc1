/* worker/disk.c - see disk.h. */
#include "worker/disk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "store/manifest_file.h"
#include "worker/allocation.h"
#include "worker/manifests.h"
#include "worker/block_reader.h"
#include "worker/zero_runs.h"

struct task {
    /* fixed */
    const struct worker_spec *spec;
    struct copy_stop *stop;
    struct output *out;
    struct copy_rate rate;
    pthread_mutex_t lock;
    /* under lock */
    size_t next;
    struct err damage; /* of the first damaged disk; class 0 = none */
    uint32_t damaged;
};

/* What is known of one disk while it is worked on. */
struct run {
    struct findings findings;
    struct pulse pulse;
    struct job_event done;
    uint64_t cut_block; /* of a salvage: nothing is known from here on */
    bool root_differs;  /* of a salvage: the manifests are not those of the point */
};

static void
tell_progress(void *arg, const struct byte_counters *c)
{
    pulse_tell(arg, c);
}

static int
open_image(const struct task *t, const struct worker_spec_disk *d, bool depth,
           struct nbd_conn **ret, struct err *err)
{
    struct nbd_conn_opts o = {.uri = d->source,
                              .connect_s = t->spec->deadlines.connect_s,
                              .io_s = t->spec->deadlines.io_s,
                              /* Of a full the zero clusters count as well. */
                              .want_map = !depth || d->n_layers == 1,
                              .want_depth = depth,
                              .cancel_fd = copy_stop_fd(t->stop)};

    return nbd_conn_open(&o, ret, err) < 0 ? err_prefix(err, "source") : 0;
}

/* The server answers for every context of a connection, and each costs it a walk over the
 * tables of all layers: so the zeroes have a connection of their own. */
static int
check_tables(const struct task *t, const struct worker_spec_disk *d, struct nbd_conn *c,
             struct run *run, struct err *err)
{
    bool verify = t->spec->task == WORKER_VERIFY;
    const struct allocation_how how = {
        .tip_only = verify, .salvage = t->spec->salvage, .end_block = run->cut_block};
    CLEANUP_NBD_CONN struct nbd_conn *map = NULL;

    if (allocation_check(c, d, &how, &run->findings, &run->pulse, err) < 0)
        return err->class;
    if (!verify || d->n_layers < 2)
        return 0;
    if (open_image(t, d, false, &map, err) < 0)
        return err->class;
    return zero_runs_check(map, d, &run->findings, &run->pulse, err);
}

/* *ret_size: of the export.  What the disk has beyond it is missing. */
static int
check_image(const struct task *t, const struct worker_spec_disk *d, struct run *run,
            uint64_t *ret_size, struct err *err)
{
    CLEANUP_NBD_CONN struct nbd_conn *c = NULL;

    if (open_image(t, d, t->spec->task == WORKER_VERIFY, &c, err) < 0)
        return err->class;
    *ret_size = nbd_conn_info(c)->size_bytes;
    if (*ret_size < d->size_bytes)
        findings_add(&run->findings, *ret_size, d->size_bytes - *ret_size, BAD_MISSING);
    if (check_tables(t, d, c, run, err) >= 0)
        return 0;
    if (err->class != ERR_IO || strcmp(err->code, "nbd_io") != 0)
        return err->class;
    /* The image's own tables cannot be read: qemu-nbd lives, and answered with an error.
     */
    pulse_warn(&run->pulse, err);
    /* A salvage finds out block by block. */
    if (!t->spec->salvage)
        findings_add(&run->findings, 0, d->size_bytes, BAD_READ_ERROR);
    err_clear(err);
    return 0;
}

/* What an earlier try wrote is looked at before it is built on. */
static int
check_target(const struct task *t, const struct worker_spec_disk *d, struct run *run,
             struct err *err)
{
    struct nbd_conn_opts o = {.uri = d->target,
                              .connect_s = t->spec->deadlines.connect_s,
                              .io_s = t->spec->deadlines.io_s,
                              .want_map = true,
                              .cancel_fd = copy_stop_fd(t->stop)};
    CLEANUP_NBD_CONN struct nbd_conn *c = NULL;

    if (nbd_conn_open(&o, &c, err) < 0 ||
        allocation_check_target(c, d, &run->pulse, err) < 0)
        return err_prefix(err, "target");
    return 0;
}

/* A damaged manifest is a finding about the whole disk; the blocks are compared all the
 * same. */
static int
manifest_damaged(const struct worker_spec_disk *d, struct run *run, struct err *err)
{
    if (err->class != ERR_CORRUPT && err->class != ERR_NOT_FOUND)
        return err->class;
    /* The range says that it is damaged, this which file and in what way. */
    pulse_warn(&run->pulse, err);
    findings_add(&run->findings, 0, d->size_bytes, BAD_MANIFEST);
    err_clear(err);
    return 0;
}

/* 1 = the root is known, 0 = everything is to be read. */
static int
try_update(const struct worker_spec_disk *d, struct run *run, struct err *err)
{
    struct job_event *done = &run->done;

    if (!d->parent_roots)
        return 0;
    if (manifests_update(d, &run->pulse, &done->records, done->content_root, err) >= 0)
        return 1;
    if (strcmp(err->code, "roots_unusable") != 0)
        return err->class;
    pulse_warn(&run->pulse, err);
    err_clear(err);
    return 0;
}

static int
check_manifests(const struct worker_spec_disk *d, struct run *run, struct err *err)
{
    struct job_event *done = &run->done;
    uint64_t cut;
    int r = try_update(d, run, err);

    if (r < 0 || (r == 0 && manifests_check(d, &run->pulse, &done->records, err) < 0))
        return manifest_damaged(d, run, err);
    memcpy(done->layer_root, d->layers[d->n_layers - 1].layer_root, MANIFEST_HASH_SIZE);
    if (r == 0 &&
        manifests_content_root(d, &run->pulse, done->content_root, &cut, err) < 0)
        return err->class;
    done->has_content_root = true;
    if (d->has_content_root &&
        memcmp(done->content_root, d->content_root, MANIFEST_HASH_SIZE) != 0)
        findings_add(&run->findings, 0, d->size_bytes, BAD_MANIFEST);
    return 0;
}

/* The same for a salvage: what can be read of the manifests still proves blocks. */
static int
look_at_manifests(const struct worker_spec_disk *d, struct run *run, struct err *err)
{
    struct job_event *done = &run->done;
    uint64_t cut;

    if (manifests_check(d, &run->pulse, &done->records, err) < 0) {
        if (err->class != ERR_CORRUPT && err->class != ERR_NOT_FOUND)
            return err->class;
        pulse_warn(&run->pulse, err);
        err_clear(err);
    }
    if (manifests_content_root(d, &run->pulse, done->content_root, &cut, err) < 0) {
        if (err->class == ERR_CORRUPT || err->class == ERR_NOT_FOUND) {
            err->class = ERR_CORRUPT;
            err_recode(err, "verification_failed");
            return err_prefix(err, "without its manifest no block can be proven");
        }
        return err->class;
    }
    memcpy(done->layer_root, d->layers[d->n_layers - 1].layer_root, MANIFEST_HASH_SIZE);
    done->has_content_root = true;
    run->root_differs = d->has_content_root && memcmp(done->content_root, d->content_root,
                                                      MANIFEST_HASH_SIZE) != 0;
    if (cut >= (d->size_bytes + MANIFEST_BLOCK_SIZE - 1) / MANIFEST_BLOCK_SIZE)
        return 0;
    run->cut_block = cut;
    findings_add(&run->findings, cut * MANIFEST_BLOCK_SIZE,
                 d->size_bytes - cut * MANIFEST_BLOCK_SIZE, BAD_MANIFEST);
    return 0;
}

static int
compare_disk(struct task *t, const struct worker_spec_disk *d, struct run *run,
             struct err *err)
{
    struct block_reader rb = {.spec = t->spec,
                              .disk = d,
                              .stop = t->stop,
                              .rate = &t->rate,
                              .findings = &run->findings,
                              .progress = tell_progress,
                              .arg = &run->pulse};
    bool salvage = t->spec->salvage;
    int r = salvage ? look_at_manifests(d, run, err) : check_manifests(d, run, err);

    if (r < 0 || (d->resume && check_target(t, d, run, err) < 0))
        return err->class;
    rb.cut_block = run->cut_block;
    /* Headers that cannot be read leave nothing to compare with. */
    r = check_image(t, d, run, &rb.image_bytes, err);
    rb.bytes = run->pulse.bytes;
    if (r < 0 || block_reader_run(&rb, err) < 0) {
        if (!salvage && findings_any(&run->findings) && err->class == ERR_CORRUPT)
            err_clear(err);
        return err->class;
    }
    /* All that was read is as some manifest says, but not as this disk's point does. */
    if (salvage && run->root_differs && !findings_any(&run->findings))
        findings_add(&run->findings, 0, d->size_bytes, BAD_MANIFEST);
    run->done.bytes = rb.bytes;
    pulse_tell(&run->pulse, &rb.bytes);
    return 0;
}

/* In which layer to look for the first of the damage. */
static void
name_layer(const struct worker_spec_disk *d, const struct findings *f, struct err *damage)
{
    char layer[MANIFESTS_LAYER_SIZE], words[ERR_MSG_SIZE];

    if (damage->class == 0 || f->v[0].reason == BAD_MANIFEST ||
        f->v[0].reason == BAD_STRAY)
        return;
    manifests_layer_of(d, f->v[0].offset / MANIFEST_BLOCK_SIZE, layer);
    if (layer[0] == '\0')
        return;
    snprintf(words, sizeof words, "%s", damage->msg);
    snprintf(damage->msg, sizeof damage->msg, "%.600s, in layer %s", words, layer);
}

static void
tell_done(struct task *t, struct run *run)
{
    run->done.manifest_bytes = manifest_file_bytes_read();
    output_emit(t->out, &run->done);
}

static void
run_disk(struct task *t, const struct worker_spec_disk *d)
{
    struct run run = {.pulse = {.out = t->out,
                                .stop = t->stop,
                                .key = d->key,
                                .bytes = {.total = d->size_bytes}},
                      .done = {.type = EVENT_DISK_DONE, .has_disk = true, .disk = d->key},
                      .cut_block = UINT64_MAX};
    bool salvage = t->spec->salvage;
    struct findings *f = &run.findings;
    struct err err = ERR_INIT, damage = ERR_INIT;

    findings_init(f);
    if (compare_disk(t, d, &run, &err) < 0) {
        if (!copy_stop_is_set(t->stop))
            err_prefix(&err, "disk %u", d->key);
        if (salvage || !findings_any(f))
            copy_stop_set(t->stop, d->key, &err);
    }
    findings_report(f, d->key, salvage ? FINDINGS_KEPT : EVENT_BAD_RANGES_MAX,
                    output_emit, t->out, &damage);
    name_layer(d, f, &damage);
    if (damage.class != 0 && salvage) {
        err_recode(&damage, "salvaged");
        pulse_warn(&run.pulse, &damage);
        if (err.class == 0)
            tell_done(t, &run);
    } else if (damage.class != 0) {
        LOCK_SCOPE(&t->lock);
        if (t->damage.class == 0) {
            t->damage = damage;
            t->damaged = d->key;
        }
    } else if (err.class == 0) {
        tell_done(t, &run);
    }
    findings_done(f);
}

static void *
disk_thread(void *arg)
{
    struct task *t = arg;

    for (;;) {
        size_t i;

        pthread_mutex_lock(&t->lock);
        i = t->next++;
        pthread_mutex_unlock(&t->lock);
        if (i >= t->spec->n_disks || copy_stop_is_set(t->stop))
            return NULL;
        run_disk(t, &t->spec->disks[i]);
    }
}

static void
run_all(struct task *t)
{
    size_t n = t->spec->n_disks < t->spec->limits.disks_parallel
                   ? t->spec->n_disks
                   : t->spec->limits.disks_parallel;
    CLEANUP_FREE pthread_t *threads = xcalloc(n, sizeof *threads);
    size_t started = 0;

    while (started + 1 < n &&
           pthread_create(&threads[started], NULL, disk_thread, t) == 0)
        started++;
    disk_thread(t); /* this one too, so no lack of threads can leave a disk undone */
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

int
disks_run(const struct worker_spec *spec, struct copy_stop *stop, struct output *out,
          int64_t *ret_disk, struct err *err)
{
    struct task t = {.spec = spec, .stop = stop, .out = out};
    struct job_event phase = {.type = EVENT_PHASE,
                              .phase = spec->task == WORKER_RESTORE ? PHASE_RESTORING
                                                                    : PHASE_VERIFYING};
    int r;

    pthread_mutex_init(&t.lock, NULL);
    copy_rate_init(&t.rate, spec->limits.rate_bytes_per_s, time_mono_ns());
    output_emit(out, &phase);
    run_all(&t);
    r = copy_stop_get(stop, ret_disk, err);
    /* Damage is the better reason than the failure that may have followed it; a cancel is
     * not. */
    if (t.damage.class != 0 && r != ERR_CANCELLED) {
        *err = t.damage;
        *ret_disk = t.damaged;
        r = err->class;
    }
    copy_rate_done(&t.rate);
    pthread_mutex_destroy(&t.lock);
    return r;
}
