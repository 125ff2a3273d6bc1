#include "job/verify.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup_update.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_verify.h"
#include "catalog/catalog.h"
#include "job/bus.h"
#include "job/condemn.h"
#include "job/outcome.h"
#include "job/stored.h"

struct damage {
    size_t disk; /* its number in the backup */
    char layer_id[UUID_STR_SIZE];
};

/* Everything here belongs to the job's thread. */
struct verify_job {
    struct job_env *env;
    char id[UUID_STR_SIZE];
    struct stored stored;
    struct live_job *live;
    struct joblog *log;
    char *bad_ranges; /* JSON text */
    bool chain;
    bool direct;
    struct damage *damaged; /* the lowest layer that is, of each disk */
    size_t n_damaged;
    bool *sound;    /* of each disk: all of it was read, and it is right; NULL = none */
    struct err why; /* of the end; class 0 = verified */
};

static void
job_free(struct verify_job *j)
{
    struct live_job *live;

    stored_close(&j->stored);
    joblog_close(j->log);
    free(j->bad_ranges);
    free(j->damaged);
    free(j->sound);
    live = j->live;
    free(j);
    live_end(live);
}

static void
note_damaged(struct verify_job *j, size_t disk, const char *layer_id)
{
    struct damage *d;

    j->damaged = xreallocarray(j->damaged, j->n_damaged + 1, sizeof *j->damaged);
    d = &j->damaged[j->n_damaged++];
    d->disk = disk;
    snprintf(d->layer_id, UUID_STR_SIZE, "%s", layer_id);
}

/* A damaged layer takes all above it with it, and the catalog knows these. */
static void
note_disk(struct verify_job *j, size_t index, const struct verify_disk *d)
{
    size_t n = d->damaged && d->below ? d->below->n : 0;
    size_t from = d->damaged_from;

    j->sound[index] = d->done && !d->damaged;
    if (!d->damaged)
        return;
    /* A verification of the tip alone also reads the records of all below it. */
    for (size_t k = 0; !j->chain && from == n && k < n; k++) {
        struct err ignored = ERR_INIT;

        if (condemn_is_damaged(&d->below->v[k], &ignored))
            from = k;
    }
    note_damaged(j, index, from < n ? d->below->v[from].layer_id : d->layer_id);
}

/* The point is gone or another one: then nothing tells which disk could still be had. */
static void
note_all(struct verify_job *j)
{
    for (size_t i = 0; i < j->stored.row.n_disks; i++)
        note_damaged(j, i, j->stored.row.disks[i].layer_id);
}

/* The chain of disk @index cannot be followed down to its base.  The lowest layer from
 * which that is so is the one that is damaged, as far as the catalog knows them. */
static void
note_broken(struct verify_job *j, size_t index)
{
    char bad[UUID_STR_SIZE];
    bool broken = true;

    snprintf(bad, sizeof bad, "%s", j->stored.point.disks[index].layer_id);
    while (broken) {
        CLEANUP_CHAIN struct chain c = {.n = 0};
        struct cat_backup_disk d = {0}, parent = {0};
        struct err why = ERR_INIT;

        broken = cat_backup_disk_by_layer(j->env->catalog, bad, &d, &why) >= 0 &&
                 d.parent_layer_id &&
                 cat_backup_disk_by_layer(j->env->catalog, d.parent_layer_id, &parent,
                                          &why) >= 0 &&
                 chain_load(j->stored.repo, parent.locator, &c, &why) < 0 &&
                 why.class == ERR_CORRUPT;
        if (broken)
            snprintf(bad, sizeof bad, "%s", parent.layer_id);
        cat_backup_disk_done(&d);
        cat_backup_disk_done(&parent);
    }
    note_damaged(j, index, bad);
}

static int
fill(struct verify_job *j, struct verify_disk *disks, struct err *err)
{
    for (size_t i = 0; i < j->stored.point.n_disks; i++) {
        struct err one = ERR_INIT;

        if (stored_fill(&j->stored, i, &disks[i], &one) >= 0)
            continue;
        if (one.class != ERR_CORRUPT) {
            *err = one;
            return err->class;
        }
        note_broken(j, i);
        if (err->class == 0)
            *err = one;
    }
    return err->class;
}

