/* job/pins.h - who uses a backup now.                                       Layer 3.
 * Readers (verify, restore) pin it and may be many; a deletion claims it alone, and so
 * does a merge with all that it touches.  So a
 * backup that is read is never deleted, and one that is being deleted is not read.
 * Thread-safe; in memory: readers and deletions end with the program. */
#ifndef SENDENSE_JOB_PINS_H
#define SENDENSE_JOB_PINS_H

#include "base/err.h"

/* ERR_EXISTS "backup_in_use", "merge_running". */
int pins_pin(const char *backup_id, struct err *err);
void pins_unpin(const char *backup_id);
int pins_claim(const char *backup_id, struct err *err); /* ERR_EXISTS "backup_in_use" */
/* For a merge: until it is unclaimed pins_pin() says "merge_running", which passes by
 * itself. */
int pins_claim_merge(const char *backup_id, struct err *err);
void pins_unclaim(const char *backup_id);

#endif
