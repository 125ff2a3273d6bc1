/* model/bytes.h - little-endian integers in byte arrays.                  Internal to
 * model. */
#ifndef SENDENSE_MODEL_BYTES_H
#define SENDENSE_MODEL_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t
bytes_get_u64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static inline uint32_t
bytes_get_u32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static inline void
bytes_put_u64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static inline void
bytes_put_u32(uint8_t *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static inline int
bytes_are_zero(const uint8_t *p, size_t n)
{
    while (n > 0 && *p == 0) {
        p++;
        n--;
    }
    return n == 0;
}

#endif
