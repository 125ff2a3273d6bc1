/* store/repo_merge.c - the local engine: a layer's data is written into its parent by
 * qemu-img, under the repository's lock; and the look at a layer before. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "model/naming.h"
#include "os/child.h"
#include "store/export_priv.h"
#include "store/layer.h"
#include "store/store_priv.h"

/* One per cent of a large layer may take long; this long without one is a hang. */
#define SILENCE_MS 3600000
#define STOP_GRACE_MS 2000u
#define WORDS_SIZE 1024
#define PERCENT_MAX 100
#define CHECK_LEAKS_ONLY 3 /* exit status of `qemu-img check` */

struct run {
    struct layer_merge *m;
    struct child *child;
    char words[WORDS_SIZE]; /* the end of stderr */
    size_t n_words;
    unsigned percent; /* digits read so far */
    bool in_number;
};

/* Progress is "    (12.34/100%)\r": the digits after each bracket count. */
static void
read_percent(struct run *run, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '(') {
            run->in_number = true;
            run->percent = 0;
        } else if (run->in_number && p[i] >= '0' && p[i] <= '9') {
            run->percent = run->percent * 10 + (unsigned)(p[i] - '0');
            if (run->percent > PERCENT_MAX)
                run->percent = PERCENT_MAX;
        } else if (run->in_number) {
            run->in_number = false;
            if (run->m->progress)
                run->m->progress(run->m->arg, run->percent);
        }
    }
}

static void
keep_words(struct run *run, const char *p, size_t n)
{
    if (n > WORDS_SIZE / 2) {
        p += n - WORDS_SIZE / 2;
        n = WORDS_SIZE / 2;
    }
    if (run->n_words + n >= WORDS_SIZE) {
        memmove(run->words, run->words + run->n_words - (WORDS_SIZE / 2 - 1),
                WORDS_SIZE / 2 - 1);
        run->n_words = WORDS_SIZE / 2 - 1;
    }
    memcpy(run->words + run->n_words, p, n);
    run->n_words += n;
    run->words[run->n_words] = '\0';
}

/* 1 = end of file. */
static int
take(struct run *run, int fd, void (*fn)(struct run *, const char *, size_t),
     struct err *err)
{
    char chunk[4096];
    ssize_t n = read(fd, chunk, sizeof chunk);

    if (n < 0)
        return errno == EINTR ? 0 : err_errno(err, errno, NULL, "read from qemu-img");
    if (n == 0)
        return 1;
    fn(run, chunk, (size_t)n);
    return 0;
}

/* Until both pipes are closed, which is its end. */
static int
follow(struct run *run, struct err *err)
{
    int cancel = run->m->cancel_fd > 0 ? run->m->cancel_fd : -1;
    int out = child_stdout_fd(run->child), errs = child_stderr_fd(run->child);

    while (out >= 0 || errs >= 0) {
        struct pollfd p[3] = {{.fd = out, .events = POLLIN},
                              {.fd = errs, .events = POLLIN},
                              {.fd = cancel, .events = POLLIN}};
        int n = poll(p, ARRAY_LEN(p), SILENCE_MS), r = 0;

        if (n < 0 && errno != EINTR)
            return err_errno(err, errno, NULL, "wait for qemu-img");
        if (n == 0)
            return err_set(err, ERR_TIMEOUT, "merge_hung",
                           "qemu-img made no progress for an hour");
        if (n > 0 && p[2].revents)
            return err_set(err, ERR_CANCELLED, "cancelled", "cancelled");
        if (n > 0 && p[0].revents && (r = take(run, out, read_percent, err)) > 0)
            out = -1;
        if (r >= 0 && n > 0 && p[1].revents && (r = take(run, errs, keep_words, err)) > 0)
            errs = -1;
        if (r < 0)
            return r;
    }
    return 0;
}

static const char *
last_line(struct run *run)
{
    char *nl;

    while (run->n_words > 0 && run->words[run->n_words - 1] == '\n')
        run->words[--run->n_words] = '\0';
    nl = strrchr(run->words, '\n');
    return run->n_words == 0 ? "no message" : nl ? nl + 1 : run->words;
}

static int
check_exit(struct run *run, const char *what, const struct child_exit *e, struct err *err)
{
    const char *words = last_line(run);

    if (!e->signaled && e->value == 0)
        return 0;
    if (strstr(words, "No space left") || strstr(words, "Disk quota exceeded"))
        return err_set(err, ERR_NO_SPACE, "repo_full", "qemu-img %s: %s", what, words);
    return err_set(err, ERR_IO, "program_failed", "qemu-img %s (%s %d): %s", what,
                   e->signaled ? "signal" : "exit", e->value, words);
}

