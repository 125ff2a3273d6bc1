/* worker/findings.c - see findings.h. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/manifest.h"
#include "worker/findings.h"

void
findings_init(struct findings *f)
{
    *f = (struct findings){0};
    pthread_mutex_init(&f->lock, NULL);
}

void
findings_done(struct findings *f)
{
    free(f->v);
    pthread_mutex_destroy(&f->lock);
}

/* True when the new range continues the last one. */
static bool
extend_last_locked(struct findings *f, uint64_t offset, uint64_t length,
                   enum bad_range reason)
{
    struct finding *last = f->n ? &f->v[f->n - 1] : NULL;

    if (!last || last->reason != reason || last->offset + last->length != offset)
        return false;
    last->length += length;
    return true;
}

/* A block that is not there differs, of course: told once is enough. */
static bool
told_locked(const struct findings *f, uint64_t offset, uint64_t length,
            enum bad_range reason)
{
    for (size_t i = 0; reason == BAD_MISMATCH && i < f->n; i++)
        if (f->v[i].reason == BAD_MISSING && f->v[i].offset <= offset &&
            f->v[i].offset + f->v[i].length >= offset + length)
            return true;
    return false;
}

void
findings_add(struct findings *f, uint64_t offset, uint64_t length, enum bad_range reason)
{
    LOCK_SCOPE(&f->lock);
    if (told_locked(f, offset, length, reason))
        return;
    f->blocks += (length + MANIFEST_BLOCK_SIZE - 1) / MANIFEST_BLOCK_SIZE;
    if (reason == BAD_READ_ERROR)
        f->read_errors++;
    if (extend_last_locked(f, offset, length, reason))
        return;
    if (f->n == FINDINGS_KEPT) {
        f->overflow = true;
        return;
    }
    if (!f->v)
        f->v = xcalloc(FINDINGS_KEPT, sizeof *f->v);
    f->v[f->n++] = (struct finding){.offset = offset, .length = length, .reason = reason};
}

bool
findings_any(struct findings *f)
{
    LOCK_SCOPE(&f->lock);
    return f->n > 0;
}

size_t
findings_read_errors(struct findings *f)
{
    LOCK_SCOPE(&f->lock);
    return f->read_errors;
}

static int
by_place(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    /* That the whole disk is concerned says more than its first block. */
    if (x->length != y->length)
        return x->length > y->length ? -1 : 1;
    return (int)x->reason - (int)y->reason;
}

static void
join_locked(struct findings *f)
{
    size_t n = 0;

    qsort(f->v, f->n, sizeof *f->v, by_place);
    for (size_t i = 0; i < f->n; i++) {
        struct finding *last = n ? &f->v[n - 1] : NULL;

        if (last && last->reason == f->v[i].reason &&
            last->offset + last->length == f->v[i].offset)
            last->length += f->v[i].length;
        else
            f->v[n++] = f->v[i];
    }
    f->n = n;
}

int
findings_report(struct findings *f, uint32_t key, size_t max,
                void (*emit)(void *, struct job_event *), void *arg, struct err *err)
{
    LOCK_SCOPE(&f->lock);
    if (f->n == 0)
        return 0;
    join_locked(f);
    for (size_t i = 0; i < f->n && i < max; i++) {
        struct job_event ev = {.type = EVENT_BAD_RANGE,
                               .has_disk = true,
                               .disk = key,
                               .offset = f->v[i].offset,
                               .length = f->v[i].length,
                               .bad_reason = f->v[i].reason};

        emit(arg, &ev);
    }
    return err_set(
        err, ERR_CORRUPT, "verification_failed",
        "disk %u: %s%zu damaged range%s (%llu blocks), first: %llu bytes at %llu (%s)",
        key, f->overflow ? "at least " : "", f->n, f->n == 1 ? "" : "s",
        (unsigned long long)f->blocks, (unsigned long long)f->v[0].length,
        (unsigned long long)f->v[0].offset, bad_range_to_str(f->v[0].reason));
}
