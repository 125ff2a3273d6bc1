#include "job/access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_export.h"
#include "catalog/catalog.h"
#include "job/access_priv.h"
#include "job/bus.h"
#include "job/outcome.h"

#define LOOPBACK "127.0.0.1"
/* How often the room for overlays is looked at: before what is free above the reserve can
 * have been filled at so many bytes a millisecond. */
#define LOOK_MAX_MS 2000
#define LOOK_MIN_MS 10
#define FILL_BYTES_PER_MS (2ull << 20)
#define CLOSE_TIMEOUT_S 30

/* The sessions that are open or being opened. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct access *list_head; /* under list_lock */

static int
list_add(struct access *a, struct err *err)
{
    LOCK_SCOPE(&list_lock);
    unsigned n = 0;

    for (struct access *p = list_head; p; p = p->next)
        n++;
    if (n >= ACCESS_SESSIONS_MAX)
        return err_set(err, ERR_UNAVAILABLE, "too_many_exports",
                       "%u backups are open already; close one: `sendense restore "
                       "exports`",
                       n);
    a->next = list_head;
    list_head = a;
    return 0;
}

static void
list_remove(struct access *a)
{
    LOCK_SCOPE(&list_lock);
    for (struct access **p = &list_head; *p; p = &(*p)->next)
        if (*p == a) {
            *p = a->next;
            return;
        }
}

static void
list_set_closed_by(const char *id, const char *actor)
{
    LOCK_SCOPE(&list_lock);
    for (struct access *p = list_head; p; p = p->next)
        if (strcmp(p->id, id) == 0 && !p->closed_by)
            p->closed_by = xstrdup(actor);
}

static void
access_free(struct access *a)
{
    struct live_job *live;

    list_remove(a);
    stored_close(&a->stored);
    joblog_close(a->log);
    for (size_t i = 0; i < a->n; i++)
        free(a->disks[i].scratch);
    free(a->disks);
    free(a->listen);
    free(a->psk_dir);
    free(a->closed_by);
    live = a->live;
    free(a);
    live_end(live);
}

/* --- what may be asked for --- */

static bool
is_loopback(const char *address)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(address, "::1") == 0;
}

/* libnbd (nbdcopy, nbdinfo, virt-v2v, this hub) gives the address as the server's name of
 * TLS, and GnuTLS in qemu-nbd refuses a name with colons. */
static int
check_tls(const char *address, bool tls, struct err *err)
{
    if (!tls || !strchr(address, ':'))
        return 0;
    return err_set(
        err, ERR_INVALID, "invalid_field",
        "listen: TLS does not work on the IPv6 address '%s': libnbd, which nbdcopy and "
        "this hub use, gives it as the server's name, where none is allowed; choose an "
        "IPv4 address",
        address);
}

static int
check_listen(const struct job_env *env, const char *address, struct err *err)
{
    struct in_addr v4;
    struct in6_addr v6;
    bool is4 = inet_pton(AF_INET, address, &v4) == 1;

    if (!is4 && inet_pton(AF_INET6, address, &v6) != 1)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "listen is a numeric address, not '%.60s'", address);
    if (is4 ? v4.s_addr == INADDR_ANY : IN6_IS_ADDR_UNSPECIFIED(&v6))
        return err_set(err, ERR_INVALID, "invalid_field",
                       "listen is one address of this machine, not all of them");
    if (!is_loopback(address) && !env->remote_exports)
        return err_set(err, ERR_INVALID, "not_loopback",
                       "'%s' is not a loopback address: the hub was started without "
                       "--allow-remote-exports",
                       address);
    return 0;
}

static int
check_ttl(const struct job_env *env, uint64_t asked, uint64_t *ret, struct err *err)
{
    uint64_t max = env->export_ttl_max_s;

    *ret = asked ? asked : ACCESS_TTL_DEFAULT_S < max ? ACCESS_TTL_DEFAULT_S : max;
    if (*ret > max)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "ttl_s: this hub allows %llu seconds at most",
                       (unsigned long long)max);
    return 0;
}

