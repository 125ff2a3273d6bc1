#include "job/point_files.h"

#include <string.h>

#include "base/buf.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "model/merge_note.h"
#include "model/naming.h"
#include "store/group_roots.h"
#include "store/layer.h"

char *
point_files_name(const char *vm_uuid, int64_t seq)
{
    char number[NAMING_SEQ_SIZE];

    naming_seq((uint32_t)seq, number);
    return xasprintf("vms/%s/points/%s.json", vm_uuid, number);
}

/* 1 = @d is now what its merge made of it. */
static int
apply_merged(struct repo *repo, struct point_disk *d, struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s.merged", d->locator);
    CLEANUP_BUF struct buf b = BUF_INIT(MERGE_NOTE_MAX);
    struct merged_layer m;

    if (repo_get(repo, name, &b, err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
        return 0;
    }
    if (merged_layer_decode(b.data ? b.data : "", b.len, &m, err) >= 0 &&
        strcmp(m.layer_id, d->layer_id) != 0)
        err_set(err, ERR_CORRUPT, NULL, "it is of another layer");
    if (err->class != 0) {
        if (err->class == ERR_CORRUPT)
            err_recode(err, "point_corrupt");
        return err_prefix(err, "'%s'", name);
    }
    memcpy(d->parent_layer_id, m.parent_layer_id, sizeof d->parent_layer_id);
    memcpy(d->layer_root, m.layer_root, sizeof d->layer_root);
    d->records = m.records;
    return 1;
}

static int
apply_all_merged(struct repo *repo, struct point *p, struct err *err)
{
    bool any = false, full = true;

    for (size_t i = 0; i < p->n_disks; i++) {
        int r = apply_merged(repo, &p->disks[i], err);

        if (r < 0)
            return r;
        any = any || r > 0;
        full = full && !p->disks[i].parent_layer_id[0];
    }
    if (any)
        p->type = full ? BACKUP_FULL : BACKUP_INCREMENTAL;
    return 0;
}

int
point_files_read(struct repo *repo, const char *name, struct point *ret, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(POINT_FILE_MAX);
    CLEANUP_POINT struct point p = {.seq = 0};

    if (repo_get(repo, name, &b, err) < 0) {
        if (err->class == ERR_NOT_FOUND)
            err_recode(err, "point_missing");
        return err->class;
    }
    if (point_decode_text(b.data ? b.data : "", b.len, &p, err) < 0 ||
        apply_all_merged(repo, &p, err) < 0)
        return err_prefix(err, "point '%s'", name);
    *ret = p;
    p = (struct point){.seq = 0};
    return 0;
}

int
point_files_remove_disk(struct repo *repo, const char *locator, struct err *err)
{
    CLEANUP_FREE char *manifest = xasprintf("%s.manifest", locator);
    CLEANUP_FREE char *part = xasprintf("%s.manifest.part", locator);
    CLEANUP_FREE char *roots = xasprintf("%s" GROUP_ROOTS_SUFFIX, locator);
    CLEANUP_FREE char *merged = xasprintf("%s.merged", locator);
    CLEANUP_FREE char *dir = xstrdup(locator);
    struct err ignored = ERR_INIT;

    if (repo_remove(repo, part, true, err) < 0 ||
        repo_remove(repo, roots, true, err) < 0 ||
        repo_remove(repo, manifest, true, err) < 0 ||
        repo_remove(repo, merged, true, err) < 0 || layer_remove(repo, locator, err) < 0)
        return err_prefix(err, "remove the files of '%s'", locator);
    *strrchr(dir, '/') = '\0';
    /* Fails while the disk has other backups, as it should. */
    repo_remove_dir(repo, dir, &ignored);
    return 0;
}

int
point_files_remove(struct repo *repo, const struct cat_backup *row, struct err *err)
{
    CLEANUP_FREE char *name = point_files_name(row->vm_id, row->seq);
    CLEANUP_FREE char *dir = xasprintf("vms/%s/points", row->vm_id);
    struct err ignored = ERR_INIT;

    if (FAILPOINT_ERR(DELETE_BEGUN, err) < 0 || repo_remove(repo, name, true, err) < 0)
        return err_prefix(err, "remove point '%s'", name);
    FAILPOINT(DELETE_POINT_REMOVED);
    for (size_t i = 0; i < row->n_disks; i++)
        if (point_files_remove_disk(repo, row->disks[i].locator, err) < 0)
            return err->class;
    FAILPOINT(DELETE_FILES_REMOVED);
    repo_remove_dir(repo, dir, &ignored);
    return 0;
}
