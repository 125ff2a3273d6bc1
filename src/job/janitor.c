#include "job/janitor.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/recover.h"

/* What fails again and again is tried ever more seldom: its reason may last for days. */
#define ROUND_MS 3000
#define ROUND_MAX_MS 15000

/* All fixed after the start. */
struct janitor {
    struct job_env *env;
    pthread_t thread;
    int stop_fd; /* readable from janitor_stop() on */
};

static void *
janitor_main(void *arg)
{
    struct janitor *j = arg;
    struct leftovers_how how = {.stop_fd = j->stop_fd};
    struct pollfd stop = {.fd = j->stop_fd, .events = POLLIN};
    int pause_ms = ROUND_MS;

    do {
        struct recover_report report = {0};
        struct err err = ERR_INIT;

        if (recover_round(j->env, &how, &report, &err) < 0)
            log_warn("janitor: %s, ignoring", err.msg);
        if (report.rolled_forward > 0 || report.interrupted > 0)
            log_info("janitor: %u jobs rolled forward, %u interrupted",
                     report.rolled_forward, report.interrupted);
        pause_ms = report.left == 0 ? ROUND_MS : pause_ms * 3 / 2;
        if (pause_ms > ROUND_MAX_MS)
            pause_ms = ROUND_MAX_MS;
    } while (poll(&stop, 1, pause_ms) <= 0);
    return NULL;
}

int
janitor_start(struct job_env *env, struct janitor **ret, struct err *err)
{
    CLEANUP_FREE struct janitor *j = xcalloc(1, sizeof *j);
    int r;

    j->env = env;
    j->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (j->stop_fd < 0)
        return err_errno(err, errno, NULL, "make an event descriptor");
    r = pthread_create(&j->thread, NULL, janitor_main, j);
    if (r != 0) {
        close(j->stop_fd);
        return err_errno(err, r, NULL, "start the janitor's thread");
    }
    *ret = take_ptr(&j);
    return 0;
}

void
janitor_stop(struct janitor *j)
{
    uint64_t one = 1;

    if (!j)
        return;
    (void)!write(j->stop_fd, &one, sizeof one);
    pthread_join(j->thread, NULL);
    close(j->stop_fd);
    free(j);
}