static int
check_scratch(const struct job_env *env, struct err *err)
{
    uint64_t have;

    if (access_scratch_free(env, &have, err) < 0)
        return err->class;
    if (have >= 2 * ACCESS_RESERVE_BYTES)
        return 0;
    return err_set(err, ERR_NO_SPACE, "scratch_full",
                   "the hub's data folder has %llu bytes free: too little to take writes",
                   (unsigned long long)have);
}

static int
pick_disks(struct access *a, const struct access_request *req, struct err *err)
{
    const struct point *p = &a->stored.point;

    a->disks = xcalloc(p->n_disks, sizeof *a->disks);
    for (size_t i = 0; i < p->n_disks; i++)
        if (!req->has_key || p->disks[i].key == req->device_key)
            a->disks[a->n++].point = &p->disks[i];
    if (a->n > 0)
        return 0;
    return err_set(err, ERR_NOT_FOUND, "disk_not_found",
                   "backup '%s' has no disk %u; `sendense backup show` lists them",
                   req->backup_id, req->device_key);
}

static int
check(struct access *a, const struct access_request *req, struct err *err)
{
    uint64_t ttl_s;

    a->listen = xstrdup(req->listen ? req->listen : LOOPBACK);
    a->scratch = req->scratch;
    a->tls = req->tls || !is_loopback(a->listen);
    if (check_listen(a->env, a->listen, err) < 0 ||
        check_tls(a->listen, a->tls, err) < 0 ||
        check_ttl(a->env, req->ttl_s, &ttl_s, err) < 0 ||
        (a->scratch && check_scratch(a->env, err) < 0) || list_add(a, err) < 0 ||
        stored_open(a->env, req->backup_id, &a->stored, err) < 0 ||
        stored_load(&a->stored, err) < 0 || pick_disks(a, req, err) < 0)
        return err->class;
    a->expires_us = time_utc_us() + (int64_t)ttl_s * 1000000;
    a->deadline_ns = time_mono_ns() + ttl_s * NS_PER_S;
    return 0;
}

/* --- rows and events --- */

static const char *
access_word(const struct access *a)
{
    return a->scratch ? "scratch" : "read_only";
}

static int
store_new(const struct access *a, const char *requested_by, struct err *err)
{
    struct cat_export row = {.id = a->id,
                             .backup_id = a->stored.row.backup_id,
                             .state = "opening",
                             .access = access_word(a),
                             .listen = a->listen,
                             .disks = "[]",
                             .requested_by = requested_by,
                             .created_us = time_utc_us(),
                             .expires_us = a->expires_us};

    return cat_export_insert(a->env->catalog, &row, err);
}

static char *
disks_text(const struct access *a)
{
    CLEANUP_JSON json_t *list = json_array();

    for (size_t i = 0; i < a->n; i++) {
        const struct access_disk *d = &a->disks[i];
        const char *rest = strstr(export_uri(d->export), "://") + 3;
        CLEANUP_FREE char *uri = a->psk_dir
                                     ? xasprintf("nbds://%s@%s", ACCESS_TLS_USER, rest)
                                     : xasprintf("nbd://%s", rest);

        json_array_append_new(list, json_pack("{s:I, s:I, s:i, s:s, s:s}", "device_key",
                                              (json_int_t)d->point->key, "size_bytes",
                                              (json_int_t)d->point->size_bytes,
                                              "nbd_port", (int)d->port, "nbd_export_name",
                                              d->name, "uri", uri));
    }
    return json_line(list);
}

/* Names no address: who may read events may not read disks. */
static char *
opened_words(const struct access *a)
{
    char until[TIME_STR_SIZE];

    time_utc_to_str(a->expires_us, until);
    return xasprintf("%zu disk%s of '%s' open %s on %s%s until %s", a->n,
                     a->n == 1 ? "" : "s", a->stored.row.backup_id,
                     a->scratch ? "with a throw-away overlay" : "read-only", a->listen,
                     a->psk_dir ? " with TLS" : "", until);
}

