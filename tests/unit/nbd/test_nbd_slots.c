/* Many requests in flight: every byte in its place, every wait with an end. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "nbd/nbd_slots.h"
#include "nbd_rig.h"

#define SLOT 65536u

struct world {
    struct rig rig;
    struct rig_server server;
    struct nbd_conn *conn;
    struct nbd_slots *slots;
    int cancel_fd;
    struct err err;
};

static int
setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    rig_init(&w->rig);
    w->cancel_fd = eventfd(0, EFD_CLOEXEC);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    nbd_slots_free(w->slots);
    nbd_conn_free(w->conn);
    rig_stop(&w->server);
    rig_done(&w->rig);
    cleanup_fd(&w->cancel_fd);
    free(w);
    return 0;
}

static void
start(struct world *w, const char *const *nbdkit)
{
    struct nbd_slots_opts o = {
        .count = 4, .slot_bytes = SLOT, .io_s = 1, .cancel_fd = w->cancel_fd};

    rig_nbdkit(&w->rig, "sock", nbdkit, &w->server);
    assert_int_equal(
        nbd_conn_open(&(struct nbd_conn_opts){.uri = w->server.uri}, &w->conn, &w->err),
        0);
    assert_int_equal(nbd_slots_new(&o, &w->slots, &w->err), 0);
    assert_int_equal(nbd_slots_attach(w->slots, w->conn, "disk", &w->err), 0);
}

static const char *const memory[] = {"memory", "8M", NULL};

/* Writes a pattern in two commands a slot, reads it back through the same pool. */
static void
pattern(void **state)
{
    struct world *w = *state;
    struct nbd_slot *slot;
    unsigned next = 0, back = 0;

    start(w, memory);
    while (back < 64) {
        while (next < 64 && (slot = nbd_slots_get(w->slots))) {
            slot->state = 0;
            slot->off = (uint64_t)next++ * SLOT;
            memset(slot->data, (int)(slot->off / SLOT) + 1, SLOT);
            assert_int_equal(
                nbd_slot_pwrite(w->slots, slot, 0, 0, 4096, slot->off, &w->err), 0);
            assert_int_equal(nbd_slot_pwrite(w->slots, slot, 0, 4096, SLOT - 4096,
                                             slot->off + 4096, &w->err),
                             0);
        }
        assert_int_equal(nbd_slots_wait(w->slots, -1, &slot, &w->err), 1);
        assert_int_equal(nbd_slot_result(w->slots, slot, &w->err), 0);
        if (slot->state++ == 0) {
            memset(slot->data, 0, SLOT);
            assert_int_equal(
                nbd_slot_pread(w->slots, slot, 0, 0, SLOT, slot->off, &w->err), 0);
            continue;
        }
        for (unsigned i = 0; i < SLOT; i++)
            assert_int_equal(slot->data[i], slot->off / SLOT + 1);
        nbd_slots_put(w->slots, slot);
        back++;
    }
    assert_int_equal(nbd_slots_busy(w->slots), 0);
}

static void
zero_and_flush(void **state)
{
    struct world *w = *state;
    struct nbd_slot *slot;
    char p[512];

    start(w, memory);
    slot = nbd_slots_get(w->slots);
    memset(slot->data, 7, 1024);
    assert_int_equal(nbd_slot_pwrite(w->slots, slot, 0, 0, 1024, 0, &w->err), 0);
    assert_int_equal(nbd_slots_wait(w->slots, -1, &slot, &w->err), 1);
    assert_int_equal(nbd_slot_zero(w->slots, slot, 0, 512, 0, &w->err), 0);
    assert_int_equal(nbd_slots_wait(w->slots, -1, &slot, &w->err), 1);
    assert_int_equal(nbd_slot_flush(w->slots, slot, 0, &w->err), 0);
    assert_int_equal(nbd_slots_wait(w->slots, -1, &slot, &w->err), 1);
    assert_int_equal(nbd_slot_result(w->slots, slot, &w->err), 0);
    nbd_slots_put(w->slots, slot);
    assert_int_equal(nbd_conn_pread(w->conn, p, 512, 256, &w->err), 0);
    assert_int_equal(p[255], 0);
    assert_int_equal(p[256], 7);
}

