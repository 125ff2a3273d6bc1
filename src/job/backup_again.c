/* A backup whose hub ended while it transferred: the job as its rows, its journal and its
 * files know it, made live again.  What is looked at here is what decides between going
 * on and undoing; the thread then begins as after any other cut (backup_resume.c). */
#include "job/backup_priv.h"

#include <pthread.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/cat_backup_update.h"
#include "catalog/cat_resource.h"
#include "catalog/cat_vm.h"
#include "job/journal.h"
#include "job/leftovers.h"
#include "job/nodes.h"
#include "job/pins.h"
#include "job/repo_set.h"
#include "store/layer.h"

char *
backup_limits_to_text(const struct spec_limits *l)
{
    CLEANUP_JSON json_t *j = json_pack(
        "{s:I, s:I, s:I, s:I, s:I}", "disks_parallel", (json_int_t)l->disks_parallel,
        "connections", (json_int_t)l->connections, "requests", (json_int_t)l->requests,
        "request_bytes", (json_int_t)l->request_bytes, "rate_bytes_per_s",
        (json_int_t)l->rate_bytes_per_s);

    return json_line(j);
}

void
backup_limits_from_text(const char *text, struct spec_limits *ret)
{
    CLEANUP_JSON json_t *j = NULL;
    struct spec_limits l;
    struct jreader r;
    struct err err = ERR_INIT;

    if (!text || json_parse(text, strlen(text), &j, &err) < 0)
        return;
    jreader_init(&r, j, "limits", &err);
    l.disks_parallel = (uint32_t)jopt_u64(&r, "disks_parallel", ret->disks_parallel);
    l.connections = (uint32_t)jopt_u64(&r, "connections", ret->connections);
    l.requests = (uint32_t)jopt_u64(&r, "requests", ret->requests);
    l.request_bytes = (uint32_t)jopt_u64(&r, "request_bytes", ret->request_bytes);
    l.rate_bytes_per_s = jopt_u64(&r, "rate_bytes_per_s", ret->rate_bytes_per_s);
    if (jreader_end(&r) >= 0)
        *ret = l;
}

static int
cannot(struct err *err, const char *why)
{
    return err_set(err, ERR_INVALID, "not_resumable", "%s", why);
}

/* Without a known snapshot the transfer starts anew, on new files. */
static bool
needs_files(const struct cat_backup *row)
{
    return !row->snapshot_name || row->snapshot_ref;
}

static int
check_files(struct repo *repo, const struct cat_backup *row, struct err *err)
{
    for (size_t i = 0; i < row->n_disks; i++) {
        const struct cat_backup_disk *d = &row->disks[i];
        CLEANUP_FREE char *part = xasprintf("%s.manifest.part", d->locator);
        char path[REPO_PATH_SIZE];

        if (layer_check_chain(repo, d->locator, naming_round_up_512(d->size_bytes), err) <
                0 ||
            repo_path(repo, part, path, err) < 0)
            return err_prefix(err, "disk %lld", (long long)d->device_key);
        if (!fs_exists(path))
            return cannot(err, "the manifest of a disk is gone");
    }
    return 0;
}

static int
check_row(const struct cat_backup *row, struct err *err)
{
    if (strcmp(row->state, "running") != 0 ||
        (strcmp(row->current_phase, "transferring") != 0 &&
         strcmp(row->current_phase, "resuming") != 0))
        return cannot(err, "only a transfer can be gone on with");
    if (row->attempt > row->retries)
        return cannot(err, "no attempt is left");
    return 0;
}

static int
load_disk(struct backup_job *b, struct bdisk *d, const struct cat_backup_disk *row,
          struct err *err)
{
    struct cat_backup_disk parent = {0};
    struct cat_backup owner = {0};
    int r = 0;

