/* tests/contract/worker_rig.h - real layers with real manifests, and a real
 * sendense-worker that is given them.  Failures fail the running cmocka test. */
#ifndef SENDENSE_TESTS_WORKER_RIG_H
#define SENDENSE_TESTS_WORKER_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/jobevent.h"
#include "model/jobspec.h"
#include "nbd_rig.h"
#include "os/pipe_io.h"

#define BLOCK MANIFEST_BLOCK_SIZE
#define WDISK_LAYERS 3

/* One block of a layer: a seed other than 0 = data made from it, 0 = a zero record. */
struct wblock {
    uint64_t block;
    unsigned seed;
    bool not_written; /* recorded, and never written into the image */
};

struct wdisk {
    struct rig *rig;
    uint32_t key;
    uint64_t size;
    char uuid[UUID_STR_SIZE];
    char image[WDISK_LAYERS][RIG_TEXT]; /* names in the rig's folder */
    char manifest[WDISK_LAYERS][RIG_TEXT];
    struct worker_spec_layer layers[WDISK_LAYERS]; /* .manifest points into manifest[] */
    size_t n_layers;
    struct rig_server server;
};

void wdisk_init(struct wdisk *d, struct rig *rig, uint32_t key, uint64_t size);
/* A layer on top of the last one: image written through qemu-nbd, manifest sealed.  @n
 * blocks, ascending. */
void wdisk_layer(struct wdisk *d, const struct wblock *blocks, size_t n);
/* Exports the tip read-only, as the hub does. */
void wdisk_serve(struct wdisk *d);
void wdisk_done(struct wdisk *d);
/* Where block @block of layer @layer is in its file. */
uint64_t wdisk_host_offset(struct wdisk *d, size_t layer, uint64_t block);
void wdisk_image_path(const struct wdisk *d, size_t layer, char out[RIG_TEXT]);
/* qemu-io command on the tip, while nothing serves it. */
void wdisk_qemu_io(struct wdisk *d, const char *command);

void block_fill(unsigned char *p, size_t n, unsigned seed);
void flip_bit(const char *path, uint64_t off);

/* A spec for @n disks that the caller may change before worker_start(). */
struct wspec {
    struct worker_spec spec;
    struct worker_spec_disk disks[4];
};
void wspec_init(struct wspec *s, enum worker_task task, struct wdisk *const *disks,
                size_t n);

#define WRUN_EVENTS 512
struct wrun {
    struct child *child;
    struct line_reader lines;
    struct event_stream stream;
    struct job_event ev[WRUN_EVENTS];
    size_t n;
    int exit_status; /* of wrun_end() */
};

void wrun_start(struct wrun *w, const struct wspec *s);
void wrun_start_text(struct wrun *w, const char *text, size_t n);
void wrun_send(struct wrun *w, const char *text, size_t n);
/* Reads lines until one of @type came. */
const struct job_event *wrun_until(struct wrun *w, enum event_type type);
/* Reads to the end and reaps; every line was checked, the last is the result. */
const struct job_event *wrun_end(struct wrun *w);
void wrun_done(struct wrun *w);

/* The n-th event of @type about disk @key, or NULL. */
const struct job_event *wrun_find(const struct wrun *w, enum event_type type,
                                  uint32_t key, size_t n);
/* Runs @s; the result must be failed, @code and hold @words; exit status 1. */
void wrun_fails(struct wrun *w, const struct wspec *s, const char *code,
                const char *words);
void wrun_succeeds(struct wrun *w, const struct wspec *s);
/* One of the ranges told is exactly this one. */
void wrun_has_range(const struct wrun *w, uint32_t key, uint64_t offset, uint64_t length,
                    enum bad_range reason);
size_t wrun_ranges(const struct wrun *w);

#endif
