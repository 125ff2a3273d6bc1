/* Starting a backup: everything that can be checked without side effects, then the row,
 * then the thread. */
#include "job/backup_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "catalog/cat_backup_update.h"
#include "catalog/cat_event.h"
#include "catalog/cat_meta.h"
#include "job/bus.h"
#include "job/outcome.h"
#include "job/repo_set.h"
#include "store/layer.h"

/* Kept free for the catalog, manifests and qcow2 tables of what is being written. */
#define RESERVE_BYTES (16ull << 20)
#define ID_TRIES 100

/* One start at a time: looking for a running job of the VM, choosing sequence and id, and
 * inserting the row must not interleave. */
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;

static int
find_vm(struct job_env *env, const struct backup_request *req, struct cat_vm *ret,
        struct backup_refusal *refusal, struct err *err)
{
    if (req->vm_id) {
        if (cat_vm_get(env->catalog, req->vm_id, ret, err) >= 0)
            return 0;
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        return err_set(err, ERR_NOT_FOUND, "vm_not_found",
                       "no VM has the id '%.200s'; `sendense vm ls` lists them",
                       req->vm_id);
    }
    if (cat_vm_find_by_name(env->catalog, req->vm_name, &refusal->candidates, err) < 0)
        return err->class;
    if (refusal->candidates.n == 0)
        return err_set(err, ERR_NOT_FOUND, "vm_not_found",
                       "no VM is named '%.300s'; `sendense vm ls` lists them",
                       req->vm_name);
    if (refusal->candidates.n > 1)
        return err_set(err, ERR_EXISTS, "vm_ambiguous",
                       "%zu VMs are named '%.300s': say which one by vm_id",
                       refusal->candidates.n, req->vm_name);
    return cat_vm_get(env->catalog, refusal->candidates.v[0].id, ret, err);
}

static int
check_space(struct repo *repo, uint64_t need, struct err *err)
{
    struct repo_space space;

    if (repo_space(repo, &space, err) < 0)
        return err->class;
    if (need + RESERVE_BYTES <= space.free_bytes)
        return 0;
    return err_set(
        err, ERR_NO_SPACE, "repo_full",
        "the disks hold up to %llu bytes of data, the repository at '%s' has %llu "
        "bytes free: make room, or use another repository",
        (unsigned long long)need, repo_folder(repo),
        (unsigned long long)space.free_bytes);
}

/* A job that ran when the hub ended and whose repository is away has no end until that is
 * back, perhaps never: it must not keep the VM from being backed up elsewhere. */
static bool
is_stranded(const struct job_env *env, const struct cat_backup *open, const char *repo_id)
{
    CLEANUP_LIVE struct live_job *live = live_find(env->live, open->job_id);

    return !live && strcmp(open->repository_id, repo_id) != 0;
}

/* Two credentials of one server find the same machine twice, as two VMs of ours. */
static bool
is_same_machine(struct job_env *env, const char *vm_id, const struct cat_vm *vm)
{
    struct cat_vm other = {0};
    struct err ignored = ERR_INIT;
    bool same = strcmp(vm_id, vm->id) == 0;

    if (same || !vm->instance_uuid ||
        cat_vm_get(env->catalog, vm_id, &other, &ignored) < 0)
        return same;
    same = other.instance_uuid && strcmp(other.instance_uuid, vm->instance_uuid) == 0;
    cat_vm_done(&other);
    return same;
}

static int
check_not_running(struct job_env *env, const struct cat_vm *vm, const char *repo_id,
                  struct backup_refusal *refusal, struct err *err)
{
    struct cat_backups open = {0};

    if (cat_backup_list_open(env->catalog, &open, err) < 0)
        return err->class;
    refusal->backup_id[0] = '\0';
    for (size_t i = 0; i < open.n; i++)
        if (is_same_machine(env, open.v[i].vm_id, vm) &&
            !is_stranded(env, &open.v[i], repo_id))
            snprintf(refusal->backup_id, sizeof refusal->backup_id, "%s",
                     open.v[i].backup_id);
    cat_backups_done(&open);
    if (refusal->backup_id[0] == '\0')
        return 0;
    return err_set(err, ERR_EXISTS, "backup_running",
                   "backup '%s' of this VM is running: wait for it or cancel it",
                   refusal->backup_id);
}

