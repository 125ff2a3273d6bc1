/* worker/zero_runs.c - see zero_runs.h. */
#include "worker/zero_runs.h"

#include "base/mem.h"
#include "copy/block.h"
#include "worker/manifests.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_SIZE)
#define LOOK_BYTES (16u * MANIFEST_BLOCK_SIZE)

struct zero_check {
    struct nbd_conn *conn;
    struct findings *findings;
    struct pulse *pulse;
    unsigned char *buf; /* LOOK_BYTES */
    uint64_t end_bytes;
};

static int
look_for_data(struct zero_check *z, uint64_t off, uint64_t len, struct err *err)
{
    for (uint64_t end = off + len; off < end;) {
        size_t n = end - off < LOOK_BYTES ? (size_t)(end - off) : LOOK_BYTES;

        if (pulse_beat(z->pulse, err) < 0 ||
            nbd_conn_pread(z->conn, z->buf, n, off, err) < 0)
            return err_prefix(err, "source");
        z->pulse->bytes.read += n;
        for (size_t at = 0; at < n; at += BLOCK) {
            size_t part = n - at < BLOCK ? n - at : BLOCK;
            uint64_t from = (off + at) / BLOCK * BLOCK, to = from + BLOCK;

            if (!block_is_zero(z->buf + at, part))
                findings_add(z->findings, from,
                             (to < z->end_bytes ? to : z->end_bytes) - from,
                             BAD_MISMATCH);
        }
        off += n;
    }
    return 0;
}

static int
on_zero_extent(void *arg, uint64_t off, uint64_t len, uint32_t flags, struct err *err)
{
    struct zero_check *z = arg;

    if (flags & LIBNBD_STATE_ZERO)
        return pulse_beat(z->pulse, err);
    return look_for_data(z, off, len, err);
}

static int
check_zero_run(struct zero_check *z, uint64_t block, uint64_t count, struct err *err)
{
    uint64_t off = block * BLOCK, end = (block + count) * BLOCK;

    if (end > z->end_bytes)
        end = z->end_bytes;
    if (off >= end)
        return 0; /* told as missing */
    if (!nbd_conn_info(z->conn)->has_map)
        return look_for_data(z, off, end - off, err);
    return nbd_conn_extents(z->conn, NBD_CONTEXT_MAP, off, end - off, on_zero_extent, z,
                            err);
}

int
zero_runs_check(struct nbd_conn *conn, const struct worker_spec_disk *d,
                struct findings *f, struct pulse *pulse, struct err *err)
{
    CLEANUP_WALK struct walk *walk = NULL;
    CLEANUP_FREE unsigned char *buf = xcalloc(1, LOOK_BYTES);
    uint64_t image = nbd_conn_info(conn)->size_bytes;
    struct zero_check z = {.conn = conn,
                           .findings = f,
                           .pulse = pulse,
                           .buf = buf,
                           .end_bytes = image < d->size_bytes ? image : d->size_bytes};
    struct walk_item item;
    int r = 0;

    if (d->n_layers < 2) /* a full has no zero records */
        return 0;
    r = walk_new(d, true, &walk, err);
    while (r >= 0 && (r = walk_next(walk, &item, err)) > 0)
        if (!item.data)
            r = check_zero_run(&z, item.block, item.count, err);
    return r < 0 ? r : 0;
}
