#include "job/restore.h"

#include <pthread.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_restore.h"
#include "catalog/catalog.h"
#include "job/bus.h"
#include "job/outcome.h"
#include "job/journal.h"
#include "job/restore_target.h"
#include "job/stored.h"
#include "store/image.h"

/* Everything here belongs to the job's thread. */
struct restore_job {
    struct job_env *env;
    char id[UUID_STR_SIZE];
    struct stored stored;
    size_t disk; /* index in the backup */
    char *target, *part;
    char *format;
    struct live_job *live;
    struct joblog *log;
    const char *phase;
    struct reader_export writer; /* exports the .part file */
    int64_t res_file;
    char *bad_ranges; /* JSON text */
    bool renamed;     /* the whole file has its final name */
    struct err why;   /* of the end; class 0 = completed */
};

static void
job_free(struct restore_job *j)
{
    struct live_job *live;

    stored_close(&j->stored);
    joblog_close(j->log);
    free(j->target);
    free(j->part);
    free(j->format);
    free(j->bad_ranges);
    live = j->live;
    free(j);
    live_end(live);
}

static void
set_phase(struct restore_job *j, const char *phase)
{
    j->phase = phase;
    live_set_phase(j->live, phase);
    joblog_line(j->log, LOG_LEVEL_INFO, "phase=%s", phase);
}

static int
make_target(struct restore_job *j, uint64_t size_bytes, struct err *err)
{
    char name[NAMING_EXPORT_SIZE];
    CLEANUP_FREE char *socket = NULL;
    struct export_spec spec = {.path = j->part,
                               .format = j->format,
                               .name = name,
                               .size_bytes = naming_round_up_512(size_bytes)};

    set_phase(j, "preparing");
    if (journal_intent(j->env, j->id, RES_FILE, j->part, &j->res_file, err) < 0 ||
        image_create(j->part, j->format, size_bytes, err) < 0 ||
        journal_held(j->env, j->id, j->res_file, NULL, err) < 0)
        return err->class;
    FAILPOINT(RESTORE_TARGET_CREATED);
    naming_export_make(name);
    socket = xasprintf("%s/%s", j->env->run_dir, name);
    spec.socket = socket;
    if (journal_intent(j->env, j->id, RES_SOCKET, socket, &j->writer.res_socket, err) <
            0 ||
        journal_intent(j->env, j->id, RES_EXPORT, name, &j->writer.res_export, err) < 0 ||
        export_start(&spec, &j->writer.export, err) < 0)
        return err_prefix(err, "open the target '%s' for writing", j->part);
    return journal_held(j->env, j->id, j->writer.res_export,
                        export_identity(j->writer.export), err);
}

static int
copy(struct restore_job *j, struct err *err)
{
    struct verify_disk d;
    struct verify_run v = {.env = j->env,
                           .job_id = j->id,
                           .attempt = 1,
                           .task = WORKER_RESTORE,
                           .repo = j->stored.repo,
                           .live = j->live,
                           .log = j->log,
                           .disks = &d,
                           .n = 1,
                           .limits = &j->env->limits};
    int r;

    set_phase(j, "restoring");
    if (stored_fill(&j->stored, j->disk, &d, err) < 0)
        return err->class;
    d.target = export_uri(j->writer.export);
    r = verify_run(&v, err);
    j->bad_ranges = verify_bad_ranges_text(&v);
    if (r >= 0)
        joblog_line(j->log, LOG_LEVEL_INFO, "copied and compared, read from the %s",
                    d.direct ? "medium" : "page cache");
    return r;
}

static int
finish_target(struct restore_job *j, uint64_t size_bytes, struct err *err)
{
    set_phase(j, "finishing");
    if (export_stop(j->writer.export, NULL, err) < 0)
        return err_prefix(err, "close the target");
    reader_close(j->env, j->id, j->log, &j->writer);
    FAILPOINT(RESTORE_COPIED);
    if (image_finish(j->part, j->format, size_bytes, err) < 0 ||
        fs_rename_noreplace(j->part, j->target, err) < 0)
        return err->class;
    j->renamed = true;
    FAILPOINT(RESTORE_RENAMED);
    return fs_sync_parent(j->target, err);
}

