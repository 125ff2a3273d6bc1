/* vim/snapshot_list.c - snapshots of all VMs; see inventory.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vim/inventory.h"
#include "vim/props.h"

static const char *const paths[] = {"name",
                                    "config.instanceUuid",
                                    "config.template",
                                    "runtime.consolidationNeeded",
                                    "snapshot",
                                    NULL};

struct list {
    struct vim_vm_snapshots_list l;
    size_t room;
    const char *prefix;
};

static void
vm_done(struct vim_vm_snapshots *vm)
{
    vim_item_done(&vm->item);
    for (size_t i = 0; i < vm->n_snapshots; i++)
        vim_snapshot_item_done(&vm->snapshots[i]);
    free(vm->snapshots);
}

void
vim_vm_snapshots_done(struct vim_vm_snapshots_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        vm_done(&l->v[i]);
    free(l->v);
    *l = (struct vim_vm_snapshots_list){0};
}

static void
restart(void *arg)
{
    struct list *l = arg;

    vim_vm_snapshots_done(&l->l);
    l->room = 0;
}

/* Keeps those whose name begins with @prefix. */
static void
keep_named(struct vim_vm_snapshots *vm, const char *prefix)
{
    size_t kept = 0;

    for (size_t i = 0; i < vm->n_snapshots; i++) {
        if (strncmp(vm->snapshots[i].name, prefix, strlen(prefix)) == 0)
            vm->snapshots[kept++] = vm->snapshots[i];
        else
            vim_snapshot_item_done(&vm->snapshots[i]);
    }
    vm->n_snapshots = kept;
}

static int
decode(const struct xml_node *object, const char *prefix, struct vim_vm_snapshots *ret,
       struct err *err)
{
    struct vim_vm_snapshots vm = {0};

    if (vim_item_decode(object, &vm.item, err) < 0)
        return err->class;
    vm.consolidation_needed = vim_prop_bool(object, "runtime.consolidationNeeded");
    if (vim_snapshot_tree_decode(vim_prop(object, "snapshot"), &vm.snapshots,
                                 &vm.n_snapshots, err) < 0) {
        vm_done(&vm);
        return err->class;
    }
    keep_named(&vm, prefix);
    *ret = vm;
    return 0;
}

static int
add(void *arg, const struct xml_node *object, struct err *err)
{
    struct list *l = arg;
    struct vim_vm_snapshots vm;

    if (l->l.n == VIM_VMS_MAX)
        return err_set(err, ERR_LIMIT, "vcenter_vms", "the server has more than %d VMs",
                       VIM_VMS_MAX);
    if (decode(object, l->prefix, &vm, err) < 0)
        return err->class;
    if (vm.n_snapshots == 0 && !vm.consolidation_needed) {
        vm_done(&vm);
        return 0;
    }
    if (l->l.n == l->room) {
        l->room = l->room ? 2 * l->room : 16;
        l->l.v = xreallocarray(l->l.v, l->room, sizeof(*l->l.v));
    }
    l->l.v[l->l.n++] = vm;
    return 0;
}

int
vim_list_snapshots(struct vim_session *s, const char *prefix,
                   struct vim_vm_snapshots_list *ret, struct err *err)
{
    struct list l = {.prefix = prefix};
    struct vim_walk w = {paths, restart, add, &l};

    if (vim_walk_vms(s, &w, err) < 0) {
        vim_vm_snapshots_done(&l.l);
        return err->class;
    }
    *ret = l.l;
    return 0;
}
