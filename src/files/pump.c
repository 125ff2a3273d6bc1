#include "files/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"

int
pump_names(guestfs_h *g, const char *folder, const char *to)
{
    return guestfs_ls0(g, folder, to);
}

int
pump_tree(guestfs_h *g, const char *folder, const char *to)
{
    return guestfs_tar_out_opts(g, folder, to, GUESTFS_TAR_OUT_OPTS_NUMERICOWNER, 1,
                                GUESTFS_TAR_OUT_OPTS_XATTRS, 1, GUESTFS_TAR_OUT_OPTS_ACLS,
                                1, -1);
}

static void *
run(void *arg)
{
    struct pump *p = arg;
    char to[40];

    snprintf(to, sizeof to, "/dev/fd/%d", p->write_fd);
    p->result = p->call(p->appliance->g, p->folder, to);
    if (p->result < 0) {
        const char *message = guestfs_last_error(p->appliance->g);

        p->error = guestfs_last_errno(p->appliance->g);
        snprintf(p->message, sizeof p->message, "%s", message ? message : "failed");
    }
    cleanup_fd(&p->write_fd);
    p->write_fd = -1;
    return NULL;
}

int
pump_start(struct pump *p, struct err *err)
{
    int fds[2], r;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, NULL, "make a pipe");
    p->read_fd = fds[0];
    p->write_fd = fds[1];
    r = pthread_create(&p->thread, NULL, run, p);
    if (r != 0) {
        close(fds[0]);
        close(fds[1]);
        return err_errno(err, r, NULL, "start a thread");
    }
    return 0;
}

int
pump_end(struct pump *p, struct err *err)
{
    close(p->read_fd);
    p->read_fd = -1;
    pthread_join(p->thread, NULL);
    if (p->result == 0)
        return 0;
    if (appliance_is_dead(p->appliance))
        return err_set(err, ERR_UNAVAILABLE, "appliance_died",
                       "the appliance ended; open the backup again");
    return appliance_err_from(err, p->error, p->message, "guest_unreadable", p->folder);
}
