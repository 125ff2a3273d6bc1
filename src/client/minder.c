/* client/minder.c - see minder.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "client/minder.h"
#include "os/cookie_box.h"

#define ALIVE_EVERY_NS (60 * NS_PER_S)
/* After a renewal that somebody waits for failed: doubled each time. */
#define AGAIN_FIRST_S 1u
#define AGAIN_LONGEST_S 30u
/* Many readers may ask at once, and again until they see the new cookie. */
#define RENEW_PAUSE_NS NS_PER_S

struct minder {
    /* fixed */
    int box_fd, renew_fds[2], done_fd;
    struct cookie_box box; /* written by whichever thread logs in: one at a time */
    /* fixed after start */
    struct vim_session *session;
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;
    struct err trouble; /* under lock: why the session could not be used last; or none */
};

void
minder_free(struct minder *m)
{
    if (!m)
        return;
    minder_stop(m);
    cookie_box_unmap(&m->box);
    cleanup_fd(&m->box_fd);
    cleanup_fd(&m->renew_fds[0]);
    cleanup_fd(&m->renew_fds[1]);
    cleanup_fd(&m->done_fd);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void
cleanup_minder(struct minder **m)
{
    minder_free(take_ptr(m));
}

/* The source servers are handed it by name, nobody else inherits it. */
static int
take_box(struct minder *m, int box_fd, struct err *err)
{
    if (box_fd < 0)
        return cookie_box_create(&m->box_fd, err);
    if (fcntl(box_fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_errno(err, errno, NULL, "the descriptor of the cookie");
    m->box_fd = box_fd;
    return 0;
}

int
minder_new(int box_fd, struct minder **ret, struct err *err)
{
    CLEANUP_MINDER struct minder *m = xcalloc(1, sizeof(*m));

    m->box_fd = m->renew_fds[0] = m->renew_fds[1] = -1;
    pthread_mutex_init(&m->lock, NULL);
    m->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->done_fd < 0 || pipe2(m->renew_fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_errno(err, errno, NULL, "make descriptors for the session");
    if (take_box(m, box_fd, err) < 0 || cookie_box_map(m->box_fd, true, &m->box, err) < 0)
        return err->class;
    *ret = take_ptr(&m);
    return 0;
}

void
minder_on_cookie(void *minder, const char *cookie)
{
    struct minder *m = minder;
    struct err err = ERR_INIT;

    if (cookie_box_write(&m->box, cookie, strlen(cookie), &err) < 0)
        log_error("the session's cookie cannot be handed on: %s", err.msg);
}

int
minder_cookie(const struct minder *m, struct secret **ret, struct err *err)
{
    char cookie[COOKIE_TEXT_MAX + 1];
    uint32_t generation;

    if (cookie_box_read(&m->box, cookie, &generation, err) < 0)
        return err->class;
    *ret = cookie[0] ? secret_new(cookie, strlen(cookie)) : NULL;
    explicit_bzero(cookie, sizeof(cookie));
    return 0;
}

int
minder_cookie_fd(const struct minder *m)
{
    return m->box_fd;
}

int
minder_renew_fd(const struct minder *m)
{
    return m->renew_fds[1];
}

/* True when somebody asked. */
static bool
take_wishes(struct minder *m)
{
    char bytes[64];
    bool any = false;

    while (read(m->renew_fds[0], bytes, sizeof(bytes)) > 0)
        any = true;
    return any;
}

/* False when it is to end. */
static bool
wait_until(struct minder *m, uint64_t at_ns, bool heed_wishes)
{
    struct pollfd fds[] = {
        {.fd = m->done_fd, .events = POLLIN},
        {.fd = heed_wishes ? m->renew_fds[0] : -1, .events = POLLIN},
    };

    while (poll(fds, ARRAY_LEN(fds), time_left_ms(at_ns)) < 0)
        if (errno != EINTR)
            return false;
    return fds[0].revents == 0;
}

/* The session is alive: whoever asked shall try its cookie again, and then knows that it
 * is not the session that is refused. */
static void
repeat_cookie(struct minder *m)
{
    char cookie[COOKIE_TEXT_MAX + 1];
    struct err err = ERR_INIT;
    uint32_t generation;

    if (cookie_box_read(&m->box, cookie, &generation, &err) == 0)
        minder_on_cookie(m, cookie);
    explicit_bzero(cookie, sizeof(cookie));
}

static void
set_trouble(struct minder *m, const struct err *err)
{
    LOCK_SCOPE(&m->lock);

    m->trouble = *err;
}

/* Logs in again when the session has ended, and so makes another cookie. */
static int
look_after(struct minder *m, bool wanted, struct err *err)
{
    uint32_t generation = cookie_box_generation(&m->box);
    int r = vim_keepalive(m->session, err);

    if (r == ERR_CANCELLED) /* says nothing about the session */
        return r;
    set_trouble(m, err);
    if (r < 0)
        log_warn("the session: %s", err->msg);
    else if (wanted && cookie_box_generation(&m->box) == generation)
        repeat_cookie(m);
    return r;
}

static void *
mind(void *arg)
{
    struct minder *m = arg;
    unsigned again_s = AGAIN_FIRST_S;
    uint64_t next_ns = time_mono_ns() + ALIVE_EVERY_NS;
    bool wanted = false; /* a source waits, and was not helped yet: it asks only once */

    while (wait_until(m, next_ns, !wanted)) {
        struct err err = ERR_INIT;
        int r;

        if (take_wishes(m)) {
            log_info("a source asks for another session");
            wanted = true;
        }
        r = look_after(m, wanted, &err);
        next_ns = time_mono_ns() + ALIVE_EVERY_NS;
        if (r == 0) {
            wanted = false;
            again_s = AGAIN_FIRST_S;
        } else if (wanted && r != ERR_AUTH) { /* refused logins lock an account */
            next_ns = time_mono_ns() + again_s * NS_PER_S;
            again_s = again_s * 2 < AGAIN_LONGEST_S ? again_s * 2 : AGAIN_LONGEST_S;
        }
        if (!wait_until(m, time_mono_ns() + RENEW_PAUSE_NS, false))
            break;
    }
    return NULL;
}

int
minder_trouble(struct minder *m, struct err *ret)
{
    LOCK_SCOPE(&m->lock);

    *ret = m->trouble;
    return ret->class;
}

int
minder_start(struct minder *m, struct vim_session *s, struct err *err)
{
    int r;

    m->session = s;
    r = pthread_create(&m->thread, NULL, mind, m);
    if (r != 0)
        return err_errno(err, r, NULL, "start a thread for the session");
    m->running = true;
    return 0;
}

void
minder_stop(struct minder *m)
{
    if (!m->running)
        return;
    (void)eventfd_write(m->done_fd, 1);
    pthread_join(m->thread, NULL);
    m->running = false;
}
