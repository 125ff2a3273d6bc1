/* tests/func/incr_copy.c - the two ways to copy, what is told on the way, and the cut. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "copy/result.h"
#include "incr_rig_priv.h"
#include "job/worker_run.h"
#include "os/pipe_io.h"

static struct incr_disk *
find(struct incr *w, uint32_t key)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->disks[i].key == key)
            return &w->disks[i];
    fail_msg("an event about disk %u", key);
    return NULL;
}

/* What a power cut does to it: what was acknowledged and not flushed is gone. */
static void
cut(struct run *r)
{
    struct incr *w = r->w;

    r->cut = true;
    for (size_t i = 0; i < w->n; i++)
        assert_int_equal(kill(export_pid(r->export[i]), SIGKILL), 0);
}

static uint64_t
bytes_safe(const struct run *r, uint32_t key)
{
    struct manifest_in *m = live_manifests_lock(r->live);
    uint64_t block = m ? manifest_in_block(m, key) : 0;

    live_manifests_unlock(r->live);
    return block * MANIFEST_BLOCK_SIZE;
}

static bool
is_time_to_cut(const struct run *r, const struct job_event *ev)
{
    const struct incr *w = r->w;
    uint64_t done;

    if (!w->cut_percent || r->cut || r->spec.attempt > 1 || !ev->has_disk ||
        (ev->type != EVENT_PROGRESS && ev->type != EVENT_CHECKPOINT) ||
        ev->disk != w->disks[0].key)
        return false;
    done = w->cut_early ? ev->bytes.done : bytes_safe(r, ev->disk);
    return done * 100 >= ev->bytes.total * w->cut_percent;
}

static void
on_event(void *arg, struct job_event *ev)
{
    struct run *r = arg;
    struct incr_disk *d = ev->has_disk ? find(r->w, ev->disk) : NULL;
    LOCK_SCOPE(&r->w->lock);

    if (is_time_to_cut(r, ev))
        cut(r);
    switch (ev->type) {
    case EVENT_READ_MODE:
        d->told_mode = ev->mode;
        d->told_reason = ev->reason;
        break;
    case EVENT_AUDIT:
        d->sampled += ev->sampled;
        d->bad += ev->bad;
        break;
    case EVENT_WARNING:
        d->warnings++;
        snprintf(d->warning, sizeof(d->warning), "%s", ev->code);
        break;
    case EVENT_DISK_DONE:
        d->bytes = ev->bytes;
        d->records = ev->records;
        break;
    case EVENT_RESULT:
        r->ended = true;
        r->ok = ev->status == RESULT_OK;
        r->retryable = ev->retryable;
        if (!r->ok)
            result_to_err(ev, &r->w->err);
        break;
    default:
        break;
    }
}

void
incr_copy_here(struct run *r)
{
    struct incr *w = r->w;
    CLEANUP_COPY_STOP struct copy_stop *stop = NULL;
    struct copy_changes changes[INCR_DISKS];
    struct copy_opts o = {.spec = &r->spec,
                          .changes = changes,
                          .event = on_event,
                          .event_arg = r,
                          .checkpoint_ms = w->checkpoint_ms};
    uint64_t page_ends[INCR_DISKS][2];
    struct err err = ERR_INIT;

    for (size_t i = 0; i < w->n; i++) {
        const struct incr_disk *d = &w->disks[i];

        if (r->spec.disks[i].read != READ_CHANGED)
            continue;
        page_ends[i][0] = d->n_areas ? d->areas[d->n_areas / 2].off : 0;
        page_ends[i][1] = d->size;
        changes[o.n_changes++] = (struct copy_changes){.key = d->key,
                                                       .areas = d->areas,
                                                       .n = d->n_areas,
                                                       .page_ends = page_ends[i],
                                                       .n_page_ends = 2};
    }
    incr_check(copy_stop_new(&stop, &err), &err);
    o.stop = stop;
    r->ended = true;
    r->ok = copy_run(&o, &w->err) == 0;
    if (!r->ok)
        copy_stop_get(stop, NULL, &w->err);
    r->retryable = !r->ok && result_is_retryable(w->err.class, w->err.code);
}

void
incr_copy_by_client(struct run *r)
{
    const char *argv[] = {getenv("SENDENSE_CLIENT"), "--log-level", "error", NULL};
    struct child_spec cs = {
        .argv = argv, .in = CHILD_PIPE, .out = CHILD_PIPE, .err = CHILD_INHERIT};
    CLEANUP_JSON json_t *j = job_spec_encode(&r->spec);
    CLEANUP_FREE char *text = json_line(j);
    CLEANUP_FREE char *line = xasprintf("%s\n", text);
    CLEANUP_CHILD struct child *child = NULL;
    struct line_reader lines;
    struct event_stream stream;
    struct child_exit how;
    struct err err = ERR_INIT;
    bool open = true;

    assert_non_null(argv[0]);
    line_reader_init(&lines, EVENT_LINE_MAX);
    event_stream_init(&stream, r->job_id, r->spec.attempt, 0, false);
    incr_check(child_spawn(&cs, &child, &err), &err);
    incr_check(fs_write_full(child_stdin_fd(child), line, strlen(line), &err), &err);
    while (open) {
        struct pollfd p = {.fd = child_stdout_fd(child), .events = POLLIN};
        char *got;
        size_t n;

        while (line_reader_next(&lines, &got, &n, &err) > 0) {
            CLEANUP_JOB_EVENT struct job_event ev = {0};

            incr_check(event_stream_line(&stream, got, n, &ev, &err), &err);
            on_event(r, &ev);
        }
        assert_int_equal(poll(&p, 1, INCR_STEP_S * 1000), 1);
        open = line_reader_fill(&lines, p.fd, &err) != LINE_FILL_EOF;
    }
    incr_check(event_stream_end(&stream, &err), &err);
    incr_check(child_wait(child, time_mono_ns() + INCR_STEP_S * NS_PER_S, &how, &err),
               &err);
    assert_false(how.signaled);
    assert_int_equal(how.value, r->ok ? 0 : 1);
    line_reader_done(&lines);
}
