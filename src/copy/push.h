/* copy/push.h - manifest records on their way to the hub.                 Layer 2.
 * Blocking. PUT of protocol.md section 5 with bounded retries.  A repeat is harmless, so
 * anything that may pass by itself is tried again.  One thread at a time. */
#ifndef SENDENSE_COPY_PUSH_H
#define SENDENSE_COPY_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "copy/stop.h"
#include "model/jobspec.h"

struct copy_push;

struct push_answer {
    uint64_t records; /* how many the hub has now */
    bool has_root;
    uint8_t root[MANIFEST_HASH_SIZE];
};

/* Keeps @spec and @stop.  spec->hub_url is not NULL.  @first: how many records the hub
 * has from earlier attempts. */
int copy_push_new(const struct job_spec *spec, uint32_t key, uint64_t first,
                  struct copy_stop *stop, struct copy_push **ret, struct err *err);
void copy_push_free(struct copy_push *p);

struct push_part {
    uint64_t checkpoint; /* its number */
    const uint8_t *records;
    size_t n; /* the next ones; may be 0 */
    uint64_t
        block; /* all blocks below were dealt with, at least up to the records' end */
    bool final;
};

/* Sends one part.  When the hub has lost the one before (409 manifest_gap), that is sent
 * again first; an older gap fails. */
int copy_push_send(struct copy_push *p, const struct push_part *part,
                   struct push_answer *ret, struct err *err);

#endif
