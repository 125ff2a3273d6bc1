/* copy/earlier.c - see earlier.h. */
#include "base/mem.h"
#include "copy/earlier.h"
#include "copy/hub_get.h"

#define CLEANUP_HUB_GET CLEANUP(hub_get_done)
#define PAGE_RECORDS 65536u /* 2.5 MiB */

static int
take_page(struct hub_get *g, uint64_t first, size_t n, struct manifest_check *check,
          struct err *err)
{
    CLEANUP_FREE char *query =
        xasprintf("record=%llu&count=%zu", (unsigned long long)first, n);
    struct http_response a;

    if (hub_get(g, query, n, &a, err) < 0)
        return err->class;
    if (a.body_len != n * MANIFEST_RECORD_SIZE) {
        err_set(err, ERR_PROTOCOL, "hub_protocol",
                "the hub gave %zu bytes of %zu earlier records", a.body_len, n);
    } else if (manifest_check_add_raw(check, (const uint8_t *)a.body, n, err) < 0) {
        err->class = ERR_PROTOCOL;
        err_recode(err, "hub_protocol");
    }
    http_response_done(&a);
    return err->class;
}

int
copy_earlier_take(const struct job_spec *spec, const struct job_spec_disk *disk,
                  struct copy_stop *stop, struct manifest_check *check, struct err *err)
{
    const struct resume_checkpoint *from = &disk->resume;
    CLEANUP_HUB_GET struct hub_get g = {.http = NULL};
    uint64_t at = 0;
    int r = hub_get_init(&g, spec, disk->key, "manifest",
                         "to give the records of an earlier attempt", stop, err);

    while (r == 0 && at < from->records) {
        uint64_t left = from->records - at;
        size_t n = left < PAGE_RECORDS ? (size_t)left : PAGE_RECORDS;

        r = take_page(&g, at, n, check, err);
        at += n;
    }
    if (r < 0)
        return err_prefix(err, "records of an earlier attempt");
    if (manifest_check_next_block(check) > from->block)
        return err_set(err, ERR_PROTOCOL, "hub_protocol",
                       "the hub has records up to block %llu, and says to go on at %llu",
                       (unsigned long long)manifest_check_next_block(check),
                       (unsigned long long)from->block);
    return 0;
}
