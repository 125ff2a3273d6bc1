/* client/mode_by_hand.c - a client run by a person: sources and targets on the command
 * line, progress on the terminal, no hub. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "copy/control.h"
#include "client/modes.h"
#include "copy/result.h"
#include "copy/copy.h"
#include "model/progress.h"
#include "model/targets.h"
#include "nbd/nbd_conn.h"

struct screen {
    /* fixed */
    bool tty;
    pthread_mutex_t lock;
    /* under lock */
    struct progress *progress;
};

static void
show_progress_locked(struct screen *s)
{
    struct progress_view v;

    progress_view(s->progress, time_mono_ns(), &v);
    fprintf(stderr, "\r\033[K%3u.%u%%  %llu of %llu MiB, %llu MiB/s", v.percent_x10 / 10,
            v.percent_x10 % 10, (unsigned long long)v.bytes.done >> 20,
            (unsigned long long)v.bytes.total >> 20,
            (unsigned long long)v.rate_bytes_per_s >> 20);
    if (v.eta_s != PROGRESS_ETA_UNKNOWN)
        fprintf(stderr, ", %llu s left", (unsigned long long)v.eta_s);
}

static void
show_line_locked(struct screen *s, const struct job_event *ev)
{
    char root[2 * MANIFEST_HASH_SIZE + 1];

    if (s->tty)
        fprintf(stderr, "\r\033[K");
    if (ev->type == EVENT_WARNING) {
        fprintf(stderr, "warning: %s\n", ev->message);
        return;
    }
    text_hex(ev->layer_root, sizeof(ev->layer_root), root);
    fprintf(
        stderr,
        "disk %u: %llu bytes: read %llu, sent %llu, zero %llu, skipped %llu; root %s\n",
        ev->disk, (unsigned long long)ev->bytes.total, (unsigned long long)ev->bytes.read,
        (unsigned long long)ev->bytes.sent, (unsigned long long)ev->bytes.zero,
        (unsigned long long)ev->bytes.skipped, root);
}

static void
show(void *arg, struct job_event *ev)
{
    struct screen *s = arg;
    LOCK_SCOPE(&s->lock);

    if (ev->type == EVENT_PROGRESS || ev->type == EVENT_DISK_DONE)
        progress_update(s->progress, ev->disk, &ev->bytes, time_mono_ns());
    if (ev->type == EVENT_DISK_DONE || ev->type == EVENT_WARNING)
        show_line_locked(s, ev);
    if (s->tty && ev->type == EVENT_PROGRESS)
        show_progress_locked(s);
}

static int
source_size(const char *uri, struct copy_stop *stop, uint64_t *ret, struct err *err)
{
    struct nbd_conn_opts o = {.uri = uri, .cancel_fd = copy_stop_fd(stop)};
    CLEANUP_NBD_CONN struct nbd_conn *c = NULL;
    int r = nbd_conn_open(&o, &c, err);

    if (r < 0)
        return r;
    *ret = nbd_conn_info(c)->size_bytes;
    if (*ret == 0 || *ret > MANIFEST_DISK_SIZE_MAX)
        return err_set(err, ERR_INVALID, "size_mismatch",
                       "the source has %llu bytes; a disk has 1 to %llu",
                       (unsigned long long)*ret,
                       (unsigned long long)MANIFEST_DISK_SIZE_MAX);
    return 0;
}

static int
number(uint64_t given, uint64_t def, uint64_t min, uint64_t max, const char *option,
       uint32_t *ret, struct err *err)
{
    uint64_t v = given ? given : def;

    if (v < min || v > max)
        return err_set(err, ERR_INVALID, "usage", "%s must be %llu to %llu", option,
                       (unsigned long long)min, (unsigned long long)max);
    *ret = (uint32_t)v;
    return 0;
}

