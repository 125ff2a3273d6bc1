#include "files/limits.h"

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

/* The library builds its appliance as a sparse file of 4 GiB. */
#define FILE_BYTES_MAX (5ull << 30)
#define OWN_BYTES_MAX (1ull << 30)

static void
limit(int what, uint64_t v, const char *name)
{
    struct rlimit l = {v, v};

    if (setrlimit((__rlimit_resource_t)what, &l) < 0)
        log_warn("the limit '%s' cannot be set: ignoring", name);
}

void
limits_all(void)
{
    /* A write beyond the limit is an error for qemu, not its end. */
    signal(SIGXFSZ, SIG_IGN);
    limit(RLIMIT_CORE, 0, "core");
    limit(RLIMIT_FSIZE, FILE_BYTES_MAX, "fsize");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        log_warn("no_new_privs cannot be set: ignoring");
}

void
limits_own_memory(void)
{
#if !defined(__SANITIZE_ADDRESS__)
    limit(RLIMIT_AS, OWN_BYTES_MAX, "as");
#endif
}

static void
remove_socket(int fd)
{
    struct sockaddr_un a = {0};
    socklen_t n = sizeof a;
    char *slash;

    if (getsockname(fd, (struct sockaddr *)&a, &n) < 0 || a.sun_family != AF_UNIX ||
        n <= sizeof a.sun_family || a.sun_path[0] != '/')
        return;
    a.sun_path[sizeof a.sun_path - 1] = '\0';
    if (!strstr(a.sun_path, "/libguestfs"))
        return;
    unlink(a.sun_path);
    slash = strrchr(a.sun_path, '/');
    *slash = '\0';
    rmdir(a.sun_path);
}

void
limits_remove_sockets(void)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;
    uint64_t fd;

    while (d && (e = readdir(d)))
        if (text_to_u64(e->d_name, &fd) == 0)
            remove_socket((int)fd);
    if (d)
        closedir(d);
}
