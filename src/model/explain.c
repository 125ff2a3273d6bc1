/* model/explain.c - see explain.h. */
#include "model/explain.h"

#include "base/cleanup.h"

static const char *const modes[READ_MODE_COUNT] = {
    [READ_ALL] = "The whole disk was read, and a full was stored.",
    [READ_CHANGED] = "Only what the platform reported as changed was read, and what "
                     "differs from the parent was stored.",
    [READ_COMPARE] = "All that may hold data was read and compared with the parent; only "
                     "what differs was stored."};

static const char *const reasons[REASON_COUNT] = {
    [REASON_NONE] = "The platform tracked the changes since the parent, and its report "
                    "could be used.",
    [REASON_NO_PARENT] = "There was no backup of this disk in the repository.",
    [REASON_CHANGE_ID_EMPTY] = "The platform gave no change id for the disk, at this "
                               "backup or at the one before, so it cannot say what "
                               "changed in between.",
    [REASON_CHANGE_ID_UUID_DIFFERS] = "The platform began its tracking anew since the "
                                      "parent: the two change ids belong to different "
                                      "trackings.",
    [REASON_SERVER_FAULT] = "The platform was asked for the changed areas and answered "
                            "with an error.",
    [REASON_DISK_UUID_DIFFERS] = "Another disk is at this place now than at the backup "
                                 "before.",
    [REASON_CAPACITY_CHANGED] = "The size of the disk changed since the parent.",
    [REASON_DATASTORE_CHANGED] = "The disk was moved to another datastore, where its "
                                 "tracking began anew.",
    [REASON_SNAPSHOT_LEFT] =
        "The snapshot of an earlier backup still stood on the VM: what the platform "
        "reports as changed since it is not complete then.",
    [REASON_VM_REVERTED] =
        "The VM went back to a snapshot since the parent, which change "
        "tracking does not survive.",
    [REASON_HISTORY_UNKNOWN] =
        "It is not certain that the disk is what it was at the parent and what was "
        "written since: it was not in the last backup of the VM, its identity or its "
        "files at the parent are not known, it runs on other files now, or the VM had a "
        "snapshot then that it may have gone back to.",
    [REASON_CBT_OFF] = "Nothing tracks changes of this disk: change tracking is off, or "
                       "its source has no such thing.",
    [REASON_PARENT_DAMAGED] = "The newest backup of this disk, or one that it stands on, "
                              "is damaged or was not verified; nothing is built on it.",
    [REASON_AUDIT_MISMATCH] = "Samples of what the source called unchanged or empty were "
                              "read, and at least one of them was not: the source's "
                              "report was not used.",
    [REASON_CHAIN_TOO_LONG] = "The chain of layers had reached its greatest length.",
    [REASON_USER_REQUEST] = "A full was asked for."};

static const char *const advice[REASON_COUNT] = {
    [REASON_NONE] = "",
    [REASON_NO_PARENT] = "",
    [REASON_CHANGE_ID_EMPTY] = "With change tracking on (ctkEnabled for the VM and the "
                               "disk) and no snapshot that is older than that, the next "
                               "one reads only what changed.",
    [REASON_CHANGE_ID_UUID_DIFFERS] = "",
    [REASON_SERVER_FAULT] = "If it happens again, look at the log of this backup for "
                            "what the platform said; switching change tracking off and "
                            "on again mends most of it.",
    [REASON_DISK_UUID_DIFFERS] = "",
    [REASON_CAPACITY_CHANGED] = "",
    [REASON_DATASTORE_CHANGED] = "",
    [REASON_SNAPSHOT_LEFT] =
        "The node goes on removing that snapshot; its log says what is in the way.",
    [REASON_VM_REVERTED] = "",
    [REASON_HISTORY_UNKNOWN] = "When it comes with every backup, delete the VM's "
                               "snapshots: one that stands has each disk read whole.",
    [REASON_CBT_OFF] =
        "A VM of a vCenter reads only what changed once change tracking is "
        "on; any other source is always compared.",
    [REASON_PARENT_DAMAGED] = "`sendense backup verify --chain` of the newest backup "
                              "tells which layer it is. The next backups stand on this "
                              "full.",
    [REASON_AUDIT_MISMATCH] = "Switch change tracking off and on again, and see whether "
                              "the platform has a known fault; until then each backup "
                              "is audited and falls back by itself.",
    [REASON_CHAIN_TOO_LONG] = "",
    [REASON_USER_REQUEST] = "Without `--type full` the hub chooses the cheapest way that "
                            "is safe."};

static const char *
get(const char *const *texts, size_t n, unsigned i)
{
    return i < n && texts[i] ? texts[i] : "";
}

const char *
explain_mode(enum read_mode mode)
{
    return get(modes, ARRAY_LEN(modes), (unsigned)mode);
}

const char *
explain_reason(enum reason reason)
{
    return get(reasons, ARRAY_LEN(reasons), (unsigned)reason);
}

const char *
explain_advice(enum reason reason)
{
    return get(advice, ARRAY_LEN(advice), (unsigned)reason);
}
