/* vim/fault.c - what a fault of the server means to us; see soap.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vim/soap.h"

static const struct meaning {
    const char *kind;
    int class;
    const char *code;
    const char *advice;
} meanings[] = {
    {"InvalidLogin", ERR_AUTH, "vcenter_login",
     "user name or password is wrong, or the account is locked"},
    {"NotAuthenticated", ERR_AUTH, "vcenter_session", "the session has ended"},
    {"NoPermission", ERR_AUTH, "vcenter_permission",
     "the account's role lacks a privilege on the object"},
    {"ManagedObjectNotFound", ERR_NOT_FOUND, "vcenter_object_gone",
     "the object is not in the inventory any more"},
    {"TaskInProgress", ERR_UNAVAILABLE, "vcenter_busy",
     "another task of the object is running; try again when it is done"},
    {"ConcurrentAccess", ERR_UNAVAILABLE, "vcenter_busy",
     "somebody else changes the object; try again"},
    {"ApplicationQuiesceFault", ERR_IO, "quiesce_failed",
     "the programs of the guest could not be quiesced"},
    {"FilesystemQuiesceFault", ERR_IO, "quiesce_failed",
     "the file systems of the guest could not be quiesced"},
    {"ToolsUnavailable", ERR_IO, "quiesce_failed",
     "the guest cannot be quiesced: VMware Tools do not run in it"},
    {"NotSupported", ERR_INVALID, "vcenter_unsupported",
     "the server does not support it"},
    {"MethodNotFound", ERR_INVALID, "vcenter_unsupported",
     "this version of the server does not know the call"},
    {"RestrictedVersion", ERR_INVALID, "vcenter_unsupported",
     "the licence of the host does not allow it (the free ESXi allows no API)"},
};

char *
soap_fault_kind(const struct xml_node *detail)
{
    CLEANUP_FREE char *type = xml_type(detail);
    size_t n;

    if (type[0] || !detail)
        return take_ptr(&type);
    free(type);
    type = xstrdup(xml_name(detail));
    n = strlen(type);
    if (n > 5 && strcmp(type + n - 5, "Fault") == 0)
        type[n - 5] = '\0';
    return take_ptr(&type);
}

int
soap_fault(const struct xml_node *detail, const char *text, struct err *err)
{
    CLEANUP_FREE char *kind = soap_fault_kind(detail);
    CLEANUP_FREE char *privilege = xml_text(xml_child(detail, "privilegeId"));

    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        const struct meaning *m = &meanings[i];

        if (strcmp(kind, m->kind) == 0)
            return err_set(err, m->class, m->code, "%s%s%s (%.300s)", m->advice,
                           privilege[0] ? ": " : "", privilege, text);
    }
    return err_set(err, ERR_IO, "vcenter_fault", "%.100s: %.500s",
                   kind[0] ? kind : "fault without a kind", text);
}