/* The highest number ever given: rows and files of a deleted backup do not show it any
 * more. */
static char *
seq_name(const char *vm_id, const char *repo_id)
{
    return xasprintf("seq:%s:%s", repo_id, vm_id);
}

static int
next_seq(struct job_env *env, struct repo *repo, const struct cat_vm *vm,
         const char *repo_id, int64_t *ret, struct err *err)
{
    CLEANUP_FREE char *name = seq_name(vm->id, repo_id);
    CLEANUP_FREE char *text = NULL;
    int64_t known;
    uint64_t given = 0;
    uint32_t on_disk;

    if (cat_meta_get(env->catalog, name, &text, err) < 0 && err->class != ERR_NOT_FOUND)
        return err->class;
    err_clear(err);
    if (text && text_to_u64(text, &given) < 0)
        return err_set(err, ERR_CORRUPT, "catalog_corrupt", "setting '%s' is no number",
                       name);
    if (cat_backup_max_seq(env->catalog, vm->id, repo_id, &known, err) < 0 ||
        layer_next_seq(repo, vm->id, &on_disk, err) < 0)
        return err->class;
    *ret = known + 1 > (int64_t)on_disk ? known + 1 : (int64_t)on_disk;
    if (*ret <= (int64_t)given)
        *ret = (int64_t)given + 1;
    return *ret <= (int64_t)NAMING_SEQ_MAX ? 0
                                           : err_set(err, ERR_LIMIT, "sequence_exhausted",
                                                     "this VM has no number left");
}

/* What is decided before the job's row is written. */
struct plan {
    struct job_env *env;
    const struct backup_request *req;
    const struct cat_vm *vm;
    const struct backup_source *source;
    struct repo *repo;
    int64_t seq;
    struct disk_plan *disks; /* one for each of the source's */
};

static bool
is_full(const struct plan *p)
{
    for (size_t i = 0; i < p->source->n_disks; i++)
        if (p->disks[i].how.mode != READ_ALL)
            return false;
    return true;
}

static int
refuse_full(const struct plan *p, struct err *err)
{
    const struct disk_plan *first = &p->disks[0];

    return err_set(err, ERR_EXISTS, "incremental_impossible",
                   "no disk of '%.200s' has a backup that an incremental can stand on "
                   "(disk %lld: %s): make a full, or let the hub choose with 'auto'",
                   p->vm->name, (long long)p->source->disks[0].device_key,
                   first->damage.class ? first->damage.msg
                                       : reason_to_str(first->how.reason));
}

/* The space that is surely not needed is not asked for: what an incremental brings is
 * known only once it is read. */
static uint64_t
space_needed(const struct plan *p)
{
    uint64_t sizes = 0;

    for (size_t i = 0; i < p->source->n_disks; i++)
        if (p->disks[i].how.mode == READ_ALL)
            sizes += p->source->disks[i].size_bytes;
    return sizes < p->source->allocated ? sizes : p->source->allocated;
}

static int
plan_disks(struct plan *p, struct err *err)
{
    struct plan_question q = {.env = p->env,
                              .repo = p->repo,
                              .repository_id = p->req->repository_id,
                              .vm = p->vm,
                              .wish = {.full = p->req->wish == WISH_FULL}};

    p->disks = xcalloc(p->source->n_disks, sizeof *p->disks);
    for (size_t i = 0; i < p->source->n_disks; i++)
        if (backup_plan_disk(&q, &p->source->disks[i], &p->disks[i], err) < 0)
            return err_prefix(err, "disk %lld: what it can stand on",
                              (long long)p->source->disks[i].device_key);
    if (p->req->wish == WISH_INCREMENTAL && is_full(p))
        return refuse_full(p, err);
    return check_space(p->repo, space_needed(p), err);
}

static void
plan_done(struct plan *p)
{
    for (size_t i = 0; p->disks && i < p->source->n_disks; i++)
        disk_plan_done(&p->disks[i]);
    free(p->disks);
}

