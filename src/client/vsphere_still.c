/* client/vsphere_still.c - see vsphere_still.h. */
#include <string.h>

#include "base/log.h"
#include "base/timeutil.h"
#include "client/vsphere_still.h"

#define AGAIN_MS 2000u

static int
changed(struct err *err, const struct vsphere_job *job, const char *what)
{
    return err_set(err, ERR_UNAVAILABLE, "snapshot_changed",
                   "the snapshot '%s' %s while it was read, so what was copied is of no "
                   "single moment: find out who removes snapshots of the VM (another "
                   "backup program, a scheduled task), and start the backup again",
                   job->spec->snapshot->name, what);
}

static const struct vim_disk *
find(const struct vim_snapshot *s, uint32_t key)
{
    for (size_t i = 0; i < s->devices.n_disks; i++)
        if (s->devices.disks[i].key == key)
            return &s->devices.disks[i];
    return NULL;
}

static bool
is_same(const struct vim_disk *before, const struct vim_disk *now)
{
    if (!now || strcmp(before->file, now->file) != 0 ||
        strcmp(before->uuid, now->uuid) != 0 || before->n_parents != now->n_parents ||
        before->capacity_bytes != now->capacity_bytes)
        return false;
    for (size_t i = 0; i < before->n_parents; i++)
        if (strcmp(before->parents[i], now->parents[i]) != 0)
            return false;
    return true;
}

/* The job's work is done: a server that is away for a moment is worth waiting for. */
static int
read_again(struct vsphere_job *job, unsigned patience_s, struct vim_snapshot *ret,
           struct err *err)
{
    uint64_t until_ns = time_mono_ns() + patience_s * NS_PER_S;

    for (;;) {
        struct err why = ERR_INIT;
        int r = vim_snapshot_read(job->vc.session, &job->snapshot, ret, err);

        if (r == 0 || !err_is_transient(r) || time_left_ms(until_ns) == 0)
            return r;
        log_warn("is the snapshot still there? %s", err->msg);
        if (vim_pause(job->vc.session, AGAIN_MS, &why) < 0) {
            *err = why;
            return err->class;
        }
        err_clear(err);
    }
}

int
vsphere_snapshot_still(struct vsphere_job *job, unsigned patience_s, struct err *err)
{
    CLEANUP_VIM_SNAPSHOT struct vim_snapshot now = {0};
    int r = read_again(job, patience_s, &now, err);

    if (r == ERR_NOT_FOUND)
        return changed(err, job, "was removed by somebody else");
    if (r < 0)
        return err_prefix(err, "is the snapshot still there?");
    for (size_t i = 0; i < job->spec->n_disks; i++) {
        uint32_t key = job->spec->disks[i].key;

        if (!is_same(vsphere_disk(job, key), find(&now, key)))
            return changed(err, job, "became another chain of files");
    }
    return 0;
}
