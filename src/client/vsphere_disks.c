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

/* What is in use, or null.  Only an audited hint: see copy/audit.c. */
static int
allocated(struct vsphere_job *job, const struct vim_disk *disk, json_t **ret,
          struct err *err)
{
    CLEANUP_AREAS struct areas a;
    struct err why = ERR_INIT;

    *ret = json_null();
    areas_init(&a, disk->capacity_bytes, AREAS_MAX);
    if (!disk->change_id[0]) /* changes are not tracked: the server would guess */
        return 0;
    if (vim_changed_areas(job->vc.session, &job->vm.item.ref, &job->snapshot, disk,
                          ALL_IN_USE, on_area, &a, &why) == 0) {
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
describe(struct vsphere_job *job, struct source_disk *d, struct err *err)
{
    const struct vim_disk *disk = vsphere_disk(job, d->key);
    CLEANUP_JSON json_t *layout = NULL;
    json_t *map = NULL;

    warn_without_change_id(job, disk);

    if (vim_disk_layout(job->vc.session, job->vm.datacenter, disk, &job->vc.trust,
                        job->spec->vsphere->connections, &layout, err) < 0)
        return err_prefix(err, "disk %u", d->key);
    if (allocated(job, disk, &map, err) < 0)
        return err_prefix(err, "disk %u", d->key);
    json_object_set_new(layout, "allocated", map);
    return put_in_memory(layout, &d->layout_fd, err);
}

int
vsphere_disks_describe(struct vsphere_job *job, struct err *err)
{
    for (size_t i = 0; i < job->spec->n_disks; i++)
        if (describe(job, &job->layouts[i], err) < 0)
            return err->class;
    return 0;
}
