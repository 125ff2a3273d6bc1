/* node/lease_keeper.c - see lease_keeper.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node/lease_keeper.h"
#include "node/lease_store.h"
#include "node/vsphere_ask.h"

/* One that takes hours, or whose server hangs, is not to hold up the others. */
#define REMOVALS_MAX 4u
#define LOOK_EVERY_NS (10 * NS_PER_S) /* the clock of the wall may be set */

struct lease_keeper {
    /* fixed */
    struct asker *asker;
    pthread_t threads[REMOVALS_MAX];
    unsigned n_threads;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct lease_store *store;
    struct node_lease **leases;
    size_t n, room;
    bool stopping;
};

static struct node_lease *
find_locked(struct lease_keeper *k, const char *job_id)
{
    for (size_t i = 0; i < k->n; i++)
        if (strcmp(k->leases[i]->job_id, job_id) == 0)
            return k->leases[i];
    return NULL;
}

static void
take_lease(void *arg, struct node_lease *l)
{
    struct lease_keeper *k = arg;

    if (k->n == k->room) {
        k->room = k->room ? k->room * 2 : 16;
        k->leases = xreallocarray(k->leases, k->room, sizeof(k->leases[0]));
    }
    k->leases[k->n++] = l;
}

/* Gone, also from the disk.  A file that stays is read at the next start: harmless, the
 * snapshot is then looked for once more. */
static void
forget_locked(struct lease_keeper *k, struct node_lease *l)
{
    struct err err = ERR_INIT;
    size_t i = 0;

    if (lease_store_remove(k->store, l->job_id, &err) < 0)
        log_error("the lease of job %s cannot be removed: %s", l->job_id, err.msg);
    while (k->leases[i] != l)
        i++;
    k->leases[i] = k->leases[--k->n];
    node_lease_free(l);
}

static void
write_locked(struct lease_keeper *k, const struct node_lease *l)
{
    struct err err = ERR_INIT;

    if (lease_store_write(k->store, l, &err) < 0)
        log_error("the lease of job %s cannot be written: %s", l->job_id, err.msg);
}

/* ---- the threads ---- */

static bool
is_over(const struct node_lease *l, int64_t now_us)
{
    return l->removing || now_us >= l->expires_us;
}

/* Nothing can be done for it until another removal ends. */
static bool
is_held_locked(const struct lease_keeper *k, const struct node_lease *l)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->leases[i]->busy && node_lease_same_vm(k->leases[i], l))
            return true;
    return false;
}

static struct node_lease *
due_locked(struct lease_keeper *k)
{
    uint64_t now_ns = time_mono_ns();
    int64_t now_us = time_utc_us();

    for (size_t i = 0; i < k->n; i++) {
        struct node_lease *l = k->leases[i];

        if (!l->client_lives && is_over(l, now_us) && now_ns >= l->next_try_ns &&
            !is_held_locked(k, l))
            return l;
    }
    return NULL;
}

static uint64_t
wake_at_locked(struct lease_keeper *k)
{
    uint64_t now_ns = time_mono_ns(), at = now_ns + LOOK_EVERY_NS;
    int64_t now_us = time_utc_us();

    for (size_t i = 0; i < k->n; i++) {
        const struct node_lease *l = k->leases[i];
        uint64_t due = l->next_try_ns;

        if (l->client_lives || is_held_locked(k, l))
            continue;
        if (!is_over(l, now_us))
            due = now_ns + (uint64_t)(l->expires_us - now_us) * 1000;
        if (due < at)
            at = due;
    }
    return at;
}

static void
wait_locked(struct lease_keeper *k)
{
    uint64_t at = wake_at_locked(k);
    struct timespec ts = {
        .tv_sec = (time_t)(at / NS_PER_S),
        .tv_nsec = (long)(at % NS_PER_S),
    };

    pthread_cond_timedwait(&k->changed, &k->lock, &ts);
}

