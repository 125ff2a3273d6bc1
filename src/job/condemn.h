/* job/condemn.h - what a damaged layer means for the backups that need it.     Layer 3.
 * Blocking.
 *
 * Chains are per disk, and so is damage: it counts for the disk that the layer is of, in
 * each backup that needs the layer.  A backup is `failed` when one of its disks is. */
#ifndef SENDENSE_JOB_CONDEMN_H
#define SENDENSE_JOB_CONDEMN_H

#include <stdbool.h>

#include "base/err.h"
#include "base/text.h"
#include "job/chain.h"
#include "job/env.h"
#include "model/naming.h"
#include "model/point.h"

/* Reads the whole manifest: is it what was committed?  False also when that cannot be
 * told (an error of reading); *why then tells. */
bool condemn_is_damaged(const struct chain_layer *l, struct err *why);

/* The layer @layer_id was found damaged (read from @readback, NULL = not known): its disk
 * is `failed` from now on in the backup that made it, and so it is in every one that
 * stands on it, with the error "parent_damaged" that names the layer.  @ret_backup_id
 * gets the maker;
 * "" when no completed backup has the layer, and then nothing is changed. */
int condemn_layer(const struct job_env *env, const char *layer_id, const char *readback,
                  char ret_backup_id[NAMING_BACKUP_ID_SIZE], struct err *err);

/* For a backup that has just become `completed`: a layer that it stands on may have been
 * condemned while it ran.  Then that disk is as all others above the layer, and *ret is
 * true. */
int condemn_if_below(const struct job_env *env, const struct point *p, bool *ret,
                     struct err *err);

#endif