static int
store_open(const struct access *a, const char *actor, struct err *err)
{
    CLEANUP_FREE char *disks = disks_text(a), *words = opened_words(a);
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_event e = {.severity = "info",
                          .type = "export.opened",
                          .message = words,
                          .job_id = a->id,
                          .backup_id = a->stored.row.backup_id,
                          .vm_id = a->stored.row.vm_id,
                          .actor = actor};

    if (catalog_tx_begin(a->env->catalog, &tx, err) < 0 ||
        cat_export_set_open(a->env->catalog, a->id, disks, err) < 0 ||
        bus_emit(a->env, &e, err) < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(a->env->bus);
    return 0;
}

static int
store_closed(void *arg, struct err *err)
{
    const struct access *a = arg;
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_export_end end = {
        .state = "closed", .reason = a->reason, .closed_us = time_utc_us()};
    bool died =
        strcmp(a->reason, "export_died") == 0 || strcmp(a->reason, "scratch_full") == 0;
    struct cat_event e = {.severity = died ? "error" : "info",
                          .type = "export.closed",
                          .code = a->reason,
                          .message = "the disks are not open any more",
                          .job_id = a->id,
                          .backup_id = a->stored.row.backup_id,
                          .vm_id = a->stored.row.vm_id,
                          .actor = a->closed_by};

    if (catalog_tx_begin(a->env->catalog, &tx, err) < 0 ||
        cat_export_finish(a->env->catalog, a->id, &end, err) < 0 ||
        bus_emit(a->env, &e, err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}

static void
store_failed(const struct access *a, const struct err *why)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_export_end end = {.state = "failed",
                                 .closed_us = time_utc_us(),
                                 .error_code = why->code,
                                 .error_message = why->msg};
    struct cat_event e = {.severity = "error",
                          .type = "export.failed",
                          .code = why->code,
                          .message = why->msg,
                          .job_id = a->id,
                          .backup_id = a->stored.row.backup_id,
                          .vm_id = a->stored.row.vm_id};
    struct err err = ERR_INIT;

    if (catalog_tx_begin(a->env->catalog, &tx, &err) < 0 ||
        cat_export_finish(a->env->catalog, a->id, &end, &err) < 0 ||
        bus_emit(a->env, &e, &err) < 0 || catalog_tx_commit(&tx, &err) < 0)
        log_error("job='%s' store that it failed: %s; the next round settles it", a->id,
                  err.msg);
    bus_wake(a->env->bus);
}

/* --- the life of a session --- */

/* How long the room for overlays will last at least; 0 = there is none, -1 = none is
 * needed. */
static int
room_lasts_ms(const struct access *a)
{
    uint64_t have, ms;
    struct err err = ERR_INIT;

    if (!a->scratch)
        return -1;
    if (access_scratch_free(a->env, &have, &err) < 0)
        return LOOK_MAX_MS;
    if (have < ACCESS_RESERVE_BYTES)
        return 0;
    ms = (have - ACCESS_RESERVE_BYTES) / FILL_BYTES_PER_MS;
    return ms < LOOK_MIN_MS ? LOOK_MIN_MS : ms > LOOK_MAX_MS ? LOOK_MAX_MS : (int)ms;
}

/* Waits for its end; the reason. */
static const char *
wait_for_end(const struct access *a)
{
    CLEANUP_FREE struct pollfd *p = xcalloc(a->n + 1, sizeof *p);

    p[0] = (struct pollfd){.fd = live_cancel_fd(a->live), .events = POLLIN};
    for (size_t i = 0; i < a->n; i++)
        p[i + 1] =
            (struct pollfd){.fd = export_pidfd(a->disks[i].export), .events = POLLIN};
    for (;;) {
        int left = time_left_ms(a->deadline_ns), room = room_lasts_ms(a), n;

        if (room == 0)
            return "scratch_full";
        n = poll(p, a->n + 1, room > 0 && room < left ? room : left);
        if (p[0].revents)
            return live_interrupted(a->live) ? "hub_stopped" : "asked";
        for (size_t i = 0; n > 0 && i < a->n; i++)
            if (p[i + 1].revents)
                return "export_died";
        if (time_left_ms(a->deadline_ns) == 0)
            return "expired";
    }
}

static void *
access_thread(void *arg)
{
    struct access *a = arg;
    struct err err = ERR_INIT;

    a->reason = wait_for_end(a);
    joblog_line(a->log, LOG_LEVEL_INFO, "closing: %s", a->reason);
    live_set_phase(a->live, "closing");
    access_close_disks(a);
    FAILPOINT(ACCESS_CLOSED);
    list_remove(a); /* nobody sets closed_by any more */
    if (outcome_retry(a->live, a->log, store_closed, a, &err) < 0)
        joblog_line(a->log, LOG_LEVEL_ERROR,
                    "the end could not be stored: %s; the next start settles it",
                    err.msg);
    bus_wake(a->env->bus);
    access_free(a);
    return NULL;
}

static int
run(struct access *a, const struct access_request *req, struct secret **ret_psk,
    struct err *err)
{
    pthread_t thread;
    int r;

    FAILPOINT(ACCESS_CREATED);
    if (access_open_disks(a, a->tls ? ret_psk : NULL, err) < 0 ||
        store_open(a, req->requested_by, err) < 0)
        return err->class;
    live_set_phase(a->live, "open");
    FAILPOINT(ACCESS_OPEN);
    r = pthread_create(&thread, NULL, access_thread, a);
    if (r != 0)
        return err_errno(err, r, NULL, "start the session's thread");
    pthread_detach(thread);
    return 0;
}

int
access_open(struct job_env *env, const struct access_request *req,
            char ret_id[UUID_STR_SIZE], struct secret **ret_psk, struct err *err)
{
    CLEANUP_SECRET struct secret *psk = NULL;
    struct access *a = xcalloc(1, sizeof *a);

    a->env = env;
    uuid_make(a->id);
    memcpy(ret_id, a->id, UUID_STR_SIZE);
    if (check(a, req, err) < 0 ||
        live_start(env->live, LIVE_ACCESS, a->id, NULL, 0, &a->live, err) < 0 ||
        store_new(a, req->requested_by, err) < 0) {
        access_free(a);
        return err->class;
    }
    a->log = joblog_open(env, a->id);
    joblog_line(a->log, LOG_LEVEL_INFO, "opening backup '%s' %s on %s for %s",
                a->stored.row.backup_id, access_word(a), a->listen, req->requested_by);
    if (run(a, req, &psk, err) < 0) {
        joblog_line(a->log, LOG_LEVEL_ERROR, "failed: %s (%s)", err->msg, err->code);
        access_close_disks(a);
        store_failed(a, err);
        access_free(a);
        return err->class;
    }
    *ret_psk = take_ptr(&psk);
    return 0;
}

int
access_close(struct job_env *env, const char *id, const char *actor, struct err *err)
{
    CLEANUP_LIVE struct live_job *live = live_find(env->live, id);
    uint64_t deadline = time_mono_ns() + CLOSE_TIMEOUT_S * NS_PER_S, version = 0;
    struct cat_export row = {0};

    if (cat_export_get(env->catalog, id, &row, err) < 0)
        return err->class;
    cat_export_done(&row);
    if (!live || live_kind(live) != LIVE_ACCESS)
        return 0;
    list_set_closed_by(id, actor);
    live_cancel(live);
    while (live_wait_change(live, deadline, &version))
        if (time_left_ms(deadline) == 0)
            return err_set(err, ERR_TIMEOUT, "export_stuck",
                           "export '%s' does not end; it is still being closed", id);
    return 0;
}
