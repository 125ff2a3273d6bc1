/* tests/func/incr_rig_priv.h - shared by the files of the rig. */
#ifndef SENDENSE_TESTS_INCR_RIG_PRIV_H
#define SENDENSE_TESTS_INCR_RIG_PRIV_H

#include "incr_rig.h"
#include "job/manifest_in.h"
#include "store/export.h"

#define INCR_STEP_S 120 /* no step of a backup takes longer */

/* One backup on its way. */
struct run {
    struct incr *w;
    char job_id[UUID_STR_SIZE], token[TOKEN_STR_SIZE];
    struct live_job *live;
    struct manifest_in *manifests;
    struct export *export[INCR_DISKS];
    struct rig_server source[INCR_DISKS];
    struct chain below[INCR_DISKS];
    struct job_spec spec;
    struct point point;
    bool ended, ok, retryable, cut;
};

/* All attempts of a backup copy in one of two ways; r->ended and r->ok say how it went.
 */
void incr_copy_here(struct run *r);
void incr_copy_by_client(struct run *r);

/* Fails the test when @r says so. */
void incr_check(int r, const struct err *err);
/* The file of a disk, as the guest has it now. */
void incr_raw_path(const struct incr *w, const struct incr_disk *d, char out[RIG_TEXT]);
/* The plain copy of a disk as of a point. */
void incr_copy_path(const struct incr *w, uint32_t key, uint32_t seq, char out[RIG_TEXT]);

#endif
