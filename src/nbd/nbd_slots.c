/* nbd/nbd_slots.c - see nbd_slots.h. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "nbd/nbd_conn_priv.h"
#include "nbd/nbd_slots.h"

#define SLOTS_MAX 256
#define SLOT_BYTES_MAX (32u << 20)
#define CMD_CHUNK 64

enum cmd_op { CMD_READ, CMD_WRITE, CMD_ZERO, CMD_FLUSH };

/* A slot with the pool's side of it. */
struct slot {
    struct nbd_slot pub; /* first: the owner's pointer is ours */
    unsigned pending;    /* commands in flight */
    bool taken, ready;
    int error; /* errno of the first command that failed; the rest says which it was */
    enum cmd_op error_op;
    unsigned error_conn;
    uint64_t error_off;
    uint32_t error_len;
};

/* A command in flight, in its connection's list, oldest first. */
struct cmd {
    struct nbd_slots *s;
    struct slot *slot;
    struct cmd *prev, *next;
    uint64_t off;
    uint32_t len;
    enum cmd_op op;
    unsigned conn;
};

struct attached {
    struct nbd_conn *c;
    const char *name;
    struct cmd *oldest, *newest;
    unsigned in_flight;
    uint64_t progress_ns; /* last sign of life since commands are in flight */
    uint64_t io_ns;       /* how long it may be silent then */
};

struct nbd_slots {
    /* fixed */
    unsigned count;
    size_t slot_bytes;
    size_t map_bytes;
    unsigned char *map;
    uint64_t io_ns;
    int cancel_fd;
    int wake_fd; /* the only member that other threads use */
    /* owner thread */
    struct slot *slots;
    struct slot **idle; /* stack */
    unsigned n_idle;
    struct slot **ready; /* ring of count entries */
    unsigned ready_first, n_ready;
    struct attached conns[NBD_SLOTS_CONNS_MAX];
    unsigned n_conns;
    struct cmd *free_cmds; /* linked by next */
    struct cmd **chunks;
    unsigned n_chunks;
};

static const char *
op_verb(enum cmd_op op)
{
    static const char *const verbs[] = {"read", "write", "zero", "flush"};

    return verbs[op];
}

int
nbd_slots_new(const struct nbd_slots_opts *o, struct nbd_slots **ret, struct err *err)
{
    CLEANUP_NBD_SLOTS struct nbd_slots *s = NULL;
    size_t page = 4096;

    if (o->count < 1 || o->count > SLOTS_MAX || o->slot_bytes < 512 ||
        o->slot_bytes > SLOT_BYTES_MAX)
        return err_set(err, ERR_INVALID, NULL, "slots: %u of %zu bytes are out of range",
                       o->count, o->slot_bytes);
    s = xcalloc(1, sizeof(*s));
    s->wake_fd = -1;
    s->count = o->count;
    s->slot_bytes = o->slot_bytes;
    s->cancel_fd = o->cancel_fd;
    s->io_ns = (o->io_s ? o->io_s : 60) * NS_PER_S;
    s->slots = xcalloc(s->count, sizeof(*s->slots));
    s->idle = xcalloc(s->count, sizeof(struct slot *));
    s->ready = xcalloc(s->count, sizeof(struct slot *));
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0)
        return err_errno(err, errno, NULL, "slots: eventfd");
    s->slot_bytes = (o->slot_bytes + page - 1) / page * page;
    s->map_bytes = s->slot_bytes * s->count;
    s->map = mmap(NULL, s->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0);
    if (s->map == MAP_FAILED) {
        s->map = NULL;
        return err_set(err, ERR_LIMIT, NULL,
                       "slots: no memory for %u buffers of %zu bytes", s->count,
                       s->slot_bytes);
    }
    /* Every page is touched now, none during the copy; huge pages save most of the
     * misses. */
    (void)madvise(s->map, s->map_bytes, MADV_HUGEPAGE);
    memset(s->map, 0, s->map_bytes);
    for (unsigned i = s->count; i-- > 0;) {
        s->slots[i].pub.index = i;
        s->slots[i].pub.data = s->map + i * s->slot_bytes;
        s->idle[s->n_idle++] = &s->slots[i];
    }
    *ret = take_ptr(&s);
    return 0;
}

