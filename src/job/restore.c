#include "job/restore.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_restore.h"
#include "catalog/catalog.h"
#include "job/bus.h"
#include "job/condemn.h"
#include "job/outcome.h"
#include "job/folder.h"
#include "job/journal.h"
#include "job/restore_priv.h"
#include "job/restore_record.h"
#include "job/restore_target.h"
#include "store/layer.h"

static void
job_free(struct restore_job *j)
{
    struct live_job *live;

    stored_close(&j->stored);
    joblog_close(j->log);
    chain_done(&j->chain);
    free(j->target);
    free(j->part);
    json_decref(j->bad);
    live = j->live;
    free(j);
    live_end(live);
}

static bool
is_salvaged(const struct restore_job *j)
{
    return j->salvage && json_array_size(j->bad) > 0;
}

void
restore_set_phase(struct restore_job *j, const char *phase)
{
    j->phase = phase;
    live_set_phase(j->live, phase);
    joblog_line(j->log, LOG_LEVEL_INFO, "phase=%s", phase);
}

/* Puts the finished target in its place.  A salvaged one is told as such before. */
static int
finish_target(struct restore_job *j, struct err *err)
{
    int r;

    restore_set_phase(j, "finishing");
    if (is_salvaged(j)) {
        CLEANUP_FREE char *bad = json_line(j->bad);

        if (cat_restore_set_salvaged(j->env->catalog, j->id, bad, time_utc_us(), err) < 0)
            return err->class;
    }
    if (!j->force)
        r = fs_rename_noreplace(j->part, j->target, err);
    else if (rename(j->part, j->target) == 0)
        r = 0;
    else
        r = err_errno(err, errno, NULL, "rename '%s' to '%s'", j->part, j->target);
    if (r < 0)
        return r;
    j->renamed = true;
    FAILPOINT(RESTORE_RENAMED);
    if (j->resume && restore_record_remove(j->part, err) < 0)
        return err->class;
    return fs_sync_parent(j->target, err);
}

/* A chain that does not hold together is damage like any other. */
static int
load(struct restore_job *j, struct err *err)
{
    const char *locator;

    if (stored_load(&j->stored, err) < 0)
        return err->class;
    locator = j->stored.point.disks[j->disk].locator;
    if (chain_load(j->stored.repo, locator, &j->chain, err) >= 0)
        return 0;
    if (err->class == ERR_CORRUPT)
        err_recode(err, "verification_failed");
    return err_prefix(err, "disk %u", j->stored.point.disks[j->disk].key);
}

static int
run(struct restore_job *j, struct err *err)
{
    struct cat_transition t = {.from = "pending",
                               .to = "running",
                               .phase = "preparing",
                               .started_us = time_utc_us()};

    if (cat_restore_set_state(j->env->catalog, j->id, &t, err) < 0 || load(j, err) < 0)
        return err->class;
    if ((j->image ? restore_make_image(j, err) : restore_make_chain(j, err)) < 0)
        return err->class;
    return finish_target(j, err);
}

/* Is what was written worth to be gone on with?  Not when its source is damaged. */
static bool
keeps_part(const struct restore_job *j)
{
    return j->resume && !j->renamed && j->why.class != ERR_CORRUPT;
}

static int
remove_target(struct restore_job *j, struct err *err)
{
    const char *path = j->renamed ? j->target : j->part;

    if (!j->image)
        return folder_remove(path, err);
    if (j->resume && restore_record_remove(j->part, err) < 0)
        return err->class;
    return fs_unlink(path, true, err);
}

/* No half-restored file may be taken for a whole one. */
static void
undo(struct restore_job *j)
{
    struct err err = ERR_INIT;

    reader_close(j->env, j->id, j->log, &j->writer);
    if (!j->res_target || j->writer.export)
        return;
    if (keeps_part(j) && j->made)
        joblog_line(j->log, LOG_LEVEL_INFO, "'%s' is kept, to be gone on with", j->part);
    /* A target that may not be durable goes as well: the same restore can be asked again.
     * What was there before this job came is not its to remove. */
    else if (j->made && remove_target(j, &err) < 0) {
        joblog_line(j->log, LOG_LEVEL_ERROR, "left over: '%s': %s",
                    j->renamed ? j->target : j->part, err.msg);
        return;
    }
    journal_released(j->env, j->id, &j->res_target);
}

/* A salvage that left something out has found damage, as a verification would have. */
static int
store_damage(const struct restore_job *j, struct err *err)
{
    char ignored[NAMING_BACKUP_ID_SIZE];

    return condemn_layer(j->env, j->stored.row.disks[j->disk].layer_id, NULL, ignored,
                         err);
}

