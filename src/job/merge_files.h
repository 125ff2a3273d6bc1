/* job/merge_files.h - a layer merged into its child: the files of one disk.  Layer 3.
 * Blocking.  docs/design/repository.md 5 has the steps; every state that a crash may
 * leave is understood from the folder alone. */
#ifndef SENDENSE_JOB_MERGE_FILES_H
#define SENDENSE_JOB_MERGE_FILES_H

#include <stdint.h>

#include "base/err.h"
#include "job/env.h"
#include "job/joblog.h"
#include "job/live.h"
#include "model/merge_note.h"
#include "model/naming.h"
#include "store/repo.h"

/* ERR_UNAVAILABLE "merge_unfinished" when a merge that is not done concerns layer
 * @locator. */
int merge_check_free(struct repo *repo, const char *locator, struct err *err);

/* Of disk folder @dir ("vms/VM_UUID/disks/DISK_UUID").  ERR_NOT_FOUND when no merge is at
 * work there, ERR_CORRUPT "merge_corrupt". */
int merge_note_read(struct repo *repo, const char *dir, struct merge_note *ret,
                    struct err *err);

struct merge_files {
    const struct job_env *env;
    const char *job_id; /* of the live job that does it */
    struct repo *repo;
    struct live_job *live;
    struct joblog *log;
    uint32_t key; /* the disk, for progress */
    struct merge_note note;
    char dir[NAMING_LOCATOR_SIZE];
    char parent[NAMING_LOCATOR_SIZE], child[NAMING_LOCATOR_SIZE]; /* locators */
    int64_t res_program;                                          /* journal entry */
};

/* Fills the names in, from @note and the VM's and the disk's uuid. */
void merge_files_init(struct merge_files *m, const char *vm_uuid, const char *disk_uuid);

/* Steps 2 and 3: the note, then what the layer will be.  Layers stay as they are. */
int merge_files_prepare(struct merge_files *m, struct err *err);
/* Undoes those, done or half done, in folder @dir.  Only while the parent's point is
 * there. */
int merge_files_take_back(struct repo *repo, const char *dir, struct err *err);
/* Steps 5 to 7; begins wherever an earlier try ended.  ERR_CANCELLED, ERR_NO_SPACE
 * "repo_full", ERR_CORRUPT "verification_failed", as layer_merge(): it may be tried
 * again. */
int merge_files_finish(struct merge_files *m, struct err *err);

#endif
