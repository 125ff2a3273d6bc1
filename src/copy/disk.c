/* copy/disk.c - the coordinator of one disk. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/timeutil.h"
#include "copy/checkpoint.h"
#include "copy/disk.h"

#define SECTOR 512u
#define CHECKPOINT_NS (5 * NS_PER_S)
#define PROGRESS_NS NS_PER_S

void
copy_disk_wake(struct copy_disk *d)
{
    (void)eventfd_write(d->wake_fd, 1);
}

/* What earlier attempts dealt with. */
static uint64_t
bytes_before(const struct copy_disk *d)
{
    uint64_t bytes = d->spec->resume.block * MANIFEST_BLOCK_SIZE;

    return bytes < d->spec->size_bytes ? bytes : d->spec->size_bytes;
}

struct byte_counters
copy_disk_bytes(const struct copy_disk *d)
{
    const struct copy_counters *b = &d->bytes;
    uint64_t skipped = atomic_load_explicit(&b->skipped, memory_order_relaxed);

    return (struct byte_counters){
        .total = d->spec->size_bytes,
        .done = bytes_before(d) + atomic_load_explicit(&b->copied, memory_order_relaxed) +
                skipped,
        .read = atomic_load_explicit(&b->read, memory_order_relaxed),
        .sent = atomic_load_explicit(&b->sent, memory_order_relaxed),
        .zero = atomic_load_explicit(&b->zero, memory_order_relaxed),
        .skipped = skipped,
        .audit = atomic_load_explicit(&b->audit, memory_order_relaxed)};
}

static int
open_side(struct copy_disk *d, bool target, struct nbd_conn **ret, struct err *err)
{
    const struct job_spec *spec = d->opts->spec;
    struct nbd_conn_opts o = {.uri = target ? d->spec->target : d->spec->source_url,
                              .connect_s = spec->deadlines.connect_s,
                              .io_s = copy_io_s(d->opts, !target),
                              .want_map = !target,
                              .cancel_fd = copy_stop_fd(d->opts->stop)};
    int r = nbd_conn_open(&o, ret, err);

    if (r == 0)
        return 0;
    /* One word for the API; the message keeps the stage. */
    if (r != ERR_CANCELLED && strcmp(err->code, "nbd_uri") != 0)
        err_recode(err, target ? "target_unreachable" : "source_unreachable");
    return err_prefix(err, target ? "target" : "source");
}

static int
check_target(const struct copy_disk *d, struct err *err)
{
    const struct nbd_conn_info *t = nbd_conn_info(d->target);
    uint64_t want = (d->spec->size_bytes + SECTOR - 1) / SECTOR * SECTOR;
    const char *description = d->spec->target_description;

    if (description && strcmp(description, t->description) != 0)
        return err_set(err, ERR_INVALID, "target_mismatch",
                       "the target describes itself as '%s', not as '%s'", t->description,
                       description);
    if (t->size_bytes != want)
        return err_set(err, ERR_INVALID, "target_size_mismatch",
                       "the target has %llu bytes; it must have %llu",
                       (unsigned long long)t->size_bytes, (unsigned long long)want);
    if (t->read_only)
        return err_set(err, ERR_INVALID, "target_read_only", "the target is read-only");
    if (!t->can_flush)
        return err_set(err, ERR_INVALID, "target_no_flush", "the target cannot flush");
    if (!t->can_zero && d->spec->read != READ_ALL)
        return err_set(err, ERR_INVALID, "target_no_zero",
                       "the target cannot write zeroes, which must hide what the parent "
                       "holds");
    return 0;
}

