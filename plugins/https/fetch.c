/* https/fetch.c - see fetch.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "exchange.h"

#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 5000
#define REFUSALS_MAX 3u
#define RENEWAL_PAUSE_MS 50
#define TROUBLE_EVERY_NS (5 * NS_PER_S)
#define URL_TO_TELL 300 /* bytes of a URL in a message */

struct fetch_pool {
    struct fetch_options opt; /* fixed */
    struct fetch_handle *handles;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t given_back;
    struct fetch_handle **idle; /* a stack: the one used last has a connection */
    unsigned n_idle;
    bool asked;
    uint32_t asked_for; /* the generation that was refused */
    uint64_t told_ns;   /* when on_trouble was last called; 0 = never */
};

int
fetch_pool_new(const struct fetch_options *opt, struct fetch_pool **ret, struct err *err)
{
    struct fetch_pool *p;
    int flags = fcntl(opt->renew_fd, F_GETFL), r = 0;

    /* Never wait for a reader: a full pipe asks already. */
    if (flags < 0 || fcntl(opt->renew_fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_errno(err, errno, NULL, "the descriptor for renewals");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, ERR_INTERNAL, NULL, "libcurl does not start");
    p = xcalloc(1, sizeof(*p));
    p->opt = *opt;
    p->handles = xcalloc(opt->connections, sizeof(*p->handles));
    p->idle = xcalloc(opt->connections, sizeof(struct fetch_handle *));
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->given_back, NULL);
    for (unsigned i = 0; r == 0 && i < opt->connections; i++) {
        r = fetch_handle_init(&p->handles[i], &p->opt, err);
        p->idle[p->n_idle++] = &p->handles[i];
    }
    if (r < 0) {
        fetch_pool_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

void
fetch_pool_free(struct fetch_pool *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->opt.connections; i++)
        fetch_handle_done(&p->handles[i]);
    free(p->handles);
    free(p->idle);
    pthread_cond_destroy(&p->given_back);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static struct fetch_handle *
take_handle(struct fetch_pool *p)
{
    LOCK_SCOPE(&p->lock);

    /* Bounded: whoever has one gives up at its own deadline. */
    while (p->n_idle == 0)
        pthread_cond_wait(&p->given_back, &p->lock);
    return p->idle[--p->n_idle];
}

static void
give_back(struct fetch_pool *p, struct fetch_handle *h)
{
    LOCK_SCOPE(&p->lock);

    p->idle[p->n_idle++] = h;
    pthread_cond_signal(&p->given_back);
}

static enum fetch_outcome
try_once(struct fetch_pool *p, struct fetch_file *file, uint64_t offset, size_t length,
         void *buf, uint32_t *ret_generation, struct err *err)
{
    char cookie[COOKIE_TEXT_MAX + 1];
    struct fetch_handle *h;
    enum fetch_outcome outcome;

    err_clear(err);
    if (cookie_box_read(p->opt.cookie, cookie, ret_generation, err) < 0)
        return err->class == ERR_TIMEOUT ? FETCH_AGAIN : FETCH_FAILED;
    h = take_handle(p);
    outcome = fetch_exchange(h, &p->opt, cookie, file, offset, length, buf, err);
    give_back(p, h);
    explicit_bzero(cookie, sizeof(cookie));
    return outcome;
}

/* One byte for each cookie that is refused, whoever finds out first. */
static void
ask_for_renewal(struct fetch_pool *p, uint32_t generation)
{
    LOCK_SCOPE(&p->lock);

    if (p->asked && p->asked_for == generation)
        return;
    p->asked = true;
    p->asked_for = generation;
    while (write(p->opt.renew_fd, "r", 1) < 0 && errno == EINTR)
        ;
}

static int
stopped(struct err *err)
{
    return err_set(err, ERR_CANCELLED, NULL, "nobody waits for it any more");
}

static int
await_renewal(struct fetch_pool *p, uint32_t generation, uint64_t deadline_ns,
              struct err *err)
{
    ask_for_renewal(p, generation);
    while (cookie_box_generation(p->opt.cookie) == generation) {
        if (time_mono_ns() >= deadline_ns)
            return err_prefix(err, "the session was not renewed within %u s",
                              p->opt.retry_s);
        if (fetch_pause(&p->opt, RENEWAL_PAUSE_MS))
            return stopped(err);
    }
    return 0;
}

/* After @attempt that failed (from 0); @err says why. */
static int
pause_before_next(struct fetch_pool *p, unsigned attempt, uint64_t deadline_ns,
                  struct err *err)
{
    int ms = attempt < 6 ? FIRST_PAUSE_MS << attempt : LONGEST_PAUSE_MS;
    int left = time_left_ms(deadline_ns);

    if (left == 0)
        return err_prefix(err, "given up after %u s", p->opt.retry_s);
    if (ms > LONGEST_PAUSE_MS)
        ms = LONGEST_PAUSE_MS;
    return fetch_pause(&p->opt, ms < left ? ms : left) ? stopped(err) : 0;
}

static bool
may_tell(struct fetch_pool *p)
{
    uint64_t now = time_mono_ns();
    LOCK_SCOPE(&p->lock);

    if (!p->opt.on_trouble || (p->told_ns && now < p->told_ns + TROUBLE_EVERY_NS))
        return false;
    p->told_ns = now;
    return true;
}

/* What fails now may fail until the end: whoever reads the log shall not wait for it. */
static void
tell(struct fetch_pool *p, const struct fetch_file *file, uint64_t offset,
     const struct err *err)
{
    CLEANUP_FREE char *text = NULL;

    if (!may_tell(p))
        return;
    text = xasprintf("'%.*s' at %" PRIu64 ": %s; trying again", URL_TO_TELL, file->url,
                     offset, err->msg);
    p->opt.on_trouble(text);
}

static int
read_piece(struct fetch_pool *p, struct fetch_file *file, uint64_t offset, size_t length,
           void *buf, struct err *err)
{
    uint64_t deadline = time_mono_ns() + p->opt.retry_s * NS_PER_S;
    unsigned refusals = 0;

    for (unsigned attempt = 0;; attempt++) {
        uint32_t generation = 0;
        int r = 0;

        switch (try_once(p, file, offset, length, buf, &generation, err)) {
        case FETCH_DONE:
            return 0;
        case FETCH_RENEW:
            /* A session that was just found alive, or made, and is refused as well: it is
             * the file that is not given out. */
            tell(p, file, offset, err);
            r = ++refusals == REFUSALS_MAX
                    ? err_prefix(err, "the file is refused to a session that is alive")
                    : await_renewal(p, generation, deadline, err);
            /* A new cookie is used at once; one after the other refused is a fault. */
            if (r < 0 || attempt == 0)
                break;
            __attribute__((fallthrough));
        case FETCH_AGAIN:
            tell(p, file, offset, err);
            r = pause_before_next(p, attempt, deadline, err);
            break;
        case FETCH_FAILED:
            r = err->class;
            break;
        }
        if (r < 0)
            return err_prefix(err, "read '%.*s' bytes %" PRIu64 "-%" PRIu64, URL_TO_TELL,
                              file->url, offset, offset + length - 1);
    }
}

int
fetch_read(struct fetch_pool *p, struct fetch_file *file, uint64_t offset, size_t length,
           void *buf, struct err *err)
{
    while (length > 0) {
        size_t n = length < FETCH_MAX ? length : FETCH_MAX;
        int r = read_piece(p, file, offset, n, buf, err);

        if (r < 0)
            return r;
        offset += n;
        length -= n;
        buf = (char *)buf + n;
    }
    return 0;
}
