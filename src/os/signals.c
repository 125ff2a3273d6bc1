/* os/signals.c - see signals.h. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "base/fs.h"
#include "os/signals.h"

int
signals_setup(struct err *err)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, dfl = {.sa_handler = SIG_DFL};
    sigset_t set;
    int fd, e;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    e = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (e != 0)
        return err_errno(err, e, NULL, "block signals");
    /* An ignored SIGCHLD, inherited from whoever started us, would reap our children
     * unasked. An ignored SIGTERM or the like would never reach the descriptor. */
    if (sigaction(SIGPIPE, &ignore, NULL) < 0 || sigaction(SIGCHLD, &dfl, NULL) < 0 ||
        sigaction(SIGTERM, &dfl, NULL) < 0 || sigaction(SIGINT, &dfl, NULL) < 0 ||
        sigaction(SIGHUP, &dfl, NULL) < 0)
        return err_errno(err, errno, NULL, "set signal actions");
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, NULL, "signalfd");
    return fd;
}

int
signals_wait(int fd, struct err *err)
{
    struct signalfd_siginfo si;

    if (fs_read_full(fd, &si, sizeof(si), err) < 0)
        return err_prefix(err, "wait for a signal");
    return (int)si.ssi_signo;
}
