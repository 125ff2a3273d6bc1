/* vim/host.c - what the host of a VM can do; see snapshot.h. */
#include <string.h>

#include "vim/decode.h"
#include "vim/props.h"

/* From here on, change tracking that is turned on knows what was written before. */
#define BACKFILLS_FROM "8.0.1"

int
vim_map_backfilled(struct vim_session *s, const struct vim_vm *vm, bool *ret,
                   struct err *err)
{
    static const char path[] = "summary.config.product.apiVersion";
    static const char *const paths[] = {path, NULL};
    CLEANUP_XML struct xml_doc *doc = NULL;
    CLEANUP_FREE char *version = NULL;
    const struct xml_node *object;
    struct moref host = {.type = "HostSystem"};

    *ret = false;
    if (!vim_version_at_least(vim_about(s)->api_version, BACKFILLS_FROM) ||
        !vm->host[0] || strlen(vm->host) >= sizeof(host.value))
        return 0;
    memcpy(host.value, vm->host, strlen(vm->host) + 1);
    if (vim_read_object(s, &host, paths, &doc, &object, err) < 0)
        return err_prefix(err, "the version of the VM's host");
    version = vim_prop_text(object, path);
    *ret = vim_version_at_least(version, BACKFILLS_FROM);
    return 0;
}
