/* model/plan.h - how each disk of a backup is read, and why.              Layer 1.  Pure.
 *
 * Chains are per disk, so is the plan.  READ_ALL makes a full; READ_CHANGED and
 * READ_COMPARE make a layer on the parent.  Same disk with unusable tracking: compare.
 * Another disk, a parent that cannot be stood on, no parent, or a user who asked: all.
 *
 * Two stages: plan_disk() is what the hub knows before the snapshot; plan_refine() what
 * the client knows once it has the snapshot and the server's answers.  The second never
 * makes a full of an incremental (its layer exists by then); what would need one fails
 * the job, and the next run starts anew. */
#ifndef SENDENSE_MODEL_PLAN_H
#define SENDENSE_MODEL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/jobstate.h"

#define PLAN_CHAIN_MAX_DEFAULT 64u

/* The tip of this disk's chain in the repository.  Texts: NULL is as good as "". */
struct plan_parent {
    bool exists;
    bool damaged; /* a verification failed, or a file of the chain is missing */
    bool apart;   /* not of the VM's last backup: the disk was elsewhere in between */
    uint64_t size_bytes;
    const char *source_uuid; /* what the source called the disk; "" = nothing */
    const char *datastore;   /* "" = unknown */
    const char *change_id;   /* "" = none: tracking was not usable then */
    uint32_t chain_length;   /* layers; 1 = a full */
};

/* The disk as the source shows it before the snapshot. */
struct plan_source {
    bool can_track;   /* this kind of source knows changed areas at all */
    bool tracking_on; /* the VM has change tracking enabled now */
    uint64_t size_bytes;
    const char *source_uuid;
    const char *datastore;
};

struct plan_wish {
    bool full;          /* a user asked for a full */
    uint32_t chain_max; /* layers of a chain; 0 = PLAN_CHAIN_MAX_DEFAULT */
};

struct plan_result {
    enum read_mode mode;
    enum reason reason; /* REASON_NONE exactly for READ_CHANGED */
};

struct plan_result plan_disk(const struct plan_parent *parent,
                             const struct plan_source *source,
                             const struct plan_wish *wish);

/* What the snapshot and the server say. */
struct plan_snapshot {
    uint64_t size_bytes;     /* of the disk in the snapshot */
    const char *source_uuid; /* the same */
    const char *datastore;   /* the same */
    const char *change_id;   /* the same; "" = none */
    bool tracking_off;       /* the VM has it switched off now */
    bool reverted;           /* the VM went back to a snapshot since the parent */
    bool history_unknown;    /* it may have: see plan_history() */
    bool left_behind;        /* a snapshot of an earlier backup still stands: what changed
                                since one must not be asked while it is there */
    bool fault;              /* the question for changed areas failed */
};

/* @planned: by plan_disk() for @source with @parent_change_id (NULL for a full).  @ret
 * is @planned, or READ_COMPARE with its reason where tracking turned out to be unusable.
 * ERR_INVALID "vm_changed" when the snapshot holds another disk or size than planned. */
int plan_refine(const struct plan_result *planned, const struct plan_source *source,
                const char *parent_change_id, const struct plan_snapshot *s,
                struct plan_result *ret, struct err *err);

/* True when both are change ids of one unbroken tracking: the parts before '/' are equal
 * and not empty.  What follows is opaque, but a number that fell means that the disk went
 * back in time; *ret_fell (may be NULL) tells it. */
bool plan_change_ids_match(const char *old_id, const char *new_id, bool *ret_fell);

/* Is the list of changes since the parent all that differs from it?  A VM that ran on no
 * snapshot then can go back only to moments that are younger than the parent: whatever it
 * went through since, it came from there, and what was rolled back is not in the parent.
 * Its disk goes on when the file that was frozen for the parent is the one that is frozen
 * now, or one of those that it stands on; if not, it is on other files (moved, renamed).
 * A VM that ran on a snapshot can have gone back to before the parent, and no name of a
 * file tells that it did not: hosts give the name of a file that is gone to the next one,
 * so that after two reverts, or a revert and other snapshots, all looks as before.  Its
 * disk is compared.  A file that is gone while the snapshot stands names the reason: the
 * VM was reverted. */
struct plan_history {
    const char *parent_file; /* frozen for the parent; "" = unknown */
    const char *parent_on;   /* a snapshot that the VM had then; "" = none at all */
    bool parent_on_stands;   /* the VM has that snapshot now */
    const char *file;        /* frozen now */
    char *const *below;      /* the files that it stands on */
    size_t n_below;
};
enum plan_history_is { HISTORY_GOES_ON, HISTORY_REVERTED, HISTORY_UNKNOWN };
enum plan_history_is plan_history(const struct plan_history *h);

static inline enum backup_type
plan_backup_type(enum read_mode m)
{
    return m == READ_ALL ? BACKUP_FULL : BACKUP_INCREMENTAL;
}

#endif
