/* client/nameless_socket.c - see nameless_socket.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/nameless_socket.h"

#define RUN_DIR "/run"
#define NAME "s"

/* Mode 0700 by mkdtemp(3): who can connect can read the disk. */
static int
make_dir(char **ret, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    CLEANUP_FREE char *dir = NULL;

    if (!tmp || tmp[0] != '/')
        tmp = access(RUN_DIR, W_OK) == 0 ? RUN_DIR : "/tmp";
    dir = xasprintf("%s/sendense-source-XXXXXX", tmp);
    if (!mkdtemp(dir))
        return err_errno(err, errno, NULL, "make a folder in '%s'", tmp);
    *ret = take_ptr(&dir);
    return 0;
}

static int
bind_and_open(int fd, const char *path, int *ret_path, struct err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(a.sun_path))
        return err_set(err, ERR_LIMIT, NULL, "the path of the socket '%s' is too long",
                       path);
    memcpy(a.sun_path, path, strlen(path) + 1);
    if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
        return err_errno(err, errno, NULL, "make the socket '%s'", path);
    *ret_path = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_path < 0)
        return err_errno(err, errno, NULL, "open the socket '%s'", path);
    return 0;
}

int
nameless_socket(int *ret_listen, int *ret_path, struct err *err)
{
    CLEANUP_FD int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLEANUP_FD int name = -1;
    CLEANUP_FREE char *dir = NULL, *path = NULL;
    int r;

    if (listening < 0)
        return err_errno(err, errno, NULL, "make a socket");
    if (make_dir(&dir, err) < 0)
        return err->class;
    path = xasprintf("%s/" NAME, dir);
    r = bind_and_open(listening, path, &name, err);
    (void)unlink(path);
    if (rmdir(dir) < 0)
        log_warn("the folder '%s' cannot be removed: %s", dir, strerror(errno));
    if (r < 0)
        return r;
    if (listen(listening, SOMAXCONN) < 0)
        return err_errno(err, errno, NULL, "listen on a socket");
    *ret_listen = take_fd(&listening);
    *ret_path = take_fd(&name);
    return 0;
}
