/* job/host_queue.c - see host_queue.h. */
#include "job/host_queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"

struct host_place {
    char *host;
    unsigned disks;
    bool inside;
    struct host_place *next; /* came later */
};

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static struct host_place *queue_head; /* under queue_lock; of all hosts */

struct host_place *
host_queue_join(const char *host, unsigned disks)
{
    struct host_place *p = xcalloc(1, sizeof *p), **last;

    p->host = xstrdup(host);
    p->disks = disks;
    LOCK_SCOPE(&queue_lock);
    for (last = &queue_head; *last; last = &(*last)->next)
        ;
    *last = p;
    return p;
}

bool
host_queue_try(struct host_place *p, unsigned max)
{
    unsigned reading = 0;

    LOCK_SCOPE(&queue_lock);
    if (p->inside)
        return true;
    for (struct host_place *q = queue_head; q; q = q->next) {
        if (strcmp(q->host, p->host) != 0)
            continue;
        if (q->inside)
            reading += q->disks;
        else if (q != p && max > 0)
            return false; /* it was here before */
        else if (q == p)
            break;
    }
    /* Nobody behind p is inside: they wait for p. */
    p->inside = max == 0 || reading == 0 || reading + p->disks <= max;
    return p->inside;
}

void
host_queue_leave(struct host_place *p)
{
    if (!p)
        return;
    LOCK_SCOPE(&queue_lock);
    for (struct host_place **at = &queue_head; *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    free(p->host);
    free(p);
}
