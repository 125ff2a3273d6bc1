/* nbd/nbd_sync.c - the synchronous calls of nbd_conn.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/timeutil.h"
#include "nbd/nbd_conn_priv.h"

/* The protocol's lengths have 32 bits. */
#define ZERO_PAGE (2ull << 30)
/* On a large, empty disk questions are most of the cost: as large as they may be, and
 * whole tables of qcow2 (512 MiB each). */
#define STATUS_PAGE (7ull << 29)
#define ENTRIES_MAX (1u << 21) /* numbers kept of one answer: 8 MiB */

static int
sync_done(void *arg, int *error)
{
    struct nbd_conn *c = arg;

    c->cmd_error = *error;
    c->cmd_done = true;
    return 1;
}

static nbd_completion_callback
sync_begin(struct nbd_conn *c)
{
    c->cmd_error = 0;
    c->cmd_done = false;
    return (nbd_completion_callback){.callback = sync_done, .user_data = c};
}

/* Waits for the command of which libnbd gave @cookie.  After a deadline the connection is
 * useless: the answer may still come and must not be written into the caller's buffer. */
static int
sync_end(struct nbd_conn *c, int64_t cookie, struct err *err)
{
    uint64_t deadline = time_mono_ns() + c->io_ns;

    if (cookie < 0)
        return nbd_conn_io_error(err, nbd_get_errno(), "start");
    while (!c->cmd_done) {
        int r = nbd_conn_step(c->h, c->cancel_fd, deadline, err);

        if (c->cmd_done)
            break;
        if (r < 0) {
            nbd_conn_abandon(c);
            return r;
        }
        if (r > 0)
            deadline = time_mono_ns() + c->io_ns;
    }
    err_clear(err);
    if (c->cmd_error)
        return nbd_conn_io_error(err, c->cmd_error, "answer");
    return 0;
}

static int
usable(const struct nbd_conn *c, struct err *err)
{
    if (c->h)
        return 0;
    return nbd_conn_io_error(err, ENOTCONN, "'%s'", c->uri);
}

int
nbd_conn_pread(struct nbd_conn *c, void *p, size_t n, uint64_t off, struct err *err)
{
    int r = 0;

    while (n > 0 && r == 0) {
        size_t part = n < c->info.max_request ? n : c->info.max_request;

        r = usable(c, err);
        if (r == 0) {
            nbd_completion_callback cb = sync_begin(c);

            r = sync_end(c, nbd_aio_pread(c->h, p, part, off, cb, 0), err);
        }
        if (r < 0)
            return err_prefix(err, "read %zu bytes at %llu", part,
                              (unsigned long long)off);
        p = (char *)p + part;
        off += part;
        n -= part;
    }
    return 0;
}

int
nbd_conn_pwrite(struct nbd_conn *c, const void *p, size_t n, uint64_t off,
                struct err *err)
{
    int r = 0;

    while (n > 0 && r == 0) {
        size_t part = n < c->info.max_request ? n : c->info.max_request;

        r = usable(c, err);
        if (r == 0) {
            nbd_completion_callback cb = sync_begin(c);

            r = sync_end(c, nbd_aio_pwrite(c->h, p, part, off, cb, 0), err);
        }
        if (r < 0)
            return err_prefix(err, "write %zu bytes at %llu", part,
                              (unsigned long long)off);
        p = (const char *)p + part;
        off += part;
        n -= part;
    }
    return 0;
}

int
nbd_conn_zero(struct nbd_conn *c, uint64_t n, uint64_t off, struct err *err)
{
    int r = 0;

    while (n > 0 && r == 0) {
        uint64_t part = n < ZERO_PAGE ? n : ZERO_PAGE;

        r = usable(c, err);
        if (r == 0) {
            nbd_completion_callback cb = sync_begin(c);

            r = sync_end(c, nbd_aio_zero(c->h, part, off, cb, 0), err);
        }
        if (r < 0)
            return err_prefix(err, "zero %llu bytes at %llu", (unsigned long long)part,
                              (unsigned long long)off);
        off += part;
        n -= part;
    }
    return 0;
}

int
nbd_conn_flush(struct nbd_conn *c, struct err *err)
{
    int r = usable(c, err);

    if (r == 0) {
        nbd_completion_callback cb = sync_begin(c);

        r = sync_end(c, nbd_aio_flush(c->h, cb, 0), err);
    }
    return r < 0 ? err_prefix(err, "flush") : 0;
}

/* Copies what the server said; it may say it in pieces, and for contexts not asked about
 * here. */
static int
collect(void *arg, const char *context, uint64_t off, uint32_t *entries, size_t n,
        int *error)
{
    struct nbd_conn *c = arg;

    (void)off;
    if (strcmp(context, c->want_context) != 0)
        return 0;
    if (n > ENTRIES_MAX - c->n_entries)
        n = (ENTRIES_MAX - c->n_entries) & ~(size_t)1; /* the rest is asked for again */
    if (c->n_entries + n > c->entries_alloc) {
        uint32_t *more = realloc(c->entries, (c->n_entries + n) * sizeof(*more));

        if (!more) {
            *error = ENOMEM;
            return -1;
        }
        c->entries = more;
        c->entries_alloc = c->n_entries + n;
    }
    memcpy(c->entries + c->n_entries, entries, n * sizeof(*entries));
    c->n_entries += n;
    return 0;
}

static int
fetch_page(struct nbd_conn *c, uint64_t off, uint64_t len, struct err *err)
{
    nbd_extent_callback ext = {.callback = collect, .user_data = c};
    int r = usable(c, err);

    c->n_entries = 0;
    if (r == 0) {
        nbd_completion_callback cb = sync_begin(c);

        r = sync_end(c, nbd_aio_block_status(c->h, len, off, ext, cb, 0), err);
    }
    if (r == 0 && (c->n_entries < 2 || c->entries[0] == 0))
        r = err_set(err, ERR_PROTOCOL, "nbd_io", "the server described nothing");
    return r < 0 ? err_prefix(err, "block status of %llu bytes at %llu",
                              (unsigned long long)len, (unsigned long long)off)
                 : 0;
}

int
nbd_conn_extents(struct nbd_conn *c, enum nbd_context context, uint64_t off, uint64_t len,
                 nbd_extent_fn fn, void *arg, struct err *err)
{
    bool depth = context == NBD_CONTEXT_DEPTH;
    const char *name = depth ? NBD_DEPTH_CONTEXT : LIBNBD_CONTEXT_BASE_ALLOCATION;
    uint64_t end = off + len;

    if (!(depth ? c->info.has_depth : c->info.has_map))
        return err_set(err, ERR_INVALID, "nbd_no_context", "'%s' does not offer '%s'",
                       c->uri, name);
    while (off < end) {
        uint64_t page = end - off < STATUS_PAGE ? end - off : STATUS_PAGE;
        uint32_t *entries;
        size_t n;
        int r;

        c->want_context = name;
        r = fetch_page(c, off, page, err);
        if (r < 0)
            return r;
        /* @fn may ask the connection for something else: the page is ours until it is
         * done. */
        entries = take_ptr(&c->entries);
        n = c->n_entries;
        c->entries_alloc = 0;
        for (size_t i = 0; i + 1 < n && off < end && r >= 0; i += 2) {
            uint64_t part = entries[i] < end - off ? entries[i] : end - off;

            if (part > 0)
                r = fn(arg, off, part, entries[i + 1], err);
            off += part;
        }
        free(entries);
        if (r < 0)
            return r;
    }
    return 0;
}
