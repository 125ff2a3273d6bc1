/* tests/func/incr_rig_priv.h - shared by the files of the rig. */
#ifndef SENDENSE_TESTS_INCR_RIG_PRIV_H
#define SENDENSE_TESTS_INCR_RIG_PRIV_H

#include "incr_rig.h"

#define INCR_STEP_S 120 /* no step of a backup takes longer */

/* Fails the test when @r says so. */
void incr_check(int r, const struct err *err);
/* The file of a disk, as the guest has it now. */
void incr_raw_path(const struct incr *w, const struct incr_disk *d, char out[RIG_TEXT]);
/* The plain copy of a disk as of a point. */
void incr_copy_path(const struct incr *w, uint32_t key, uint32_t seq, char out[RIG_TEXT]);

#endif