void
nbd_slots_free(struct nbd_slots *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->n_conns; i++)
        if (s->conns[i].in_flight > 0)
            nbd_conn_abandon(s->conns[i].c);
    for (unsigned i = 0; i < s->n_chunks; i++)
        free(s->chunks[i]);
    free(s->chunks);
    if (s->map)
        munmap(s->map, s->map_bytes);
    cleanup_fd(&s->wake_fd);
    free(s->slots);
    free(s->idle);
    free(s->ready);
    free(s);
}

void
cleanup_nbd_slots(struct nbd_slots **s)
{
    nbd_slots_free(*s);
}

int
nbd_slots_attach(struct nbd_slots *s, struct nbd_conn *c, const char *name,
                 struct err *err)
{
    if (s->n_conns == NBD_SLOTS_CONNS_MAX)
        return err_set(err, ERR_LIMIT, NULL, "slots: more than %d connections",
                       NBD_SLOTS_CONNS_MAX);
    s->conns[s->n_conns] = (struct attached){.c = c, .name = name, .io_ns = s->io_ns};
    return (int)s->n_conns++;
}

void
nbd_slots_set_io(struct nbd_slots *s, int conn, unsigned io_s)
{
    s->conns[conn].io_ns = io_s * NS_PER_S;
}

struct nbd_slot *
nbd_slots_get(struct nbd_slots *s)
{
    struct slot *slot;

    if (s->n_idle == 0)
        return NULL;
    slot = s->idle[--s->n_idle];
    slot->taken = true;
    slot->error = 0;
    return &slot->pub;
}

void
nbd_slots_put(struct nbd_slots *s, struct nbd_slot *pub)
{
    struct slot *slot = (struct slot *)pub;

    slot->taken = false;
    s->idle[s->n_idle++] = slot;
}

unsigned
nbd_slots_busy(const struct nbd_slots *s)
{
    return s->count - s->n_idle;
}

static struct cmd *
cmd_new(struct nbd_slots *s)
{
    struct cmd *cmd = s->free_cmds;

    if (!cmd) {
        struct cmd *chunk = xcalloc(CMD_CHUNK, sizeof(*chunk));

        s->chunks = xreallocarray(s->chunks, s->n_chunks + 1, sizeof(struct cmd *));
        s->chunks[s->n_chunks++] = chunk;
        for (unsigned i = 0; i < CMD_CHUNK; i++) {
            chunk[i].next = s->free_cmds;
            s->free_cmds = &chunk[i];
        }
        cmd = s->free_cmds;
    }
    s->free_cmds = cmd->next;
    return cmd;
}

static void
cmd_link(struct cmd *cmd, struct attached *a)
{
    if (a->in_flight++ == 0)
        a->progress_ns = time_mono_ns();
    cmd->prev = a->newest;
    cmd->next = NULL;
    if (a->newest)
        a->newest->next = cmd;
    else
        a->oldest = cmd;
    a->newest = cmd;
}

static void
cmd_unlink(struct cmd *cmd, struct attached *a)
{
    a->in_flight--;
    if (cmd->prev)
        cmd->prev->next = cmd->next;
    else
        a->oldest = cmd->next;
    if (cmd->next)
        cmd->next->prev = cmd->prev;
    else
        a->newest = cmd->prev;
    cmd->next = cmd->s->free_cmds;
    cmd->s->free_cmds = cmd;
}

/* Runs inside libnbd: marks, and starts nothing. */
static int
cmd_done(void *arg, int *error)
{
    struct cmd *cmd = arg;
    struct nbd_slots *s = cmd->s;
    struct slot *slot = cmd->slot;

    if (*error && !slot->error) {
        slot->error = *error;
        slot->error_op = cmd->op;
        slot->error_conn = cmd->conn;
        slot->error_off = cmd->off;
        slot->error_len = cmd->len;
    }
    cmd_unlink(cmd, &s->conns[cmd->conn]);
    if (--slot->pending == 0) {
        slot->ready = true;
        s->ready[(s->ready_first + s->n_ready++) % s->count] = slot;
    }
    return 1;
}

/* A write that completes while the next command of the same slot is being started would
 * be handed out too early: the newest ready entry is taken back. */
