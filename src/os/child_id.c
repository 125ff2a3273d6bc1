/* os/child_id.c - processes named for ever; see child.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "os/child.h"
#include "os/child_id.h"

#define FIELD_STATE 3 /* proc(5), /proc/PID/stat */
#define FIELD_START 22

static int
read_boot_id(char out[37], struct err *err)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    CLEANUP_BUF struct buf b = BUF_INIT(64);
    int r = fs_read_file(path, &b, err);

    if (r < 0)
        return r;
    if (b.len > 0 && b.data[b.len - 1] == '\n')
        b.data[--b.len] = '\0';
    if (!uuid_is_valid(b.data))
        return err_set(err, ERR_IO, NULL, "'%s' holds no boot id", path);
    memcpy(out, b.data, 37);
    return 0;
}

static int
read_stat(pid_t pid, char *ret_state, uint64_t *ret_start, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(4096);
    char path[64], *p;
    int r;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    r = fs_read_file(path, &b, err);
    if (r < 0)
        return r;
    p = b.data ? strrchr(b.data, ')') : NULL; /* the name before it may hold anything */
    for (int field = FIELD_STATE; p; field++) {
        p = strchr(p, ' ');
        if (!p)
            break;
        p++;
        if (field == FIELD_STATE)
            *ret_state = *p;
        if (field == FIELD_START) {
            p[strcspn(p, " ")] = '\0';
            if (text_to_u64(p, ret_start) == 0)
                return 0;
            break;
        }
    }
    return err_set(err, ERR_IO, NULL, "'%s' has an unknown form", path);
}

int
child_id_fill(struct child_id *ret, pid_t pid, struct err *err)
{
    struct child_id id = {.pid = pid};
    char state;
    int r = read_stat(pid, &state, &id.start_ticks, err);

    if (r == 0)
        r = read_boot_id(id.boot_id, err);
    if (r == 0)
        *ret = id;
    return r;
}

int
child_id_self(struct child_id *ret, struct err *err)
{
    return child_id_fill(ret, getpid(), err);
}

bool
child_id_alive(const struct child_id *id)
{
    struct err err = ERR_INIT;
    char boot[37], state;
    uint64_t start;

    if (id->pid <= 0 || read_boot_id(boot, &err) < 0 || strcmp(boot, id->boot_id) != 0)
        return false;
    if (read_stat(id->pid, &state, &start, &err) < 0)
        return false;
    return start == id->start_ticks && state != 'Z' && state != 'X';
}

/* Sends @sig to that very process and waits.  1 = it still runs at the deadline. */
static int
signal_and_wait(const struct child_id *id, int sig, unsigned timeout_ms, struct err *err)
{
    uint64_t deadline = time_mono_ns() + timeout_ms * NS_PER_MS;
    CLEANUP_FD int pidfd = -1;
    struct pollfd p;
    int n;

    if (id->pid <= 0)
        return 0;
    pidfd = (int)syscall(SYS_pidfd_open, id->pid, 0);
    if (pidfd < 0 && errno == ESRCH)
        return 0;
    if (pidfd < 0)
        return err_errno(err, errno, NULL, "pidfd_open %d", (int)id->pid);
    /* In this order: the descriptor pins a process first, then its identity is checked.
     * If the number changed hands in between, the start time differs and nothing is
     * killed. */
    if (!child_id_alive(id))
        return 0;
    if (syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0)
        return errno == ESRCH
                   ? 0
                   : err_errno(err, errno, NULL, "signal process %d", (int)id->pid);
    p = (struct pollfd){.fd = pidfd, .events = POLLIN};
    do
        n = poll(&p, 1, time_left_ms(deadline));
    while ((n < 0 && errno == EINTR) || (n == 0 && time_left_ms(deadline) > 0));
    if (n < 0)
        return err_errno(err, errno, NULL, "poll process %d", (int)id->pid);
    return n == 0;
}

int
child_id_kill(const struct child_id *id, unsigned timeout_ms, struct err *err)
{
    int r = signal_and_wait(id, SIGKILL, timeout_ms, err);

    if (r > 0)
        return err_set(err, ERR_TIMEOUT, NULL, "process %d still runs after SIGKILL",
                       (int)id->pid);
    return r;
}

int
child_id_stop(const struct child_id *id, unsigned grace_ms, unsigned timeout_ms,
              struct err *err)
{
    int r = signal_and_wait(id, SIGTERM, grace_ms, err);

    return r > 0 ? child_id_kill(id, timeout_ms, err) : r;
}
