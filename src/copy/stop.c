/* copy/stop.c - see stop.h. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "copy/stop.h"

struct copy_stop {
    /* fixed */
    int fd;
    /* atomic */
    atomic_bool set;
    /* under lock */
    pthread_mutex_t lock;
    struct err first;
    int64_t disk;
};

int
copy_stop_new(struct copy_stop **ret, struct err *err)
{
    struct copy_stop *s;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return err_errno(err, errno, NULL, "eventfd");
    s = xcalloc(1, sizeof(*s));
    s->fd = fd;
    s->disk = -1;
    atomic_init(&s->set, false);
    pthread_mutex_init(&s->lock, NULL);
    *ret = s;
    return 0;
}

void
copy_stop_free(struct copy_stop *s)
{
    if (!s)
        return;
    cleanup_fd(&s->fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void
cleanup_copy_stop(struct copy_stop **s)
{
    copy_stop_free(*s);
}

void
copy_stop_set(struct copy_stop *s, int64_t disk, const struct err *why)
{
    LOCK_SCOPE(&s->lock);

    if (s->first.class != 0)
        return;
    s->first = *why;
    if (s->first.class >= 0)
        err_set(&s->first, ERR_INTERNAL, NULL, "stopped without a reason");
    s->disk = disk;
    atomic_store(&s->set, true);
    (void)eventfd_write(s->fd, 1);
}

void
copy_stop_amend(struct copy_stop *s, const struct err *why)
{
    LOCK_SCOPE(&s->lock);

    if (s->first.class != 0 && why->class < 0)
        s->first = *why;
}

int
copy_stop_fd(const struct copy_stop *s)
{
    return s->fd;
}

bool
copy_stop_is_set(const struct copy_stop *s)
{
    return atomic_load(&s->set);
}

int
copy_stop_get(struct copy_stop *s, int64_t *ret_disk, struct err *err)
{
    LOCK_SCOPE(&s->lock);

    if (s->first.class == 0)
        return 0;
    if (ret_disk)
        *ret_disk = s->disk;
    *err = s->first;
    return err->class;
}

int
copy_stop_pause(struct copy_stop *s, unsigned ms, struct err *err)
{
    uint64_t until = time_mono_ns() + ms * NS_PER_MS;
    struct pollfd fd = {.fd = s->fd, .events = POLLIN};
    int left;

    while ((left = time_left_ms(until)) > 0)
        if (poll(&fd, 1, left) > 0)
            return err_set(err, ERR_CANCELLED, "cancelled", "cancelled");
    return 0;
}
