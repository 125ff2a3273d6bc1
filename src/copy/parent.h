/* copy/parent.h - asks the hub what a disk's parent holds.                Layer 2.
 * Blocking.  GET of protocol.md section 5 with bounded retries.  One thread at a time.
 *
 * Errors: those of the hub, "hub_unavailable" (ERR_UNAVAILABLE), "hub_protocol"
 * (ERR_PROTOCOL: an answer with gaps, or about other blocks). */
#ifndef SENDENSE_COPY_PARENT_H
#define SENDENSE_COPY_PARENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "copy/stop.h"
#include "model/delta.h"
#include "model/jobspec.h"

#define PARENT_ASK_MAX 1024u /* blocks in one list or sample */

struct copy_parent;

/* Keeps @spec and @stop.  spec->hub_url is not NULL. */
int copy_parent_new(const struct job_spec *spec, uint32_t key, struct copy_stop *stop,
                    struct copy_parent **ret, struct err *err);
void copy_parent_free(struct copy_parent *p); /* NULL ok */

/* What the parent holds in [@block, @block + @n): @ret[0..n-1].  @n 1 to
 * DELTA_PAGE_BLOCKS. */
int copy_parent_range(struct copy_parent *p, uint64_t block, uint32_t n,
                      struct delta_block *ret, struct err *err);
/* The same for each of @blocks (ascending, 1..PARENT_ASK_MAX). */
int copy_parent_list(struct copy_parent *p, const uint64_t *blocks, size_t n,
                     struct delta_block *ret, struct err *err);
/* At most @n (1..PARENT_ASK_MAX) blocks that hold data, chosen by the hub; ascending. */
int copy_parent_sample(struct copy_parent *p, size_t n, uint64_t seed,
                       uint64_t *ret_blocks, struct delta_block *ret, size_t *ret_n,
                       struct err *err);

#endif