/* Row and event together, so that the event of the start comes before that of the end. */
static int
insert_with_event(const struct plan *p, const struct cat_backup *row, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_event e = {.severity = "info",
                          .type = "backup.started",
                          .message = "backup started",
                          .backup_id = row->backup_id,
                          .job_id = row->job_id,
                          .vm_id = row->vm_id,
                          .actor = row->requested_by};

    CLEANUP_FREE char *name = seq_name(row->vm_id, row->repository_id);
    CLEANUP_FREE char *seq = xasprintf("%lld", (long long)row->seq);

    if (catalog_tx_begin(p->env->catalog, &tx, err) < 0 ||
        cat_meta_set(p->env->catalog, name, seq, err) < 0 ||
        cat_backup_insert(p->env->catalog, row, err) < 0 ||
        bus_emit(p->env, &e, err) < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(p->env->bus);
    return 0;
}

static int
insert_row(const struct plan *p, const char *job_id, const char *backup_id,
           struct err *err)
{
    size_t n = p->source->n_disks;
    CLEANUP_FREE char *snapshot =
        p->source->not_protected ? xasprintf("sendense-%s", job_id) : NULL;
    CLEANUP_FREE char *limits = backup_limits_to_text(&p->req->limits);
    struct cat_backup_disk *disks = xcalloc(n, sizeof *disks);
    char(*locators)[NAMING_LOCATOR_SIZE] = xcalloc(n, sizeof *locators);
    char(*layers)[UUID_STR_SIZE] = xcalloc(n, sizeof *layers);
    struct cat_backup row = {
        .job_id = job_id,
        .backup_id = backup_id,
        .vm_id = p->vm->id,
        .vm_name = p->vm->name,
        .repository_id = p->req->repository_id,
        .node_id = p->vm->node_id,
        .backup_type = backup_type_to_str(is_full(p) ? BACKUP_FULL : BACKUP_INCREMENTAL),
        .state = job_state_to_str(JOB_PENDING),
        .current_phase = "pending",
        .verification = verification_to_str(VERIFICATION_NONE),
        .seq = p->seq,
        .attempt = 1,
        .requested_by = p->req->requested_by,
        .created_us = time_utc_us(),
        .error_disk = -1,
        .snapshot_name = snapshot,
        .not_protected = p->source->not_protected,
        .quiesce = snapshot ? quiesce_to_str(p->req->quiesce) : NULL,
        .retries = p->req->retries,
        .retry_delay_s = p->req->retry_delay_s,
        .limits = limits,
        .disks = disks,
        .n_disks = n};
    int r;

    for (size_t i = 0; i < n; i++) {
        const struct cat_vm_disk *d = &p->source->disks[i];
        const struct disk_plan *how = &p->disks[i];

        naming_locator_build(p->vm->id, d->disk_uuid, (uint32_t)p->seq, locators[i]);
        uuid_make(layers[i]);
        disks[i] = (struct cat_backup_disk){
            .disk_index = d->disk_index,
            .device_key = d->device_key,
            .disk_uuid = d->disk_uuid,
            .size_bytes = d->size_bytes,
            .label = d->label,
            .source_uuid = d->source_uuid,
            .source_url = d->source_url,
            .datastore = d->datastore,
            .backup_type = backup_type_to_str(plan_backup_type(how->how.mode)),
            .read_mode = read_mode_to_str(how->how.mode),
            .reason = reason_to_str(how->how.reason),
            .parent_layer_id = how->parent_layer_id[0] ? how->parent_layer_id : NULL,
            .audit_sampled = -1,
            .audit_bad = -1,
            .locator = locators[i],
            .layer_id = layers[i],
            .state = "pending"};
    }
    r = insert_with_event(p, &row, err);
    free(layers);
    free(locators);
    free(disks);
    return r;
}

/* 1 when a backup has the id, or had it: events tell of deleted ones. */
static int
is_taken(const struct plan *p, const char *backup_id, struct err *err)
{
    struct cat_backup other = {0};

    if (cat_backup_get(p->env->catalog, backup_id, &other, err) >= 0) {
        cat_backup_done(&other);
        return 1;
    }
    if (err->class != ERR_NOT_FOUND)
        return err->class;
    err_clear(err);
    return cat_event_of_backup(p->env->catalog, backup_id, err);
}

/* Two backups of VMs of one name in one second differ by a suffix. */
static int
insert_unique(const struct plan *p, const char *job_id,
              char backup_id[NAMING_BACKUP_ID_SIZE], struct err *err)
{
    char base[NAMING_BACKUP_ID_SIZE];

    naming_backup_id(p->vm->name, time_utc_us() / 1000000, base);
    for (int i = 1; i <= ID_TRIES; i++) {
        int taken;

        if (i == 1)
            snprintf(backup_id, NAMING_BACKUP_ID_SIZE, "%s", base);
        else
            snprintf(backup_id, NAMING_BACKUP_ID_SIZE, "%.80s-%d", base, i);
        taken = is_taken(p, backup_id, err);
        if (taken <= 0)
            return taken < 0 ? err->class : insert_row(p, job_id, backup_id, err);
    }
    return err_set(err, ERR_LIMIT, "too_many_requests",
                   "%d backups of '%s' were started within this second", ID_TRIES,
                   p->vm->name);
}

/* Before the row is written: an open row without a live job is what recovery ends. */
static int
go_live(const struct plan *p, const char *job_id, struct live_job **ret, struct err *err)
{
    const struct cat_vm_disk *from = p->source->disks;
    size_t n = p->source->n_disks;
    CLEANUP_FREE struct live_disk *disks = xcalloc(n, sizeof *disks);

    for (size_t i = 0; i < n; i++)
        disks[i] = (struct live_disk){.key = (uint32_t)from[i].device_key,
                                      .size_bytes = from[i].size_bytes};
    return live_start(p->env->live, LIVE_BACKUP, job_id, disks, n, ret, err);
}

/* Takes @live and *node, also when it fails. */
static int
start_thread(struct plan *p, struct live_job *live, struct node_client **node,
             struct err *err)
{
    struct backup_job *b = xcalloc(1, sizeof *b);
    pthread_t thread;
    int r;

    b->env = p->env;
    b->repo = p->repo;
    b->limits = p->req->limits;
    b->bad_disk = -1;
    b->phase = "pending";
    b->live = live;
    b->node = take_ptr(node);
    b->vsphere = backup_vsphere_new(p->vm, p->req->quiesce, p->source->not_protected);
    if (cat_backup_get_by_job(p->env->catalog, live_job_id(live), &b->row, err) < 0) {
        backup_job_free(b);
        return err->class;
    }
    b->n = b->row.n_disks;
    b->disks = xcalloc(b->n, sizeof *b->disks);
    for (size_t i = 0; i < b->n; i++) {
        b->disks[i].row = &b->row.disks[i];
        b->disks[i].plan = p->disks[i];
        p->disks[i] = (struct disk_plan){.pinned = NULL};
        b->disks[i].reason = b->disks[i].plan.how.reason;
        b->disks[i].read_mode = b->disks[i].plan.how.mode;
    }
    b->log = joblog_open(p->env, live_job_id(live));
    r = pthread_create(&thread, NULL, backup_thread, b);
    if (r != 0) {
        backup_job_free(b);
        return err_errno(err, r, NULL, "start the job's thread");
    }
    pthread_detach(thread);
    return 0;
}

/* The answer waits for the exports; a job that failed on the way there is told as its
 * error. */
static int
wait_prepared(struct job_env *env, struct live_job *live, uint64_t began_ns,
              const char *backup_id, struct backup_refusal *refusal, struct err *err)
{
    struct cat_backup row = {0};
    int class;

    live_wait_prepared(live, began_ns + BACKUP_PREPARE_TIMEOUT_S * NS_PER_S);
    if (cat_backup_get(env->catalog, backup_id, &row, err) < 0)
        return err->class;
    if (!row.error_code || strcmp(row.state, "failed") != 0) {
        cat_backup_done(&row);
        return 0;
    }
    snprintf(refusal->backup_id, sizeof refusal->backup_id, "%s", row.backup_id);
    class = strcmp(row.error_code, "repo_full") == 0 ? ERR_NO_SPACE : ERR_UNAVAILABLE;
    err_set(err, class, row.error_code, "%s", row.error_message ? row.error_message : "");
    cat_backup_done(&row);
    return err->class;
}

static int
start_locked(struct plan *p, struct node_client **node, struct live_job **ret_live,
             char backup_id[NAMING_BACKUP_ID_SIZE], struct backup_refusal *refusal,
             struct err *err)
{
    char job_id[UUID_STR_SIZE];
    struct outcome_failure f = {.state = "failed", .phase = "pending", .bad_disk = -1};
    struct live_job *live;

    LOCK_SCOPE(&start_lock);
    uuid_make(job_id);
    if (check_not_running(p->env, p->vm, p->req->repository_id, refusal, err) < 0 ||
        next_seq(p->env, p->repo, p->vm, p->req->repository_id, &p->seq, err) < 0 ||
        plan_disks(p, err) < 0 || go_live(p, job_id, &live, err) < 0)
        return err->class;
    if (insert_unique(p, job_id, backup_id, err) < 0) {
        live_end(live);
        return err->class;
    }
    FAILPOINT(JOB_CREATED);
    *ret_live = live_find(p->env->live, job_id);
    if (start_thread(p, live, node, err) < 0) {
        struct cat_backup row = {
            .job_id = job_id, .backup_id = backup_id, .vm_id = p->vm->id};
        struct err e = ERR_INIT;

        if (outcome_failed(p->env, &row, &f, err, &e) < 0)
            log_error("job '%s': %s; the next start settles it", job_id, e.msg);
        return err->class;
    }
    return 0;
}

int
backup_start(struct job_env *env, const struct backup_request *req,
             char ret_backup_id[NAMING_BACKUP_ID_SIZE], struct backup_refusal *refusal,
             struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    CLEANUP_LIVE struct live_job *live = NULL;
    struct cat_vm vm = {0};
    struct backup_source source = {0};
    struct plan p = {.env = env, .req = req, .vm = &source.vm, .source = &source};
    uint64_t began_ns = time_mono_ns();
    int r = find_vm(env, req, &vm, refusal, err);

    if (r >= 0)
        r = repo_set_get(env, req->repository_id, &p.repo, err);
    if (r >= 0)
        r = check_not_running(env, &vm, req->repository_id, refusal, err);
    if (r >= 0)
        r = backup_source_ask(env, &vm, &node, &source, err);
    if (r >= 0)
        r = start_locked(&p, &node, &live, ret_backup_id, refusal, err);
    if (r >= 0)
        r = wait_prepared(env, live, began_ns, ret_backup_id, refusal, err);
    plan_done(&p);
    backup_source_done(&source);
    cat_vm_done(&vm);
    return r < 0 ? err->class : 0;
}

int
backup_cancel(struct job_env *env, const char *backup_id, struct err *err)
{
    CLEANUP_LIVE struct live_job *live = NULL;
    struct cat_backup row = {0};
    struct err ignored = ERR_INIT;

    if (cat_backup_get(env->catalog, backup_id, &row, err) < 0)
        return err->class;
    live = live_find(env->live, row.job_id);
    if (live && live_kind(live) == LIVE_MERGE)
        err_set(err, ERR_EXISTS, "not_running",
                "backup '%s' is being deleted, which cannot be cancelled", backup_id);
    else if (live) {
        /* First the row, so that a hub that dies now remembers it; a catalog that is busy
         * must not keep the cancel away. */
        (void)cat_backup_set_phase(env->catalog, row.job_id, "cancelling", &ignored);
        FAILPOINT(CANCEL_STORED);
        live_cancel(live);
    } else if (strcmp(row.state, "cancelled") != 0)
        err_set(err, ERR_EXISTS, "not_running", "backup '%s' is %s: nothing to cancel",
                backup_id, row.state);
    cat_backup_done(&row);
    return err->class;
}
