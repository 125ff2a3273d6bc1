/* job/pins.h - who uses a backup now.                                       Layer 3.
 * Readers (verify, restore) pin it and may be many; a deletion claims it alone.  So a
 * backup that is read is never deleted, and one that is being deleted is not read.
 * Thread-safe; in memory: readers and deletions end with the program. */
#ifndef SENDENSE_JOB_PINS_H
#define SENDENSE_JOB_PINS_H

#include "base/err.h"

int pins_pin(const char *backup_id, struct err *err); /* ERR_EXISTS "backup_in_use" */
void pins_unpin(const char *backup_id);
int pins_claim(const char *backup_id, struct err *err); /* ERR_EXISTS "backup_in_use" */
void pins_unclaim(const char *backup_id);

#endif
