/* client/vsphere_disks.c - see vsphere_disks.h. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "client/areas.h"
#include "client/vsphere_disks.h"
#include "vim/source.h"

#define ALL_IN_USE "*" /* instead of a change id: since the beginning */

static int
on_area(void *arg, uint64_t offset, uint64_t length, struct err *err)
{
    struct areas *a = arg;

    (void)err;
    areas_add(a, offset, length);
    return 0;
}

static bool
may_have_map(const struct job_spec_disk *plan, const struct vim_disk *disk)
{
    return plan->read == READ_ALL &&
           disk->change_id[0]; /* without: the server would guess */
}

/* What is in use, or null: all.  Only an audited hint: see copy/audit.c.
 *
 * Not for a layer on a parent.  Of `changed` no block is skipped because of it, and the
 * audit wants every block as it is.  Of `compare` the tracking, which gives this list as
 * well, is what cannot be believed: it may have begun after the parent, and then a few
 * blocks that were written before would be missing, too few for an audit to find. */
static int
allocated(struct vsphere_job *job, const struct job_spec_disk *plan,
          const struct vim_disk *disk, json_t **ret, struct err *err)
{
    CLEANUP_AREAS struct areas a;
    struct err why = ERR_INIT;

    *ret = json_null();
    areas_init(&a, disk->capacity_bytes, AREAS_MAX);
    if (!may_have_map(plan, disk))
        return 0;
    if (vim_changed_areas(job->vc.session, &job->vm.item.ref, &job->snapshot, disk,
                          ALL_IN_USE, on_area, NULL, &a, &why) == 0) {
        *ret = areas_encode(&a);
        return 0;
    }
    if (why.class == ERR_CANCELLED) {
        *err = why;
        return err->class;
    }
    vsphere_warn(job, disk->key, "allocation_unknown",
                 "disk %u is read whole, the server does not say what is in use: %s",
                 disk->key, why.msg);
    return 0;
}

/* Of a VM whose tracking may have begun after its disks were written, the map leaves out
 * what was there before. */
static int
map_is_whole(struct vsphere_job *job, bool *ret, struct err *err)
{
    struct err why = ERR_INIT;
    size_t n = 0;

    *ret = false;
    for (size_t i = 0; i < job->spec->n_disks; i++)
        n += may_have_map(&job->spec->disks[i], vsphere_disk(job, job->layouts[i].key));
    if (n == 0)
        return 0;
    if (vim_map_backfilled(job->vc.session, &job->vm, ret, &why) < 0 &&
        why.class == ERR_CANCELLED) {
        *err = why;
        return err->class;
    }
    if (!*ret)
        vsphere_warn(job, -1, "allocation_unknown",
                     "every byte is read: before vSphere 8.0.1 the server does not know "
                     "what was written before change tracking was turned on%s%s",
                     why.class ? "; " : "", why.class ? why.msg : "");
    return 0;
}

static int
put_in_memory(const json_t *layout, int *ret_fd, struct err *err)
{
    CLEANUP_FREE char *text = json_line(layout);
    CLEANUP_FD int fd = memfd_create("layout", MFD_CLOEXEC);

    if (fd < 0)
        return err_errno(err, errno, NULL, "make a file in memory");
    if (fs_write_full(fd, text, strlen(text), err) < 0)
        return err->class;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(err, errno, NULL, "rewind a file in memory");
    *ret_fd = take_fd(&fd);
    return 0;
}

/* The next backup has nothing to ask for changes with: somebody should know why it reads
 * the whole disk. */
static void
warn_without_change_id(struct vsphere_job *job, const struct vim_disk *disk)
{
    if (job->vm.cbt_enabled && !disk->change_id[0])
        vsphere_warn(job, disk->key, "change_id_missing",
                     "disk %u is read whole, now and by the next backup: changes are "
                     "tracked, but the snapshot has no change id of it",
                     disk->key);
}

static int
describe(struct vsphere_job *job, struct source_disk *d, bool whole_map, struct err *err)
{
    const struct vim_disk *disk = vsphere_disk(job, d->key);
    CLEANUP_JSON json_t *layout = NULL;
    json_t *map = json_null();

    warn_without_change_id(job, disk);

    if (vim_disk_layout(job->vc.session, job->vm.datacenter, disk, &job->vc.trust,
                        job->spec->vsphere->connections, job->spec->deadlines.io_s,
                        &layout, err) < 0)
        return err_prefix(err, "disk %u", d->key);
    if (whole_map &&
        allocated(job, job_spec_find(job->spec, d->key), disk, &map, err) < 0)
        return err_prefix(err, "disk %u", d->key);
    json_object_set_new(layout, "allocated", map);
    return put_in_memory(layout, &d->layout_fd, err);
}

int
vsphere_disks_describe(struct vsphere_job *job, struct err *err)
{
    bool whole_map = false;

    if (map_is_whole(job, &whole_map, err) < 0)
        return err->class;
    for (size_t i = 0; i < job->spec->n_disks; i++)
        if (describe(job, &job->layouts[i], whole_map, err) < 0)
            return err->class;
    return 0;
}
