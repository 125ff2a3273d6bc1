#include "job/import.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_vm.h"
#include "catalog/catalog.h"
#include "job/bus.h"
#include "job/merge.h"
#include "job/point_check.h"
#include "job/point_files.h"
#include "job/repo_set.h"
#include "store/repo.h"

#define DEFAULT_NODE "1"

struct import {
    struct job_env *env;
    struct repo *repo;
    const char *repo_id;
    struct import_report *report;
    char **names; /* points found */
    size_t n;
    char
        made[UUID_STR_SIZE]; /* the VM of this point's folder, when this import made it */
};

static int
collect(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    struct import *im = arg;

    im->names = xreallocarray(im->names, im->n + 1, sizeof *im->names);
    im->names[im->n++] = xstrdup(name);
    return 0;
}

/* Oldest first, so that the newest point decides on a VM's name and disks. */
static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
refuse(struct import *im, const char *file, bool damaged, const struct err *why)
{
    struct import_report *r = im->report;

    log_error("import: '%s': %s", file, why->msg);
    r->refused = xreallocarray(r->refused, r->n_refused + 1, sizeof *r->refused);
    r->refused[r->n_refused++] = (struct import_refused){
        .file = xstrdup(file), .message = xstrdup(why->msg), .damaged = damaged};
    r->n_damaged += damaged;
}

static int
ensure_vm(struct import *im, const struct point *p, struct err *err)
{
    CLEANUP_FREE struct cat_vm_disk *disks = NULL;
    struct cat_vm known = {0}, vm;

    if (cat_vm_get(im->env->catalog, p->vm_uuid, &known, err) >= 0) {
        cat_vm_done(&known);
        if (strcmp(im->made, p->vm_uuid) != 0)
            return 0; /* the catalog knows better than any point */
    } else if (err->class != ERR_NOT_FOUND) {
        return err->class;
    } else {
        err_clear(err);
        im->made[0] = '\0';
    }
    disks = xcalloc(p->n_disks, sizeof *disks);
    for (size_t i = 0; i < p->n_disks; i++)
        disks[i] = (struct cat_vm_disk){.disk_uuid = p->disks[i].disk_uuid,
                                        .device_key = p->disks[i].key,
                                        .disk_index = p->disks[i].index,
                                        .label = p->disks[i].label,
                                        .source_url = p->disks[i].source_url,
                                        .size_bytes = p->disks[i].size_bytes,
                                        .source_uuid = p->disks[i].source_uuid};
    vm = (struct cat_vm){.id = p->vm_uuid,
                         .name = p->vm_name,
                         .source_type = p->source_type,
                         .node_id = DEFAULT_NODE,
                         .created_us = p->created_us,
                         .instance_uuid = p->instance_uuid,
                         .disks = disks,
                         .n_disks = p->n_disks};
    if (im->made[0])
        return cat_vm_refresh(im->env->catalog, &vm, err);
    if (cat_vm_add(im->env->catalog, &vm, err) < 0)
        return err->class;
    memcpy(im->made, p->vm_uuid, sizeof im->made);
    return 0;
}

/* What a disk stands on must have been taken, and as good: points come oldest first, so
 * damage climbs from layer to layer. */
static int
check_parent(struct import *im, const struct point_disk *d, struct err *err)
{
    struct cat_backup_disk parent = {0};
    struct cat_backup b = {0};
    int r;

    if (!d->parent_layer_id[0])
        return 0;
    r = cat_backup_disk_by_layer(im->env->catalog, d->parent_layer_id, &parent, err);
    if (r >= 0)
        r = cat_backup_get_by_job(im->env->catalog, parent.job_id, &b, err);
    if (r < 0 && err->class == ERR_NOT_FOUND) {
        err_clear(err);
        r = err_set(err, ERR_CORRUPT, "verification_failed",
                    "disk %u: the backup that its layer stands on is missing", d->key);
    } else if (r >= 0 && strcmp(parent.disk_uuid, d->disk_uuid) != 0) {
        r = err_set(err, ERR_CORRUPT, "verification_failed",
                    "disk %u: its layer stands on one of another disk", d->key);
    } else if (r >= 0 && strcmp(parent.verification, "failed") == 0) {
        r = err_set(err, ERR_CORRUPT, "verification_failed",
                    "disk %u: its layer stands on backup '%s', which is damaged", d->key,
                    b.backup_id);
    }
    cat_backup_done(&b);
    cat_backup_disk_done(&parent);
    return r < 0 ? err->class : 0;
}

