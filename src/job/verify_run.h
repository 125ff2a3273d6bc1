/* job/verify_run.h - reads layers back through a worker and compares.       Layer 3.
 * Blocking. Used by the backup job (before it may say `completed`) and by verification
 * jobs. */
#ifndef SENDENSE_JOB_VERIFY_RUN_H
#define SENDENSE_JOB_VERIFY_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "job/chain.h"
#include "job/env.h"
#include "job/joblog.h"
#include "job/live.h"
#include "job/reader.h"
#include "model/jobspec.h"
#include "model/manifest.h"

#define VERIFY_BAD_RANGES_MAX 100u

struct verify_disk {
    /* in */
    uint32_t key;
    const char *disk_uuid;
    uint64_t size_bytes;
    const char *locator;
    const char *layer_id;
    uint8_t layer_root[MANIFEST_HASH_SIZE];
    const struct chain *below; /* the layers that it stands on; NULL or empty = a full */
    bool is_new; /* made by this job: of the layers below only what it touched is read */
    bool has_content_root;
    uint8_t content_root[MANIFEST_HASH_SIZE]; /* out when !has_content_root */
    const char *target;                       /* restore: NBD URI to copy to; else NULL */
    bool resume; /* the target holds what an earlier try wrote */
    /* What is read: NULL = the layer, through an export of its own; else this URI. */
    const char *source;
    struct byte_counters before; /* of earlier rounds: added to what is shown */
    /* verify: of what a merge made.  NULL = the layer's own manifest; all blocks. */
    const char *manifest, *delta;
    /* out */
    bool direct; /* what was read came from the medium */
    bool done;
    bool damaged;        /* a layer of it is, from the one of this number on, */
    size_t damaged_from; /* 0 = the base: its moments cannot be had */
    struct byte_counters bytes;
    /* private */
    bool unreadable; /* no reader could be opened, for damage */
    struct reader_export reader;
};

struct bad_range_item {
    uint32_t key;
    char locator[NAMING_LOCATOR_SIZE]; /* of the layer that was verified */
    uint64_t offset, length;
    enum bad_range reason;
};

struct verify_run {
    const struct job_env *env;
    const char *job_id;
    uint32_t attempt;
    enum worker_task task;
    struct repo *repo;
    struct live_job *live;
    struct joblog *log;
    struct verify_disk *disks;
    size_t n;
    const struct spec_limits *limits;
    bool salvage;
    /* called for each bad range, also beyond those that are kept; NULL = not */
    void (*on_bad)(void *arg, const struct bad_range_item *bad);
    void *arg;
    /* out */
    struct bad_range_item bad[VERIFY_BAD_RANGES_MAX];
    size_t n_bad;
    bool has_disk;
    uint32_t disk; /* the one that failed */
};

/* Opens the readers, runs the worker, closes the readers.  ERR_CORRUPT
 * "verification_failed".  A WORKER_VERIFY looks at every disk whatever is wrong with the
 * others: the first damaged one gives the error, all of it is in @v->bad, in the log and
 * in the disks' `damaged`. */
int verify_run(struct verify_run *v, struct err *err);

/* Verifies what every layer of every disk wrote, base first: as verify_run() at each of
 * their moments.  Damage in one layer does not end it.  For WORKER_VERIFY only. */
int verify_run_chains(struct verify_run *v, struct err *err);

/* JSON array of the bad ranges, "[]" when none; caller frees. */
char *verify_bad_ranges_text(const struct verify_run *v);

#endif
