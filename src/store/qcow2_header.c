/* store/qcow2_header.c - see qcow2_header.h.  Numbers in the file are big-endian. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "model/naming.h"
#include "store/qcow2_header.h"

#define QCOW2_MAGIC 0x514649fbu /* "QFI\xfb" */
#define QCOW2_CLUSTER_BITS 16
#define QCOW2_V3_LENGTH 104 /* smallest header of version 3 */
#define EXT_END 0u
#define EXT_BACKING_FORMAT 0xe2792acau
#define EXT_DATA_FILE 0x44415441u
#define EXT_CRYPTO 0x0537be77u

static const char *const incompat_names[] = {
    "is marked dirty",     "is marked corrupt by qemu", "has an external data file",
    "has compressed data", "has extended L2 entries",
};

static uint32_t
be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t
be64(const uint8_t *p)
{
    return (uint64_t)be32(p) << 32 | be32(p + 4);
}

static int
refuse(struct err *err, const char *why)
{
    return err_set(err, ERR_CORRUPT, "layer_header",
                   "the layer's header is refused: it %s", why);
}

static int
check_fixed(const uint8_t *p, size_t n, struct err *err)
{
    uint64_t incompat;

    if (n < QCOW2_V3_LENGTH)
        return refuse(err, "is too short for qcow2");
    if (be32(p) != QCOW2_MAGIC)
        return refuse(err, "is not qcow2");
    if (be32(p + 4) != 3)
        return refuse(err, "is not qcow2 of version 3 (compat=1.1)");
    incompat = be64(p + 72);
    for (size_t i = 0; i < ARRAY_LEN(incompat_names); i++)
        if (incompat & (1ull << i))
            return refuse(err, incompat_names[i]);
    if (incompat != 0)
        return refuse(err, "needs a feature that is not known (incompatible bit)");
    if (be32(p + 20) != QCOW2_CLUSTER_BITS)
        return refuse(err, "has a cluster size other than 65536");
    if (be32(p + 32) != 0)
        return refuse(err, "is encrypted");
    if (be32(p + 60) != 0)
        return refuse(err, "has internal snapshots");
    if (be64(p + 24) % 512 != 0 || be64(p + 24) > INT64_MAX)
        return refuse(err, "has an impossible virtual size");
    return 0;
}

/* Walks the extensions from the end of the header to @end, as qemu does.  *ret_fmt says
 * whether the backing format "qcow2" was among them. */
static int
check_extensions(const uint8_t *p, size_t start, size_t end, bool *ret_fmt,
                 struct err *err)
{
    size_t at = start;

    *ret_fmt = false;
    while (at < end) {
        uint32_t type, len;

        if (end - at < 8)
            return refuse(err, "has a cut header extension");
        type = be32(p + at);
        len = be32(p + at + 4);
        at += 8;
        if (type == EXT_END)
            return 0;
        if (len > end - at)
            return refuse(err, "has a header extension that is too long");
        if (type == EXT_DATA_FILE)
            return refuse(err, "names an external data file");
        if (type == EXT_CRYPTO)
            return refuse(err, "has an encryption header");
        if (type == EXT_BACKING_FORMAT) {
            /* Twice: which of them counts is qemu's business, so neither. */
            if (*ret_fmt || len != 5 || memcmp(p + at, "qcow2", 5) != 0)
                return refuse(err, "has a backing format other than qcow2");
            *ret_fmt = true;
        }
        at += ((size_t)len + 7) &
              ~(size_t)7; /* may pass @end by the padding; the loop ends */
    }
    return 0;
}

static int
check_backing_name(const uint8_t *name, size_t len, uint32_t seq, struct qcow2_header *h,
                   struct err *err)
{
    if (len >= sizeof(h->backing) || memchr(name, '\0', len) != NULL)
        return refuse(err, "has a backing file that is not NNNNNN.qcow2");
    memcpy(h->backing, name, len);
    h->backing[len] = '\0';
    if (naming_seq_from_file(h->backing, ".qcow2", &h->backing_seq) < 0)
        return refuse(err,
                      "has a backing file that is not NNNNNN.qcow2 (foreign, absolute "
                      "or with a protocol)");
    if (h->backing_seq >= seq)
        return refuse(err, "has a backing file that is not older than it");
    return 0;
}

int
qcow2_header_parse(const void *data, size_t n, uint32_t seq, struct qcow2_header *ret,
                   struct err *err)
{
    const uint8_t *p = data;
    struct qcow2_header h = {0};
    uint64_t backing_at;
    uint32_t backing_len, header_len;
    size_t limit = n < QCOW2_CLUSTER_SIZE ? n : QCOW2_CLUSTER_SIZE;
    bool has_format;
    int r = check_fixed(p, n, err);

    if (r < 0)
        return r;
    h.virtual_size = be64(p + 24);
    backing_at = be64(p + 8);
    backing_len = be32(p + 16);
    header_len = be32(p + 100);
    if (header_len < QCOW2_V3_LENGTH || header_len % 8 != 0 || header_len > limit)
        return refuse(err, "has an impossible header length");
    if ((backing_at == 0) != (backing_len == 0))
        return refuse(err, "is of two minds about its backing file");
    if (backing_at != 0 && (backing_at < header_len || backing_at > limit ||
                            backing_len > limit - backing_at))
        return refuse(err, "has a backing name outside of its first cluster");
    r = check_extensions(p, header_len, backing_at ? (size_t)backing_at : limit,
                         &has_format, err);
    if (r < 0)
        return r;
    if (has_format != (backing_at != 0))
        return refuse(err, backing_at ? "has no backing format"
                                      : "has a backing format but no backing file");
    if (backing_at != 0)
        r = check_backing_name(p + backing_at, backing_len, seq, &h, err);
    if (r == 0)
        *ret = h;
    return r;
}

int
qcow2_header_read(int fd, uint32_t seq, struct qcow2_header *ret, struct err *err)
{
    CLEANUP_FREE uint8_t *p = malloc(QCOW2_HEADER_READ);
    size_t n = 0;

    if (p == NULL)
        return err_set(err, ERR_LIMIT, NULL, "no memory to read a layer's header");
    while (n < QCOW2_HEADER_READ) {
        ssize_t got = pread(fd, p + n, QCOW2_HEADER_READ - n, (off_t)n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, NULL, "read a layer's header");
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return qcow2_header_parse(p, n, seq, ret, err);
}