/* What is wrong with the point's disks: bad[i] is set, *ret_damage names all of them. */
static int
find_damage(struct import *im, const struct point *p, bool *bad, struct err *ret_damage,
            struct err *err)
{
    if (point_check_files(im->repo, p, bad, ret_damage) < 0 &&
        ret_damage->class != ERR_CORRUPT) {
        *err = *ret_damage;
        return err->class;
    }
    for (size_t i = 0; i < p->n_disks; i++) {
        struct err one = ERR_INIT;

        if (bad[i] || check_parent(im, &p->disks[i], &one) >= 0)
            continue;
        if (one.class != ERR_CORRUPT) {
            *err = one;
            return err->class;
        }
        bad[i] = true;
        if (ret_damage->class != 0) {
            CLEANUP_FREE char *before = xstrdup(ret_damage->msg);

            err_set(ret_damage, ERR_CORRUPT, one.code, "%s; %s", before, one.msg);
        } else {
            *ret_damage = one;
        }
    }
    return 0;
}

struct roots {
    char layer[2 * MANIFEST_HASH_SIZE + 1];
    char content[2 * MANIFEST_HASH_SIZE + 1];
};

static void
fill_disk(const struct point *p, size_t i, struct roots *roots, struct cat_backup_disk *d)
{
    const struct point_disk *s = &p->disks[i];

    text_hex(s->layer_root, MANIFEST_HASH_SIZE, roots->layer);
    text_hex(s->content_root, MANIFEST_HASH_SIZE, roots->content);
    *d = (struct cat_backup_disk){
        .disk_index = s->index,
        .device_key = s->key,
        .disk_uuid = s->disk_uuid,
        .size_bytes = s->size_bytes,
        .label = s->label,
        .source_url = s->source_url,
        .backup_type = s->parent_layer_id[0] ? "incremental" : "full",
        .read_mode = read_mode_to_str(s->read_mode),
        .reason = reason_to_str(s->reason),
        .locator = s->locator,
        .layer_id = s->layer_id,
        .parent_layer_id = s->parent_layer_id[0] ? s->parent_layer_id : NULL,
        .layer_root = roots->layer,
        .content_root = roots->content,
        .records = (int64_t)s->records,
        .change_id = s->change_id,
        .source_uuid = s->source_uuid,
        .datastore = s->datastore,
        .frozen_file = s->frozen_file,
        .frozen_on = s->frozen_on,
        .audit_sampled = s->has_audit ? (int64_t)s->audit_sampled : -1,
        .audit_bad = s->has_audit ? (int64_t)s->audit_bad : -1,
        .state = "completed",
        .bytes = {.read = s->bytes.read,
                  .sent = s->bytes.sent,
                  .zero = s->bytes.zero,
                  .skipped = s->bytes.skipped,
                  .audit = s->bytes.audit,
                  .stored = s->bytes.stored}};
}

/* A backup that was completed and is damaged now, as a verification would have marked it:
 * it and the disks that are, of which the error names the first. */
static void
mark_damaged(struct cat_backup *row, struct cat_backup_disk *disks, const bool *bad,
             const struct err *why)
{
    const char *as_its_point_says = row->verification;

    for (size_t i = row->n_disks; i > 0; i--) {
        disks[i - 1].verification =
            bad[i - 1] ? verification_to_str(VERIFICATION_FAILED) : as_its_point_says;
        if (bad[i - 1])
            row->error_disk = disks[i - 1].disk_index;
    }
    row->verification = verification_to_str(VERIFICATION_FAILED);
    row->readback = NULL;
    row->verified_us = time_utc_us();
    row->error_code = why->code;
    row->error_phase = "importing";
    row->error_message = why->msg;
}

/* @damage of class 0: none; else it is about the disks that @bad says. */
static int
insert_backup(struct import *im, const struct point *p, const bool *bad,
              const struct err *damage, struct err *err)
{
    CLEANUP_FREE struct cat_backup_disk *disks = xcalloc(p->n_disks, sizeof *disks);
    CLEANUP_FREE struct roots *roots = xcalloc(p->n_disks, sizeof *roots);
    CLEANUP_FREE char *not_protected =
        p->not_protected ? json_line(p->not_protected) : NULL;
    struct cat_backup row = {
        .job_id = p->job_id,
        .backup_id = p->backup_id,
        .vm_id = p->vm_uuid,
        .vm_name = p->vm_name,
        .repository_id = im->repo_id,
        .node_id = DEFAULT_NODE,
        .backup_type = backup_type_to_str(p->type),
        .state = "completed",
        .current_phase = "completed",
        .verification = verification_to_str(p->verification),
        .readback = p->readback == READBACK_NONE ? NULL : readback_to_str(p->readback),
        .verified_us = p->verification == VERIFICATION_VERIFIED ? p->completed_us : 0,
        .seq = p->seq,
        .attempt = 1,
        .point_id = p->point_id,
        .requested_by = "import",
        .created_us = p->created_us,
        .started_us = p->started_us,
        .completed_us = p->completed_us,
        .error_disk = -1,
        .not_protected = not_protected,
        .disks = disks,
        .n_disks = p->n_disks};

    for (size_t i = 0; i < p->n_disks; i++)
        fill_disk(p, i, &roots[i], &disks[i]);
    if (damage->class != 0)
        mark_damaged(&row, disks, bad, damage);
    return cat_backup_insert(im->env->catalog, &row, err);
}