static int
make_limits(const struct by_hand *h, struct spec_limits *ret, struct err *err)
{
    const struct spec_limits *def = &spec_limits_default;
    int r;

    *ret = *def;
    r = number(h->connections, def->connections, 1, 8, "--connections", &ret->connections,
               err);
    if (r == 0)
        r = number(h->requests, def->requests, 1, 64, "--requests", &ret->requests, err);
    if (r == 0)
        r = number(h->request_bytes, def->request_bytes, MANIFEST_BLOCK_SIZE,
                   SPEC_REQUEST_BYTES_MAX, "--request-bytes", &ret->request_bytes, err);
    if (r == 0 && ret->request_bytes % MANIFEST_BLOCK_SIZE)
        r = err_set(err, ERR_INVALID, "usage", "--request-bytes must be a multiple of %u",
                    MANIFEST_BLOCK_SIZE);
    return r;
}

/* The spec that a hub would have sent: ids are made up, nothing refers to them. */
static int
make_spec(const struct by_hand *h, struct copy_stop *stop, struct job_spec *ret,
          struct err *err)
{
    CLEANUP_TARGETS struct targets sources = {0}, targets = {0};
    int r = targets_parse(h->sources, &sources, err);

    if (r < 0)
        return err_prefix(err, "--nbd-sources");
    r = targets_parse(h->targets, &targets, err);
    if (r < 0)
        return err_prefix(err, "--nbd-targets");
    if (sources.n != targets.n)
        return err_set(err, ERR_INVALID, "usage", "%zu sources, but %zu targets",
                       sources.n, targets.n);
    r = make_limits(h, &ret->limits, err);
    if (r < 0)
        return r;
    uuid_make(ret->job_id);
    ret->attempt = 1;
    ret->deadlines = spec_deadlines_default;
    ret->audit_samples = 1024;
    ret->audit_seed = time_mono_ns() >> 1;
    ret->disks = xcalloc(sources.n, sizeof(*ret->disks));
    for (size_t i = 0; i < sources.n; i++) {
        struct job_spec_disk *d = &ret->disks[ret->n_disks++];
        const char *target = targets_find(&targets, sources.items[i].key);

        if (!target)
            return err_set(err, ERR_INVALID, "usage",
                           "disk %u has a source and no target", sources.items[i].key);
        d->key = sources.items[i].key;
        d->source_url = xstrdup(sources.items[i].uri);
        d->target = xstrdup(target);
        d->read = READ_ALL;
        uuid_make(d->disk_uuid);
        uuid_make(d->layer_id);
        r = source_size(d->source_url, stop, &d->size_bytes, err);
        if (r < 0)
            return err_prefix(err, "disk %u: source", d->key);
    }
    return 0;
}

static int
run(const struct by_hand *h, struct control *c, struct screen *s, struct err *err)
{
    CLEANUP_JOB_SPEC struct job_spec spec = {0};
    struct copy_opts opts = {.spec = &spec,
                             .stop = c->stop,
                             .event = show,
                             .event_arg = s,
                             .manifest_dir = h->manifest_dir};
    int r = control_start(c, err);

    if (r < 0)
        return r;
    r = make_spec(h, c->stop, &spec, err);
    for (size_t i = 0; r == 0 && i < spec.n_disks; i++)
        progress_add_disk(s->progress, spec.disks[i].key, spec.disks[i].size_bytes);
    if (r == 0)
        r = copy_run(&opts, err);
    control_stop(c);
    if (r < 0)
        copy_stop_get(c->stop, NULL, err);
    return r < 0 ? err->class : 0;
}

int
mode_by_hand(const struct by_hand *h, int signal_fd)
{
    struct err err = ERR_INIT;
    CLEANUP_COPY_STOP struct copy_stop *stop = NULL;
    struct control control = {
        .in_fd = -1, .leave = _exit, .signal_fd = signal_fd, .done_fd = -1};
    struct screen screen = {.tty = isatty(STDERR_FILENO) == 1};
    int r = copy_stop_new(&stop, &err);

    pthread_mutex_init(&screen.lock, NULL);
    screen.progress = progress_new();
    control.stop = stop;
    if (r == 0)
        r = run(h, &control, &screen, &err);
    if (screen.tty)
        fprintf(stderr, "\r\033[K");
    if (r < 0)
        fprintf(stderr, CLIENT_PROG ": %s\n", err.msg);
    progress_free(screen.progress);
    pthread_mutex_destroy(&screen.lock);
    return result_exit_status(r);
}
