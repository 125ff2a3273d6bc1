/* tests/func/incr_rig.h - a VM whose disks change, and backups of it: a real repository,
 * qemu-nbd, nbdkit, the hub's own handlers of the internal API, and either the real
 * client (compare) or the copy engine in this process (changed).  Of every point a plain
 * copy of each disk is kept: what a restore must give, byte by byte.  Failures fail the
 * running cmocka test. */
#ifndef SENDENSE_TESTS_INCR_RIG_H
#define SENDENSE_TESTS_INCR_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/api.h"
#include "copy/copy.h"
#include "job/chain.h"
#include "job/live.h"
#include "model/point.h"
#include "nbd_rig.h"
#include "store/repo.h"

#define INCR_DISKS 3
#define INCR_POINTS 40

/* One disk of the guest, its file DIR/KEY.raw, and what changed since the last point. */
struct incr_disk {
    uint32_t key;
    char uuid[UUID_STR_SIZE];
    uint64_t size;
    bool *dirty; /* blocks that the guest wrote since the last point; malloc'ed */
    uint64_t blocks;
    char tip[NAMING_LOCATOR_SIZE]; /* "" = no backup yet */
    char tip_layer_id[UUID_STR_SIZE];
    /* of the next backup */
    enum read_mode read;
    enum reason reason;
    struct delta_area *areas; /* changed: what the tracking reports */
    size_t n_areas;
    /* of the last backup, as its events told */
    enum read_mode told_mode;
    enum reason told_reason;
    uint64_t sampled, bad;
    struct byte_counters bytes;
    unsigned warnings;
    char warning[64];
    uint64_t records;
};

struct incr {
    struct rig rig;
    struct repo *repo;
    struct job_env env;
    struct api api;
    struct http_server *server;
    char *url;
    char vm_uuid[UUID_STR_SIZE];
    uint32_t seq; /* of the last backup */
    struct incr_disk disks[INCR_DISKS];
    size_t n;
    const char *const *filters; /* of nbdkit, before the plugin; or NULL */
    uint32_t audit_samples;
    struct spec_limits limits;
    /* With cut_percent, each disk's qemu-nbd is killed when so much of the first disk is
     * safe with the hub (cut_early: copied); another attempt goes on with what was
     * flushed.  checkpoint_ms as in copy.h. */
    unsigned cut_percent, checkpoint_ms;
    bool cut_early;
    struct incr_cut {
        unsigned attempts;
        struct resume_checkpoint from[INCR_DISKS]; /* of the last attempt */
        uint64_t read[INCR_DISKS];                 /* by the last attempt */
        struct err why;                            /* of the first */
    } cut;
    struct err err; /* of a backup that failed */
    pthread_mutex_t lock;
};

void incr_init(struct incr *w);
void incr_done(struct incr *w);

struct incr_disk *incr_add_disk(struct incr *w, uint32_t key, uint64_t size);
/* The guest writes @n bytes at @off: random data of @seed, or zeroes for 0 (@punch: by a
 * hole). */
void incr_write(struct incr *w, struct incr_disk *d, uint64_t off, uint64_t n,
                unsigned seed, bool punch);
void incr_grow(struct incr *w, struct incr_disk *d, uint64_t size);

/* One backup of all disks as their members say, READ_CHANGED in this process, else by the
 * real client.  0, or < 0 with w->err and nothing left of it.  On success the point
 * exists, each layer was verified by the real worker, and the plain copies are made. */
int incr_backup(struct incr *w, bool in_process);
void incr_backup_ok(struct incr *w, bool in_process);

/* Restores disk @i as of point @seq with the worker and with qemu-img, and compares both
 * with the plain copy. */
void incr_check_restore(struct incr *w, uint32_t seq, size_t i);
/* The image of disk @i as of point @seq, as any qemu reads it, against the plain copy:
 * the cheap one. */
void incr_check_image(struct incr *w, uint32_t seq, size_t i);
/* Verifies every layer of every chain. */
void incr_check_chains(struct incr *w);
/* The same, or of the tips alone, when it may fail: 0 or < 0. */
int incr_verify(struct incr *w, bool chains, struct err *err);
/* Changes 512 bytes of a layer behind everybody's back. */
void incr_damage(struct incr *w, const char *locator, uint64_t off);

#endif
