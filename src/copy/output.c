/* copy/output.c - see output.h. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "copy/output.h"
#include "os/pipe_io.h"

/* A pipe that polls writable takes this much without blocking (PIPE_BUF, pipe(7)); so
 * stdout, which may be shared with others, need not be made non-blocking. */
#define CHUNK 4096
#define POLL_STEP_MS 200

void
output_init(struct output *o, int fd, struct copy_stop *stop)
{
    *o = (struct output){.fd = fd, .stop = stop};
    pthread_mutex_init(&o->lock, NULL);
}

void
output_done(struct output *o)
{
    pthread_mutex_destroy(&o->lock);
}

static int
wait_writable(struct output *o, struct err *err)
{
    uint64_t start = time_mono_ns();

    for (;;) {
        struct pollfd fd = {.fd = o->fd, .events = POLLOUT};
        int r = poll(&fd, 1, POLL_STEP_MS);
        uint64_t limit_s =
            copy_stop_is_set(o->stop) ? OUTPUT_STOPPED_S : OUTPUT_BLOCKED_S;

        if (r > 0 && !(fd.revents & POLLERR))
            return 0;
        if (r > 0)
            return err_set(err, ERR_UNAVAILABLE, "output_closed",
                           "nobody reads the events: stdout is closed");
        if (r < 0 && errno != EINTR)
            return err_errno(err, errno, "output_closed", "poll stdout");
        if (time_mono_ns() - start > limit_s * NS_PER_S)
            return err_set(err, ERR_TIMEOUT, "output_blocked",
                           "nobody reads the events: stdout took nothing for %llu s",
                           (unsigned long long)limit_s);
    }
}

static int
write_line_locked(struct output *o, const char *p, size_t n, struct err *err)
{
    while (n > 0) {
        size_t done = 0;
        int r = wait_writable(o, err);

        if (r == 0)
            r = pipe_write_some(o->fd, p, n < CHUNK ? n : CHUNK, &done, err);
        if (r < 0)
            return r;
        p += done;
        n -= done;
    }
    return 0;
}

void
output_emit(void *output, struct job_event *ev)
{
    struct output *o = output;
    struct err err = ERR_INIT;
    CLEANUP_FREE char *line = NULL;
    CLEANUP_FREE char *text = NULL;
    CLEANUP_JSON json_t *j = NULL;
    LOCK_SCOPE(&o->lock);

    if (o->broken || o->ended)
        return;
    ev->seq = ++o->seq;
    ev->time_us = time_utc_us();
    if (ev->type == EVENT_PHASE)
        o->phase = ev->phase;
    o->ended = ev->type == EVENT_RESULT;
    j = job_event_encode(ev);
    line = json_line(j);
    text = xasprintf("%s\n", line);
    if (write_line_locked(o, text, strlen(text), &err) < 0) {
        o->broken = true;
        copy_stop_set(o->stop, -1, &err);
    }
}

enum job_phase
output_phase(struct output *o)
{
    LOCK_SCOPE(&o->lock);

    return o->phase;
}
