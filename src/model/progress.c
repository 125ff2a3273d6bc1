/* model/progress.c - see progress.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "model/progress.h"

/* A step in the rate shows to 63 % after this long: calm for the eye, quick enough to
 * trust. */
#define TAU_NS (5.0 * (double)NS_PER_S)
/* Clients report once a second; silence counts only after two reports are missing. */
#define GRACE_NS (2 * NS_PER_S)

struct rate {
    double per_ns;
    bool known;
};

struct disk {
    uint32_t key;
    bool started; /* the first update came: last_ns is set */
    struct byte_counters c;
    uint64_t last_ns;              /* the end of the last measured interval, and */
    uint64_t last_read, last_done; /* what had been counted by then */
    struct rate read, done;
};

struct progress {
    size_t n;
    struct disk *disks;
    bool started;
};

struct progress *
progress_new(void)
{
    return xcalloc(1, sizeof(struct progress));
}

void
progress_free(struct progress *p)
{
    if (!p)
        return;
    free(p->disks);
    free(p);
}

void
cleanup_progress(struct progress **p)
{
    progress_free(*p);
}

static struct disk *
find(const struct progress *p, uint32_t key)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->disks[i].key == key)
            return &p->disks[i];
    return NULL;
}

void
progress_add_disk(struct progress *p, uint32_t key, uint64_t total_bytes)
{
    if (p->started || find(p, key))
        return;
    p->disks = xreallocarray(p->disks, p->n + 1, sizeof(*p->disks));
    p->disks[p->n++] = (struct disk){.key = key, .c.total = total_bytes};
}

static void
rise(uint64_t *held, uint64_t v)
{
    if (v > *held)
        *held = v;
}

/* First-order low pass; the weight of an interval follows its length, so that irregular
 * reports do not matter. */
static void
rate_add(struct rate *r, uint64_t bytes, uint64_t dt_ns)
{
    double dt = (double)dt_ns, now = (double)bytes / dt;

    r->per_ns = r->known ? r->per_ns + (now - r->per_ns) * (dt / (TAU_NS + dt)) : now;
    r->known = true;
}

void
progress_raise_total(struct progress *p, uint32_t key, uint64_t total_bytes)
{
    struct disk *d = find(p, key);

    if (d)
        rise(&d->c.total, total_bytes);
}

/* Ends an interval.  One of no length has no rate: its bytes belong to the next one. */
static void
measure(struct disk *d, uint64_t now_ns)
{
    if (d->started && now_ns <= d->last_ns)
        return;
    if (d->started) {
        rate_add(&d->read, d->c.read - d->last_read, now_ns - d->last_ns);
        rate_add(&d->done, d->c.done - d->last_done, now_ns - d->last_ns);
    }
    d->started = true;
    d->last_ns = now_ns;
    d->last_read = d->c.read;
    d->last_done = d->c.done;
}

bool
progress_update(struct progress *p, uint32_t key, const struct byte_counters *c,
                uint64_t now_ns)
{
    struct disk *d = find(p, key);

    if (!d)
        return false;
    p->started = true;
    rise(&d->c.done, c->done < d->c.total ? c->done : d->c.total);
    rise(&d->c.read, c->read);
    rise(&d->c.sent, c->sent);
    rise(&d->c.zero, c->zero);
    rise(&d->c.skipped, c->skipped);
    rise(&d->c.audit, c->audit);
    measure(d, now_ns);
    return true;
}

/* The rate at @now_ns: a disk that is silent for longer than the grace period fades out;
 * one that is done has none. */
static double
rate_at(const struct disk *d, const struct rate *r, uint64_t now_ns)
{
    double silent;

    if (!r->known || d->c.done == d->c.total)
        return 0;
    if (now_ns <= d->last_ns + GRACE_NS)
        return r->per_ns;
    silent = (double)(now_ns - d->last_ns - GRACE_NS);
    return r->per_ns * (TAU_NS / (TAU_NS + silent));
}

static void
finish_view(struct progress_view *v, double read_per_ns, double done_per_ns)
{
    const uint64_t left = v->bytes.total - v->bytes.done;
    double eta_s;

    v->percent_x10 =
        v->bytes.total
            ? (unsigned)((unsigned __int128)v->bytes.done * 1000 / v->bytes.total)
            : 0;
    v->rate_bytes_per_s = (uint64_t)(read_per_ns * (double)NS_PER_S + 0.5);
    if (left == 0) {
        v->eta_s = v->bytes.total ? 0 : PROGRESS_ETA_UNKNOWN;
        return;
    }
    eta_s = done_per_ns > 0 ? (double)left / done_per_ns / (double)NS_PER_S : 1e18;
    v->eta_s = eta_s < 1e12 ? (uint64_t)eta_s + 1 : PROGRESS_ETA_UNKNOWN;
}

static void
add_disk_view(const struct disk *d, uint64_t now_ns, struct byte_counters *sum,
              double *read, double *done)
{
    sum->total += d->c.total;
    sum->done += d->c.done;
    sum->read += d->c.read;
    sum->sent += d->c.sent;
    sum->zero += d->c.zero;
    sum->skipped += d->c.skipped;
    sum->audit += d->c.audit;
    *read += rate_at(d, &d->read, now_ns);
    *done += rate_at(d, &d->done, now_ns);
}

void
progress_view(const struct progress *p, uint64_t now_ns, struct progress_view *ret)
{
    double read = 0, done = 0;

    *ret = (struct progress_view){0};
    for (size_t i = 0; i < p->n; i++)
        add_disk_view(&p->disks[i], now_ns, &ret->bytes, &read, &done);
    finish_view(ret, read, done);
}

bool
progress_view_disk(const struct progress *p, uint32_t key, uint64_t now_ns,
                   struct progress_view *ret)
{
    const struct disk *d = find(p, key);
    double read = 0, done = 0;

    if (!d)
        return false;
    *ret = (struct progress_view){0};
    add_disk_view(d, now_ns, &ret->bytes, &read, &done);
    finish_view(ret, read, done);
    return true;
}
