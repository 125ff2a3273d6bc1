/* job/doctor_points.c - restore points against their files, and against the catalog. */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_repository.h"
#include "job/chain.h"
#include "job/doctor_priv.h"
#include "job/journal.h"
#include "job/point_check.h"
#include "job/point_files.h"
#include "store/repo.h"

struct points_look {
    struct doctor_look *l;
    const struct cat_repository *row;
    struct repo *repo;
    const char *where;
};

/* ---- a point and its files ---- */

static bool
is_there(struct repo *repo, const char *locator, const char *suffix)
{
    CLEANUP_FREE char *name = xasprintf("%s%s", locator, suffix);
    char path[REPO_PATH_SIZE];
    struct err ignored = ERR_INIT;

    return repo_path(repo, name, path, &ignored) < 0 || access(path, F_OK) == 0;
}

/* True when both files of every disk are there. */
static bool
files_are_there(const struct points_look *pl, const struct point *p)
{
    bool all = true;

    for (size_t i = 0; i < p->n_disks; i++) {
        const struct point_disk *d = &p->disks[i];

        if (!is_there(pl->repo, d->locator, ".qcow2")) {
            doctor_add(&pl->l->found, DOCTOR_LAYER_MISSING, pl->where,
                       "%s.qcow2, disk %u of backup '%s'", d->locator, d->key,
                       p->backup_id);
            all = false;
        }
        if (!is_there(pl->repo, d->locator, ".manifest")) {
            doctor_add(&pl->l->found, DOCTOR_MANIFEST_MISSING, pl->where,
                       "%s.manifest, disk %u of backup '%s'", d->locator, d->key,
                       p->backup_id);
            all = false;
        }
    }
    return all;
}

static int
check_chains(const struct points_look *pl, const struct point *p, struct err *err)
{
    if (point_check_files(pl->repo, p, NULL, err) < 0)
        return err->class;
    for (size_t i = 0; i < p->n_disks; i++) {
        CLEANUP_CHAIN struct chain c = {0};

        if (p->disks[i].parent_layer_id[0] &&
            chain_load(pl->repo, p->disks[i].locator, &c, err) < 0)
            return err_prefix(err, "disk %u", p->disks[i].key);
    }
    return 0;
}

/* ---- a point and its row ---- */

static void
judge_row(const struct points_look *pl, const char *name, const struct point *p)
{
    struct cat_backup row = {0};
    struct err err = ERR_INIT;
    int r = cat_backup_by_seq(pl->l->env->catalog, p->vm_uuid, pl->row->id, p->seq, &row,
                              &err);

    if (r < 0 && err.class != ERR_NOT_FOUND)
        doctor_add(&pl->l->found, DOCTOR_LOOK_FAILED, pl->where, "%s: %s", name, err.msg);
    else if (r < 0)
        doctor_add(&pl->l->found, DOCTOR_POINT_WITHOUT_ROW, pl->where,
                   "%s, backup '%s' of VM '%.200s'", name, p->backup_id, p->vm_name);
    else if (strcmp(row.job_id, p->job_id) != 0)
        doctor_add(&pl->l->found, DOCTOR_POINT_WITHOUT_ROW, pl->where,
                   "%s is of job %s; the catalog has job %s of that number", name,
                   p->job_id, row.job_id);
    else if (strcmp(row.state, "completed") != 0 && !doctor_is_live(pl->l, row.job_id) &&
             strcmp(row.state, "running") != 0 && strcmp(row.state, "pending") != 0)
        doctor_add(&pl->l->found, DOCTOR_POINT_WITHOUT_ROW, pl->where,
                   "%s, backup '%s', which the catalog calls %s", name, p->backup_id,
                   row.state);
    cat_backup_done(&row);
}

static int
judge_point(void *arg, const char *name, enum repo_entry kind, struct err *ignored)
{
    const struct points_look *pl = arg;
    CLEANUP_POINT struct point p = {0};
    struct err err = ERR_INIT;

    if (point_files_read(pl->repo, name, &p, &err) < 0) {
        if (err.class != ERR_NOT_FOUND)
            doctor_add(&pl->l->found, DOCTOR_POINT_UNREADABLE, pl->where, "%s: %s", name,
                       err.msg);
        return 0;
    }
    judge_row(pl, name, &p);
    if (files_are_there(pl, &p) && check_chains(pl, &p, &err) < 0)
        doctor_add(&pl->l->found,
                   err.class == ERR_CORRUPT ? DOCTOR_CHAIN_HEADER : DOCTOR_LOOK_FAILED,
                   pl->where, "backup '%s': %s", p.backup_id, err.msg);
    return 0;
}

/* ---- a row and its point ---- */

static void
judge_completed(const struct points_look *pl, const struct cat_backup *row)
{
    CLEANUP_FREE char *name = point_files_name(row->vm_id, row->seq);
    CLEANUP_FREE char *key = xasprintf("%s:%s", pl->row->id, name);
    char path[REPO_PATH_SIZE];
    struct err err = ERR_INIT;

    if (repo_path(pl->repo, name, path, &err) >= 0 && access(path, F_OK) == 0)
        return;
    if (doctor_in_journal(pl->l, RES_DELETE, key))
        return;
    doctor_add(&pl->l->found, DOCTOR_ROW_WITHOUT_POINT, pl->where, "backup '%s': %s",
               row->backup_id, name);
}

static int
look_at_rows(const struct points_look *pl, struct err *err)
{
    const struct cat_backup_filter filter = {.repository_id = pl->row->id,
                                             .state = "completed"};
    struct cat_page page = {.limit = CATALOG_PAGE_MAX};
    char after[UUID_STR_SIZE] = "";
    bool more = true;

    while (more) {
        struct cat_backups list = {0};

        page.after_id = after[0] ? after : NULL;
        if (cat_backup_list(pl->l->env->catalog, &filter, &page, &list, err) < 0)
            return err->class;
        for (size_t i = 0; i < list.n; i++)
            judge_completed(pl, &list.v[i]);
        more = list.more && list.n > 0;
        if (list.n > 0) {
            page.after_us = list.v[list.n - 1].created_us;
            strncpy(after, list.v[list.n - 1].job_id, sizeof after - 1);
        }
        cat_backups_done(&list);
    }
    return 0;
}

void
doctor_look_points(struct doctor_look *l, const struct cat_repository *row,
                   struct repo *repo, const char *where)
{
    struct points_look pl = {.l = l, .row = row, .repo = repo, .where = where};
    struct err err = ERR_INIT;

    if (repo_list_points(repo, judge_point, &pl, &err) < 0 || look_at_rows(&pl, &err) < 0)
        doctor_add(&l->found, DOCTOR_LOOK_FAILED, where, "restore points: %s", err.msg);
}