static int
tell_damage(struct import *im, const struct point *p, const struct err *damage,
            struct err *err)
{
    struct cat_event e = {.severity = "error",
                          .type = "verification.failed",
                          .code = damage->code,
                          .message = damage->msg,
                          .job_id = p->job_id,
                          .backup_id = p->backup_id,
                          .vm_id = p->vm_uuid};

    return damage->class == 0 ? 0 : bus_emit(im->env, &e, err);
}

static int
read_point(struct import *im, const char *name, struct point *ret, struct err *err)
{
    CLEANUP_FREE char *expected = NULL;

    if (point_files_read(im->repo, name, ret, err) < 0)
        return err->class;
    expected = point_files_name(ret->vm_uuid, ret->seq);
    if (strcmp(expected, name) != 0)
        return err_set(err, ERR_CORRUPT, "point_corrupt",
                       "the point says that it belongs at '%s'", expected);
    return 0;
}

/* 1 = imported, as damaged when *ret_damage has a class; 0 = known already. */
static int
import_point(struct import *im, const char *name, struct err *ret_damage, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    CLEANUP_POINT struct point p = {0};
    CLEANUP_FREE bool *bad = NULL;
    struct cat_backup known = {0};

    if (read_point(im, name, &p, err) < 0)
        return err->class;
    if (cat_backup_get_by_job(im->env->catalog, p.job_id, &known, err) >= 0) {
        cat_backup_done(&known);
        return 0;
    }
    if (err->class != ERR_NOT_FOUND)
        return err->class;
    err_clear(err);
    bad = xcalloc(p.n_disks, sizeof *bad);
    if (find_damage(im, &p, bad, ret_damage, err) < 0)
        return err->class;
    if (catalog_tx_begin(im->env->catalog, &tx, err) < 0 || ensure_vm(im, &p, err) < 0 ||
        insert_backup(im, &p, bad, ret_damage, err) < 0 ||
        tell_damage(im, &p, ret_damage, err) < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    if (ret_damage->class != 0)
        err_prefix(ret_damage, "taken as damaged, '%s'", p.backup_id);
    return 1;
}

static void
import_one(struct import *im, const char *name)
{
    struct err why = ERR_INIT, damage = ERR_INIT;
    int r = import_point(im, name, &damage, &why);

    if (r < 0)
        refuse(im, name, false, &why);
    else if (r == 0)
        im->report->known++;
    else if (damage.class != 0)
        refuse(im, name, true, &damage);
    else
        im->report->imported++;
}

int
import_repository(struct job_env *env, const char *repo_id, const char *actor,
                  struct import_report *ret, struct err *err)
{
    struct import im = {.env = env, .repo_id = repo_id, .report = ret};
    struct cat_event e = {.severity = "info",
                          .type = "repository.imported",
                          .message = "points of the repository read into the catalog",
                          .actor = actor};
    int r;

    *ret = (struct import_report){0};
    if (repo_set_get(env, repo_id, &im.repo, err) < 0)
        return err->class;
    r = merge_settle_found(env, im.repo, err);
    if (r >= 0)
        r = repo_list_points(im.repo, collect, &im, err);
    if (im.n)
        qsort(im.names, im.n, sizeof *im.names, by_name);
    for (size_t i = 0; i < im.n; i++) {
        if (r >= 0) {
            ret->found++;
            import_one(&im, im.names[i]);
        }
        free(im.names[i]);
    }
    free(im.names);
    return r < 0 ? r : bus_emit(env, &e, err);
}

void
import_report_done(struct import_report *r)
{
    for (size_t i = 0; i < r->n_refused; i++) {
        free(r->refused[i].file);
        free(r->refused[i].message);
    }
    free(r->refused);
    *r = (struct import_report){0};
}
