/* vim/cbt.c - turns change tracking on; see snapshot.h. */
#include "vim/task.h"

#define BUSY_MS 120000

static void
fill_reconfig(struct soap_request *r, const void *vm)
{
    soap_begin(r, "ReconfigVM_Task", vm);
    soap_open(r, "spec", NULL);
    soap_bool(r, "changeTrackingEnabled", true);
    soap_close(r, "spec");
}

int
vim_cbt_enable(struct vim_session *s, const struct vim_vm *vm, struct err *err)
{
    struct vim_task t;

    if (vm->cbt_enabled)
        return 0;
    if (!vm->cbt_supported)
        return err_set(err, ERR_INVALID, "cbt_unsupported",
                       "the VM cannot track changes: its hardware version must be 7 or "
                       "newer");
    if (vm->n_snapshots > 0)
        return err_set(err, ERR_EXISTS, "cbt_has_snapshots",
                       "change tracking can only be turned on while the VM has no "
                       "snapshot: it has %zu",
                       vm->n_snapshots);
    return vim_task_run(s, fill_reconfig, &vm->item.ref, BUSY_MS, &t, err);
}
