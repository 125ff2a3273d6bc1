/* copy/reservoir.c - see reservoir.h. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "copy/reservoir.h"

/* SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to choose samples. */
static uint64_t
rng_next(struct reservoir *r)
{
    uint64_t z = r->rng += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static double
rng_unit(struct reservoir *r) /* in (0, 1) */
{
    return ((double)(rng_next(r) >> 11) + 0.5) / 9007199254740992.0;
}

void
reservoir_init(struct reservoir *r, uint32_t size, uint64_t seed)
{
    *r = (struct reservoir){.size = size, .rng = seed, .w = 1};
    r->blocks = xcalloc(size ? size : 1, sizeof(*r->blocks));
}

void
reservoir_done(struct reservoir *r)
{
    free(r->blocks);
    *r = (struct reservoir){0};
}

static void
jump(struct reservoir *r)
{
    double skip;

    r->w *= exp(log(rng_unit(r)) / r->size);
    skip = floor(log(rng_unit(r)) / log1p(-r->w));
    /* Past any disk: never taken again. */
    r->next += skip < 1e18 ? (uint64_t)skip + 1 : UINT64_MAX / 2 - r->next;
}

void
reservoir_offer(struct reservoir *r, uint64_t block, uint64_t count)
{
    uint64_t end = r->seen + count;

    if (r->size == 0)
        return;
    for (; r->seen < end && r->n < r->size; r->seen++) {
        r->blocks[r->n++] = block++;
        if (r->n == r->size) {
            r->next = r->seen;
            jump(r);
        }
    }
    while (r->seen < end && r->next < end) {
        r->blocks[rng_next(r) % r->size] = block + (r->next - r->seen);
        jump(r);
    }
    r->seen = end;
}
