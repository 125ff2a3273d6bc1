/* The end of a good backup: exports stopped, manifests sealed, everything read back, the
 * point written (the commit), the catalog told. */
#include "job/backup_priv.h"

#include <string.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup_update.h"
#include "job/journal.h"
#include "job/outcome.h"
#include "job/verify_run.h"
#include "store/layer.h"
#include "store/ports.h"

static struct cat_disk_ref
ref(const struct backup_job *b, const struct bdisk *d)
{
    return (struct cat_disk_ref){.job_id = b->row.job_id,
                                 .disk_index = d->row->disk_index};
}

int
backup_stop_exports(struct backup_job *b, struct err *err)
{
    backup_phase(b, "stopping");
    for (size_t i = 0; i < b->n; i++) {
        struct bdisk *d = &b->disks[i];
        struct export_stop_result res = {0};
        struct cat_disk_export none = {0};
        char cost[CHILD_COST_SIZE];

        if (!d->export)
            continue;
        b->bad_disk = b->disks[i].row->disk_index;
        if (export_stop(d->export, &res, err) < 0)
            return err_prefix(err, "stop the export of disk %lld",
                              (long long)d->row->device_key);
        if (res.already_dead)
            return err_set(err, ERR_IO, "export_died",
                           "qemu-nbd of disk %lld had ended before it was stopped",
                           (long long)d->row->device_key);
        joblog_line(b->log, LOG_LEVEL_INFO,
                    "disk device_key=%lld export stopped in %u ms%s, port %u free, image "
                    "unlocked (%s)",
                    (long long)d->row->device_key, res.took_ms,
                    res.kill ? " by KILL" : "", d->port,
                    child_cost_to_str(&res.exit, cost));
        export_free(d->export);
        d->export = NULL;
        journal_released(b->env, b->row.job_id, &d->res_export);
        port_release(b->env->ports, d->port, b->row.job_id);
        journal_released(b->env, b->row.job_id, &d->res_port);
        if (cat_backup_disk_set_export(b->env->catalog, ref(b, d), &none, err) < 0)
            return err->class;
    }
    FAILPOINT(EXPORT_STOPPED);
    b->bad_disk = -1;
    return 0;
}

int
backup_seal(struct backup_job *b, struct err *err)
{
    for (size_t i = 0; i < b->n; i++) {
        struct bdisk *d = &b->disks[i];
        uint32_t key = (uint32_t)d->row->device_key;

        b->bad_disk = b->disks[i].row->disk_index;
        if (manifest_in_seal(b->manifests, key, d->layer_root, &d->records, err) < 0)
            return err->class;
        if (memcmp(d->layer_root, d->client_root, sizeof d->layer_root) != 0)
            return err_set(
                err, ERR_CORRUPT, "manifest_root_mismatch",
                "the manifest of disk %u that arrived is not the one the client made",
                key);
        if (layer_sync(b->repo, d->row->locator, err) < 0 ||
            layer_stored_bytes(b->repo, d->row->locator, &d->stored, err) < 0)
            return err_prefix(err, "make layer '%s' durable", d->row->locator);
    }
    b->bad_disk = -1;
    FAILPOINT(MANIFEST_SEALED);
    return 0;
}

static void
verify_failed(struct backup_job *b, const struct verify_run *v, struct err *err)
{
    for (size_t i = 0; i < b->n; i++)
        if (v->has_disk && (uint32_t)b->disks[i].row->device_key == v->disk)
            b->bad_disk = b->disks[i].row->disk_index;
    err_prefix(err, "read-back");
}

/* `completed` means verified: every block that this backup wrote is read again and
 * compared. */
int
backup_verify(struct backup_job *b, struct err *err)
{
    struct verify_disk *disks = xcalloc(b->n, sizeof *disks);
    struct verify_run v = {.env = b->env,
                           .job_id = b->row.job_id,
                           .attempt = (uint32_t)b->row.attempt,
                           .task = WORKER_VERIFY,
                           .repo = b->repo,
                           .live = b->live,
                           .log = b->log,
                           .disks = disks,
                           .n = b->n,
                           .limits = &b->limits};
    bool direct = true;
    int r;

    backup_phase(b, "verifying");
    for (size_t i = 0; i < b->n; i++) {
        struct bdisk *d = &b->disks[i];

        disks[i] = (struct verify_disk){.key = (uint32_t)d->row->device_key,
                                        .disk_uuid = d->row->disk_uuid,
                                        .size_bytes = d->row->size_bytes,
                                        .locator = d->row->locator,
                                        .layer_id = d->row->layer_id,
                                        .below = &d->below,
                                        .is_new = true};
        memcpy(disks[i].layer_root, d->layer_root, sizeof d->layer_root);
        r = cat_backup_disk_set_state(b->env->catalog, ref(b, d), "verifying", NULL, err);
        if (r < 0)
            goto out;
    }
    r = verify_run(&v, err);
    if (r < 0) {
        verify_failed(b, &v, err);
        goto out;
    }
    for (size_t i = 0; i < b->n; i++) {
        memcpy(b->disks[i].content_root, disks[i].content_root, MANIFEST_HASH_SIZE);
        direct = direct && disks[i].direct;
    }
    b->readback = direct ? READBACK_MEDIA : READBACK_PAGE_CACHE;
    b->verification = VERIFICATION_VERIFIED;
    FAILPOINT(VERIFIED);
out:
    free(disks);
    return r;
}

