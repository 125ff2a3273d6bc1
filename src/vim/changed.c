/* vim/changed.c - changed areas of a disk, all pages; see snapshot.h. */
#include <inttypes.h>

#include "vim/decode.h"

#define PAGES_MAX (1u << 20)

static int
ask(struct vim_session *s, const struct moref *vm, const struct moref *snapshot,
    const struct vim_disk *disk, const char *change_id, struct vim_areas *a,
    struct err *err)
{
    CLEANUP_SOAP struct soap_request r = {0};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response;

    soap_begin(&r, "QueryChangedDiskAreas", vm);
    soap_ref(&r, "snapshot", snapshot);
    soap_u64(&r, "deviceKey", disk->key);
    soap_u64(&r, "startOffset", a->next);
    soap_text(&r, "changeId", change_id);
    if (soap_end(&r, err) < 0 || vim_call(s, &r, &doc, &response, err) < 0)
        return err->class;
    return vim_areas_page(a, response, err);
}

int
vim_changed_areas(struct vim_session *s, const struct moref *vm,
                  const struct moref *snapshot, const struct vim_disk *disk,
                  const char *change_id, vim_area_fn *area, vim_page_fn *page, void *arg,
                  struct err *err)
{
    struct vim_areas a = {.capacity = disk->capacity_bytes, .fn = area, .arg = arg};

    for (unsigned i = 0; a.next < a.capacity; i++) {
        if (i == PAGES_MAX)
            return err_set(err, ERR_PROTOCOL, "changed_areas",
                           "the server's changed areas make no sense: pages without end");
        if (ask(s, vm, snapshot, disk, change_id, &a, err) < 0)
            return err_prefix(err, "disk %" PRIu32, disk->key);
        if (page)
            page(arg, a.next);
    }
    return vim_areas_end(&a, err);
}
