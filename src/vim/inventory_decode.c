/* vim/inventory_decode.c - what the server says about a VM; see decode.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vim/decode.h"

static char *
prop_name(const struct xml_node *object, const char *path)
{
    CLEANUP_FREE char *raw = vim_prop_text(object, path);

    return vim_name_decode(raw);
}

void
vim_item_done(struct vim_vm_item *item)
{
    free(item->name);
    free(item->instance_uuid);
    free(item->power);
    free(item->connection);
    *item = (struct vim_vm_item){0};
}

int
vim_item_decode(const struct xml_node *object, struct vim_vm_item *ret, struct err *err)
{
    struct vim_vm_item v = {0};

    if (!soap_moref(xml_child(object, "obj"), &v.ref))
        return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                       "the server lists an object without a reference");
    v.name = prop_name(object, "name");
    v.instance_uuid = vim_prop_text(object, "config.instanceUuid");
    v.power = vim_prop_text(object, "runtime.powerState");
    v.connection = vim_prop_text(object, "runtime.connectionState");
    v.is_template = vim_prop_bool(object, "config.template");
    *ret = v;
    return 0;
}

/* ---- the tree of snapshots ---- */

void
vim_snapshot_item_done(struct vim_snapshot_item *item)
{
    free(item->name);
    free(item->description);
    *item = (struct vim_snapshot_item){0};
}

struct tree {
    struct vim_snapshot_item *v;
    size_t n;
    struct moref current; /* value "" = none */
};

static void
tree_done(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++)
        vim_snapshot_item_done(&t->v[i]);
    free(t->v);
    *t = (struct tree){0};
}

/* @list: a rootSnapshotList or childSnapshotList and its siblings.  As deep as XML. */
static int
add_snapshots(struct tree *t, const struct xml_node *list, struct err *err)
{
    for (; list; list = xml_next(list, xml_name(list))) {
        struct vim_snapshot_item *i;
        struct moref ref;

        if (t->n == VIM_SNAPSHOTS_MAX)
            return err_set(err, ERR_LIMIT, "vcenter_snapshots",
                           "the VM has more than %d snapshots", VIM_SNAPSHOTS_MAX);
        if (!soap_moref(xml_child(list, "snapshot"), &ref))
            return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                           "the server lists a snapshot without a reference");
        t->v = xreallocarray(t->v, t->n + 1, sizeof(*t->v));
        i = &t->v[t->n++];
        *i = (struct vim_snapshot_item){
            .ref = ref,
            .name = xml_text(xml_child(list, "name")),
            .description = xml_text(xml_child(list, "description")),
            .is_current = strcmp(ref.value, t->current.value) == 0,
            .has_children = xml_child(list, "childSnapshotList") != NULL};
        (void)xml_bool(xml_child(list, "quiesced"), &i->quiesced);
        if (add_snapshots(t, xml_child(list, "childSnapshotList"), err) < 0)
            return err->class;
    }
    return 0;
}

int
vim_snapshot_tree_decode(const struct xml_node *val, struct vim_snapshot_item **ret,
                         size_t *ret_n, struct err *err)
{
    CLEANUP(tree_done) struct tree t = {0};

    (void)soap_moref(xml_child(val, "currentSnapshot"), &t.current);
    if (add_snapshots(&t, xml_child(val, "rootSnapshotList"), err) < 0)
        return err->class;
    *ret = take_ptr(&t.v);
    *ret_n = t.n;
    t.n = 0;
    return 0;
}

/* ---- one VM ---- */

/* layoutEx.file[]{name, type} */
static char *
nvram_of_layout(const struct xml_node *layout)
{
    const struct xml_node *f = xml_child(layout, NULL);

    for (; f; f = xml_next(f, NULL)) {
        CLEANUP_FREE char *type = xml_text(xml_child(f, "type"));

        if (strcmp(type, "nvram") == 0)
            return xml_text(xml_child(f, "name"));
    }
    return xstrdup("");
}

/* The option nvram names a file beside the VM's own; or one of another place as a whole.
 */
static char *
nvram_of_options(const struct xml_node *options, const char *vm_file)
{
    const struct xml_node *o = xml_child(options, NULL);
    const char *slash = strrchr(vm_file, '/');

    for (; o; o = xml_next(o, NULL)) {
        CLEANUP_FREE char *key = xml_text(xml_child(o, "key"));
        CLEANUP_FREE char *value = xml_text(xml_child(o, "value"));

        if (strcmp(key, "nvram") != 0 || !value[0])
            continue;
        if (value[0] == '[')
            return take_ptr(&value);
        if (slash && !strchr(value, '/'))
            return xasprintf("%.*s%s", (int)(slash - vm_file + 1), vm_file, value);
    }
    return xstrdup("");
}

static char *
find_nvram(const struct xml_node *object)
{
    CLEANUP_FREE char *file = nvram_of_layout(vim_prop(object, "layoutEx.file"));
    CLEANUP_FREE char *vm_file = vim_prop_text(object, "config.files.vmPathName");

    if (file[0])
        return take_ptr(&file);
    return nvram_of_options(vim_prop(object, "config.extraConfig"), vm_file);
}

void
vim_vm_done(struct vim_vm *vm)
{
    vim_item_done(&vm->item);
    free(vm->datacenter);
    free(vm->host);
    free(vm->guest_id);
    free(vm->version);
    free(vm->firmware);
    free(vm->nvram_file);
    vim_devices_done(&vm->devices);
    for (size_t i = 0; i < vm->n_snapshots; i++)
        vim_snapshot_item_done(&vm->snapshots[i]);
    free(vm->snapshots);
    *vm = (struct vim_vm){0};
}

int
vim_vm_decode(const struct xml_node *object, struct vim_vm *ret, struct err *err)
{
    CLEANUP_VIM_VM struct vim_vm vm = {0};
    CLEANUP_FREE char *tools = vim_prop_text(object, "guest.toolsRunningStatus");

    if (vim_item_decode(object, &vm.item, err) < 0 ||
        vim_devices_decode(vim_prop(object, "config.hardware.device"), &vm.devices, err) <
            0 ||
        vim_snapshot_tree_decode(vim_prop(object, "snapshot"), &vm.snapshots,
                                 &vm.n_snapshots, err) < 0)
        return err->class;
    vm.datacenter = xstrdup("");
    vm.host = vim_prop_text(object, "runtime.host");
    vm.guest_id = vim_prop_text(object, "config.guestId");
    vm.version = vim_prop_text(object, "config.version");
    vm.firmware = vim_prop_text(object, "config.firmware");
    vm.nvram_file = find_nvram(object);
    vm.cbt_supported = vim_prop_bool(object, "capability.changeTrackingSupported");
    vm.cbt_enabled = vim_prop_bool(object, "config.changeTrackingEnabled");
    vm.consolidation_needed = vim_prop_bool(object, "runtime.consolidationNeeded");
    vm.tools_running = strcmp(tools, "guestToolsRunning") == 0;
    vm.encrypted = vim_prop(object, "config.keyId") != NULL;
    if (!xml_u64(vim_prop(object, "summary.storage.committed"), &vm.allocated_bytes))
        vm.allocated_bytes = 0;
    *ret = vm;
    vm = (struct vim_vm){0};
    return 0;
}