static int
run_qemu_img(struct repo *r, struct layer_merge *m, const char *const *argv,
             struct child_exit *ret, struct err *err)
{
    const struct child_spec spec = {.argv = argv,
                                    .env = export_env(false),
                                    .keep_fds = &r->lock_fd,
                                    .n_keep_fds = 1,
                                    .in = CHILD_NULL,
                                    .out = CHILD_PIPE,
                                    .err = CHILD_PIPE};
    CLEANUP_CHILD struct child *child = NULL;
    struct run run = {.m = m};
    struct err stop_err = ERR_INIT;
    int rc = child_spawn(&spec, &child, err);

    run.child = child;
    if (rc >= 0 && m->started)
        rc = m->started(m->arg, child_identity(child), err);
    if (rc >= 0)
        rc = follow(&run, err);
    if (child && child_stop(child, STOP_GRACE_MS, ret, &stop_err) < 0)
        return err_set(err, ERR_TIMEOUT, "merge_hung", "qemu-img does not end: %s",
                       stop_err.msg);
    return rc < 0 ? rc : check_exit(&run, argv[1], ret, err);
}

int
local_merge_layer(struct repo *r, struct layer_merge *m, struct err *err)
{
    CLEANUP_FREE char *child = xasprintf("%s.qcow2", m->child);
    CLEANUP_FREE char *parent = xasprintf("%s.qcow2", m->parent);
    char child_path[REPO_PATH_SIZE], parent_path[REPO_PATH_SIZE];
    const char *commit[] = {layer_qemu_img(), "commit", "-p",        "-d",       "-f",
                            "qcow2",          "-t",     "writeback", child_path, NULL};
    const char *check[] = {layer_qemu_img(), "check", "-q",        "-r", "leaks", "-f",
                           "qcow2",          "--",    parent_path, NULL};
    char below[NAMING_LOCATOR_SIZE];
    struct child_exit e = {0};

    if (layer_check_chain(r, m->child, m->size_bytes, err) < 0 ||
        layer_parent(r, m->child, below, err) < 0 ||
        repo_path(r, child, child_path, err) < 0 ||
        repo_path(r, parent, parent_path, err) < 0)
        return err->class;
    if (strcmp(below, m->parent) != 0)
        return err_set(err, ERR_CORRUPT, "chain_broken", "layer '%s' stands on another",
                       m->child);
    if (run_qemu_img(r, m, commit, &e, err) < 0 || fs_sync_path(parent_path, err) < 0 ||
        run_qemu_img(r, m, check, &e, err) < 0)
        return err_prefix(err, "merge layer '%s' into '%s'", m->parent, m->child);
    /* The check may have written as well. */
    return r->ops->sync_layer(r, m->parent, err);
}

/* Clusters that nothing refers to are no damage: a writer that was killed leaves them. */
int
local_check_layer(struct repo *r, const char *locator, int cancel_fd, struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s.qcow2", locator);
    char path[REPO_PATH_SIZE];
    const char *argv[] = {layer_qemu_img(), "check", "-q", "-f",
                          "qcow2",          "--",    path, NULL};
    struct layer_merge m = {.cancel_fd = cancel_fd};
    struct child_exit e = {0};

    if (layer_check_chain(r, locator, 0, err) < 0 || repo_path(r, name, path, err) < 0)
        return err->class;
    if (run_qemu_img(r, &m, argv, &e, err) >= 0)
        return 0;
    if (strcmp(err->code, "program_failed") == 0 && !e.signaled) {
        if (e.value == CHECK_LEAKS_ONLY) {
            err_clear(err);
            return 0;
        }
        err->class = ERR_CORRUPT;
        err_recode(err, "layer_damaged");
    }
    return err_prefix(err, "layer '%s'", locator);
}

int
local_rename(struct repo *r, const char *from, const char *to, struct err *err)
{
    const char *from_base, *to_base;
    CLEANUP_FD int dir = dirwalk_parent(r->root_fd, from, false, &from_base, err);

    if (dir < 0)
        return err->class;
    to_base = strrchr(to, '/') + 1;
    if (renameat(dir, from_base, dir, to_base) < 0)
        return err_errno(err, errno, store_code(errno), "rename '%s' to '%s'", from,
                         to_base);
    return dirwalk_sync(dir, from, err);
}
