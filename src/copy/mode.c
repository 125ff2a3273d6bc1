/* copy/mode.c - how one disk is read: checked, audited, told.  See copy.h. */
#include <stdlib.h>

#include "copy/disk.h"

static const struct copy_changes *
find_changes(const struct copy_opts *o, uint32_t key)
{
    for (size_t i = 0; i < o->n_changes; i++)
        if (o->changes[i].key == key)
            return &o->changes[i];
    return NULL;
}

static int
refuse(const struct job_spec_disk *s, const char *why, struct err *err)
{
    return err_set(err, ERR_INVALID, "read_mode", "cannot be read as '%s': %s",
                   read_mode_to_str(s->read), why);
}

int
copy_mode_check(const struct copy_opts *o, const struct job_spec_disk *s, struct err *err)
{
    bool on_parent = s->parent_layer_id[0] != '\0';

    if (s->read == READ_ALL)
        return on_parent ? refuse(s, "its layer stands on another one", err) : 0;
    if (!on_parent)
        return refuse(s, "its layer stands on no other one", err);
    if (!o->spec->hub_url)
        return refuse(s, "there is no hub to tell what the parent holds", err);
    if (s->read == READ_CHANGED && !find_changes(o, s->key))
        return refuse(s, "nobody knows what changed", err);
    return 0;
}

static void
tell(struct copy_disk *d)
{
    struct job_event ev = {.type = EVENT_READ_MODE, .mode = d->mode, .reason = d->reason};

    copy_emit(d, &ev);
}

static int
open_parent(struct copy_disk *d, struct err *err)
{
    int r = copy_parent_new(d->opts->spec, d->spec->key, d->opts->stop, &d->parent, err);

    if (r < 0 || d->mode != READ_CHANGED)
        return r;
    d->changes = find_changes(d->opts, d->spec->key);
    return delta_widen(d->changes->areas, d->changes->n, d->spec->size_bytes, &d->changed,
                       &d->n_changed, err);
}

/* What tracking calls unchanged must be as the parent holds it; else the whole disk is
 * compared, in this job. */
static int
audit_changes(struct copy_disk *d, struct err *err)
{
    uint64_t bad = 0;

    if (copy_audit_changes(d, &bad, err) < 0)
        return err->class;
    if (bad > 0) {
        d->mode = READ_COMPARE;
        d->reason = REASON_AUDIT_MISMATCH;
        tell(d);
    }
    return 0;
}

int
copy_mode_settle(struct copy_disk *d, struct err *err)
{
    /* An earlier attempt came to its first record only after the audit. */
    bool audit = d->opts->spec->audit_samples > 0 && d->spec->resume.block == 0;
    uint64_t bad = 0;
    int r = 0;

    d->mode = d->spec->read;
    d->reason = d->spec->reason;
    if (d->reason == REASON_AUDIT_MISMATCH) /* in an earlier attempt */
        d->use_map = false;
    tell(d);
    if (d->mode != READ_ALL)
        r = open_parent(d, err);
    if (r == 0 && audit && (d->mode == READ_CHANGED || d->use_map))
        copy_job_phase(d->job, PHASE_AUDITING);
    if (r == 0 && audit && d->mode == READ_CHANGED)
        r = audit_changes(d, err);
    if (r == 0 && audit && d->mode != READ_CHANGED && d->use_map)
        r = copy_audit_map(d, &bad, err);
    if (bad == 0)
        return r;
    /* Decided before the first record exists, so the manifest knows only one truth. */
    d->use_map = false;
    d->reason = REASON_AUDIT_MISMATCH;
    tell(d);
    return r;
}
