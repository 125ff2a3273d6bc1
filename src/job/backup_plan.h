/* job/backup_plan.h - what each disk of a backup stands on, and how it is read. Layer 3.
 * Blocking: reads headers and trailers of the chain, whatever the size of the disks.
 *
 * The parent is the tip of the disk's chain in the repository, and only that: so a layer
 * has one child at most.  A tip that is not verified, or whose chain is not what its
 * restore points say, is not stood on; the disk is then backed up in full.  One that the
 * VM's last backup does not have is stood on, and compared. */
#ifndef SENDENSE_JOB_BACKUP_PLAN_H
#define SENDENSE_JOB_BACKUP_PLAN_H

#include <stdbool.h>

#include "base/err.h"
#include "catalog/cat_vm.h"
#include "job/env.h"
#include "model/naming.h"
#include "model/plan.h"
#include "store/repo.h"

/* Texts are "" where there is no parent. */
struct disk_plan {
    struct plan_result how;
    char parent_layer_id[UUID_STR_SIZE];
    char *pinned; /* the parent's backup, as long as the plan or its job lives; or NULL */
    struct err damage; /* why the tip cannot be stood on; class 0 = it was not looked at,
                          or can */
};
void disk_plan_done(struct disk_plan *p); /* unpins; zeroes */

struct plan_question {
    const struct job_env *env;
    struct repo *repo;
    const char *repository_id;
    const struct cat_vm *vm;
    struct plan_wish wish;
};

/* @d is one of the VM's disks as the source shows it now.  Damage of the chain is an
 * answer; ERR_IO, ERR_UNAVAILABLE when it could not be read; ERR_EXISTS "backup_in_use"
 * while the tip is being deleted, also by a deletion that recovery has still to finish.
 */
int backup_plan_disk(const struct plan_question *q, const struct cat_vm_disk *d,
                     struct disk_plan *ret, struct err *err);

#endif
