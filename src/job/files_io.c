#include "job/files_io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "job/bus.h"
#include "job/files_priv.h"

#define CHUNK 65536u
#define BUSY_WAIT_MS 5000u
#define SLICE_MS 1000u
#define CANCEL_WAIT_S 20u

static int
wait_changed(struct files_session *s, uint64_t deadline_ns)
{
    struct timespec ts = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                          .tv_nsec = (long)(deadline_ns % NS_PER_S)};

    return pthread_cond_timedwait(&s->changed, &s->lock, &ts);
}

static int
has_ended(const struct files_session *s, struct err *err)
{
    if (s->why.class != 0) {
        *err = s->why;
        return err_prefix(err, "the file session has failed");
    }
    return err_set(err, ERR_EXISTS, "mount_ended",
                   "the file session has ended (%s): open the backup again",
                   s->reason ? s->reason : "closed");
}

int
files_begin(struct files_session *s, unsigned wait_ms, struct err *err)
{
    uint64_t deadline = time_mono_ns() + wait_ms * NS_PER_MS;

    LOCK_SCOPE(&s->lock);
    for (;;) {
        if (s->state >= FILES_ENDING || s->stop)
            return has_ended(s, err);
        if (s->state == FILES_READY && !s->busy)
            break;
        if (wait_changed(s, deadline) != ETIMEDOUT)
            continue;
        if (s->state == FILES_STARTING)
            return err_set(err, ERR_UNAVAILABLE, "mount_not_ready",
                           "the appliance of this file session still starts");
        return err_set(err, ERR_UNAVAILABLE, "mount_busy",
                       "another request uses this file session: wait, or open a second "
                       "one");
    }
    s->busy = true;
    s->used_ns = time_mono_ns();
    return 0;
}

void
files_touch(struct files_session *s)
{
    LOCK_SCOPE(&s->lock);
    s->used_ns = time_mono_ns();
}

static int
ended_program(struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "files_died",
                   "the program of the file session has ended: open the backup again");
}

static int
send_frame(struct files_session *s, enum files_frame type, const char *text, size_t n,
           struct err *err)
{
    unsigned char head[FILES_HEAD];

    LOCK_SCOPE(&s->io_lock);
    if (!s->child)
        return ended_program(err);
    files_head_encode(type, n, head);
    if (fs_write_full(child_stdin_fd(s->child), head, sizeof head, err) < 0 ||
        fs_write_full(child_stdin_fd(s->child), text, n, err) < 0)
        return ended_program(err);
    s->frame_ns = time_mono_ns();
    return 0;
}

int
files_send(struct files_session *s, const json_t *request, struct err *err)
{
    CLEANUP_FREE char *text = json_line(request);
    size_t n = strlen(text);

    if (n > FILES_FRAME_MAX)
        return err_set(err, ERR_LIMIT, "body_too_large", "the request is too long");
    s->answered = false;
    /* Not less than what one read of a disk may take. */
    s->silence_s = 2 * s->env->deadlines.io_s;
    if (send_frame(s, FILES_REQUEST, text, n, err) < 0) {
        s->answered = true;
        files_fail(s, err);
        return err->class;
    }
    return 0;
}

void
files_reply_done(struct files_reply *r)
{
    free(r->data);
    *r = (struct files_reply){0};
}

/* 1 = a whole frame was taken out of the buffer. */
static int
take_frame(struct files_session *s, struct files_reply *ret, struct err *err)
{
    enum files_frame type;
    size_t n;

    if (s->in.len < FILES_HEAD)
        return 0;
    if (files_head_decode((unsigned char *)s->in.data, &type, &n, err) < 0)
        return err->class;
    if (type == FILES_REQUEST || type == FILES_CANCEL)
        return err_set(err, ERR_PROTOCOL, "files_protocol", "a frame of the hub came");
    if (s->in.len < FILES_HEAD + n)
        return 0;
    ret->data = malloc(n + 1);
    if (!ret->data)
        return err_set(err, ERR_LIMIT, NULL, "no memory");
    memcpy(ret->data, s->in.data + FILES_HEAD, n);
    ret->data[n] = '\0';
    ret->type = type;
    ret->n = n;
    s->in.len -= FILES_HEAD + n;
    memmove(s->in.data, s->in.data + FILES_HEAD + n, s->in.len);
    s->frame_ns = time_mono_ns();
    return 1;
}