static void
fill_point_disk(const struct bdisk *d, struct point_disk *p)
{
    *p = (struct point_disk){
        .key = (uint32_t)d->row->device_key,
        .index = (uint32_t)d->row->disk_index,
        .label = xstrdup(d->row->label),
        .source_url = xstrdup(d->row->source_url),
        .size_bytes = d->row->size_bytes,
        .records = d->records,
        .change_id = d->change_id ? xstrdup(d->change_id) : NULL,
        .source_uuid = d->row->source_uuid ? xstrdup(d->row->source_uuid) : NULL,
        .datastore = d->row->datastore ? xstrdup(d->row->datastore) : NULL,
        .frozen_file = d->frozen_file ? xstrdup(d->frozen_file) : NULL,
        .frozen_on = d->frozen_on ? xstrdup(d->frozen_on) : NULL,
        .has_audit = d->has_audit,
        .audit_sampled = d->audit_sampled,
        .audit_bad = d->audit_bad,
        .read_mode = d->read_mode,
        .reason = d->reason,
        .bytes = {.read = d->bytes.read,
                  .sent = d->bytes.sent,
                  .zero = d->bytes.zero,
                  .skipped = d->bytes.skipped,
                  .audit = d->bytes.audit,
                  .stored = d->stored}};
    strncpy(p->disk_uuid, d->row->disk_uuid, sizeof p->disk_uuid - 1);
    strncpy(p->locator, d->row->locator, sizeof p->locator - 1);
    strncpy(p->layer_id, d->row->layer_id, sizeof p->layer_id - 1);
    if (d->row->parent_layer_id)
        strncpy(p->parent_layer_id, d->row->parent_layer_id,
                sizeof p->parent_layer_id - 1);
    memcpy(p->layer_root, d->layer_root, sizeof p->layer_root);
    memcpy(p->content_root, d->content_root, sizeof p->content_root);
}

/* Of what was done, not of what was asked. */
static enum backup_type
type_of(const struct backup_job *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (plan_backup_type(b->disks[i].read_mode) != BACKUP_FULL)
            return BACKUP_INCREMENTAL;
    return BACKUP_FULL;
}

static void
fill_point(const struct backup_job *b, struct point *p)
{
    *p = (struct point){.seq = (uint32_t)b->row.seq,
                        .time_us = b->time_us,
                        .backup_id = xstrdup(b->row.backup_id),
                        .type = type_of(b),
                        .created_us = b->row.created_us,
                        .started_us = b->row.started_us,
                        .completed_us = time_utc_us(),
                        .verification = b->verification,
                        .readback = b->readback,
                        .vm_name = xstrdup(b->row.vm_name),
                        .source_type = xstrdup(b->vsphere ? "vsphere" : "nbd"),
                        .disks = xcalloc(b->n, sizeof *p->disks),
                        .n_disks = b->n};
    if (b->vsphere) {
        p->configuration = json_incref(b->vsphere->configuration);
        p->nvram = b->vsphere->nvram ? xstrdup(b->vsphere->nvram) : NULL;
        p->not_protected = json_incref(b->vsphere->not_protected);
        p->instance_uuid = xstrdup(b->vsphere->instance_uuid);
    }
    uuid_make(p->point_id);
    strncpy(p->job_id, b->row.job_id, sizeof p->job_id - 1);
    strncpy(p->vm_uuid, b->row.vm_id, sizeof p->vm_uuid - 1);
    for (size_t i = 0; i < b->n; i++)
        fill_point_disk(&b->disks[i], &p->disks[i]);
}

struct committed {
    const struct job_env *env;
    const struct point *point;
};

static int
store_completed(void *arg, struct err *err)
{
    const struct committed *c = arg;

    return outcome_completed(c->env, c->point, err);
}

int
backup_commit(struct backup_job *b, struct err *err)
{
    CLEANUP_POINT struct point p = {0};
    struct committed c = {.env = b->env, .point = &p};
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_FREE char *text = NULL, *key = NULL;
    char seq[NAMING_SEQ_SIZE];

    backup_phase(b, "committing");
    fill_point(b, &p);
    j = point_encode(&p);
    text = json_line(j);
    naming_seq(p.seq, seq);
    b->point_name = xasprintf("vms/%s/points/%s.json", p.vm_uuid, seq);
    key = backup_res_key(b, b->point_name);
    if (journal_intent(b->env, b->row.job_id, RES_POINT, key, &b->res_point, err) < 0)
        return err->class;
    FAILPOINT(POINT_INTENT);
    if (repo_put(b->repo, b->point_name, text, strlen(text), err) < 0)
        return err_prefix(err, "write point '%s'", b->point_name);
    /* The commit is done: from here on nothing may fail the backup, and nobody can cancel
     * it.  Should the hub stop before its catalog takes the outcome, the next start rolls
     * the job forward from the point. */
    b->committed = true;
    return outcome_retry(b->live, b->log, store_completed, &c, err);
}
