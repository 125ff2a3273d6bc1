/* vim/inventory.c - see inventory.h. */
#include "vim/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "vim/props.h"

#define PARENTS_MAX 64 /* between a VM and the root */

static const char *const item_paths[] = {"name",
                                         "config.instanceUuid",
                                         "config.template",
                                         "runtime.powerState",
                                         "runtime.connectionState",
                                         NULL};
static const char *const vm_paths[] = {"name",
                                       "config.instanceUuid",
                                       "config.template",
                                       "runtime.powerState",
                                       "runtime.connectionState",
                                       "runtime.host",
                                       "runtime.consolidationNeeded",
                                       "config.version",
                                       "config.firmware",
                                       "config.guestId",
                                       "config.keyId",
                                       "config.changeTrackingEnabled",
                                       "config.hardware.device",
                                       "config.files.vmPathName",
                                       "config.extraConfig",
                                       "capability.changeTrackingSupported",
                                       "guest.toolsRunningStatus",
                                       "layoutEx.file",
                                       "snapshot",
                                       "summary.storage.committed",
                                       NULL};

/* ---- list ---- */

void
vim_vm_items_done(struct vim_vm_items *l)
{
    for (size_t i = 0; i < l->n; i++)
        vim_item_done(&l->v[i]);
    free(l->v);
    *l = (struct vim_vm_items){0};
}

struct list {
    struct vim_vm_items items;
    size_t alloc;
};

static void
list_restart(void *arg)
{
    struct list *l = arg;

    vim_vm_items_done(&l->items);
    l->alloc = 0;
}

static int
list_add(void *arg, const struct xml_node *object, struct err *err)
{
    struct list *l = arg;

    if (l->items.n == VIM_VMS_MAX)
        return err_set(err, ERR_LIMIT, "vcenter_vms", "the server has more than %d VMs",
                       VIM_VMS_MAX);
    if (l->items.n == l->alloc) {
        l->alloc = l->alloc ? 2 * l->alloc : 64;
        l->items.v = xreallocarray(l->items.v, l->alloc, sizeof(*l->items.v));
    }
    if (vim_item_decode(object, &l->items.v[l->items.n], err) < 0)
        return err->class;
    l->items.n++;
    return 0;
}

static int
by_name(const void *a, const void *b)
{
    const struct vim_vm_item *x = a, *y = b;
    int r = strcmp(x->name, y->name);

    return r ? r : strcmp(x->ref.value, y->ref.value);
}

int
vim_list_vms(struct vim_session *s, struct vim_vm_items *ret, struct err *err)
{
    struct list l = {0};
    struct vim_walk w = {item_paths, list_restart, list_add, &l};

    if (vim_walk_vms(s, &w, err) < 0) {
        vim_vm_items_done(&l.items);
        return err->class;
    }
    if (l.items.n > 0)
        qsort(l.items.v, l.items.n, sizeof(*l.items.v), by_name);
    *ret = l.items;
    return 0;
}

/* ---- find ---- */

/* 1 = it is there and has the uuid, 0 = not. */
static int
ref_fits(struct vim_session *s, const char *ref, const char *uuid, struct moref *ret,
         struct err *err)
{
    static const char *const paths[] = {"config.instanceUuid", NULL};
    CLEANUP_XML struct xml_doc *doc = NULL;
    CLEANUP_FREE char *theirs = NULL;
    const struct xml_node *object;
    struct moref m = {.type = "VirtualMachine"};

    if (!*ref || strlen(ref) >= sizeof(m.value))
        return 0;
    snprintf(m.value, sizeof(m.value), "%s", ref);
    if (vim_read_object(s, &m, paths, &doc, &object, err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
        return 0;
    }
    theirs = vim_prop_text(object, "config.instanceUuid");
    if (*uuid && strcasecmp(uuid, theirs) != 0)
        return 0;
    *ret = m;
    return 1;
}

static int
not_found(const char *ref, const char *uuid, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "vcenter_vm_not_found",
                   "the server knows no VM with reference '%.64s' and instance uuid "
                   "'%.64s'",
                   ref, uuid);
}

int
vim_find_vm(struct vim_session *s, const char *ref, const char *instance_uuid,
            struct moref *ret, struct err *err)
{
    CLEANUP_SOAP struct soap_request q = {0};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response;
    int r = ref_fits(s, ref, instance_uuid, ret, err);

    if (r != 0)
        return r < 0 ? r : 0;
    if (!*instance_uuid)
        return not_found(ref, instance_uuid, err);
    soap_begin(&q, "FindByUuid", &vim_content(s)->search_index);
    soap_text(&q, "uuid", instance_uuid);
    soap_bool(&q, "vmSearch", true);
    soap_bool(&q, "instanceUuid", true);
    if (soap_end(&q, err) < 0 || vim_call(s, &q, &doc, &response, err) < 0)
        return err->class;
    if (!soap_moref(xml_child(response, "returnval"), ret))
        return not_found(ref, instance_uuid, err);
    return 0;
}

/* ---- one VM ---- */

/* Walks up: VM, folders or vApps and pools, datacenter, folders, root.  The path starts
 * below the root and ends with the datacenter. */
static int
find_datacenter(struct vim_session *s, const struct moref *vm, char **ret,
                struct err *err)
{
    static const char *const vm_parents[] = {"parent", "parentVApp", NULL};
    static const char *const parents[] = {"name", "parent", NULL};
    CLEANUP_FREE char *path = NULL;
    struct moref at = *vm;

    for (int i = 0; i < PARENTS_MAX; i++) {
        CLEANUP_XML struct xml_doc *doc = NULL;
        CLEANUP_FREE char *name = NULL, *longer = NULL;
        const struct xml_node *object;
        struct moref up;

        if (vim_read_object(s, &at, i == 0 ? vm_parents : parents, &doc, &object, err) <
            0)
            return err_prefix(err, "find the datacenter");
        name = vim_prop_text(object, "name");
        if (!soap_moref(vim_prop(object, "parent"), &up) &&
            !soap_moref(vim_prop(object, "parentVApp"), &up)) {
            if (!path)
                break;
            *ret = take_ptr(&path);
            return 0;
        }
        if (path)
            longer = xasprintf("%s/%s", name, path);
        else if (strcmp(at.type, "Datacenter") == 0)
            longer = take_ptr(&name);
        if (longer) {
            free(path);
            path = take_ptr(&longer);
        }
        at = up;
    }
    return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                   "the server puts VM '%s' into no datacenter", vm->value);
}

int
vim_read_vm(struct vim_session *s, const struct moref *ref, struct vim_vm *ret,
            struct err *err)
{
    CLEANUP_XML struct xml_doc *doc = NULL;
    CLEANUP_VIM_VM struct vim_vm vm = {0};
    const struct xml_node *object;

    if (vim_read_object(s, ref, vm_paths, &doc, &object, err) < 0 ||
        vim_vm_decode(object, &vm, err) < 0)
        return err->class;
    free(vm.datacenter);
    vm.datacenter = NULL;
    if (find_datacenter(s, ref, &vm.datacenter, err) < 0)
        return err->class;
    *ret = vm;
    vm = (struct vim_vm){0};
    return 0;
}
