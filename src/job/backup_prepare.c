/* Steps before the transfer: layer, manifest, port and export of each disk.  Each thing
 * is journalled before it exists (job/journal.h). */
#include "job/backup_priv.h"

#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/cat_backup_update.h"
#include "job/journal.h"
#include "model/targets.h"
#include "store/layer.h"
#include "store/ports.h"

/* qemu-nbd may lose a port between our bind test and its own bind; then the next one is
 * tried. */
#define PORT_TRIES 16

static struct cat_disk_ref
ref(const struct backup_job *b, const struct bdisk *d)
{
    return (struct cat_disk_ref){.job_id = b->row.job_id,
                                 .disk_index = d->row->disk_index};
}

/* What was planned, looked at again: the layers that the client compares with. */
int
backup_load_parent(struct backup_job *b, struct bdisk *d, struct err *err)
{
    struct cat_backup_disk parent = {0};
    int r;

    if (!d->row->parent_layer_id)
        return 0;
    r = cat_backup_disk_by_layer(b->env->catalog, d->row->parent_layer_id, &parent, err);
    if (r >= 0)
        r = chain_load(b->repo, parent.locator, &d->below, err);
    if (r >= 0 &&
        strcmp(d->below.v[d->below.n - 1].layer_id, d->row->parent_layer_id) != 0)
        r = err_set(err, ERR_CORRUPT, "chain_broken",
                    "layer '%s' is not the one that was planned", parent.locator);
    if (r >= 0) {
        d->parent_locator = xstrdup(parent.locator);
        d->parent_change_id = parent.change_id ? xstrdup(parent.change_id) : NULL;
        d->parent_stored = parent.parent_layer_id ? parent.bytes.stored : 0;
        d->parent_file = parent.frozen_file ? xstrdup(parent.frozen_file) : NULL;
        d->parent_on = parent.frozen_on ? xstrdup(parent.frozen_on) : NULL;
    }
    cat_backup_disk_done(&parent);
    return r < 0 ? err_prefix(err, "parent of disk %lld", (long long)d->row->device_key)
                 : 0;
}

int
backup_make_layer(struct backup_job *b, struct bdisk *d, struct err *err)
{
    CLEANUP_FREE char *key = backup_res_key(b, d->row->locator);
    struct repo_layer_spec spec = {.locator = d->row->locator,
                                   .parent = d->parent_locator,
                                   .size_bytes = d->row->size_bytes};

    if (journal_intent(b->env, b->row.job_id, RES_LAYER, key, &d->res_layer, err) < 0)
        return err->class;
    FAILPOINT(LAYER_INTENT);
    if (layer_create(b->repo, &spec, err) < 0)
        return err_prefix(err, "make layer '%s'", d->row->locator);
    FAILPOINT(LAYER_CREATED);
    return journal_held(b->env, b->row.job_id, d->res_layer, NULL, err);
}

/* The receiver answers about the parent from a chain of its own. */
static int
lend_parent(struct backup_job *b, struct bdisk *d, struct err *err)
{
    CLEANUP_CHAIN struct chain c = {.n = 0};

    if (!d->parent_locator)
        return 0;
    if (chain_load(b->repo, d->parent_locator, &c, err) < 0)
        return err->class;
    return manifest_in_set_parent(b->manifests, (uint32_t)d->row->device_key, &c, err);
}

static int
fill_header(const struct bdisk *d, struct manifest_header *h, struct err *err)
{
    *h = (struct manifest_header){.disk_size = d->row->size_bytes};
    if (manifest_id_from_str(d->row->layer_id, h->layer_id) < 0 ||
        manifest_id_from_str(d->row->disk_uuid, h->disk_uuid) < 0)
        return err_set(err, ERR_INTERNAL, NULL, "layer or disk id is no UUID");
    if (d->row->parent_layer_id &&
        manifest_id_from_str(d->row->parent_layer_id, h->parent_layer_id) < 0)
        return err_set(err, ERR_INTERNAL, NULL, "the parent's id is no UUID");
    return 0;
}

int
backup_make_manifest(struct backup_job *b, struct bdisk *d, struct err *err)
{
    CLEANUP_FREE char *key = backup_res_key(b, d->row->locator);
    CLEANUP_FREE char *name = xasprintf("%s.manifest", d->row->locator);
    char path[REPO_PATH_SIZE];
    struct manifest_header h;

    if (fill_header(d, &h, err) < 0)
        return err->class;
    if (journal_intent(b->env, b->row.job_id, RES_MANIFEST, key, &d->res_manifest, err) <
        0)
        return err->class;
    FAILPOINT(MANIFEST_INTENT);
    if (repo_path(b->repo, name, path, err) < 0 ||
        manifest_in_add(b->manifests, (uint32_t)d->row->device_key, path, &h, err) < 0 ||
        lend_parent(b, d, err) < 0)
        return err_prefix(err, "make manifest '%s'", name);
    return journal_held(b->env, b->row.job_id, d->res_manifest, NULL, err);
}

int
backup_reopen_manifest(struct backup_job *b, struct bdisk *d, struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s.manifest", d->row->locator);
    char path[REPO_PATH_SIZE];
    struct manifest_header h;

    if (fill_header(d, &h, err) < 0)
        return err->class;
    if (repo_path(b->repo, name, path, err) < 0 ||
        manifest_in_reopen(b->manifests, (uint32_t)d->row->device_key, path, &h,
                           d->at.records, d->at.block, err) < 0 ||
        lend_parent(b, d, err) < 0)
        return err_prefix(err, "go on with manifest '%s'", name);
    return 0;
}