static int
fill(struct files_session *s, unsigned wait_ms, struct err *err)
{
    int fd = child_stdout_fd(s->child);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    ssize_t got;
    int r = poll(&p, 1, (int)wait_ms);

    if (r < 0 && errno != EINTR)
        return err_errno(err, errno, NULL, "wait for the file session");
    if (r <= 0) {
        if (time_mono_ns() - s->frame_ns > s->silence_s * NS_PER_S)
            return err_set(err, ERR_TIMEOUT, "files_hung",
                           "the file session said nothing for %u seconds and was ended",
                           s->silence_s);
        return 0;
    }
    if (buf_reserve(&s->in, CHUNK, err) < 0)
        return err->class;
    got = read(fd, s->in.data + s->in.len, CHUNK);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN
                   ? 0
                   : err_errno(err, errno, NULL, "read from the file session");
    if (got == 0)
        return ended_program(err);
    s->in.len += (size_t)got;
    return 1;
}

static int
recv_locked(struct files_session *s, unsigned wait_ms, struct files_reply *ret,
            struct err *err)
{
    LOCK_SCOPE(&s->io_lock);
    uint64_t deadline = time_mono_ns() + wait_ms * NS_PER_MS;
    int r;

    do {
        if (!s->child)
            return ended_program(err);
        r = take_frame(s, ret, err);
        if (r != 0)
            return r;
        r = fill(s, (unsigned)time_left_ms(deadline), err);
        if (r < 0)
            return r;
    } while (r > 0 || time_left_ms(deadline) > 0);
    return 0;
}

int
files_recv(struct files_session *s, unsigned wait_ms, struct files_reply *ret,
           struct err *err)
{
    int r = recv_locked(s, wait_ms < SLICE_MS ? wait_ms : SLICE_MS, ret, err);

    if (r < 0) {
        s->answered = true;
        files_fail(s, err);
        return r;
    }
    if (r == 0)
        return 0;
    files_touch(s);
    if (ret->type == FILES_ANSWER)
        s->answered = true;
    if (ret->type != FILES_ERROR)
        return 1;
    s->answered = true;
    r = files_error_decode(ret->data, ret->n, err);
    files_reply_done(ret);
    if (r == ERR_PROTOCOL || strcmp(err->code, "appliance_died") == 0)
        files_fail(s, err);
    return r;
}

/* The program is told to stop, and what it had sent until then is thrown away. */
static void
cancel_running(struct files_session *s)
{
    uint64_t deadline = time_mono_ns() + CANCEL_WAIT_S * NS_PER_S;
    struct err err = ERR_INIT;

    if (send_frame(s, FILES_CANCEL, "", 0, &err) < 0)
        s->answered = true;
    while (!s->answered && time_left_ms(deadline) > 0) {
        struct files_reply r = {0};

        err_clear(&err);
        files_recv(s, SLICE_MS, &r, &err);
        files_reply_done(&r);
    }
    if (s->answered)
        return;
    err_set(&err, ERR_TIMEOUT, "files_hung", "the file session did not stop its work");
    files_fail(s, &err);
}

void
files_end(struct files_session *s)
{
    if (!s->answered)
        cancel_running(s);
    LOCK_SCOPE(&s->lock);
    s->busy = false;
    s->used_ns = time_mono_ns();
    pthread_cond_broadcast(&s->changed);
}

/* The answer to the request that was sent. */
static int
take_answer(struct files_session *s, json_t **ret, struct err *err)
{
    int r;

    do {
        struct files_reply f = {0};

        r = files_recv(s, SLICE_MS, &f, err);
        if (r > 0 && f.type == FILES_ANSWER && json_parse(f.data, f.n, ret, err) < 0) {
            err_recode(err, "files_protocol");
            files_fail(s, err);
            r = err->class;
        } else if (r > 0 && f.type != FILES_ANSWER) {
            r = 0;
        }
        files_reply_done(&f);
    } while (r == 0);
    return r < 0 ? err->class : 0;
}

int
files_ask(struct files_session *s, const json_t *request, json_t **ret, struct err *err)
{
    int r;

    if (files_begin(s, BUSY_WAIT_MS, err) < 0)
        return err->class;
    r = files_send(s, request, err);
    if (r >= 0)
        r = take_answer(s, ret, err);
    files_end(s);
    return r < 0 ? err->class : 0;
}

void
files_audit(struct files_session *s, const char *type, const char *actor,
            const char *message)
{
    struct cat_event e = {.severity = "info",
                          .type = type,
                          .message = message,
                          .job_id = s->id,
                          .backup_id = s->backup_id,
                          .vm_id = s->vm_id,
                          .actor = actor};
    struct err err = ERR_INIT;

    if (bus_emit(s->env, &e, &err) < 0)
        log_error("mount='%s' store the event %s '%s': %s", s->id, type, message,
                  err.msg);
    bus_wake(s->env->bus);
}