    d->row = row;
    d->at = (struct cat_checkpoint){.block = row->checkpoint_block,
                                    .records = row->checkpoint_records};
    d->unclean = true;
    d->bytes = (struct byte_counters){.total = row->size_bytes,
                                      .read = row->bytes.read,
                                      .sent = row->bytes.sent,
                                      .zero = row->bytes.zero,
                                      .skipped = row->bytes.skipped,
                                      .audit = row->bytes.audit};
    d->has_audit = row->audit_sampled >= 0;
    d->audit_sampled = d->has_audit ? (uint64_t)row->audit_sampled : 0;
    d->audit_bad = d->has_audit ? (uint64_t)row->audit_bad : 0;
    if (read_mode_from_str(row->read_mode, &d->read_mode) < 0 ||
        reason_from_str(row->reason, &d->reason) < 0)
        return cannot(err, "its row has a word that this hub does not know");
    if (!row->parent_layer_id)
        return 0;
    r = cat_backup_disk_by_layer(b->env->catalog, row->parent_layer_id, &parent, err);
    if (r >= 0)
        r = cat_backup_get_by_job(b->env->catalog, parent.job_id, &owner, err);
    if (r >= 0)
        r = pins_pin(owner.backup_id, err);
    if (r >= 0)
        d->plan.pinned = xstrdup(owner.backup_id);
    cat_backup_done(&owner);
    cat_backup_disk_done(&parent);
    return r < 0 ? err->class : backup_load_parent(b, d, err);
}

/* Entries of what is there still: its keys are made as in backup_prepare.c. */
static int
load_journal(struct backup_job *b, struct err *err)
{
    struct cat_resources list = {0};

    if (cat_resource_list_job(b->env->catalog, b->row.job_id, &list, err) < 0)
        return err->class;
    for (size_t i = 0; i < list.n; i++) {
        const struct cat_resource *r = &list.v[i];

        if (strcmp(r->kind, RES_NODE_JOB) == 0)
            b->res_node_job = r->id;
        if (strcmp(r->kind, RES_SNAPSHOT) == 0 && b->vsphere)
            b->vsphere->res_snapshot = r->id;
        for (size_t k = 0; k < b->n; k++) {
            CLEANUP_FREE char *key = backup_res_key(b, b->disks[k].row->locator);

            if (strcmp(r->res_key, key) == 0 && strcmp(r->kind, RES_LAYER) == 0)
                b->disks[k].res_layer = r->id;
            if (strcmp(r->res_key, key) == 0 && strcmp(r->kind, RES_MANIFEST) == 0)
                b->disks[k].res_manifest = r->id;
        }
    }
    cat_resources_done(&list);
    return 0;
}

static int
load_source(struct backup_job *b, struct err *err)
{
    enum quiesce quiesce = QUIESCE_TRY;
    struct cat_vm vm = {0};

    if (cat_vm_get(b->env->catalog, b->row.vm_id, &vm, err) < 0)
        return err->class;
    if (b->row.quiesce)
        quiesce_from_str(b->row.quiesce, &quiesce);
    if (b->row.snapshot_name && vm.credential_id)
        b->vsphere = backup_vsphere_new(&vm, quiesce, b->row.not_protected);
    cat_vm_done(&vm);
    if (b->row.snapshot_name && !b->vsphere)
        return cannot(err, "the credential of its VM is gone");
    if (b->vsphere && b->row.snapshot_ref)
        b->vsphere->snapshot_ref = xstrdup(b->row.snapshot_ref);
    if (b->vsphere && b->row.snapshot_chain)
        b->vsphere->snapshot_chain = xstrdup(b->row.snapshot_chain);
    return nodes_connect(b->env, b->row.node_id, &b->node, err);
}

/* While its repository was away the VM may have been backed up elsewhere. */
static int
check_alone(struct backup_job *b, struct err *err)
{
    struct cat_backups open = {0};
    bool other = false;

    if (cat_backup_list_open(b->env->catalog, &open, err) < 0)
        return err->class;
    for (size_t i = 0; i < open.n; i++) {
        CLEANUP_LIVE struct live_job *live = live_find(b->env->live, open.v[i].job_id);

        other = other || (live && strcmp(open.v[i].vm_id, b->row.vm_id) == 0);
    }
    cat_backups_done(&open);
    return other ? err_set(err, ERR_UNAVAILABLE, "backup_running",
                           "another backup of its VM runs")
                 : 0;
}

