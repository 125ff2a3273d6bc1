#include "job/disk_identity.h"

#include <stdbool.h>
#include <string.h>

static bool
is_set(const char *s)
{
    return s && *s;
}

static bool
same(const char *a, const char *b)
{
    return is_set(a) && is_set(b) && strcmp(a, b) == 0;
}

/* A disk of a point that was imported knows its file by the source that it names. */
static bool
same_file(const struct cat_vm_disk *k, const struct vsphere_disk *s)
{
    return same(is_set(k->base_file) ? k->base_file : k->source_url, s->base_file);
}

enum rule { UUID_AND_FILE, UUID, FILE_ONLY, N_RULES };

static bool
fits(enum rule rule, const struct cat_vm_disk *k, const struct vsphere_disk *s)
{
    switch (rule) {
    case UUID_AND_FILE:
        return same(k->source_uuid, s->uuid) && same_file(k, s);
    case UUID:
        return same(k->source_uuid, s->uuid);
    default:
        /* Two uuids that differ: another disk came to the same place. */
        return !(is_set(k->source_uuid) && is_set(s->uuid)) && same_file(k, s);
    }
}

static bool
is_taken(const int *ret, size_t n, size_t k)
{
    for (size_t i = 0; i < n; i++)
        if (ret[i] == (int)k)
            return true;
    return false;
}

void
disk_identity_match(const struct cat_vm_disk *known, size_t n_known,
                    const struct vsphere_disk *seen, size_t n, int *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = -1;
    for (int rule = 0; rule < N_RULES; rule++)
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; ret[i] < 0 && k < n_known; k++)
                if (fits((enum rule)rule, &known[k], &seen[i]) && !is_taken(ret, n, k))
                    ret[i] = (int)k;
}