int
copy_disk_connect(struct copy_disk *d, struct err *err)
{
    const struct nbd_conn_info *s, *t;
    int r = copy_mode_check(d->opts, d->spec, err);

    if (r == 0)
        r = open_side(d, false, &d->source, err);
    if (r == 0)
        r = open_side(d, true, &d->target, err);
    if (r < 0)
        return r;
    s = nbd_conn_info(d->source);
    t = nbd_conn_info(d->target);
    if (s->size_bytes != d->spec->size_bytes)
        return err_set(err, ERR_INVALID, "size_mismatch",
                       "the source has %llu bytes; the plan says %llu",
                       (unsigned long long)s->size_bytes,
                       (unsigned long long)d->spec->size_bytes);
    r = check_target(d, err);
    d->use_map = s->has_map;
    d->piece_bytes = d->opts->spec->limits.request_bytes;
    if (d->piece_bytes > s->max_request)
        d->piece_bytes = s->max_request;
    if (d->piece_bytes > t->max_request)
        d->piece_bytes = t->max_request;
    return r;
}

/* Sleeps until woken, stopped or @until; forgets the wake-up. */
static int
sleep_until(struct copy_disk *d, uint64_t until, struct err *err)
{
    struct pollfd fds[2] = {{.fd = d->wake_fd, .events = POLLIN},
                            {.fd = copy_stop_fd(d->opts->stop), .events = POLLIN}};
    eventfd_t v;

    if (poll(fds, 2, time_left_ms(until)) < 0 && errno != EINTR)
        return err_errno(err, errno, NULL, "poll");
    if (fds[1].revents)
        return err_set(err, ERR_CANCELLED, "cancelled", "cancelled");
    if (fds[0].revents)
        (void)eventfd_read(d->wake_fd, &v);
    return 0;
}

/* Everything that was acknowledged before this call is durable after it. */
static int
flush_target(struct copy_disk *d, struct err *err)
{
    if (nbd_conn_info(d->target)->can_multi_conn || d->n_workers == 0) {
        int r = nbd_conn_flush(d->target, err);

        return r < 0 ? err_prefix(err, "target") : 0;
    }
    /* A flush covers its own connection only: each worker does its own. */
    pthread_mutex_lock(&d->lock);
    d->flush_acks = 0;
    pthread_mutex_unlock(&d->lock);
    atomic_fetch_add(&d->flush_wanted, 1);
    copy_workers_wake(d);
    for (;;) {
        unsigned acks;
        int r = sleep_until(d, time_mono_ns() + PROGRESS_NS, err);

        if (r < 0)
            return r;
        pthread_mutex_lock(&d->lock);
        acks = d->flush_acks;
        pthread_mutex_unlock(&d->lock);
        if (acks == d->n_workers)
            return 0;
    }
}

static void
emit_progress(struct copy_disk *d)
{
    struct job_event ev = {.type = EVENT_PROGRESS, .bytes = copy_disk_bytes(d)};

    copy_emit(d, &ev);
}

static int
make_checkpoint(struct copy_disk *d, struct checkpoint *c, bool final, struct err *err)
{
    const uint8_t *records;
    uint64_t upto, block;
    size_t n;
    int r;

    if (copy_records_take(d->records, &records, &n, &upto).wake_workers)
        copy_workers_wake(d);
    block = manifest_blocks(upto);
    /* Also without records: what was read for nothing is not to be read again. */
    if (n == 0 && block <= d->told_block && !final)
        return 0;
    r = flush_target(d, err);
    if (r < 0)
        return r;
    d->told_block = block;
    return final ? checkpoint_end(c, records, n, err)
                 : checkpoint_add(c, records, n, block, err);
}

static bool
all_complete(struct copy_disk *d)
{
    uint64_t pieces;

    return copy_cursor_ended(d->cursor, &pieces) &&
           copy_records_completed(d->records) == pieces;
}

