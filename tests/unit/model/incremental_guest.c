/* tests/unit/model/incremental_guest.c - what happens to the VM of test_incremental.c,
 * and to each of its disks. */
#include <stdio.h>
#include <string.h>

#include "incremental_model.h"
#include "model_test.h"

struct vm vm;

uint64_t
pick(uint64_t n)
{
    return rnd(&vm.rng) % n;
}

uint64_t
size_of(const struct disk *d)
{
    return d->units * UNIT;
}

static void
guest_write(struct disk *d)
{
    uint64_t at = pick(d->units), n = 1 + pick(pick(3) ? 6 : 60);
    bool zero = pick(3) == 0;
    uint16_t same = (uint16_t)(1 + pick(4)); /* often what was there before */

    for (uint64_t u = at; u < d->units && u < at + n; u++) {
        d->now[u / UNITS].unit[u % UNITS] = zero ? 0 : same;
        d->changed_at[u] = d->epoch;
    }
}

static void
reset_tracking(struct disk *d)
{
    d->tracking_uuid = ++vm.serial;
    d->epoch = 1;
    memset(d->changed_at, 0, sizeof(d->changed_at));
}

void
add_disk(struct disk *d)
{
    memset(d, 0, sizeof(*d));
    d->present = true;
    d->units = 1 + pick(pick(2) ? UNITS_MAX / 2 : 3 * UNITS);
    d->tracking = pick(8) != 0;
    d->granularity = BLOCK << pick(5);
    d->lies = pick(10) == 0;
    snprintf(d->uuid, sizeof(d->uuid), "u%u", ++vm.serial);
    snprintf(d->datastore, sizeof(d->datastore), "ds1");
    reset_tracking(d);
}

/* The chain of a disk that is replaced at its place stays: the plan must not build on
 * it. */
static void
replace_disk(struct disk *d)
{
    struct chain_model chain = d->chain;

    add_disk(d);
    d->chain = chain;
}

static void
grow(struct disk *d)
{
    uint64_t before = d->units;

    d->n_snapshots = 0; /* none grows that has one */
    d->units += pick(2) ? pick(UNITS) : pick(UNITS_MAX);
    if (d->units > UNITS_MAX)
        d->units = UNITS_MAX;
    for (uint64_t u = before; u < d->units; u++)
        d->changed_at[u] = 0; /* platforms forget to tell */
}

/* The disk goes back in time, and so does the number of its change id. */
static void
revert(struct disk *d)
{
    for (uint64_t u = 0; u < d->units; u++)
        if (pick(6) == 0)
            d->now[u / UNITS].unit[u % UNITS] = (uint16_t)pick(3);
    if (d->epoch > 1 && pick(2))
        d->epoch--;
    else
        d->reverted = true;
}

/* As hosts do: the lowest number that no file of the disk has. */
static unsigned
free_file(const struct disk *d)
{
    unsigned file = 1;

    for (size_t i = 0; i < d->n_snapshots; i++)
        if (d->files[i] == file) {
            file++;
            i = (size_t)-1;
        }
    return file;
}

static void
take_snapshot(struct disk *d)
{
    const unsigned file = free_file(d);

    if (d->n_snapshots == SNAPSHOTS_MAX)
        return;
    if (d->n_snapshots == 0) {
        memcpy(d->then, d->now, sizeof(d->then));
        memcpy(d->then_changed_at, d->changed_at, sizeof(d->changed_at));
    }
    d->files[d->n_snapshots] = file;
    d->snapshots[d->n_snapshots++] = ++vm.serial;
}

/* To the oldest, and the others are deleted, so that the names of their files are free
 * again.  The number of the change id goes on, and what the tracking knew at the snapshot
 * is all that it knows. */
static void
go_back(struct disk *d)
{
    d->files[0] = free_file(d);
    d->n_snapshots = 1;
    memcpy(d->now, d->then, sizeof(d->now));
    memcpy(d->changed_at, d->then_changed_at, sizeof(d->changed_at));
}

static void
snapshot_of_others(struct disk *d)
{
    const uint64_t what = d->n_snapshots ? pick(5) : 0;

    if (what < 2)
        take_snapshot(d);
    else if (what < 4)
        go_back(d);
    else
        d->n_snapshots = pick(d->n_snapshots); /* the newest of them are merged */
}

/* Nothing tells what somebody else does to a disk that the VM does not have. */
void
is_elsewhere(struct disk *d)
{
    d->apart = d->chain.n > 0;
    for (uint64_t u = 0; u < d->units; u++)
        if (pick(2))
            d->changed_at[u] = 0;
}

void
something_happens(struct disk *d)
{
    switch (pick(26)) {
    case 0:
        reset_tracking(d);
        break;
    case 1:
        d->tracking = !d->tracking;
        if (d->tracking)
            reset_tracking(d);
        break;
    case 2:
        grow(d);
        break;
    case 3:
        replace_disk(d);
        break;
    case 4:
        snprintf(d->datastore, sizeof(d->datastore), "ds%llu",
                 (unsigned long long)(1 + pick(3)));
        break;
    case 5:
        revert(d);
        break;
    case 6:
        d->chain.damaged = d->chain.n > 0;
        break;
    case 7:
        d->present = !d->present;
        break;
    case 8:
        d->left_behind = d->chain.n > 0;
        break;
    case 9:
    case 10:
    case 11:
        for (uint64_t n = 1 + pick(4); n > 0; n--)
            snapshot_of_others(d);
        break;
    default:
        break;
    }
    for (uint64_t n = pick(5); n > 0; n--)
        guest_write(d);
    for (uint64_t u = 0; d->left_behind && u < d->units; u++)
        if (pick(2))
            d->changed_at[u] = 0;
}
