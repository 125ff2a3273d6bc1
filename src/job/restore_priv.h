/* job/restore_priv.h - between the files of a restore job only.             Layer 3. */
#ifndef SENDENSE_JOB_RESTORE_PRIV_H
#define SENDENSE_JOB_RESTORE_PRIV_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "job/chain.h"
#include "job/joblog.h"
#include "job/live.h"
#include "job/reader.h"
#include "job/restore.h"
#include "job/stored.h"
#include "store/image.h"

/* Everything here belongs to the job's thread. */
struct restore_job {
    struct job_env *env;
    char id[UUID_STR_SIZE];
    struct stored stored;
    size_t disk;        /* index in the backup */
    struct chain chain; /* its layers; loaded by the thread */
    char *target, *part;
    const char *format;               /* as asked for; static */
    const struct image_format *image; /* NULL = a copy of the chain, in a folder */
    bool force, resume, salvage;
    bool resuming; /* part was there and is gone on with */
    bool made;     /* part is there and is ours */
    bool renamed;  /* the whole target has its final name */
    struct live_job *live;
    struct joblog *log;
    const char *phase;
    struct reader_export writer; /* exports part, or a copied layer */
    int64_t res_target;
    json_t *bad;    /* array of bad ranges */
    struct err why; /* of the end; class 0 = completed */
};

void restore_set_phase(struct restore_job *j, const char *phase);

/* The journal knows j->part as ours, and which file it is: so recovery tells a target
 * that was renamed from one that was there before. */
int restore_hold_target(struct restore_job *j, struct err *err);

/* An export of @path of ours on a private socket, journalled, in j->writer. */
struct restore_image {
    const char *path;
    const char *format; /* qemu's driver */
    uint64_t size_bytes;
    bool read_only;
    bool allocation_depth;
};
int restore_open_image(struct restore_job *j, const struct restore_image *image,
                       struct err *err);
int restore_close_image(struct restore_job *j, struct err *err);

/* One worker over one disk, with what is common filled in; bad ranges go to j->bad. */
int restore_run_worker(struct restore_job *j, enum worker_task task,
                       struct verify_disk *d, struct err *err);

/* restore_make.c: j->part of a single file, written, compared, durable. */
int restore_make_image(struct restore_job *j, struct err *err);
/* restore_chain.c: the same of a folder of layers. */
int restore_make_chain(struct restore_job *j, struct err *err);

#endif
