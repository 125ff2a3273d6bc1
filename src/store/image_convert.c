/* store/image_convert.c - see image_convert.h. */
#include "store/image_convert.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define OPTIONS "subformat=streamOptimized,adapter_type=lsilogic"
#define STOP_GRACE_MS 2000u
#define WORDS_SIZE 1024
#define FULL_BYTES 65536u /* less is free: no cluster fits any more */

static int
reserve(const char *path, struct err *err)
{
    CLEANUP_FD int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd >= 0)
        return 0;
    return err_errno(err, errno, errno == EEXIST ? "target_exists" : NULL, "create '%s'",
                     path);
}

static int
wait_for(struct child *child, int cancel_fd, struct err *err)
{
    struct pollfd p[2] = {{.fd = child_pidfd(child), .events = POLLIN},
                          {.fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN}};

    for (;;) {
        int n = poll(p, 2, -1);

        if (n < 0 && errno != EINTR)
            return err_errno(err, errno, NULL, "wait for qemu-img");
        if (n > 0 && p[0].revents)
            return 0;
        if (n > 0 && p[1].revents)
            return err_set(err, ERR_CANCELLED, "cancelled", "cancelled");
    }
}

/* What it wrote to stderr, the last line of it.  It has exited: nothing blocks. */
static const char *
last_words(int fd, char out[WORDS_SIZE])
{
    size_t n = 0;
    ssize_t got;
    char *nl;

    while (n < WORDS_SIZE - 1 && (got = read(fd, out + n, WORDS_SIZE - 1 - n)) > 0)
        n += (size_t)got;
    while (n > 0 && out[n - 1] == '\n')
        n--;
    out[n] = '\0';
    nl = strrchr(out, '\n');
    return n == 0 ? "no message" : nl ? nl + 1 : out;
}

/* qemu's vmdk writer says "Invalid argument" of a file system that is full. */
static bool
is_full(const char *path)
{
    struct statvfs v;

    return statvfs(path, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize < FULL_BYTES;
}

static int
check_exit(const struct child_exit *e, int stderr_fd, const char *path, struct err *err)
{
    char text[WORDS_SIZE];
    const char *words;

    if (!e->signaled && e->value == 0)
        return 0;
    words = last_words(stderr_fd, text);
    if (strstr(words, "No space left") || strstr(words, "Disk quota exceeded") ||
        is_full(path))
        return err_set(err, ERR_NO_SPACE, "target_full", "qemu-img convert: %s", words);
    return err_set(err, ERR_IO, "program_failed", "qemu-img convert (%s %d): %s",
                   e->signaled ? "signal" : "exit", e->value, words);
}

int
image_convert_run(struct image_convert *c, struct err *err)
{
    const char *argv[] = {"qemu-img",    "convert",       "-q", "-f",    "raw",
                          "-O",          c->format->qemu, "-o", OPTIONS, "--",
                          c->source_uri, c->path,         NULL};
    struct child_spec spec = {
        .argv = argv, .in = CHILD_NULL, .out = CHILD_NULL, .err = CHILD_PIPE};
    CLEANUP_CHILD struct child *child = NULL;
    struct err stop_err = ERR_INIT;
    int r = reserve(c->path, err);

    if (r < 0)
        return r;
    r = child_spawn(&spec, &child, err);
    if (r >= 0)
        r = c->started(c->arg, child_identity(child), err);
    if (r >= 0)
        r = wait_for(child, c->cancel_fd, err);
    if (child && child_stop(child, STOP_GRACE_MS, &c->exit, &stop_err) < 0)
        return err_set(err, ERR_TIMEOUT, NULL, "qemu-img does not end: %s", stop_err.msg);
    return r < 0 ? r : check_exit(&c->exit, child_stderr_fd(child), c->path, err);
}
