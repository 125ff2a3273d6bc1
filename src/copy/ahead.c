/* copy/ahead.c - see ahead.h. */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "copy/ahead.h"

struct copy_ahead {
    /* fixed */
    struct copy_ahead_opts o;
    struct delta_run whole;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Pages go free -> ready -> taken -> free; a page belongs to who holds it. */
    struct ahead_page page[2];
    /* under lock */
    uint64_t fetched, taken; /* how many pages; page i is page[i % 2] */
    uint64_t given_back;
    bool ended, quit;
    struct err failure;
};

int
copy_ahead_new(const struct copy_ahead_opts *o, struct copy_ahead **ret, struct err *err)
{
    struct copy_ahead *a = xcalloc(1, sizeof(*a));

    a->o = *o;
    a->whole = (struct delta_run){o->start, o->blocks};
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    for (size_t i = 0; i < ARRAY_LEN(a->page); i++) {
        a->page[i].blocks = calloc(DELTA_PAGE_BLOCKS, sizeof(*a->page[i].blocks));
        if (!a->page[i].blocks) {
            copy_ahead_free(a);
            return err_set(err, ERR_LIMIT, NULL, "no memory for what the parent holds");
        }
    }
    *ret = a;
    return 0;
}

void
copy_ahead_free(struct copy_ahead *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < ARRAY_LEN(a->page); i++)
        free(a->page[i].blocks);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* The page to fill next; NULL when the thread is to end. */
static struct ahead_page *
wait_free(struct copy_ahead *a)
{
    LOCK_SCOPE(&a->lock);

    while (!a->quit && a->fetched - a->given_back == ARRAY_LEN(a->page))
        pthread_cond_wait(&a->changed, &a->lock);
    return a->quit ? NULL : &a->page[a->fetched % ARRAY_LEN(a->page)];
}

static void
tell(struct copy_ahead *a, bool ended, const struct err *failure)
{
    pthread_mutex_lock(&a->lock);
    if (ended)
        a->ended = true;
    else if (failure)
        a->failure = *failure;
    else
        a->fetched++;
    pthread_mutex_unlock(&a->lock);
    a->o.wake(a->o.arg);
}

static void *
ahead_main(void *arg)
{
    struct copy_ahead *a = arg;
    const struct delta_run *runs = a->o.runs ? a->o.runs : &a->whole;
    size_t n = a->o.runs ? a->o.n_runs : a->whole.start < a->whole.end;
    struct delta_at at = {0};
    struct delta_run want;
    struct err err = ERR_INIT;

    while (delta_page(runs, n, &at, &want)) {
        struct ahead_page *p = wait_free(a);

        if (!p)
            return NULL;
        p->first = want.start;
        p->n = (uint32_t)(want.end - want.start);
        if (copy_parent_range(a->o.parent, p->first, p->n, p->blocks, &err) < 0) {
            tell(a, false, &err);
            return NULL;
        }
        tell(a, false, NULL);
    }
    tell(a, true, NULL);
    return NULL;
}

int
copy_ahead_start(struct copy_ahead *a, struct err *err)
{
    int e = pthread_create(&a->thread, NULL, ahead_main, a);

    if (e != 0)
        return err_errno(err, e, NULL, "start a thread");
    a->started = true;
    return 0;
}

void
copy_ahead_stop(struct copy_ahead *a)
{
    if (!a || !a->started)
        return;
    pthread_mutex_lock(&a->lock);
    a->quit = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    a->started = false;
}

int
copy_ahead_take(struct copy_ahead *a, const struct ahead_page **ret, struct err *err)
{
    LOCK_SCOPE(&a->lock);

    if (a->given_back < a->taken) {
        a->given_back = a->taken;
        pthread_cond_broadcast(&a->changed);
    }
    if (a->taken < a->fetched) {
        *ret = &a->page[a->taken++ % ARRAY_LEN(a->page)];
        return AHEAD_PAGE;
    }
    if (a->failure.class != 0) {
        *err = a->failure;
        return err->class;
    }
    return a->ended ? AHEAD_END : AHEAD_NOT_YET;
}
