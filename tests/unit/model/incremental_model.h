/* tests/unit/model/incremental_model.h - the VM, its disks and their chains as
 * test_incremental.c keeps them in memory. */
#ifndef SENDENSE_TESTS_INCREMENTAL_MODEL_H
#define SENDENSE_TESTS_INCREMENTAL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "model/manifest.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_SIZE)
#define UNITS 16u /* 4 KiB each */
#define UNIT (BLOCK / UNITS)
#define BLOCKS_MAX 96u
#define UNITS_MAX (BLOCKS_MAX * UNITS)
#define DISKS_MAX 3
#define STEPS 14
#define LAYERS_MAX 8u
#define CHAIN_MAX 5u
#define SNAPSHOTS_MAX 3
#define POINTS_MAX (STEPS * DISKS_MAX)

struct content { /* of one block */
    uint16_t unit[UNITS];
};

struct layer {
    struct manifest_record recs[BLOCKS_MAX];
    size_t n;
    uint64_t size;
};

/* What the repository holds of one disk: the chain that is built on. */
struct chain_model {
    struct layer layers[LAYERS_MAX];
    size_t n;
    char source_uuid[16], datastore[8], change_id[32];
    char file[16], on[16]; /* frozen for the newest layer, and on which snapshot */
    bool damaged;
};

struct disk {
    bool present;
    char uuid[16], datastore[8];
    uint64_t units;
    struct content now[BLOCKS_MAX];
    /* change tracking */
    bool tracking;
    unsigned tracking_uuid, epoch, changed_at[UNITS_MAX];
    uint64_t granularity; /* bytes */
    bool lies;            /* forgets some of what changed */
    bool reverted;
    bool apart; /* a backup of the others was made without it */
    /* snapshots of somebody else, the oldest first: numbers, and the files made on them
     * (0 is the base, never among them); what the disk was at the oldest */
    unsigned snapshots[SNAPSHOTS_MAX], files[SNAPSHOTS_MAX];
    size_t n_snapshots;
    struct content then[BLOCKS_MAX];
    unsigned then_changed_at[UNITS_MAX];
    bool left_behind; /* the snapshot of the backup before stands: writes are forgotten */
    struct chain_model chain;
};

/* A restore point of one disk, to be checked when it is made and once more at the end of
 * its chain. */
struct point {
    size_t disk, layers; /* so many of its chain, from the base */
    uint64_t units;
    struct content is[BLOCKS_MAX];
};

struct vm {
    uint64_t rng;
    struct disk disks[DISKS_MAX];
    struct point points[POINTS_MAX];
    size_t n_points;
    unsigned serial;
};

/* incremental_guest.c */
extern struct vm vm;
uint64_t pick(uint64_t n); /* below @n, from the VM's seed */
uint64_t size_of(const struct disk *d);
void add_disk(struct disk *d);
void something_happens(struct disk *d);
/* Of a disk that the VM does not have when the others are backed up. */
void is_elsewhere(struct disk *d);

#endif