static void
unready(struct nbd_slots *s, struct slot *slot)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < s->n_ready; i++) {
        struct slot *r = s->ready[(s->ready_first + i) % s->count];

        if (r != slot)
            s->ready[(s->ready_first + kept++) % s->count] = r;
    }
    s->n_ready = kept;
    slot->ready = false;
}

struct start {
    enum cmd_op op;
    int conn;
    size_t at;
    uint32_t n;
    uint64_t off;
};

static int
start(struct nbd_slots *s, struct nbd_slot *pub, struct start st, struct err *err)
{
    struct slot *slot = (struct slot *)pub;
    struct attached *a = &s->conns[st.conn];
    struct nbd_handle *h = nbd_conn_handle(a->c);
    nbd_completion_callback cb = {.callback = cmd_done};
    struct cmd *cmd;
    int64_t cookie = -1;

    if (!h)
        return nbd_conn_io_error(err, ENOTCONN, "%s %u bytes at %llu of %s",
                                 op_verb(st.op), st.n, (unsigned long long)st.off,
                                 a->name);
    if (slot->ready)
        unready(s, slot);
    cmd = cmd_new(s);
    *cmd = (struct cmd){.s = s,
                        .slot = slot,
                        .off = st.off,
                        .len = st.n,
                        .op = st.op,
                        .conn = (unsigned)st.conn};
    cmd_link(cmd, a);
    slot->pending++;
    cb.user_data = cmd;
    switch (st.op) {
    case CMD_READ:
        cookie = nbd_aio_pread(h, pub->data + st.at, st.n, st.off, cb, 0);
        break;
    case CMD_WRITE:
        cookie = nbd_aio_pwrite(h, pub->data + st.at, st.n, st.off, cb, 0);
        break;
    case CMD_ZERO:
        cookie = nbd_aio_zero(h, st.n, st.off, cb, 0);
        break;
    case CMD_FLUSH:
        cookie = nbd_aio_flush(h, cb, 0);
        break;
    }
    if (cookie >= 0)
        return 0;
    /* Not accepted: libnbd never calls back. */
    slot->pending--;
    cmd_unlink(cmd, a);
    return nbd_conn_io_error(err, nbd_get_errno(), "%s %u bytes at %llu of %s",
                             op_verb(st.op), st.n, (unsigned long long)st.off, a->name);
}

int
nbd_slot_pread(struct nbd_slots *s, struct nbd_slot *slot, int conn, size_t at,
               uint32_t n, uint64_t off, struct err *err)
{
    return start(s, slot, (struct start){CMD_READ, conn, at, n, off}, err);
}

int
nbd_slot_pwrite(struct nbd_slots *s, struct nbd_slot *slot, int conn, size_t at,
                uint32_t n, uint64_t off, struct err *err)
{
    return start(s, slot, (struct start){CMD_WRITE, conn, at, n, off}, err);
}

int
nbd_slot_zero(struct nbd_slots *s, struct nbd_slot *slot, int conn, uint32_t n,
              uint64_t off, struct err *err)
{
    return start(s, slot, (struct start){CMD_ZERO, conn, 0, n, off}, err);
}

int
nbd_slot_flush(struct nbd_slots *s, struct nbd_slot *slot, int conn, struct err *err)
{
    return start(s, slot, (struct start){CMD_FLUSH, conn, 0, 0, 0}, err);
}

int
nbd_slot_result(struct nbd_slots *s, struct nbd_slot *pub, struct err *err)
{
    struct slot *slot = (struct slot *)pub;
    int e = slot->error;

    slot->error = 0;
    if (e == 0)
        return 0;
    if (slot->error_op == CMD_FLUSH)
        return nbd_conn_io_error(err, e, "flush of %s", s->conns[slot->error_conn].name);
    return nbd_conn_io_error(err, e, "%s %u bytes at %llu of %s", op_verb(slot->error_op),
                             slot->error_len, (unsigned long long)slot->error_off,
                             s->conns[slot->error_conn].name);
}

