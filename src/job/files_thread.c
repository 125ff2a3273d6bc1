/* job/files_thread.c - the life of one file session. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "job/files_priv.h"
#include "job/folder.h"
#include "job/journal.h"

#define EXIT_GRACE_NS (5 * NS_PER_S)
#define STOP_GRACE_MS 2000u
#define SLICE_MS 500u
#define IDLE_POLL_MAX_MS 60000u

static int
open_readers(struct files_session *s, struct err *err)
{
    s->readers = xcalloc(s->n_keys + 1, sizeof *s->readers);
    for (size_t i = 0; i < s->stored.point.n_disks; i++) {
        const struct point_disk *d = &s->stored.point.disks[i];
        struct reader_spec spec = {.job_id = s->id,
                                   .repo = s->stored.repo,
                                   .locator = d->locator,
                                   .key = d->key,
                                   .size_bytes = d->size_bytes};
        bool wanted = false;

        for (size_t k = 0; k < s->n_keys; k++)
            wanted = wanted || s->keys[k] == d->key;
        if (!wanted)
            continue;
        s->keys[s->n_readers] = d->key; /* from here on in the order of the point */
        if (reader_open(s->env, &spec, &s->readers[s->n_readers++], err) < 0)
            return err_prefix(err, "disk %u", d->key);
    }
    return 0;
}

static int
make_folder(struct files_session *s, struct err *err)
{
    char hex[9];

    random_hex(hex, 4);
    s->folder = xasprintf("%s/f-%s", s->env->run_dir, hex);
    if (journal_intent(s->env, s->id, RES_FOLDER, s->folder, &s->res_folder, err) < 0)
        return err->class;
    if (mkdir(s->folder, 0700) < 0)
        return err_errno(err, errno, NULL, "make '%s'", s->folder);
    return journal_held(s->env, s->id, s->res_folder, NULL, err);
}

static int
start_program(struct files_session *s, struct err *err)
{
    const char *argv[] = {s->env->files_path, NULL};
    CLEANUP_FREE char *runtime = xasprintf("XDG_RUNTIME_DIR=%s", s->folder);
    CLEANUP_FREE char *key = xasprintf("%s:files", s->id);
    const char *env[] = {runtime, NULL};
    struct child_spec spec = {.argv = argv,
                              .env = env,
                              .in = CHILD_PIPE,
                              .out = CHILD_PIPE,
                              .err = CHILD_INHERIT};
    struct child *child = NULL;
    int r;

    if (journal_intent(s->env, s->id, RES_PROGRAM, key, &s->res_program, err) < 0)
        return err->class;
    FAILPOINT(FILES_INTENT);
    r = child_spawn(&spec, &child, err);
    if (r < 0 && r == ERR_NOT_FOUND)
        err_recode(err, "appliance_unavailable");
    if (r < 0)
        return err_prefix(err, "start sendense-files");
    joblog_line(s->log, LOG_LEVEL_INFO, "sendense-files pid=%d",
                (int)child_identity(child)->pid);
    pthread_mutex_lock(&s->io_lock);
    s->child = child;
    pthread_mutex_unlock(&s->io_lock);
    FAILPOINT(FILES_STARTED);
    return journal_held(s->env, s->id, s->res_program, child_identity(child), err);
}

static json_t *
open_request(const struct files_session *s)
{
    json_t *disks = json_array();

    for (size_t i = 0; i < s->n_readers; i++) {
        const struct export *e = s->readers[i].export;
        CLEANUP_FREE char *socket = xasprintf("%s/%s", s->env->run_dir, export_name(e));

        json_array_append_new(disks,
                              json_pack("{s:I, s:s, s:s}", "key", (json_int_t)s->keys[i],
                                        "socket", socket, "export", export_name(e)));
    }
    return json_pack("{s:s, s:i, s:s, s:s?, s:i, s:o}", "op", "open", "v", FILES_VERSION,
                     "folder", s->folder, "appliance", s->env->appliance, "memory_mib",
                     (int)s->env->files_memory_mib, "disks", disks);
}