static int
take_port(struct backup_job *b, struct bdisk *d, struct err *err)
{
    CLEANUP_FREE char *key = NULL;

    if (port_take(b->env->ports, b->row.job_id, &d->port, err) < 0) {
        if (strcmp(err->code, "no_free_port") == 0)
            err->class = ERR_UNAVAILABLE;
        return err->class;
    }
    key = xasprintf("%u", d->port);
    if (journal_intent(b->env, b->row.job_id, RES_PORT, key, &d->res_port, err) < 0)
        return err->class;
    FAILPOINT(PORT_INTENT);
    if (journal_held(b->env, b->row.job_id, d->res_port, NULL, err) < 0)
        return err->class;
    FAILPOINT(PORT_HELD);
    return cat_backup_disk_set_state(b->env->catalog, ref(b, d), "port_allocated", NULL,
                                     err);
}

static int
start_export(struct backup_job *b, struct bdisk *d, struct err *err)
{
    char description[NAMING_DESCRIPTION_SIZE];
    struct export_spec spec = {.name = d->export_name,
                               .description = description,
                               .port = d->port,
                               .size_bytes = naming_round_up_512(d->row->size_bytes)};

    naming_export_make(d->export_name);
    naming_description(b->row.job_id, (uint32_t)d->row->device_key, description);
    if (journal_intent(b->env, b->row.job_id, RES_EXPORT, d->export_name, &d->res_export,
                       err) < 0)
        return err->class;
    FAILPOINT(EXPORT_INTENT);
    if (layer_export_rw(b->repo, d->row->locator, &spec, &d->export, err) < 0)
        return err->class;
    FAILPOINT(EXPORT_STARTED);
    if (journal_held(b->env, b->row.job_id, d->res_export, export_identity(d->export),
                     err) < 0)
        return err->class;
    FAILPOINT(EXPORT_READY);
    return 0;
}

int
backup_make_export(struct backup_job *b, struct bdisk *d, struct err *err)
{
    struct cat_disk_export e;

    for (int i = 0;; i++) {
        if (take_port(b, d, err) < 0)
            return err->class;
        if (start_export(b, d, err) >= 0)
            break;
        if (strcmp(err->code, "port_in_use") != 0 || i == PORT_TRIES)
            return err_prefix(err, "export layer '%s' on port %u", d->row->locator,
                              d->port);
        joblog_line(b->log, LOG_LEVEL_WARN,
                    "port %u was taken by another program, trying the next", d->port);
        err_clear(err);
        journal_released(b->env, b->row.job_id, &d->res_export);
        port_release(b->env->ports, d->port, b->row.job_id);
        journal_released(b->env, b->row.job_id, &d->res_port);
    }
    e = (struct cat_disk_export){
        .port = d->port, .name = d->export_name, .pid = export_pid(d->export)};
    if (cat_backup_disk_set_export(b->env->catalog, ref(b, d), &e, err) < 0 ||
        cat_backup_disk_set_state(b->env->catalog, ref(b, d), "qemu_started", NULL, err) <
            0)
        return err->class;
    joblog_line(b->log, LOG_LEVEL_INFO,
                "disk index=%lld device_key=%lld port=%u export=%s file='%s.qcow2' "
                "qemu_nbd_pid=%d size_bytes=%llu read=%s reason=%s parent='%s'",
                (long long)d->row->disk_index, (long long)d->row->device_key, d->port,
                d->export_name, d->row->locator, (int)export_pid(d->export),
                (unsigned long long)d->row->size_bytes, d->row->read_mode, d->row->reason,
                d->parent_locator ? d->parent_locator : "");
    return 0;
}

int
backup_publish_targets(struct backup_job *b, struct err *err)
{
    CLEANUP_TARGETS struct targets t = {0};
    CLEANUP_FREE char *text = NULL;

    for (size_t i = 0; i < b->n; i++)
        targets_add(&t, (uint32_t)b->disks[i].row->device_key,
                    export_uri(b->disks[i].export));
    text = targets_build(&t);
    joblog_line(b->log, LOG_LEVEL_INFO, "nbd_targets_string=%s", text);
    return cat_backup_set_targets(b->env->catalog, b->row.job_id, text, err);
}

/* What an incremental brings is known only once it is read; what the one before brought
 * is the best guess.  Too little room for that is no reason to refuse, but to say so. */
static void
warn_of_space(struct backup_job *b)
{
    CLEANUP_FREE char *text = NULL;
    struct repo_space space;
    struct err err = ERR_INIT;
    uint64_t expected = 0;

    for (size_t i = 0; i < b->n; i++)
        expected += b->disks[i].parent_stored;
    if (expected == 0 || repo_space(b->repo, &space, &err) < 0 ||
        space.free_bytes > expected)
        return;
    text = xasprintf("the backup before took %llu bytes, and the repository has %llu "
                     "free: make room, or this one may fail",
                     (unsigned long long)expected, (unsigned long long)space.free_bytes);
    backup_warn(b, "repo_nearly_full", text);
}

int
backup_prepare(struct backup_job *b, struct err *err)
{
    char hash[TOKEN_HASH_SIZE];

    backup_phase(b, "preparing");
    token_make(b->token);
    token_hash(b->token, hash);
    b->manifests = manifest_in_new(hash);
    for (size_t i = 0; i < b->n; i++) {
        struct bdisk *d = &b->disks[i];

        b->bad_disk = b->disks[i].row->disk_index;
        if (live_cancelled(b->live))
            return err_set(err, ERR_CANCELLED, "cancelled",
                           "cancelled while it was prepared");
        if (backup_load_parent(b, d, err) < 0 || backup_make_layer(b, d, err) < 0 ||
            backup_make_manifest(b, d, err) < 0 || backup_make_export(b, d, err) < 0)
            return err->class;
    }
    b->bad_disk = -1;
    warn_of_space(b);
    return backup_publish_targets(b, err);
}