/* Nobody changes @l meanwhile: it is busy. */
static int
remove_snapshot(struct lease_keeper *k, const struct node_lease *l, struct err *err)
{
    struct vsphere_question q = node_lease_question(l);
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};

    FAILPOINT(NODE_LEASE_REMOVING);
    if (vsphere_ask(k->asker, &q, VSPHERE_ASK_NO_LIMIT, &a, err) < 0)
        return err->class;
    if (!a.ok)
        return err_set(err, ERR_IO, a.code, "%s: %.600s", a.code, a.message);
    log_info("snapshot '%s' of VM '%s' removed, there were %u", l->snapshot_name,
             l->vm_name, a.removed);
    if (a.consolidation_needed)
        log_warn("the disks of VM '%s' need consolidation", l->vm_name);
    FAILPOINT(NODE_LEASE_REMOVED);
    return 0;
}

static void
note_failure_locked(struct lease_keeper *k, struct node_lease *l, const struct err *why)
{
    unsigned wait_s;

    if (node_lease_failed(l, why->code)) {
        log_warn("the VM '%s' is gone, and with it the snapshot '%s'", l->vm_name,
                 l->snapshot_name);
        forget_locked(k, l);
        return;
    }
    wait_s = node_lease_backoff_s(l->attempts);
    free(l->last_error);
    l->last_error = xstrdup(why->msg);
    l->next_try_ns = time_mono_ns() + wait_s * NS_PER_S;
    log_warn("snapshot '%s' of VM '%s' could not be removed, again in %u s: %s",
             l->snapshot_name, l->vm_name, wait_s, why->msg);
}

static void
work_locked(struct lease_keeper *k, struct node_lease *l)
{
    struct err err = ERR_INIT;
    int r;

    if (!l->removing) {
        log_info("the lease of job %s has expired", l->job_id);
        l->removing = true;
        write_locked(k, l);
    }
    l->busy = true;
    pthread_mutex_unlock(&k->lock);
    r = remove_snapshot(k, l, &err);
    pthread_mutex_lock(&k->lock);
    l->busy = false;
    if (r == 0)
        forget_locked(k, l);
    else if (!k->stopping)
        note_failure_locked(k, l, &err);
    pthread_cond_broadcast(&k->changed); /* another of the same VM may be due */
}

static void *
keep(void *arg)
{
    struct lease_keeper *k = arg;
    LOCK_SCOPE(&k->lock);

    while (!k->stopping) {
        struct node_lease *l = due_locked(k);

        if (l)
            work_locked(k, l);
        else
            wait_locked(k);
    }
    return NULL;
}

/* ---- life ---- */

