#include "job/files_session.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "job/files_priv.h"

#define ENDED_KEPT 32u

struct files_set *
files_set_new(void)
{
    struct files_set *s = xcalloc(1, sizeof *s);

    pthread_mutex_init(&s->lock, NULL);
    return s;
}

static void
session_free(struct files_session *s)
{
    stored_close(&s->stored);
    joblog_close(s->log);
    json_decref(s->opened);
    buf_done(&s->in);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->io_lock);
    free(s->readers);
    free(s->keys);
    free(s->folder);
    free(s->backup_id);
    free(s->vm_id);
    free(s->requested_by);
    free(s);
}

void
files_set_free(struct files_set *s)
{
    if (!s)
        return;
    while (s->head) {
        struct files_session *next = s->head->next;

        session_free(s->head);
        s->head = next;
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void
unref_locked(struct files_session *s)
{
    if (--s->refs == 0)
        session_free(s);
}

void
files_unref(struct files_session *s)
{
    if (!s)
        return;
    LOCK_SCOPE(&s->env->files->lock);
    unref_locked(s);
}

void
cleanup_files(struct files_session **s)
{
    files_unref(*s);
}

int
files_find(struct job_env *env, const char *id, struct files_session **ret,
           struct err *err)
{
    LOCK_SCOPE(&env->files->lock);
    for (struct files_session *s = env->files->head; s; s = s->next)
        if (strcmp(s->id, id) == 0) {
            s->refs++;
            *ret = s;
            return 0;
        }
    return err_set(err, ERR_NOT_FOUND, "mount_not_found",
                   "no file session has the id '%.60s'; they end with the hub and after "
                   "their idle time",
                   id);
}

static void
wake(struct files_session *s)
{
    uint64_t one = 1;

    /* Full means that it is awake. */
    (void)!write(s->wake_fd, &one, sizeof one);
}

void
files_fail(struct files_session *s, const struct err *why)
{
    LOCK_SCOPE(&s->lock);
    if (s->stop)
        return;
    s->stop = true;
    s->reason = "failed";
    s->why = *why;
    wake(s);
}

int
files_close(struct job_env *env, const char *id, const char *actor, struct err *err)
{
    CLEANUP_FILES struct files_session *s = NULL;

    if (files_find(env, id, &s, err) < 0)
        return err->class;
    joblog_line(s->log, LOG_LEVEL_INFO, "closed by '%s'", actor);
    LOCK_SCOPE(&s->lock);
    if (!s->stop) {
        s->stop = true;
        s->reason = "closed";
        wake(s);
    }
    return 0;
}

static const char *
state_word(enum files_state state)
{
    static const char *const words[] = {"starting", "ready", "ending", "ended"};

    return words[state];
}

json_t *
files_describe(struct files_session *s)
{
    json_t *o = json_object(), *keys = json_array();
    uint64_t idle_ns;

    for (size_t i = 0; i < s->n_keys; i++)
        json_array_append_new(keys, json_integer(s->keys[i]));
    LOCK_SCOPE(&s->lock);
    idle_ns = time_mono_ns() - s->used_ns;
    json_object_set_new(o, "mount_id", json_string(s->id));
    json_object_set_new(o, "backup_id", json_string(s->backup_id));
    json_object_set_new(o, "status", json_string(state_word(s->state)));
    json_object_set_new(o, "reason", s->reason ? json_string(s->reason) : json_null());
    json_object_set_new(
        o, "error",
        s->why.class ? json_pack("{s:s, s:s}", "code", s->why.code, "message", s->why.msg)
                     : json_null());
    json_object_set_new(o, "device_keys", keys);
    json_object_set_new(o, "idle_s", json_integer(s->idle_s));
    json_object_set_new(o, "unused_s", json_integer((json_int_t)(idle_ns / NS_PER_S)));
    json_object_set_new(o, "busy", json_boolean(s->busy));
    json_object_set_new(o, "requested_by", json_string(s->requested_by));
    return o;
}

json_t *
files_list(struct job_env *env)
{
    json_t *a = json_array();

    LOCK_SCOPE(&env->files->lock);
    for (struct files_session *s = env->files->head; s; s = s->next)
        json_array_append_new(a, files_describe(s));
    return a;
}

static bool
has_ended(struct files_session *s)
{
    LOCK_SCOPE(&s->lock);
    return s->state == FILES_ENDED;
}

/* Forgets all but the newest of those that ended; how many have not. */
static unsigned
prune_locked(struct files_set *set)
{
    unsigned running = 0, ended = 0;

    for (struct files_session **p = &set->head; *p;) {
        struct files_session *s = *p;

        if (!has_ended(s)) {
            running++;
        } else if (++ended > ENDED_KEPT) {
            *p = s->next;
            unref_locked(s);
            continue;
        }
        p = &s->next;
    }
    return running;
}

/* In the list from here on, where it counts. */
static int
enter(struct files_session *s, struct err *err)
{
    struct files_set *set = s->env->files;

    LOCK_SCOPE(&set->lock);
    if (prune_locked(set) >= s->env->files_max)
        return err_set(err, ERR_LIMIT, "too_many_mounts",
                       "%u file sessions are open, and no more are allowed: end one",
                       s->env->files_max);
    s->refs++;
    s->next = set->head;
    set->head = s;
    return 0;
}

static void
leave(struct files_session *s)
{
    struct files_set *set = s->env->files;

    LOCK_SCOPE(&set->lock);
    for (struct files_session **p = &set->head; *p; p = &(*p)->next)
        if (*p == s) {
            *p = s->next;
            unref_locked(s);
            return;
        }
}

static int
pick_disks(struct files_session *s, const struct files_request *req, struct err *err)
{
    const struct cat_backup *row = &s->stored.row;

    s->keys = xcalloc(row->n_disks + 1, sizeof *s->keys);
    for (size_t i = 0; i < row->n_disks; i++) {
        bool wanted = req->n_keys == 0;

        for (size_t k = 0; k < req->n_keys; k++)
            wanted = wanted || (int64_t)req->keys[k] == row->disks[i].device_key;
        if (wanted)
            s->keys[s->n_keys++] = (uint32_t)row->disks[i].device_key;
    }
    for (size_t k = 0; k < req->n_keys; k++) {
        bool found = false;

        for (size_t i = 0; i < s->n_keys; i++)
            found = found || s->keys[i] == req->keys[k];
        if (!found)
            return err_set(
                err, ERR_NOT_FOUND, "disk_not_found",
                "backup '%s' has no disk %u; `sendense backup show` lists them",
                row->backup_id, req->keys[k]);
    }
    return 0;
}

static struct files_session *
session_new(struct job_env *env, const struct files_request *req)
{
    struct files_session *s = xcalloc(1, sizeof *s);
    pthread_condattr_t attr;

    s->env = env;
    s->refs = 1;
    s->idle_s = req->idle_s;
    s->backup_id = xstrdup(req->backup_id);
    s->requested_by = xstrdup(req->requested_by);
    s->created_us = time_utc_us();
    s->used_ns = time_mono_ns();
    s->answered = true;
    s->in = (struct buf)BUF_INIT(2 * FILES_FRAME_MAX);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uuid_make(s->id);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->io_lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    return s;
}

static int
start(struct files_session *s, struct err *err)
{
    pthread_t thread;
    int r;

    if (s->wake_fd < 0)
        return err_set(err, ERR_IO, NULL, "make an event descriptor");
    if (live_start(s->env->live, LIVE_FILES, s->id, NULL, 0, &s->live, err) < 0)
        return err->class;
    s->log = joblog_open(s->env, s->id);
    /* Before the thread starts: it may be over before this goes on. */
    if (enter(s, err) < 0)
        return err->class;
    r = pthread_create(&thread, NULL, files_thread, s);
    if (r != 0) {
        leave(s);
        return err_errno(err, r, NULL, "start the session's thread");
    }
    pthread_detach(thread);
    return 0;
}

int
files_open(struct job_env *env, const struct files_request *req,
           char ret_id[UUID_STR_SIZE], struct err *err)
{
    struct files_session *s = session_new(env, req);
    struct live_job *live;

    memcpy(ret_id, s->id, UUID_STR_SIZE);
    if (stored_open(env, req->backup_id, &s->stored, err) >= 0) {
        s->vm_id = xstrdup(s->stored.row.vm_id);
        if (pick_disks(s, req, err) >= 0 && start(s, err) >= 0)
            return 0;
    }
    live = s->live;
    files_unref(s);
    live_end(live);
    return err->class;
}
