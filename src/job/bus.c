#include "job/bus.h"

#include <errno.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/timeutil.h"

struct bus {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t version;
};

struct bus *
bus_new(void)
{
    struct bus *b = xcalloc(1, sizeof *b);
    pthread_condattr_t attr;

    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->changed, &attr);
    pthread_condattr_destroy(&attr);
    return b;
}

void
bus_free(struct bus *b)
{
    if (!b)
        return;
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

int
bus_emit(const struct job_env *env, const struct cat_event *e, struct err *err)
{
    struct cat_event row = *e;
    int64_t id;

    row.time_us = time_utc_us();
    if (!row.message)
        row.message = "";
    if (cat_event_add(env->catalog, &row, &id, err) < 0)
        return err->class;
    bus_wake(env->bus);
    return 0;
}

void
bus_wake(struct bus *b)
{
    LOCK_SCOPE(&b->lock);
    b->version++;
    pthread_cond_broadcast(&b->changed);
}

uint64_t
bus_wait(struct bus *b, uint64_t version, uint64_t deadline_ns)
{
    struct timespec ts = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                          .tv_nsec = (long)(deadline_ns % NS_PER_S)};

    LOCK_SCOPE(&b->lock);
    while (b->version == version)
        if (pthread_cond_timedwait(&b->changed, &b->lock, &ts) == ETIMEDOUT)
            break;
    return b->version;
}
