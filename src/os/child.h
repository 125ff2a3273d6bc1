/* os/child.h - the only door to other processes.                          Layer 1.
 *
 * Each child: own process group, PR_SET_PDEATHSIG(SIGKILL), closed descriptors but those
 * listed, default signal mask and handlers, environment given in full (minimal by
 * default: PATH, LANG=C, LC_ALL=C.UTF-8, TMPDIR when set, whose it is), argv only (no
 * shell). PDEATHSIG is tied to the *thread* that forks, so one spawner thread, which
 * lives as long as the program, does all forks. Thread-safe; one struct child belongs to
 * one owner at a time. */
#ifndef SENDENSE_OS_CHILD_H
#define SENDENSE_OS_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/* Every child has it in its environment: whose it is, for those who find it without its
 * parent (os/proc_scan.h).  A program that has no mark of its own hands on the one that
 * it was given. */
#define CHILD_OWNER_ENV "SENDENSE_OWNER"
/* Before the first child; @owner is copied: "hub:UUID", "node:FOLDER". */
void child_set_owner(const char *owner);

struct child;
#define CLEANUP_CHILD CLEANUP(cleanup_child)
void cleanup_child(struct child **c);

enum child_stdio { CHILD_NULL, CHILD_PIPE, CHILD_INHERIT };

struct child_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
    const char *const *env;  /* extra NAME=VALUE, NULL-terminated, or NULL */
    const int *keep_fds;     /* descriptors the child inherits, same numbers */
    unsigned n_keep_fds;
    enum child_stdio in, out, err;
    /* > 0: a listening socket, which the child gets as descriptor 3, together with
     * LISTEN_FDS and LISTEN_PID as systemd sets them.  Then no keep_fds may be 3, and env
     * is NULL. */
    int listen_fd;
};

/* Identity that survives in the journal: pid + start time + boot id name one process for
 * ever. */
struct child_id {
    pid_t pid;
    uint64_t start_ticks; /* field 22 of /proc/PID/stat */
    char boot_id[37];
};

struct child_exit {
    bool signaled;
    int value; /* exit status, or signal number */
    /* Of the process and those it waited for.  The peak is at least what the parent had
     * when it forked: the kernel hands that on. */
    uint64_t cpu_ms, peak_kib;
};

#define CHILD_COST_SIZE 64
/* "1.25 CPU s, 47 MiB at most", for logs. */
const char *child_cost_to_str(const struct child_exit *e, char out[CHILD_COST_SIZE]);

/* Starts the program.  ERR_NOT_FOUND when argv[0] cannot be executed, ERR_INVALID when
 * the spec is wrong (no program, a descriptor in keep_fds that is not open or below 3),
 * ERR_IO otherwise. */
int child_spawn(const struct child_spec *spec, struct child **ret, struct err *err);

const struct child_id *child_identity(const struct child *c);
int child_pidfd(const struct child *c);    /* poll(POLLIN) = exited; owned by @c */
int child_stdin_fd(const struct child *c); /* -1 unless CHILD_PIPE; owned by @c */
int child_stdout_fd(const struct child *c);
int child_stderr_fd(const struct child *c);
void child_close_stdin(struct child *c);

/* Waits for the exit, kills what is left of the child's group, reaps.  Idempotent after
 * success.
 * @ret may be NULL.  ERR_TIMEOUT at the deadline. */
int child_wait(struct child *c, uint64_t deadline_ns, struct child_exit *ret,
               struct err *err);

void child_signal(struct child *c,
                  int sig); /* to the whole group; harmless after the exit */

/* TERM, wait @grace_ms, KILL, wait.  Reaps.  0, or ERR_TIMEOUT when even KILL did not end
 * it within 10 s (uninterruptible sleep). */
int child_stop(struct child *c, unsigned grace_ms, struct child_exit *ret,
               struct err *err);

void child_free(struct child *c); /* NULL ok; kills and reaps what still runs */

/* Runs a short command to its end: stdout and stderr collected (each to the cap of its
 * buf, the rest discarded; @out may be NULL).  Non-zero exit = ERR_IO "program_failed"
 * with the last line of stderr in the message.  ERR_TIMEOUT; as child_spawn() otherwise.
 */
int child_run(const char *const *argv, const int *keep_fds, unsigned n_keep_fds,
              unsigned timeout_ms, struct buf *out, struct err *err);

/* Is the process of @id alive (same start time, same boot)?  A zombie counts as dead. */
bool child_id_alive(const struct child_id *id);
/* KILLs that very process (checked through a pidfd, so a recycled pid is safe) and waits
 * until it is gone or @timeout_ms passed. */
int child_id_kill(const struct child_id *id, unsigned timeout_ms, struct err *err);
/* TERM first, and only after @grace_ms as child_id_kill(). */
int child_id_stop(const struct child_id *id, unsigned grace_ms, unsigned timeout_ms,
                  struct err *err);

int child_id_self(struct child_id *ret, struct err *err);

#endif