static int
run(struct verify_job *j, struct err *err)
{
    struct cat_transition t = {.from = "pending",
                               .to = "running",
                               .phase = "verifying",
                               .started_us = time_utc_us()};
    struct verify_disk *disks = NULL;
    struct verify_run v = {.env = j->env,
                           .job_id = j->id,
                           .attempt = 1,
                           .task = WORKER_VERIFY,
                           .repo = j->stored.repo,
                           .live = j->live,
                           .log = j->log,
                           .limits = &j->env->limits};
    int r;

    live_set_phase(j->live, "verifying");
    if (cat_verify_set_state(j->env->catalog, j->id, &t, err) < 0 ||
        stored_load(&j->stored, err) < 0)
        return err->class;
    v.n = j->stored.point.n_disks;
    v.disks = disks = xcalloc(v.n, sizeof *disks);
    j->sound = xcalloc(v.n, sizeof *j->sound);
    r = fill(j, disks, err);
    if (r >= 0)
        r = j->chain ? verify_run_chains(&v, err) : verify_run(&v, err);
    for (size_t i = 0; i < v.n; i++)
        note_disk(j, i, &disks[i]);
    j->bad_ranges = verify_bad_ranges_text(&v);
    j->direct = true;
    for (size_t i = 0; i < v.n; i++)
        j->direct = j->direct && disks[i].direct;
    free(disks);
    return r;
}

static struct cat_disk_ref
disk_ref(const struct verify_job *j, size_t index)
{
    const struct cat_backup_disk *d = &j->stored.row.disks[index];

    return (struct cat_disk_ref){.job_id = d->job_id, .disk_index = d->disk_index};
}

/* The verdict on the disks that are damaged, on the backups that made the damaged layers,
 * and on all that need them. */
static int
store_damaged(struct verify_job *j, const char *readback, struct err *err)
{
    char ignored[NAMING_BACKUP_ID_SIZE];

    if (j->n_damaged == 0)
        note_all(j);
    for (size_t i = 0; i < j->n_damaged; i++)
        if (cat_backup_condemn_disk(j->env->catalog, disk_ref(j, j->damaged[i].disk),
                                    readback, time_utc_us(), err) < 0 ||
            condemn_layer(j->env, j->damaged[i].layer_id, readback, ignored, err) < 0)
            return err->class;
    return 0;
}

/* What a backup stored of a disk may be sound and what it stands on not: then it restores
 * no better than before, and only a verification of the whole chain may call it sound. */
static int
stands_well(struct verify_job *j, size_t index, bool *ret, struct err *err)
{
    const struct chain *below = &j->stored.chains[index];

    *ret = true;
    for (size_t k = 0; !j->chain && *ret && k < below->n; k++) {
        struct cat_backup_disk d = {0};

        if (cat_backup_disk_by_layer(j->env->catalog, below->v[k].layer_id, &d, err) >=
            0) {
            *ret = strcmp(d.verification, "failed") != 0;
            cat_backup_disk_done(&d);
        } else if (err->class == ERR_NOT_FOUND) {
            err_clear(err);
        } else {
            return err->class;
        }
    }
    return 0;
}

/* *ret_all: every disk of the backup is sound, and so is all that it stands on. */
static int
store_sound(struct verify_job *j, bool *ret_all, struct err *err)
{
    *ret_all = true;
    for (size_t i = 0; i < j->stored.row.n_disks; i++) {
        bool sound = false;

        if (j->sound && j->sound[i] && stands_well(j, i, &sound, err) < 0)
            return err->class;
        if (sound && cat_backup_disk_set_verification(j->env->catalog, disk_ref(j, i),
                                                      "verified", err) < 0)
            return err->class;
        *ret_all = *ret_all && sound;
    }
    return 0;
}

/* A verification that could not be done says nothing about the backup. */
static int
store_verdict(struct verify_job *j, struct err *err)
{
    struct cat_verification v = {.verification = "verified",
                                 .readback = j->direct ? "media" : "page_cache",
                                 .verified_us = time_utc_us()};
    bool damaged = j->why.class == ERR_CORRUPT, all;

    if (j->why.class != 0 && !damaged)
        return 0;
    if (store_sound(j, &all, err) < 0)
        return err->class;
    if (damaged)
        return store_damaged(j, v.readback, err);
    return all ? cat_backup_set_verification(j->env->catalog, j->stored.row.job_id, &v,
                                             err)
               : 0;
}

