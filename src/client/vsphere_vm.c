/* client/vsphere_vm.c - see vsphere_vm.h. */
#include "base/mem.h"
#include "client/vsphere_vm.h"
#include "model/naming.h"

void
vsphere_vm_of_item(const struct vim_vm_item *item, struct vsphere_vm *ret)
{
    *ret = (struct vsphere_vm){
        .ref = xstrdup(item->ref.value),
        .name = xstrdup(item->name),
        .instance_uuid = xstrdup(item->instance_uuid),
        .power = xstrdup(item->power),
        .connection = xstrdup(item->connection),
        .is_template = item->is_template,
    };
}

static void
put_disk(const struct vim_disk *d, struct vsphere_disk *ret)
{
    *ret = (struct vsphere_disk){
        .key = d->key,
        .label = xstrdup(d->label),
        .bus =
            xstrdup(vim_bus_to_str(d->controller ? d->controller->bus : VIM_OTHER_BUS)),
        .bus_number = d->controller ? d->controller->bus_number : 0,
        .unit = d->unit,
        .size_bytes = d->capacity_bytes,
        .uuid = xstrdup(d->uuid),
        .backing = xstrdup(d->backing),
        .file = xstrdup(d->file),
        .base_file = xstrdup(d->base_file),
        .datastore = xstrdup(d->datastore.value),
        .mode = xstrdup(d->mode),
        .thin = d->thin,
        .encrypted = d->encrypted,
        .not_protected = xstrdup(vim_unprotected_to_str(d->unprotected)),
        .advice = xstrdup(vim_unprotected_advice(d->unprotected)),
    };
}

int
vsphere_vm_of_vim(const struct vim_vm *vm, struct vsphere_vm *ret, struct err *err)
{
    uint64_t size = 0;

    for (size_t i = 0; i < vm->devices.n_disks; i++) {
        const struct vim_disk *d = &vm->devices.disks[i];

        if (d->key > NAMING_KEY_MAX || d->capacity_bytes > MANIFEST_DISK_SIZE_MAX)
            return err_set(err, ERR_LIMIT, "vm_disks",
                           "disk '%s' has key %u and %llu bytes, which is out of bounds",
                           d->label, d->key, (unsigned long long)d->capacity_bytes);
        size += d->capacity_bytes;
    }
    vsphere_vm_of_item(&vm->item, ret);
    ret->has_details = true;
    ret->datacenter = xstrdup(vm->datacenter);
    ret->host = xstrdup(vm->host);
    ret->guest_id = xstrdup(vm->guest_id);
    ret->version = xstrdup(vm->version);
    ret->firmware = xstrdup(vm->firmware);
    ret->cbt_supported = vm->cbt_supported;
    ret->cbt_enabled = vm->cbt_enabled;
    ret->consolidation_needed = vm->consolidation_needed;
    ret->tools_running = vm->tools_running;
    ret->encrypted = vm->encrypted;
    ret->n_snapshots = (uint32_t)vm->n_snapshots;
    /* Unknown: as much as there can be. */
    ret->allocated_bytes = vm->allocated_bytes == 0 || vm->allocated_bytes > size
                               ? size
                               : vm->allocated_bytes;
    ret->n_disks = vm->devices.n_disks;
    ret->disks = xcalloc(ret->n_disks + 1, sizeof(*ret->disks));
    for (size_t i = 0; i < ret->n_disks; i++)
        put_disk(&vm->devices.disks[i], &ret->disks[i]);
    return 0;
}
