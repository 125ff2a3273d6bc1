/* model/naming.c - see naming.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/naming.h"

#define EXPORT_PREFIX "sendense-"
#define EXPORT_RANDOM_BYTES 16

int
naming_name_check(const char *name, const char *what, struct err *err)
{
    size_t n = strlen(name);

    if (n == 0 || n > NAMING_NAME_MAX)
        return err_set(err, ERR_INVALID, "invalid_field", "%s must have 1 to %u bytes",
                       what, NAMING_NAME_MAX);
    if (!text_is_utf8(name, n))
        return err_set(err, ERR_INVALID, "invalid_field", "%s is not UTF-8", what);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        /* U+0080..U+009F are C2 80..C2 9F: terminals obey some of them. */
        bool c1 = c == 0xc2 && (unsigned char)name[i + 1] < 0xa0;

        if (c < 0x20 || c == 0x7f || c1)
            return err_set(err, ERR_INVALID, "invalid_field",
                           "%s has a control character at byte %zu", what, i);
    }
    return 0;
}

int
naming_key_from_str(const char *s, uint32_t *ret_key)
{
    uint64_t v;

    if (text_to_u64(s, &v) < 0 || v > NAMING_KEY_MAX || (s[0] == '0' && s[1] != '\0'))
        return -1;
    *ret_key = (uint32_t)v;
    return 0;
}

void
naming_backup_id(const char *vm_name, int64_t epoch_s, char out[NAMING_BACKUP_ID_SIZE])
{
    char name[65];
    size_t n = 0;

    for (; n < sizeof(name) - 1 && vm_name[n]; n++) {
        char c = vm_name[n];
        bool keep = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';

        name[n] = keep ? c : '_';
    }
    name[n] = '\0';
    snprintf(out, NAMING_BACKUP_ID_SIZE, "backup-%s-%" PRId64, name, epoch_s);
}

void
naming_seq(uint32_t seq, char out[NAMING_SEQ_SIZE])
{
    snprintf(out, NAMING_SEQ_SIZE, "%06" PRIu32, seq);
}

/* Exactly what naming_seq() writes, nothing else: two spellings of one number would be
 * two files. */
static int
seq_parse(const char *digits, size_t n, uint32_t *ret_seq)
{
    char copy[NAMING_SEQ_SIZE], canonical[NAMING_SEQ_SIZE];
    uint64_t v;

    if (n >= sizeof(copy))
        return -1;
    memcpy(copy, digits, n);
    copy[n] = '\0';
    if (text_to_u64(copy, &v) < 0 || v == 0 || v > NAMING_SEQ_MAX)
        return -1;
    naming_seq((uint32_t)v, canonical);
    if (strcmp(copy, canonical) != 0)
        return -1;
    *ret_seq = (uint32_t)v;
    return 0;
}

int
naming_seq_from_file(const char *file, const char *suffix, uint32_t *ret_seq)
{
    size_t n = strspn(file, "0123456789");

    if (strcmp(file + n, suffix) != 0)
        return -1;
    return seq_parse(file, n, ret_seq);
}

void
naming_locator_build(const char *vm_uuid, const char *disk_uuid, uint32_t seq,
                     char out[NAMING_LOCATOR_SIZE])
{
    snprintf(out, NAMING_LOCATOR_SIZE, "vms/%.36s/disks/%.36s/%06" PRIu32, vm_uuid,
             disk_uuid, seq);
}

static int
take_literal(const char **p, const char *literal)
{
    size_t n = strlen(literal);

    if (strncmp(*p, literal, n) != 0)
        return -1;
    *p += n;
    return 0;
}

static int
take_uuid(const char **p, char out[UUID_STR_SIZE])
{
    size_t n = strnlen(*p, UUID_STR_SIZE - 1);

    memcpy(out, *p, n);
    out[n] = '\0';
    if (!uuid_is_valid(out))
        return -1;
    *p += n;
    return 0;
}

int
naming_locator_parse(const char *s, struct naming_locator *ret)
{
    struct naming_locator l = {0};

    if (take_literal(&s, "vms/") < 0 || take_uuid(&s, l.vm_uuid) < 0 ||
        take_literal(&s, "/disks/") < 0 || take_uuid(&s, l.disk_uuid) < 0 ||
        take_literal(&s, "/") < 0 || seq_parse(s, strlen(s), &l.seq) < 0)
        return -1;
    *ret = l;
    return 0;
}

void
naming_export_make(char out[NAMING_EXPORT_SIZE])
{
    memcpy(out, EXPORT_PREFIX, sizeof(EXPORT_PREFIX));
    random_hex(out + sizeof(EXPORT_PREFIX) - 1, EXPORT_RANDOM_BYTES);
}

bool
naming_export_is_valid(const char *s)
{
    uint8_t raw[EXPORT_RANDOM_BYTES];

    return take_literal(&s, EXPORT_PREFIX) == 0 && text_unhex(s, raw, sizeof(raw)) == 0;
}

void
naming_description(const char *job_id, uint32_t key, char out[NAMING_DESCRIPTION_SIZE])
{
    snprintf(out, NAMING_DESCRIPTION_SIZE, "sendense %.36s %" PRIu32, job_id, key);
}
