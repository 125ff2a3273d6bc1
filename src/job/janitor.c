#include "job/janitor.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_resource.h"
#include "job/live.h"
#include "job/recover.h"

#define ROUND_NS (3 * NS_PER_S)

struct janitor {
    /* fixed */
    struct job_env *env;
    pthread_t thread;
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t stop_asked;
    bool stopping;
};

/* One round: each ended job with open entries once. */
static void
tidy(struct job_env *env)
{
    struct cat_resources open = {0};
    struct err err = ERR_INIT;

    if (cat_resource_list_open(env->catalog, &open, &err) < 0) {
        log_warn("janitor: %s, ignoring", err.msg);
        return;
    }
    for (size_t i = 0; i < open.n; i++) {
        CLEANUP_LIVE struct live_job *live = live_find(env->live, open.v[i].job_id);

        if (!live && (i == 0 || strcmp(open.v[i].job_id, open.v[i - 1].job_id) != 0))
            recover_leftovers(env, open.v[i].job_id);
    }
    cat_resources_done(&open);
}

/* True when it is time for a round, false at the stop. */
static bool
wait_round(struct janitor *j)
{
    uint64_t at = time_mono_ns() + ROUND_NS;
    struct timespec ts = {.tv_sec = (time_t)(at / NS_PER_S),
                          .tv_nsec = (long)(at % NS_PER_S)};

    LOCK_SCOPE(&j->lock);
    while (!j->stopping)
        if (pthread_cond_timedwait(&j->stop_asked, &j->lock, &ts) == ETIMEDOUT)
            break;
    return !j->stopping;
}

static void *
janitor_main(void *arg)
{
    struct janitor *j = arg;

    while (wait_round(j))
        tidy(j->env);
    return NULL;
}

int
janitor_start(struct job_env *env, struct janitor **ret, struct err *err)
{
    struct janitor *j = xcalloc(1, sizeof *j);
    pthread_condattr_t attr;
    int r;

    j->env = env;
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&j->stop_asked, &attr);
    pthread_condattr_destroy(&attr);
    r = pthread_create(&j->thread, NULL, janitor_main, j);
    if (r != 0) {
        free(j);
        return err_errno(err, r, NULL, "start the janitor's thread");
    }
    *ret = j;
    return 0;
}

void
janitor_stop(struct janitor *j)
{
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->stopping = true;
    pthread_cond_broadcast(&j->stop_asked);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
    pthread_cond_destroy(&j->stop_asked);
    pthread_mutex_destroy(&j->lock);
    free(j);
}