static void
limits(void **state)
{
    struct world *w = *state;
    struct nbd_slots *s = NULL;
    struct nbd_slot *slot;

    assert_int_equal(
        nbd_slots_new(&(struct nbd_slots_opts){.count = 0, .slot_bytes = 512}, &s,
                      &w->err),
        ERR_INVALID);
    assert_int_equal(
        nbd_slots_new(&(struct nbd_slots_opts){.count = 1, .slot_bytes = 33u << 20}, &s,
                      &w->err),
        ERR_INVALID);
    start(w, memory);
    for (int i = 0; i < 4; i++)
        assert_non_null(nbd_slots_get(w->slots));
    assert_null(nbd_slots_get(w->slots));
    assert_int_equal(nbd_slots_busy(w->slots), 4);
    for (int i = 1; i < NBD_SLOTS_CONNS_MAX; i++)
        assert_int_equal(nbd_slots_attach(w->slots, w->conn, "again", &w->err), i);
    assert_int_equal(nbd_slots_attach(w->slots, w->conn, "again", &w->err), ERR_LIMIT);
    assert_int_equal(nbd_slots_wait(w->slots, 10, &slot, &w->err),
                     0); /* nothing in flight */
}

static void
wake_and_cancel(void **state)
{
    struct world *w = *state;
    struct nbd_slot *slot;

    start(w, memory);
    nbd_slots_wake(w->slots);
    assert_int_equal(nbd_slots_wait(w->slots, -1, &slot, &w->err), 0);
    eventfd_write(w->cancel_fd, 1);
    assert_int_equal(nbd_slots_wait(w->slots, -1, &slot, &w->err), ERR_CANCELLED);
}

static void
errors(void **state)
{
    struct world *w = *state;
    struct nbd_slot *slot;

    start(w, (const char *[]){"--filter=error", "memory", "8M", "error-pread=EIO",
                              "error-pread-rate=100%", NULL});
    slot = nbd_slots_get(w->slots);
    assert_int_equal(nbd_slot_pread(w->slots, slot, 0, 0, 512, 4096, &w->err), 0);
    assert_int_equal(nbd_slots_wait(w->slots, -1, &slot, &w->err), 1);
    assert_int_equal(nbd_slot_result(w->slots, slot, &w->err), ERR_IO);
    assert_string_equal(w->err.msg, "read 512 bytes at 4096 of disk: Input/output error");
    assert_string_equal(w->err.code, "nbd_io");
    nbd_slots_put(w->slots, slot);
}

static void
stopped(void **state)
{
    struct world *w = *state;
    struct nbd_slot *slot;

    start(w, memory);
    slot = nbd_slots_get(w->slots);
    rig_signal(&w->server, SIGSTOP);
    assert_int_equal(nbd_slot_pread(w->slots, slot, 0, 0, 512, 1024, &w->err), 0);
    assert_int_equal(nbd_slots_wait(w->slots, -1, &slot, &w->err), ERR_TIMEOUT);
    assert_string_equal(w->err.code, "nbd_timeout");
    assert_string_equal(
        w->err.msg,
        "read 512 bytes at 1024 of disk: no progress for 1 s, 1 requests wait");
}

static void
killed(void **state)
{
    struct world *w = *state;
    struct nbd_slot *slot = NULL;
    int r;

    start(w, (const char *[]){"--filter=delay", "memory", "8M", "delay-read=30", NULL});
    slot = nbd_slots_get(w->slots);
    assert_int_equal(nbd_slot_pread(w->slots, slot, 0, 0, 512, 1024, &w->err), 0);
    rig_signal(&w->server, SIGKILL);
    r = nbd_slots_wait(w->slots, -1, &slot, &w->err);
    if (r == 1)
        r = nbd_slot_result(w->slots, slot, &w->err);
    assert_int_equal(r, ERR_UNAVAILABLE);
    assert_string_equal(w->err.code, "nbd_disconnected");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(pattern),         T(zero_and_flush), T(limits),
                                       T(wake_and_cancel), T(errors),         T(stopped),
                                       T(killed)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