static void
keeper_done(struct lease_keeper *k)
{
    for (size_t i = 0; i < k->n; i++)
        node_lease_free(k->leases[i]);
    free(k->leases);
    lease_store_free(k->store);
    pthread_cond_destroy(&k->changed);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

static void
load(struct lease_keeper *k)
{
    struct err err = ERR_INIT;

    if (!lease_store_exists(k->store))
        return; /* made with the first lease */
    if (lease_store_open(k->store, &err) < 0 ||
        lease_store_load(k->store, take_lease, k, &err) < 0)
        log_error("%s", err.msg);
    if (k->n > 0)
        log_info("%zu leases of snapshots from before", k->n);
}

int
lease_keeper_start(const char *dir, struct asker *asker, struct lease_keeper **ret,
                   struct err *err)
{
    struct lease_keeper *k = xcalloc(1, sizeof(*k));
    pthread_condattr_t attr;
    int r = 0;

    k->asker = asker;
    k->store = lease_store_new(dir);
    pthread_mutex_init(&k->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&k->changed, &attr);
    pthread_condattr_destroy(&attr);
    load(k);
    while (r == 0 && k->n_threads < REMOVALS_MAX) {
        r = pthread_create(&k->threads[k->n_threads], NULL, keep, k);
        k->n_threads += r == 0;
    }
    if (r != 0) {
        lease_keeper_free(k);
        return err_errno(err, r, NULL, "start a thread for leases");
    }
    *ret = k;
    return 0;
}

void
lease_keeper_stop(struct lease_keeper *k)
{
    LOCK_SCOPE(&k->lock);

    k->stopping = true;
    pthread_cond_broadcast(&k->changed);
}

void
lease_keeper_free(struct lease_keeper *k)
{
    if (!k)
        return;
    lease_keeper_stop(k);
    for (unsigned i = 0; i < k->n_threads; i++)
        pthread_join(k->threads[i], NULL);
    keeper_done(k);
}

/* ---- calls ---- */

/* A cookie is not told to another server. */
static bool
is_same_login(const struct node_lease *a, const struct node_lease *b)
{
    return strcmp(a->login.url, b->login.url) == 0 &&
           strcmp(a->login.user, b->login.user) == 0;
}

int
lease_keeper_add(struct lease_keeper *k, const struct job_spec *spec,
                 struct secret **ret_session, struct err *err)
{
    CLEANUP_NODE_LEASE struct node_lease *l = node_lease_of_spec(spec, time_utc_us());
    struct node_lease *old;
    LOCK_SCOPE(&k->lock);

    if (lease_store_open(k->store, err) < 0)
        return err->class;
    old = find_locked(k, l->job_id);
    if (old && old->removing)
        return err_set(err, ERR_EXISTS, "lease_ended",
                       "the snapshot of an earlier attempt is being removed");
    if (!old && k->n >= LEASES_MAX)
        return err_set(err, ERR_LIMIT, "too_many_leases",
                       "%zu leases exist, which is the limit", k->n);
    l->client_lives = true;
    /* A snapshot of which only the hub knows is one all the same. */
    l->dirty = (old && old->dirty) || spec->snapshot->existing_ref;
    if (old && old->session && is_same_login(old, l))
        (void)node_lease_set_session(l, secret_reveal(old->session));
    if (lease_store_write(k->store, l, err) < 0) {
        err_recode(err, "no_lease_store");
        return err->class = ERR_UNAVAILABLE;
    }
    if (l->session)
        *ret_session = secret_new(secret_reveal(l->session), secret_len(l->session));
    if (old) {
        size_t i = 0;

        while (k->leases[i] != old)
            i++;
        k->leases[i] = take_ptr(&l);
        node_lease_free(old);
    } else {
        take_lease(k, take_ptr(&l));
    }
    FAILPOINT(NODE_LEASE_WRITTEN);
    return 0;
}

void
lease_keeper_session(struct lease_keeper *k, const char *job_id, const char *cookie)
{
    LOCK_SCOPE(&k->lock);
    struct node_lease *l = find_locked(k, job_id);

    if (!l || l->busy || !node_lease_set_session(l, cookie))
        return;
    write_locked(k, l);
    FAILPOINT(NODE_SESSION_WRITTEN);
}

void
lease_keeper_client_gone(struct lease_keeper *k, const char *job_id,
                         enum client_left left)
{
    LOCK_SCOPE(&k->lock);
    struct node_lease *l = find_locked(k, job_id);

    if (!l || l->busy)
        return;
    l->client_lives = false;
    if (left != CLIENT_LEFT_UNTOUCHED)
        l->dirty = left == CLIENT_LEFT_MAYBE;
    if (!l->dirty && !l->session)
        forget_locked(k, l);
    pthread_cond_broadcast(&k->changed);
}

static struct node_lease *
known_locked(struct lease_keeper *k, const char *job_id, struct err *err)
{
    struct node_lease *l = find_locked(k, job_id);

    if (!l)
        err_set(err, ERR_NOT_FOUND, "lease_not_found", "the node has no such lease");
    return l;
}

int
lease_keeper_renew(struct lease_keeper *k, const char *job_id, uint32_t lease_s,
                   struct err *err)
{
    LOCK_SCOPE(&k->lock);
    struct node_lease *l = known_locked(k, job_id, err);

    if (!l)
        return err->class;
    if (l->removing)
        return err_set(err, ERR_EXISTS, "lease_ended",
                       "the lease has ended, its snapshot is being removed");
    l->expires_us = time_utc_us() + (int64_t)lease_s * 1000000;
    write_locked(k, l);
    return 0;
}

int
lease_keeper_end(struct lease_keeper *k, const char *job_id, struct err *err)
{
    LOCK_SCOPE(&k->lock);
    struct node_lease *l = known_locked(k, job_id, err);

    if (!l)
        return err->class;
    if (l->removing)
        return 0;
    l->removing = true;
    write_locked(k, l);
    pthread_cond_broadcast(&k->changed);
    return 0;
}

void
lease_keeper_list(struct lease_keeper *k, struct leases *ret)
{
    LOCK_SCOPE(&k->lock);

    ret->n = k->n;
    ret->v = k->n > 0 ? xcalloc(k->n, sizeof(ret->v[0])) : NULL;
    for (size_t i = 0; i < k->n; i++)
        node_lease_view(k->leases[i], &ret->v[i]);
}