/* Until every piece is complete: progress once a second, a checkpoint when one is due. */
static int
watch(struct copy_disk *d, struct checkpoint *c, struct err *err)
{
    const uint64_t every_ns =
        d->opts->checkpoint_ms ? d->opts->checkpoint_ms * NS_PER_MS : CHECKPOINT_NS;
    uint64_t now = time_mono_ns();
    uint64_t progress_at = now + PROGRESS_NS, checkpoint_at = now + every_ns;

    while (!all_complete(d)) {
        int r = sleep_until(d, progress_at < checkpoint_at ? progress_at : checkpoint_at,
                            err);

        if (r < 0)
            return r;
        now = time_mono_ns();
        if (now >= progress_at) {
            emit_progress(d);
            progress_at = now + PROGRESS_NS;
        }
        if (now >= checkpoint_at || copy_records_checkpoint_due(d->records)) {
            r = make_checkpoint(d, c, false, err);
            checkpoint_at = time_mono_ns() + every_ns;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static void
wake_workers(void *arg)
{
    copy_workers_wake(arg);
}

/* What of @d->changed earlier attempts dealt with is changed no more. */
static void
clip_changed(struct copy_disk *d)
{
    uint64_t start = d->spec->resume.block;
    size_t n = 0;

    for (size_t i = 0; i < d->n_changed; i++) {
        struct delta_run r = d->changed[i];

        if (r.start < start)
            r.start = start;
        if (r.start < r.end)
            d->changed[n++] = r;
    }
    d->n_changed = n;
}

static int
make_cursor(struct copy_disk *d, struct err *err)
{
    struct copy_ahead_opts o = {.parent = d->parent,
                                .start = d->spec->resume.block,
                                .blocks = manifest_blocks(d->spec->size_bytes),
                                .wake = wake_workers,
                                .arg = d};
    bool changed = d->mode == READ_CHANGED;
    int r = copy_cursor_new(d->spec->size_bytes, d->piece_bytes,
                            d->use_map && !changed ? d->source : NULL, d->records,
                            &d->bytes.skipped, &d->cursor, err);

    if (r < 0)
        return r;
    copy_cursor_start_at(d->cursor, o.start);
    if (d->mode == READ_ALL)
        return 0;
    clip_changed(d);
    o.runs = changed ? d->changed : NULL;
    o.n_runs = d->n_changed;
    r = copy_ahead_new(&o, &d->ahead, err);
    if (r == 0)
        copy_cursor_on_parent(d->cursor, d->ahead, o.runs, o.n_runs);
    return r;
}

static int
copy_out(struct copy_disk *d, struct checkpoint *c, struct err *err)
{
    const struct spec_limits *l = &d->opts->spec->limits;
    unsigned window = 4 * l->connections * l->requests;
    int r = copy_records_new(window < 64 ? 64 : window,
                             d->piece_bytes / MANIFEST_BLOCK_SIZE, &d->records, err);

    if (r == 0)
        r = make_cursor(d, err);
    if (r == 0)
        r = copy_workers_start(d, err);
    if (r == 0 && d->ahead)
        r = copy_ahead_start(d->ahead, err);
    if (r == 0)
        r = watch(d, c, err);
    if (r == 0)
        r = make_checkpoint(d, c, true, err);
    if (r < 0) { /* the workers must not wait for a coordinator that left */
        struct err why = *err;

        err_prefix(&why, "disk %u", d->spec->key);
        copy_stop_set(d->opts->stop, d->spec->key, &why);
    }
    copy_ahead_stop(d->ahead); /* it wakes the workers, which go now */
    atomic_store(&d->quit, true);
    copy_workers_wake(d);
    copy_workers_join(d);
    return r;
}

int
copy_disk_run(struct copy_disk *d, struct err *err)
{
    struct checkpoint c;
    struct job_event ev = {.type = EVENT_DISK_DONE};
    int r = checkpoint_init(&c, d, err);

    if (r == 0)
        r = copy_mode_settle(d, err);
    if (r == 0) {
        copy_job_phase(d->job, PHASE_TRANSFERRING);
        r = copy_out(d, &c, err);
    }
    if (r == 0) {
        ev.records = manifest_check_count(c.check);
        ev.bytes = copy_disk_bytes(d);
        memcpy(ev.layer_root, c.root, sizeof(ev.layer_root));
        copy_emit(d, &ev);
    }
    checkpoint_done(&c);
    return r;
}

void
copy_disk_done(struct copy_disk *d)
{
    copy_cursor_free(d->cursor);
    copy_ahead_free(d->ahead);
    copy_parent_free(d->parent);
    free(d->changed);
    copy_records_free(d->records);
    nbd_conn_free(d->source);
    nbd_conn_free(d->target);
    cleanup_fd(&d->wake_fd);
    pthread_mutex_destroy(&d->lock);
}
