/* client/vsphere_remove.c - see vsphere_remove.h. */
#include <string.h>

#include "base/log.h"
#include "client/vsphere_remove.h"

int
vsphere_remove_seen(struct vim_session *s, const struct moref *ref, const char *name,
                    uint32_t *ret_removed, struct err *err)
{
    CLEANUP_VIM_VM struct vim_vm vm = {0};

    if (vim_read_vm(s, ref, &vm, err) < 0)
        return err->class;
    for (size_t i = 0; i < vm.n_snapshots; i++) {
        if (strcmp(vm.snapshots[i].name, name) != 0)
            continue;
        if (vim_snapshot_remove(s, &vm.snapshots[i].ref, err) < 0)
            return err_prefix(err, "snapshot '%s'", name);
        ++*ret_removed;
    }
    return 0;
}

/* A VM does one task at a time: when this one is done, one that began before is too. */
static int
wait_for_others(struct vim_session *s, const struct moref *vm, struct err *err)
{
    struct err why = ERR_INIT;
    int r = vim_consolidate(s, vm, &why);

    if (r < 0 && (err_is_transient(r) || r == ERR_CANCELLED) &&
        strcmp(why.code, "vcenter_fault") != 0 && strcmp(why.code, "vcenter_task") != 0) {
        *err = why;
        return err->class;
    }
    if (r < 0) /* it was taken, or is not permitted: then no task can be waited for */
        log_info("consolidation before looking again: %s", why.msg);
    return 0;
}

int
vsphere_remove_named(struct vim_session *s, const struct moref *vm, const char *name,
                     uint32_t *ret_removed, struct err *err)
{
    uint32_t removed = 0;

    if (vsphere_remove_seen(s, vm, name, &removed, err) < 0)
        return err->class;
    if (removed == 0 && (wait_for_others(s, vm, err) < 0 ||
                         vsphere_remove_seen(s, vm, name, &removed, err) < 0))
        return err->class;
    *ret_removed = removed;
    return 0;
}

int
vsphere_consolidate_after(struct vim_session *s, const struct moref *ref, struct err *err)
{
    CLEANUP_VIM_VM struct vim_vm vm = {0};

    if (vim_read_vm(s, ref, &vm, err) < 0)
        return 1;
    if (!vm.consolidation_needed)
        return 0;
    return vim_consolidate(s, ref, err) != 0;
}