static bool
wants_to_stop(struct files_session *s)
{
    bool stop;

    if (live_interrupted(s->live))
        return true;
    pthread_mutex_lock(&s->lock);
    stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

static int
open_program(struct files_session *s, struct err *err)
{
    CLEANUP_JSON json_t *request = open_request(s);
    struct files_reply f = {0};
    json_t *opened = NULL;
    int r = files_send(s, request, err);

    s->silence_s = FILES_OPEN_S;
    while (r >= 0 && f.type != FILES_ANSWER) {
        files_reply_done(&f);
        if (wants_to_stop(s))
            return err_set(err, ERR_CANCELLED, NULL, "ended while it started");
        r = files_recv(s, SLICE_MS, &f, err);
    }
    if (r >= 0)
        r = json_parse(f.data, f.n, &opened, err);
    files_reply_done(&f);
    if (r >= 0 && !json_is_array(json_object_get(opened, "filesystems")))
        r = err_set(err, ERR_PROTOCOL, "files_protocol", "no file systems were told");
    if (r < 0) {
        json_decref(opened);
        return err->class;
    }
    LOCK_SCOPE(&s->lock);
    s->opened = opened;
    return 0;
}

static int
set_up(struct files_session *s, struct err *err)
{
    if (stored_load(&s->stored, err) < 0 || open_readers(s, err) < 0 ||
        make_folder(s, err) < 0 || start_program(s, err) < 0 || open_program(s, err) < 0)
        return err->class;
    joblog_line(
        s->log, LOG_LEVEL_INFO,
        "ready: %zu file systems, %s, appliance started in %lld ms, looked at in %lld ms",
        json_array_size(json_object_get(s->opened, "filesystems")),
        json_is_true(json_object_get(s->opened, "accelerated"))
            ? "accelerated"
            : "without KVM, which is slow",
        (long long)json_integer_value(json_object_get(s->opened, "boot_ms")),
        (long long)json_integer_value(json_object_get(s->opened, "look_ms")));
    return 0;
}

static void
set_state(struct files_session *s, enum files_state state)
{
    LOCK_SCOPE(&s->lock);
    s->state = state;
    s->used_ns = time_mono_ns();
    pthread_cond_broadcast(&s->changed);
}

/* How long to sleep; 0 = the end has come, and its reason is set. */
static int
time_to_end(struct files_session *s)
{
    uint64_t now = time_mono_ns(), idle_ns = s->idle_s * NS_PER_S, left;

    LOCK_SCOPE(&s->lock);
    if (s->stop)
        return 0;
    if (live_interrupted(s->live)) {
        s->stop = true;
        s->reason = "interrupted";
        return 0;
    }
    if (!s->busy && now - s->used_ns >= idle_ns) {
        s->stop = true;
        s->reason = "idle";
        return 0;
    }
    left = s->busy ? idle_ns : idle_ns - (now - s->used_ns);
    left = left / NS_PER_MS + 1;
    return left < IDLE_POLL_MAX_MS ? (int)left : (int)IDLE_POLL_MAX_MS;
}

static void
wait_for_end(struct files_session *s)
{
    struct err dead = ERR_INIT;
    int ms;

    while ((ms = time_to_end(s)) > 0) {
        struct pollfd p[] = {{.fd = s->wake_fd, .events = POLLIN},
                             {.fd = live_cancel_fd(s->live), .events = POLLIN},
                             {.fd = child_pidfd(s->child), .events = POLLIN}};

        if (poll(p, 3, ms) > 0 && p[2].revents) {
            err_set(&dead, ERR_UNAVAILABLE, "files_died",
                    "the program of the file session has ended: open the backup again");
            files_fail(s, &dead);
        }
    }
}

static void
stop_program(struct files_session *s)
{
    struct child *child = s->child;
    struct child_exit ex = {0};
    struct err err = ERR_INIT;
    char cost[CHILD_COST_SIZE];
    bool busy;

    if (!child)
        return;
    pthread_mutex_lock(&s->lock);
    busy = s->busy || s->why.class != 0;
    pthread_mutex_unlock(&s->lock);
    /* One that works does not look at its stdin. */
    if (!busy) {
        child_close_stdin(child);
        child_wait(child, time_mono_ns() + EXIT_GRACE_NS, NULL, &err);
        err_clear(&err);
    }
    if (child_stop(child, STOP_GRACE_MS, &ex, &err) < 0) {
        joblog_line(s->log, LOG_LEVEL_ERROR, "sendense-files does not end: %s", err.msg);
        return;
    }
    joblog_line(s->log, LOG_LEVEL_INFO, "sendense-files ended, %s %d (%s)",
                ex.signaled ? "signal" : "exit status", ex.value,
                child_cost_to_str(&ex, cost));
    journal_released(s->env, s->id, &s->res_program);
    pthread_mutex_lock(&s->io_lock);
    s->child = NULL;
    pthread_mutex_unlock(&s->io_lock);
    child_free(child);
}

static void
tear_down(struct files_session *s)
{
    struct err err = ERR_INIT;

    stop_program(s);
    for (size_t i = 0; i < s->n_readers; i++)
        reader_close(s->env, s->id, s->log, &s->readers[i]);
    if (s->res_folder && !s->child) {
        if (folder_remove(s->folder, &err) < 0)
            joblog_line(s->log, LOG_LEVEL_ERROR, "left over: %s", err.msg);
        else
            journal_released(s->env, s->id, &s->res_folder);
    }
    if (!s->child && s->res_program)
        journal_released(s->env, s->id, &s->res_program);
    stored_close(&s->stored);
}

static void
say_end(struct files_session *s)
{
    CLEANUP_FREE char *message = NULL;

    pthread_mutex_lock(&s->lock);
    message =
        xasprintf("the file session has ended (%s)%s%s", s->reason ? s->reason : "closed",
                  s->why.class ? ": " : "", s->why.class ? s->why.msg : "");
    pthread_mutex_unlock(&s->lock);
    joblog_line(s->log, LOG_LEVEL_INFO, "%s", message);
    files_audit(s, "files.closed", s->requested_by, message);
}

void *
files_thread(void *arg)
{
    struct files_session *s = arg;
    struct live_job *live = s->live;
    struct err err = ERR_INIT;

    joblog_line(s->log, LOG_LEVEL_INFO, "file session of backup '%s' for '%s'",
                s->backup_id, s->requested_by);
    files_audit(s, "files.opened", s->requested_by, "a file session was opened");
    if (set_up(s, &err) < 0) {
        if (live_interrupted(s->live))
            err_set(&err, ERR_UNAVAILABLE, "interrupted", "the hub stops");
        files_fail(s, &err);
    } else {
        set_state(s, FILES_READY);
        wait_for_end(s);
    }
    set_state(s, FILES_ENDING);
    tear_down(s);
    say_end(s);
    set_state(s, FILES_ENDED);
    /* The list and those who still look at it hold references. */
    files_unref(s);
    live_end(live);
    return NULL;
}

int
files_filesystems(struct files_session *s, unsigned wait_ms, json_t **ret,
                  struct err *err)
{
    int r = files_begin(s, wait_ms, err);

    if (r >= 0)
        files_end(s);
    /* Known even while another request runs. */
    if (r < 0 && strcmp(err->code, "mount_busy") != 0)
        return err->class;
    err_clear(err);
    LOCK_SCOPE(&s->lock);
    *ret = json_deep_copy(s->opened);
    return 0;
}
