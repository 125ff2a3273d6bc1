/* model/plan.c - see plan.h. */
#include <string.h>

#include "base/text.h"
#include "model/plan.h"

static const char *
text(const char *s)
{
    return s ? s : "";
}

static bool
differ(const char *a, const char *b)
{
    return strcmp(text(a), text(b)) != 0;
}

/* An unknown place is no other place: the disk's uuid decides who it is. */
static bool
moved(const char *then, const char *now)
{
    return text(then)[0] && text(now)[0] && differ(then, now);
}

static struct plan_result
result(enum read_mode mode, enum reason reason)
{
    return (struct plan_result){.mode = mode, .reason = reason};
}

/* Why nothing can stand on the parent; REASON_NONE = it can. */
static enum reason
why_all(const struct plan_parent *p, const struct plan_source *s,
        const struct plan_wish *w)
{
    uint32_t max = w->chain_max ? w->chain_max : PLAN_CHAIN_MAX_DEFAULT;

    if (!p->exists)
        return REASON_NO_PARENT;
    if (w->full)
        return REASON_USER_REQUEST;
    if (text(p->source_uuid)[0] && differ(p->source_uuid, s->source_uuid))
        return REASON_DISK_UUID_DIFFERS;
    if (p->damaged)
        return REASON_PARENT_DAMAGED;
    /* No platform shrinks a disk in place: it was made anew. */
    if (s->size_bytes < p->size_bytes)
        return REASON_CAPACITY_CHANGED;
    if (p->chain_length >= max)
        return REASON_CHAIN_TOO_LONG;
    return REASON_NONE;
}

/* Why changed areas cannot be had or believed; REASON_NONE = they can. */
static enum reason
why_compare(const struct plan_parent *p, const struct plan_source *s)
{
    if (!s->can_track || !s->tracking_on)
        return REASON_CBT_OFF;
    if (s->size_bytes != p->size_bytes)
        return REASON_CAPACITY_CHANGED;
    if (moved(p->datastore, s->datastore))
        return REASON_DATASTORE_CHANGED;
    if (!text(p->change_id)[0])
        return REASON_CHANGE_ID_EMPTY;
    /* A comparison is right whatever the parent was; a list of changes is not. */
    if (p->apart || differ(p->source_uuid, s->source_uuid))
        return REASON_HISTORY_UNKNOWN;
    return REASON_NONE;
}

struct plan_result
plan_disk(const struct plan_parent *parent, const struct plan_source *source,
          const struct plan_wish *wish)
{
    enum reason r = why_all(parent, source, wish);

    if (r != REASON_NONE)
        return result(READ_ALL, r);
    r = why_compare(parent, source);
    return result(r == REASON_NONE ? READ_CHANGED : READ_COMPARE, r);
}

enum plan_history_is
plan_history(const struct plan_history *h)
{
    bool there = !differ(h->parent_file, h->file);

    if (!text(h->parent_file)[0])
        return HISTORY_UNKNOWN;
    for (size_t i = 0; !there && i < h->n_below; i++)
        there = !differ(h->parent_file, h->below[i]);
    if (!text(h->parent_on)[0])
        return there ? HISTORY_GOES_ON : HISTORY_UNKNOWN;
    return !there && h->parent_on_stands ? HISTORY_REVERTED : HISTORY_UNKNOWN;
}

static uint64_t
number_of(const char *slash)
{
    uint64_t v;

    return text_to_u64(slash + 1, &v) == 0 ? v : UINT64_MAX;
}

bool
plan_change_ids_match(const char *old_id, const char *new_id, bool *ret_fell)
{
    const char *a = strrchr(text(old_id), '/'), *b = strrchr(text(new_id), '/');
    uint64_t before, now;

    if (ret_fell)
        *ret_fell = false;
    if (!a || !b || a == old_id || a - old_id != b - new_id ||
        memcmp(old_id, new_id, (size_t)(a - old_id)) != 0)
        return false;
    before = number_of(a);
    now = number_of(b);
    if (ret_fell)
        *ret_fell = before != UINT64_MAX && now != UINT64_MAX && now < before;
    return true;
}

static enum reason
why_not_changed(const struct plan_source *source, const char *parent_change_id,
                const struct plan_snapshot *s)
{
    bool fell;

    if (s->tracking_off)
        return REASON_CBT_OFF;
    if (!text(s->change_id)[0])
        return REASON_CHANGE_ID_EMPTY;
    if (!plan_change_ids_match(parent_change_id, s->change_id, &fell))
        return REASON_CHANGE_ID_UUID_DIFFERS;
    if (s->reverted || fell)
        return REASON_VM_REVERTED;
    if (s->left_behind)
        return REASON_SNAPSHOT_LEFT;
    if (moved(source->datastore, s->datastore))
        return REASON_DATASTORE_CHANGED;
    if (s->history_unknown)
        return REASON_HISTORY_UNKNOWN;
    return s->fault ? REASON_SERVER_FAULT : REASON_NONE;
}

int
plan_refine(const struct plan_result *planned, const struct plan_source *source,
            const char *parent_change_id, const struct plan_snapshot *s,
            struct plan_result *ret, struct err *err)
{
    enum reason r;

    if (s->size_bytes != source->size_bytes)
        return err_set(err, ERR_INVALID, "vm_changed",
                       "the disk in the snapshot has %llu bytes, %llu were planned",
                       (unsigned long long)s->size_bytes,
                       (unsigned long long)source->size_bytes);
    if (differ(s->source_uuid, source->source_uuid))
        return err_set(err, ERR_INVALID, "vm_changed",
                       "the disk in the snapshot is '%.64s', '%.64s' was planned",
                       text(s->source_uuid), text(source->source_uuid));
    *ret = *planned;
    if (planned->mode != READ_CHANGED)
        return 0;
    r = why_not_changed(source, parent_change_id, s);
    if (r != REASON_NONE)
        *ret = result(READ_COMPARE, r);
    return 0;
}
