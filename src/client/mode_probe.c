/* client/mode_probe.c - are the sources there, and how large are they?  All disks at
 * once; a source that hangs costs its deadline and nobody else's. */
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "client/modes.h"
#include "client/question.h"
#include "model/nodeapi.h"
#include "nbd/nbd_conn.h"

#define PROBE_THREADS_MAX 64u

struct probe {
    const struct probe_request *q;
    struct probe_result *results;
    struct copy_stop *stop;
    pthread_mutex_t lock;
    size_t next; /* under lock */
};

static int
count_data(void *arg, uint64_t off, uint64_t len, uint32_t flags, struct err *err)
{
    uint64_t *total = arg;

    if (!(flags & LIBNBD_STATE_ZERO))
        *total += len;
    return 0;
}

/* How much of the disk may hold data: an upper bound for what a full will read and store.
 */
static int
allocated(struct nbd_conn *c, uint64_t *ret, struct err *err)
{
    const struct nbd_conn_info *info = nbd_conn_info(c);

    *ret = info->has_map ? 0 : info->size_bytes;
    return info->has_map ? nbd_conn_extents(c, NBD_CONTEXT_MAP, 0, info->size_bytes,
                                            count_data, ret, err)
                         : 0;
}

static void
probe_disk(const struct probe *p, size_t i)
{
    struct probe_result *res = &p->results[i];
    struct nbd_conn_opts o = {.uri = p->q->disks[i].source_url,
                              .connect_s = p->q->deadlines.connect_s,
                              .io_s = p->q->deadlines.io_s,
                              .want_map = true,
                              .cancel_fd = copy_stop_fd(p->stop)};
    CLEANUP_NBD_CONN struct nbd_conn *c = NULL;
    struct err err = ERR_INIT;

    res->key = p->q->disks[i].key;
    if (nbd_conn_open(&o, &c, &err) == 0 && nbd_conn_info(c)->size_bytes == 0)
        err_set(&err, ERR_INVALID, "source_empty", "the source has no bytes");
    if (err.class == 0)
        allocated(c, &res->allocated_bytes, &err);
    if (err.class < 0) {
        res->code = xstrdup(err.class == ERR_INVALID ? err.code : "source_unreachable");
        res->message = xstrdup(err.msg);
        return;
    }
    res->ok = true;
    res->size_bytes = nbd_conn_info(c)->size_bytes;
}

static void *
probe_thread(void *arg)
{
    struct probe *p = arg;

    for (;;) {
        size_t i;

        pthread_mutex_lock(&p->lock);
        i = p->next++;
        pthread_mutex_unlock(&p->lock);
        if (i >= p->q->n_disks)
            return NULL;
        probe_disk(p, i);
    }
}

static void
probe_all(struct probe *p)
{
    size_t n = p->q->n_disks < PROBE_THREADS_MAX ? p->q->n_disks : PROBE_THREADS_MAX;
    CLEANUP_FREE pthread_t *threads = xcalloc(n, sizeof(*threads));
    size_t started = 0;

    pthread_mutex_init(&p->lock, NULL);
    while (started + 1 < n &&
           pthread_create(&threads[started], NULL, probe_thread, p) == 0)
        started++;
    probe_thread(p); /* this one too, so no lack of threads can leave a disk unanswered */
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&p->lock);
}

static int
answer(const json_t *question, struct control *c, json_t **ret, struct err *err)
{
    CLEANUP_PROBE_REQUEST struct probe_request q = {0};
    CLEANUP_PROBE_ANSWER struct probe_answer a = {0};
    struct probe p = {.q = &q, .stop = c->stop};

    if (probe_request_decode(question, &q, err) < 0)
        return err->class;
    a.disks = xcalloc(q.n_disks, sizeof(*a.disks));
    a.n_disks = q.n_disks;
    p.results = a.disks;
    probe_all(&p);
    *ret = probe_answer_encode(&a);
    return 0;
}

int
mode_probe(int signal_fd)
{
    return question_run(signal_fd, "probe", answer);
}
