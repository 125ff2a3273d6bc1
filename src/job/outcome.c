#include "job/outcome.h"

#include <string.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "catalog/cat_backup_update.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_resource.h"
#include "catalog/catalog.h"
#include "job/bus.h"
#include "job/condemn.h"
#include "job/journal.h"

#define RETRY_MS 2000u

static int
release_all(const struct job_env *env, const char *job_id, struct err *err)
{
    struct cat_resources list = {0};
    int r = cat_resource_list_job(env->catalog, job_id, &list, err);

    /* What may still run has to be ended, which is the janitor's. */
    for (size_t i = 0; r >= 0 && i < list.n; i++)
        if (strcmp(list.v[i].kind, RES_NODE_JOB) != 0 &&
            strcmp(list.v[i].kind, RES_SNAPSHOT) != 0 &&
            strcmp(list.v[i].kind, RES_WORKER) != 0)
            r = cat_resource_release(env->catalog, job_id, list.v[i].id, time_utc_us(),
                                     err);
    cat_resources_done(&list);
    return r;
}

static int
store_disk(const struct job_env *env, const struct point *p, const struct point_disk *d,
           struct err *err)
{
    struct cat_disk_ref ref = {.job_id = p->job_id, .disk_index = d->index};
    char layer_root[2 * MANIFEST_HASH_SIZE + 1], content_root[2 * MANIFEST_HASH_SIZE + 1];
    struct cat_disk_result res = {.layer_root = layer_root,
                                  .content_root = content_root,
                                  .records = (int64_t)d->records,
                                  .change_id = d->change_id,
                                  .frozen_file = d->frozen_file,
                                  .frozen_on = d->frozen_on};
    struct cat_disk_bytes bytes = {.read = d->bytes.read,
                                   .sent = d->bytes.sent,
                                   .zero = d->bytes.zero,
                                   .skipped = d->bytes.skipped,
                                   .audit = d->bytes.audit,
                                   .stored = d->bytes.stored};
    struct cat_disk_export none = {0};

    text_hex(d->layer_root, MANIFEST_HASH_SIZE, layer_root);
    text_hex(d->content_root, MANIFEST_HASH_SIZE, content_root);
    if (cat_backup_disk_set_result(env->catalog, ref, &res, err) < 0 ||
        cat_backup_disk_set_progress(env->catalog, ref, &bytes, 0, err) < 0 ||
        cat_backup_disk_set_export(env->catalog, ref, &none, err) < 0 ||
        cat_backup_disk_set_read(env->catalog, ref, read_mode_to_str(d->read_mode),
                                 reason_to_str(d->reason), err) < 0)
        return err->class;
    return cat_backup_disk_set_state(env->catalog, ref, "completed", NULL, err);
}

int
outcome_completed(const struct job_env *env, const struct point *p, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_verification v = {
        .verification = verification_to_str(p->verification),
        .readback = p->readback == READBACK_NONE ? NULL : readback_to_str(p->readback),
        .verified_us = p->completed_us};
    struct cat_finish f = {.state = "completed",
                           .phase = "completed",
                           .completed_us = p->completed_us,
                           .point_id = p->point_id};
    struct cat_event e = {.severity = "info",
                          .type = "backup.completed",
                          .message = "backup completed and verified",
                          .job_id = p->job_id,
                          .backup_id = p->backup_id,
                          .vm_id = p->vm_uuid};

    bool on_damaged = false;

    if (catalog_tx_begin(env->catalog, &tx, err) < 0)
        return err->class;
    for (size_t i = 0; i < p->n_disks; i++)
        if (store_disk(env, p, &p->disks[i], err) < 0)
            return err->class;
    if (cat_backup_set_verification(env->catalog, p->job_id, &v, err) < 0 ||
        cat_backup_finish(env->catalog, p->job_id, &f, err) < 0 ||
        condemn_if_below(env, p, &on_damaged, err) < 0)
        return err->class;
    if (on_damaged) {
        e.severity = "warning";
        e.code = "parent_damaged";
        e.message = "backup completed; what it stands on was found damaged meanwhile";
    }
    if (release_all(env, p->job_id, err) < 0 || bus_emit(env, &e, err) < 0 ||
        catalog_tx_commit(&tx, err) < 0)
        return err->class;
    FAILPOINT(CATALOG_COMMITTED);
    bus_wake(env->bus);
    return 0;
}

/* What the disks of a job that failed show: none has an export, the bad one says why. */
static int
store_failed_disks(const struct job_env *env, const struct cat_backup *row,
                   const struct outcome_failure *f, const struct err *why,
                   struct err *err)
{
    struct cat_disk_export none = {0};
    struct cat_backup full = {0};
    int r = cat_backup_get_by_job(env->catalog, row->job_id, &full, err);

    for (size_t i = 0; r >= 0 && i < full.n_disks; i++) {
        struct cat_disk_ref ref = {.job_id = row->job_id,
                                   .disk_index = full.disks[i].disk_index};

        r = cat_backup_disk_set_export(env->catalog, ref, &none, err);
        if (r >= 0 && ref.disk_index == f->bad_disk)
            r = cat_backup_disk_set_state(env->catalog, ref, "failed", why->msg, err);
        else if (r >= 0)
            r = cat_backup_disk_set_state(env->catalog, ref, "cancelled", NULL, err);
    }
    cat_backup_done(&full);
    return r;
}

int
outcome_failed(const struct job_env *env, const struct cat_backup *row,
               const struct outcome_failure *f, const struct err *why, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    bool cancelled = f->state[0] == 'c';
    struct cat_finish fin = {.state = f->state,
                             .phase = f->phase,
                             .completed_us = time_utc_us(),
                             .error_code = why->code,
                             .error_phase = f->phase,
                             .error_disk = f->bad_disk >= 0 ? &f->bad_disk : NULL,
                             .error_message = why->msg,
                             .cleanup = f->cleanup};
    struct cat_event e = {.severity = cancelled ? "warning" : "error",
                          .type = cancelled ? "backup.cancelled" : "backup.failed",
                          .code = why->code,
                          .message = why->msg,
                          .job_id = row->job_id,
                          .backup_id = row->backup_id,
                          .vm_id = row->vm_id};

    if (catalog_tx_begin(env->catalog, &tx, err) < 0)
        return err->class;
    if (store_failed_disks(env, row, f, why, err) < 0 ||
        cat_backup_finish(env->catalog, row->job_id, &fin, err) < 0 ||
        bus_emit(env, &e, err) < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(env->bus);
    return 0;
}

int
outcome_retry(struct live_job *live, struct joblog *log,
              int (*store)(void *arg, struct err *err), void *arg, struct err *err)
{
    while (store(arg, err) < 0) {
        /* A row that is gone, or has an end already, will not take this one. */
        if (err->class == ERR_NOT_FOUND || err->class == ERR_EXISTS)
            return err->class;
        joblog_line(log, LOG_LEVEL_WARN, "store the outcome: %s, retrying", err->msg);
        if (!live_pause(live, RETRY_MS))
            return err->class;
        err_clear(err);
    }
    return 0;
}

void
outcome_name_interruption(const struct live_job *live, const char *phase, struct err *why)
{
    if (why->class != ERR_CANCELLED || live_cancelled(live))
        return;
    err_clear(why);
    err_set(why, ERR_UNAVAILABLE, "interrupted",
            "the hub, or a program of this job, was stopped in phase %s: start it again "
            "when the hub is back",
            phase);
}