/* Result of the job, verdict on the backup, and the event, together. */
static int
store_outcome(void *arg, struct err *err)
{
    struct verify_job *j = arg;
    const struct err *why = &j->why;
    CLEANUP_TX struct catalog_tx tx = {0};
    bool ok = why->class == 0, cancelled = live_cancelled(j->live) && !ok;
    struct cat_finish f = {.state = ok          ? "completed"
                                    : cancelled ? "cancelled"
                                                : "failed",
                           .phase = ok ? "completed" : "verifying",
                           .completed_us = time_utc_us(),
                           .error_code = ok ? NULL : why->code,
                           .error_phase = ok ? NULL : "verifying",
                           .error_message = ok ? NULL : why->msg};
    struct cat_event e = {.severity = ok ? "info" : "error",
                          .type = ok ? "verification.completed" : "verification.failed",
                          .code = ok ? NULL : why->code,
                          .message = !ok ? why->msg
                                     : j->chain
                                         ? "every block of the chain was read back "
                                           "and compared"
                                         : "every block that this backup stored was "
                                           "read back and compared",
                          .job_id = j->id,
                          .backup_id = j->stored.row.backup_id,
                          .vm_id = j->stored.row.vm_id};

    if (catalog_tx_begin(j->env->catalog, &tx, err) < 0)
        return err->class;
    if (j->bad_ranges &&
        cat_verify_set_bad_ranges(j->env->catalog, j->id, j->bad_ranges, err) < 0)
        return err->class;
    if (store_verdict(j, err) < 0 ||
        cat_verify_finish(j->env->catalog, j->id, &f, err) < 0 ||
        bus_emit(j->env, &e, err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}

static void *
verify_thread(void *arg)
{
    struct verify_job *j = arg;
    struct err err = ERR_INIT;
    struct progress_view view;

    joblog_line(j->log, LOG_LEVEL_INFO, "verification of backup '%s'%s",
                j->stored.row.backup_id, j->chain ? " and all that it stands on" : "");
    if (run(j, &j->why) < 0)
        outcome_name_interruption(j->live, "verifying", &j->why);
    joblog_line(j->log, j->why.class ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "%s",
                j->why.class ? j->why.msg : "verified");
    live_view(j->live, &view);
    if (cat_verify_set_progress(j->env->catalog, j->id, view.bytes.total, view.bytes.done,
                                &err) < 0)
        joblog_line(j->log, LOG_LEVEL_WARN, "store the progress: %s, ignoring", err.msg);
    err_clear(&err);
    if (outcome_retry(j->live, j->log, store_outcome, j, &err) < 0)
        joblog_line(j->log, LOG_LEVEL_ERROR,
                    "the outcome could not be stored: %s; the next start settles it",
                    err.msg);
    bus_wake(j->env->bus);
    job_free(j);
    return NULL;
}

static int
insert(struct verify_job *j, const char *requested_by, struct err *err)
{
    struct cat_verify row = {.id = j->id,
                             .backup_id = j->stored.row.backup_id,
                             .state = "pending",
                             .current_phase = "pending",
                             .requested_by = requested_by,
                             .created_us = time_utc_us()};

    for (size_t i = 0; i < j->stored.row.n_disks; i++)
        row.bytes_total += j->stored.row.disks[i].size_bytes;
    return cat_verify_insert(j->env->catalog, &row, err);
}

static int
start(struct verify_job *j, const char *requested_by, struct err *err)
{
    size_t n = j->stored.row.n_disks;
    struct live_disk *disks = xcalloc(n, sizeof *disks);
    pthread_t thread;
    int r;

    for (size_t i = 0; i < n; i++)
        disks[i] = (struct live_disk){.key = (uint32_t)j->stored.row.disks[i].device_key,
                                      .size_bytes = j->stored.row.disks[i].size_bytes};
    r = live_start(j->env->live, LIVE_VERIFY, j->id, disks, n, &j->live, err);
    free(disks);
    if (r < 0)
        return r;
    j->log = joblog_open(j->env, j->id);
    r = insert(j, requested_by, err);
    if (r >= 0) {
        r = pthread_create(&thread, NULL, verify_thread, j);
        if (r != 0)
            r = err_errno(err, r, NULL, "start the job's thread");
    }
    if (r < 0)
        return r;
    pthread_detach(thread);
    return 0;
}

int
verify_start(struct job_env *env, const char *backup_id, bool chain,
             const char *requested_by, char ret_id[UUID_STR_SIZE], struct err *err)
{
    struct verify_job *j = xcalloc(1, sizeof *j);

    j->env = env;
    j->chain = chain;
    uuid_make(j->id);
    /* Before the thread starts: it frees the job. */
    memcpy(ret_id, j->id, UUID_STR_SIZE);
    if (stored_open(env, backup_id, &j->stored, err) < 0) {
        free(j);
        return err->class;
    }
    if (start(j, requested_by, err) < 0) {
        job_free(j);
        return err->class;
    }
    return 0;
}
