/* vim/snapshot.h - snapshots, change tracking, changed areas.    Layer 2.  Blocking. */
#ifndef SENDENSE_VIM_SNAPSHOT_H
#define SENDENSE_VIM_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "vim/inventory.h"

#define VIM_CONFIG_MAX (2u << 20)

/* Waits for a task's end, however long it takes; asks at 0.3 s, growing to 5 s.  A server
 * that does not answer is asked again for 2 minutes.  The task is the server's: after
 * ERR_CANCELLED it goes on there.
 * @progress may be NULL.  ERR_IO "vcenter_task" or the code of the fault; a task that the
 * server no longer knows: ERR_NOT_FOUND "vcenter_object_gone" (judge by what it should
 * have done).  @ret_result may be NULL; its value is "" when there is none. */
int vim_task_wait(struct vim_session *s, const struct moref *task,
                  void (*progress)(void *arg, unsigned percent), void *arg,
                  struct moref *ret_result, struct err *err);

/* Turns change tracking on.  ERR_INVALID "cbt_unsupported" (the VM cannot), ERR_EXISTS
 * "cbt_has_snapshots" (only possible without snapshots), faults. */
int vim_cbt_enable(struct vim_session *s, const struct vim_vm *vm, struct err *err);

/* Does "*" of vim_changed_areas() name all that is in use?  Change tracking that is
 * turned on later than the disk was made knows what was written before only from
 * vSphere 8.0.1 on; nobody can ask when it was turned on.  *ret: the server and the VM's
 * host are of such a version.  A host that does not tell, or that the account may not
 * see: false. */
int vim_map_backfilled(struct vim_session *s, const struct vim_vm *vm, bool *ret,
                       struct err *err);

/* Without memory.  A busy VM is tried again for 2 minutes.  A guest that cannot be
 * quiesced: ERR_IO "quiesce_failed"; else ERR_IO "snapshot_failed" with the server's
 * reason.  After any error, ERR_CANCELLED above all, the snapshot may exist or come to
 * be: look for its name. */
int vim_snapshot_create(struct vim_session *s, const struct moref *vm, const char *name,
                        const char *description, bool quiesce, struct moref *ret,
                        struct err *err);

struct vim_snapshot {
    struct vim_devices devices; /* of that moment: frozen files, change ids */
    char *config_xml; /* the snapshot's config, as the server gave it; for the point.
                         NULL: it has more than VIM_CONFIG_MAX bytes */
    char *name;       /* of the VM at that moment */
    char *guest_id, *version, *firmware, *uuid, *annotation;
    uint64_t num_cpus, memory_mib;
};
#define CLEANUP_VIM_SNAPSHOT CLEANUP(vim_snapshot_done)
void vim_snapshot_done(struct vim_snapshot *s);
int vim_snapshot_read(struct vim_session *s, const struct moref *ref,
                      struct vim_snapshot *ret, struct err *err);

/* This one only, never its children; waits for the end; a busy VM is tried again.  One
 * that is gone already is fine. */
int vim_snapshot_remove(struct vim_session *s, const struct moref *ref, struct err *err);

/* All disks of the VM merged; a busy VM is tried again for 2 minutes.  0, or 1 when the
 * server still says that it is needed (something keeps a disk open). */
int vim_consolidate(struct vim_session *s, const struct moref *vm, struct err *err);

/* Called with areas in order, disjoint, inside the disk.  < 0 ends the query. */
typedef int vim_area_fn(void *arg, uint64_t offset, uint64_t length, struct err *err);
/* Called after each answer with where it ended: all before it is known. */
typedef void vim_page_fn(void *arg, uint64_t end);

/* Areas that changed since @change_id, "*" = areas in use; all pages to the end.  A page
 * that makes no sense (no progress, another start, areas out of order or beyond the end)
 * is ERR_PROTOCOL "changed_areas"; never asked at the capacity.  The server's blocks may
 * be larger than the end of the disk: the last area is cut there.  @page may be NULL. */
int vim_changed_areas(struct vim_session *s, const struct moref *vm,
                      const struct moref *snapshot, const struct vim_disk *disk,
                      const char *change_id, vim_area_fn *area, vim_page_fn *page,
                      void *arg, struct err *err);

#endif
