/* job/host_queue.h - how many disks are read from one ESXi host at a time.  Layer 3.
 * Jobs of one host enter in the order in which they came; one that has more disks than
 * the limit enters when it is alone.  Thread-safe; in memory: places end with the
 * program.  Does not block. */
#ifndef SENDENSE_JOB_HOST_QUEUE_H
#define SENDENSE_JOB_HOST_QUEUE_H

#include <stdbool.h>

struct host_place;

/* The last place of the queue of @host, for @disks at a time. */
struct host_place *host_queue_join(const char *host, unsigned disks);
/* True once the place may read, and from then on; @max disks at a time, 0 = unlimited. */
bool host_queue_try(struct host_place *p, unsigned max);
void host_queue_leave(struct host_place *p); /* frees; NULL ok */

#endif