static int
run(struct restore_job *j, struct err *err)
{
    struct cat_transition t = {.from = "pending",
                               .to = "running",
                               .phase = "preparing",
                               .started_us = time_utc_us()};
    uint64_t size;

    if (cat_restore_set_state(j->env->catalog, j->id, &t, err) < 0 ||
        stored_load(&j->stored, err) < 0)
        return err->class;
    size = j->stored.point.disks[j->disk].size_bytes;
    if (make_target(j, size, err) < 0 || copy(j, err) < 0 ||
        finish_target(j, size, err) < 0)
        return err->class;
    return 0;
}

/* No half-restored file may be taken for a whole one. */
static void
undo(struct restore_job *j)
{
    struct err err = ERR_INIT;

    reader_close(j->env, j->id, j->log, &j->writer);
    if (!j->res_file || j->writer.export)
        return;
    /* A target that may not be durable goes as well: the same restore can be asked again.
     */
    if (fs_unlink(j->renamed ? j->target : j->part, true, &err) < 0)
        joblog_line(j->log, LOG_LEVEL_ERROR, "left over: '%s': %s",
                    j->renamed ? j->target : j->part, err.msg);
    else
        journal_released(j->env, j->id, &j->res_file);
}

static int
store_outcome(void *arg, struct err *err)
{
    struct restore_job *j = arg;
    const struct err *why = &j->why;
    CLEANUP_TX struct catalog_tx tx = {0};
    bool ok = why->class == 0, cancelled = !ok && live_cancelled(j->live);
    struct cat_finish f = {.state = ok          ? "completed"
                                    : cancelled ? "cancelled"
                                                : "failed",
                           .phase = ok ? "completed" : j->phase,
                           .completed_us = time_utc_us(),
                           .error_code = ok ? NULL : why->code,
                           .error_phase = ok ? NULL : j->phase,
                           .error_message = ok ? NULL : why->msg};
    struct cat_event e = {.severity = ok ? "info" : "error",
                          .type = ok ? "restore.completed" : "restore.failed",
                          .code = ok ? NULL : why->code,
                          .message = ok ? j->target : why->msg,
                          .job_id = j->id,
                          .backup_id = j->stored.row.backup_id,
                          .vm_id = j->stored.row.vm_id};
    struct progress_view view;

    live_view(j->live, &view);
    if (catalog_tx_begin(j->env->catalog, &tx, err) < 0 ||
        cat_restore_set_progress(j->env->catalog, j->id, view.bytes.total,
                                 view.bytes.done, err) < 0)
        return err->class;
    if (j->bad_ranges &&
        cat_restore_set_bad_ranges(j->env->catalog, j->id, j->bad_ranges, err) < 0)
        return err->class;
    if (cat_restore_finish(j->env->catalog, j->id, &f, err) < 0 ||
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
        journal_released(j->env, j->id, &j->res_file);
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
check(struct restore_job *j, const struct restore_request *req, struct err *err)
{
    const struct cat_backup_disk *d;

    if (strcmp(req->format, "raw") != 0 && strcmp(req->format, "qcow2") != 0)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "format is 'raw' or 'qcow2', not '%.40s'", req->format);
    if (stored_open(j->env, req->backup_id, &j->stored, err) < 0 ||
        pick_disk(j, req->device_key, err) < 0)
        return err->class;
    d = &j->stored.row.disks[j->disk];
    if (restore_target_check(j->env, req->target_path, d->bytes.sent, &j->target, err) <
        0)
        return err->class;
    j->part = xasprintf("%s.part", j->target);
    j->format = xstrdup(req->format);
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