static int
load_job(struct backup_job *b, struct err *err)
{
    if (check_row(&b->row, err) < 0 || check_alone(b, err) < 0 ||
        repo_set_get(b->env, b->row.repository_id, &b->repo, err) < 0 ||
        (needs_files(&b->row) && check_files(b->repo, &b->row, err) < 0) ||
        load_source(b, err) < 0)
        return err->class;
    b->limits = b->env->limits;
    backup_limits_from_text(b->row.limits, &b->limits);
    b->time_us = b->row.moment_us;
    b->n = b->row.n_disks;
    b->disks = xcalloc(b->n, sizeof *b->disks);
    for (size_t i = 0; i < b->n; i++)
        if (load_disk(b, &b->disks[i], &b->row.disks[i], err) < 0)
            return err->class;
    return load_journal(b, err);
}

static int
go_live(struct backup_job *b, struct err *err)
{
    CLEANUP_FREE struct live_disk *disks = xcalloc(b->n, sizeof *disks);

    for (size_t i = 0; i < b->n; i++)
        disks[i] = (struct live_disk){.key = (uint32_t)b->disks[i].row->device_key,
                                      .size_bytes = b->disks[i].row->size_bytes};
    if (live_start(b->env->live, LIVE_BACKUP, b->row.job_id, disks, b->n, &b->live, err) <
        0)
        return err->class;
    for (size_t i = 0; i < b->n; i++) {
        struct byte_counters c = b->disks[i].bytes;

        c.done = b->disks[i].at.block * MANIFEST_BLOCK_SIZE;
        live_update(b->live, disks[i].key, &c);
    }
    return 0;
}

/* The row is told before a thread is: from now on this hub has the job. */
static int
take_over(struct backup_job *b, struct err *err)
{
    pthread_t thread;
    int r;

    b->log = joblog_open(b->env, b->row.job_id);
    joblog_line(b->log, LOG_LEVEL_WARN, "the hub ended while this backup was %s",
                b->phase);
    live_set_phase(b->live, "resuming");
    if (cat_backup_set_phase(b->env->catalog, b->row.job_id, "resuming", err) < 0)
        return err->class;
    FAILPOINT(RESUME_RECOVERED);
    r = pthread_create(&thread, NULL, backup_thread_again, b);
    if (r != 0)
        return err_errno(err, r, NULL, "start the job's thread");
    pthread_detach(thread);
    return 0;
}

/* What will not be otherwise the next time it is looked at. */
static bool
is_final(const struct err *err)
{
    return err->class == ERR_INVALID || err->class == ERR_NOT_FOUND ||
           err->class == ERR_CORRUPT;
}

int
backup_again(struct job_env *env, const char *job_id, struct err *err)
{
    struct backup_job *b = xcalloc(1, sizeof *b);
    int r;

    b->env = env;
    b->bad_disk = -1;
    if (cat_backup_get_by_job(env->catalog, job_id, &b->row, err) < 0) {
        backup_job_free(b);
        return err->class;
    }
    b->phase =
        strcmp(b->row.current_phase, "resuming") == 0 ? "resuming" : "transferring";
    r = load_job(b, err);
    if (r < 0) {
        backup_job_free(b);
        return is_final(err) ? 0 : err->class;
    }
    if (!leftovers_end_processes(env, job_id))
        r = err_set(err, ERR_TIMEOUT, "process_stuck", "a process of it does not end");
    if (r >= 0)
        r = go_live(b, err);
    if (r >= 0)
        r = take_over(b, err);
    if (r < 0) {
        backup_job_free(b);
        return r;
    }
    return 1;
}