static int
store_outcome(void *arg, struct err *err)
{
    struct restore_job *j = arg;
    const struct err *why = &j->why;
    CLEANUP_TX struct catalog_tx tx = {0};
    bool ok = why->class == 0, cancelled = !ok && live_cancelled(j->live);
    bool salvaged = ok && is_salvaged(j);
    CLEANUP_FREE char *bad = json_line(j->bad);
    CLEANUP_FREE char *loss =
        xasprintf("%.3000s: salvaged, %zu damaged ranges were left out", j->target,
                  json_array_size(j->bad));
    struct cat_finish f = {.state = ok          ? "completed"
                                    : cancelled ? "cancelled"
                                                : "failed",
                           .phase = ok ? "completed" : j->phase,
                           .completed_us = time_utc_us(),
                           .error_code = ok ? NULL : why->code,
                           .error_phase = ok ? NULL : j->phase,
                           .error_message = ok ? NULL : why->msg};
    struct cat_event e = {.severity = salvaged ? "warning"
                                      : ok     ? "info"
                                               : "error",
                          .type = ok ? "restore.completed" : "restore.failed",
                          .code = salvaged ? "salvaged"
                                  : ok     ? NULL
                                           : why->code,
                          .message = salvaged ? loss
                                     : ok     ? j->target
                                              : why->msg,
                          .job_id = j->id,
                          .backup_id = j->stored.row.backup_id,
                          .vm_id = j->stored.row.vm_id};
    struct progress_view view;

    live_view(j->live, &view);
    if (catalog_tx_begin(j->env->catalog, &tx, err) < 0 ||
        cat_restore_set_progress(j->env->catalog, j->id, view.bytes.total,
                                 view.bytes.done, err) < 0)
        return err->class;
    if (json_array_size(j->bad) > 0 &&
        cat_restore_set_bad_ranges(j->env->catalog, j->id, bad, err) < 0)
        return err->class;
    if ((salvaged && store_damage(j, err) < 0) ||
        cat_restore_finish(j->env->catalog, j->id, &f, err) < 0 ||
        bus_emit(j->env, &e, err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}

static void *
restore_thread(void *arg)
{
    struct restore_job *j = arg;
    struct err err = ERR_INIT;

    joblog_line(j->log, LOG_LEVEL_INFO, "restore of backup '%s' disk %lld to '%s' (%s)",
                j->stored.row.backup_id,
                (long long)j->stored.row.disks[j->disk].device_key, j->target, j->format);
    if (run(j, &j->why) < 0) {
        outcome_name_interruption(j->live, j->phase, &j->why);
        joblog_line(j->log, LOG_LEVEL_ERROR, "failed in phase %s: %s (%s)", j->phase,
                    j->why.msg, j->why.code);
        undo(j);
    } else {
        joblog_line(j->log, LOG_LEVEL_INFO, "completed");
    }
    if (outcome_retry(j->live, j->log, store_outcome, j, &err) < 0)
        joblog_line(j->log, LOG_LEVEL_ERROR,
                    "the outcome could not be stored: %s; the next start settles it",
                    err.msg);
    else if (j->why.class == 0)
        /* Not before the end is stored: recovery takes the entry for the proof that the
         * target is whole. */
        journal_released(j->env, j->id, &j->res_target);
    bus_wake(j->env->bus);
    job_free(j);
    return NULL;
}

static int
pick_disk(struct restore_job *j, uint32_t key, struct err *err)
{
    for (size_t i = 0; i < j->stored.row.n_disks; i++)
        if (j->stored.row.disks[i].device_key == (int64_t)key) {
            j->disk = i;
            return 0;
        }
    return err_set(err, ERR_NOT_FOUND, "disk_not_found",
                   "backup '%s' has no disk %u; `sendense backup show` lists them",
                   j->stored.row.backup_id, key);
}

static int
check_format(struct restore_job *j, const struct restore_request *req, struct err *err)
{
    bool chain = strcmp(req->format, RESTORE_CHAIN) == 0;

    j->image = image_format_find(req->format);
    if (!j->image && !chain)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "format is raw, qcow2, qcow2-chain, vmdk, vmdk-stream or vhdx, "
                       "not '%.40s'",
                       req->format);
    j->format = chain ? RESTORE_CHAIN : j->image->name;
    j->force = req->force;
    j->resume = req->resume;
    j->salvage = req->salvage;
    if (j->resume && (chain || !j->image->resumable))
        return err_set(err, ERR_INVALID, "invalid_field",
                       "resume: a restore to %s cannot be gone on with, only one to raw "
                       "or qcow2",
                       j->format);
    if (j->salvage && (chain || !j->image->in_place))
        return err_set(err, ERR_INVALID, "invalid_field",
                       "salvage: choose raw, qcow2, vmdk or vhdx; %s copies what is "
                       "damaged, too",
                       j->format);
    return 0;
}

/* At least so much: of one layer exactly its data; of a chain as much as its largest
 * layer, or all of them when they are copied as they are.  What a stream is compressed to
 * nobody knows. */
static uint64_t
bytes_needed(const struct restore_job *j, const struct cat_backup_disk *d)
{
    char at[NAMING_LOCATOR_SIZE], below[NAMING_LOCATOR_SIZE];
    uint64_t stored, sum = 0, largest = 0;
    struct err ignored = ERR_INIT; /* what cannot be read is told by the job */

    if (j->image && !j->image->in_place)
        return 0;
    if (j->image && !d->parent_layer_id)
        return d->bytes.sent;
    snprintf(at, sizeof at, "%s", d->locator);
    while (at[0] && layer_stored_bytes(j->stored.repo, at, &stored, &ignored) >= 0 &&
           layer_parent(j->stored.repo, at, below, &ignored) >= 0) {
        sum += stored;
        largest = stored > largest ? stored : largest;
        memcpy(at, below, sizeof at);
    }
    return j->image ? largest : sum;
}

static int
check(struct restore_job *j, const struct restore_request *req, struct err *err)
{
    struct restore_where where = {
        .path = req->target_path, .force = req->force, .resume = req->resume};
    const struct cat_backup_disk *d;

    if (check_format(j, req, err) < 0)
        return err->class;
    if (stored_open(j->env, req->backup_id, &j->stored, err) < 0 ||
        pick_disk(j, req->device_key, err) < 0)
        return err->class;
    d = &j->stored.row.disks[j->disk];
    where.folder = !j->image;
    where.need_bytes = bytes_needed(j, d);
    if (restore_target_check(j->env, &where, &j->target, err) < 0)
        return err->class;
    j->part = xasprintf("%s.part", j->target);
    return 0;
}

static int
start(struct restore_job *j, const char *requested_by, struct err *err)
{
    const struct cat_backup_disk *d = &j->stored.row.disks[j->disk];
    struct live_disk disk = {.key = (uint32_t)d->device_key, .size_bytes = d->size_bytes};
    struct cat_restore row = {.id = j->id,
                              .backup_id = j->stored.row.backup_id,
                              .device_key = d->device_key,
                              .target_path = j->target,
                              .format = j->format,
                              .state = "pending",
                              .current_phase = "pending",
                              .bytes_total = d->size_bytes,
                              .requested_by = requested_by,
                              .created_us = time_utc_us()};
    pthread_t thread;
    int r;

    if (live_start(j->env->live, LIVE_RESTORE, j->id, &disk, 1, &j->live, err) < 0)
        return err->class;
    j->log = joblog_open(j->env, j->id);
    j->phase = "pending";
    r = cat_restore_insert(j->env->catalog, &row, err);
    if (r >= 0) {
        r = pthread_create(&thread, NULL, restore_thread, j);
        if (r != 0)
            r = err_errno(err, r, NULL, "start the job's thread");
    }
    if (r < 0)
        return r;
    pthread_detach(thread);
    return 0;
}

int
restore_start(struct job_env *env, const struct restore_request *req,
              char ret_id[UUID_STR_SIZE], struct err *err)
{
    struct restore_job *j = xcalloc(1, sizeof *j);

    j->env = env;
    j->bad = json_array();
    uuid_make(j->id);
    /* Before the thread starts: it frees the job. */
    memcpy(ret_id, j->id, UUID_STR_SIZE);
    if (check(j, req, err) < 0 || start(j, req->requested_by, err) < 0) {
        job_free(j);
        return err->class;
    }
    return 0;
}

int
restore_cancel(struct job_env *env, const char *id, struct err *err)
{
    CLEANUP_LIVE struct live_job *live = live_find(env->live, id);
    struct cat_restore row = {0};

    if (cat_restore_get(env->catalog, id, &row, err) < 0)
        return err->class;
    if (live)
        live_cancel(live);
    else if (strcmp(row.state, "cancelled") != 0)
        err_set(err, ERR_EXISTS, "not_running", "restore '%s' is %s: nothing to cancel",
                id, row.state);
    cat_restore_done(&row);
    return err->class;
}