static int
silent(const struct nbd_slots *s, const struct attached *a, struct err *err)
{
    const struct cmd *cmd = a->oldest;

    return err_set(err, ERR_TIMEOUT, "nbd_timeout",
                   "%s %u bytes at %llu of %s: no progress for %llu s, %u requests wait",
                   op_verb(cmd->op), cmd->len, (unsigned long long)cmd->off, a->name,
                   (unsigned long long)(a->io_ns / NS_PER_S), a->in_flight);
}

/* Nearest of the caller's deadline and those of the connections; ERR_TIMEOUT when one
 * passed. */
static int
next_deadline(struct nbd_slots *s, uint64_t now, uint64_t *deadline, struct err *err)
{
    for (unsigned i = 0; i < s->n_conns; i++) {
        struct attached *a = &s->conns[i];

        if (a->in_flight == 0)
            continue;
        if (now >= a->progress_ns + a->io_ns)
            return silent(s, a, err);
        if (a->progress_ns + a->io_ns < *deadline)
            *deadline = a->progress_ns + a->io_ns;
    }
    return 0;
}

static int
notify_conns(struct nbd_slots *s, const struct pollfd *fds, struct err *err)
{
    uint64_t now = time_mono_ns();

    for (unsigned i = 0; i < s->n_conns; i++) {
        struct attached *a = &s->conns[i];

        if (!fds[i].revents)
            continue;
        a->progress_ns = now;
        /* A dead connection completes its commands with ENOTCONN; then the slots tell. */
        if (nbd_conn_notify(nbd_conn_handle(a->c), fds[i].revents) < 0 && s->n_ready == 0)
            return nbd_conn_io_error(err, nbd_get_errno(), "connection to %s", a->name);
    }
    return 0;
}

/* One poll(2).  1 = woken, 0 = went on. */
static int
poll_once(struct nbd_slots *s, uint64_t deadline, struct err *err)
{
    struct pollfd fds[NBD_SLOTS_CONNS_MAX + 2];
    unsigned n = s->n_conns;
    eventfd_t v;
    int r;

    for (unsigned i = 0; i < n; i++) {
        struct nbd_handle *h = nbd_conn_handle(s->conns[i].c);

        if (!h || nbd_aio_get_fd(h) < 0)
            return nbd_conn_io_error(err, ENOTCONN, "connection to %s", s->conns[i].name);
        fds[i] =
            (struct pollfd){.fd = nbd_aio_get_fd(h), .events = nbd_conn_poll_events(h)};
    }
    fds[n] = (struct pollfd){.fd = s->wake_fd, .events = POLLIN};
    fds[n + 1] =
        (struct pollfd){.fd = s->cancel_fd > 0 ? s->cancel_fd : -1, .events = POLLIN};
    r = poll(fds, n + 2, deadline == UINT64_MAX ? -1 : time_left_ms(deadline));
    if (r < 0)
        return errno == EINTR ? 0 : err_errno(err, errno, NULL, "poll");
    if (fds[n + 1].revents)
        return err_set(err, ERR_CANCELLED, "cancelled", "cancelled");
    r = notify_conns(s, fds, err);
    if (r < 0)
        return r;
    return fds[n].revents && eventfd_read(s->wake_fd, &v) == 0;
}

int
nbd_slots_wait(struct nbd_slots *s, int timeout_ms, struct nbd_slot **ret_slot,
               struct err *err)
{
    uint64_t until = UINT64_MAX;
    bool woken = false;

    if (timeout_ms >= 0 && s->n_ready == 0)
        until = time_mono_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    for (;;) {
        uint64_t deadline = until;
        uint64_t now;
        int r;

        if (s->n_ready > 0) {
            struct slot *slot = s->ready[s->ready_first];

            s->ready_first = (s->ready_first + 1) % s->count;
            s->n_ready--;
            slot->ready = false;
            *ret_slot = &slot->pub;
            if (woken) /* not lost: the next wait returns at once */
                nbd_slots_wake(s);
            return 1;
        }
        now = time_mono_ns();
        if (woken || now >= until)
            return 0;
        r = next_deadline(s, now, &deadline, err);
        if (r == 0)
            r = poll_once(s, deadline, err);
        if (r < 0)
            return r;
        woken = r > 0;
    }
}

void
nbd_slots_wake(struct nbd_slots *s)
{
    (void)eventfd_write(s->wake_fd, 1);
}
