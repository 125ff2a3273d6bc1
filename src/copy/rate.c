/* copy/rate.c - see rate.h. */
#include "base/cleanup.h"
#include "base/timeutil.h"
#include "copy/rate.h"

#define BURST_MS 100 /* what an idle bucket may hold */
#define WAIT_MAX_MS 1000

void
copy_rate_init(struct copy_rate *r, uint64_t bytes_per_s, uint64_t now_ns)
{
    *r = (struct copy_rate){.bytes_per_s = bytes_per_s, .last_ns = now_ns};
    pthread_mutex_init(&r->lock, NULL);
}

void
copy_rate_done(struct copy_rate *r)
{
    pthread_mutex_destroy(&r->lock);
}

static void
refill_locked(struct copy_rate *r, uint64_t now_ns)
{
    uint64_t ns = now_ns > r->last_ns ? now_ns - r->last_ns : 0;
    int64_t burst = (int64_t)(r->bytes_per_s / (1000 / BURST_MS)) + 1;
    double more = (double)ns / (double)NS_PER_S * (double)r->bytes_per_s;

    if (more < 1)
        return; /* keep the fraction for the next time */
    r->last_ns = now_ns;
    if (more > 1e15)
        more = 1e15;
    r->tokens += (int64_t)more;
    if (r->tokens > burst)
        r->tokens = burst;
}

unsigned
copy_rate_wait_ms(struct copy_rate *r, uint64_t now_ns)
{
    uint64_t ms;

    if (r->bytes_per_s == 0)
        return 0;
    LOCK_SCOPE(&r->lock);
    refill_locked(r, now_ns);
    if (r->tokens >= 0)
        return 0;
    ms = (uint64_t)((double)-r->tokens / (double)r->bytes_per_s * 1000) + 1;
    return ms < WAIT_MAX_MS ? (unsigned)ms : WAIT_MAX_MS;
}

void
copy_rate_take(struct copy_rate *r, uint64_t bytes)
{
    if (r->bytes_per_s == 0)
        return;
    LOCK_SCOPE(&r->lock);
    r->tokens -= (int64_t)bytes;
}
