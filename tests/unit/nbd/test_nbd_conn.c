/* One connection: what it tells, what it does, and that nothing waits longer than its
 * deadline. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/timeutil.h"
#include "nbd/nbd_conn.h"
#include "nbd/nbd_resolve.h"
#include "nbd_rig.h"

static struct rig rig;

static int
setup(void **state)
{
    (void)state;
    rig_init(&rig);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    rig_done(&rig);
    return 0;
}

static void
open_fails(const struct nbd_conn_opts *o, int class, const char *code, const char *text)
{
    struct nbd_conn *c = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(nbd_conn_open(o, &c, &err), class);
    assert_null(c);
    assert_string_equal(err.code, code);
    if (!strstr(err.msg, text))
        fail_msg("'%s' is not in: %s", text, err.msg);
}

static void
open_ok(const struct nbd_conn_opts *o, struct nbd_conn **ret)
{
    struct err err = ERR_INIT;

    if (nbd_conn_open(o, ret, &err) < 0)
        fail_msg("%s", err.msg);
}

static void
info(void **state)
{
    struct rig_server s = {0};
    struct nbd_conn *c = NULL;

    (void)state;
    rig_qcow2(&rig, "i", 3 << 20);
    rig_qemu_nbd(&rig, "i", "qcow2", "what it is", &s);
    open_ok(&(struct nbd_conn_opts){.uri = s.uri, .want_map = true}, &c);
    assert_int_equal(nbd_conn_info(c)->size_bytes, 3 << 20);
    assert_string_equal(nbd_conn_info(c)->description, "what it is");
    assert_false(nbd_conn_info(c)->read_only);
    assert_true(nbd_conn_info(c)->can_flush);
    assert_true(nbd_conn_info(c)->can_zero);
    assert_true(nbd_conn_info(c)->has_map);
    assert_false(nbd_conn_info(c)->has_depth);
    assert_true(nbd_conn_info(c)->max_request >= 65536);
    assert_string_equal(nbd_conn_uri(c), s.uri);
    assert_non_null(nbd_conn_handle(c));
    nbd_conn_free(c);
    rig_stop(&s);
    rig_nbdkit(&rig, "ro", (const char *[]){"-r", "memory", "1M", NULL}, &s);
    open_ok(&(struct nbd_conn_opts){.uri = s.uri}, &c);
    assert_true(nbd_conn_info(c)->read_only);
    assert_string_equal(nbd_conn_info(c)->description, "");
    nbd_conn_free(c);
    rig_stop(&s);
}

static void
refused(void **state)
{
    struct rig_server s = {0};
    char uri[RIG_TEXT];

    (void)state;
    open_fails(&(struct nbd_conn_opts){.uri = "http://x/"}, ERR_INVALID, "nbd_uri",
               "http");
    open_fails(&(struct nbd_conn_opts){.uri = "nbds://127.0.0.1/"}, ERR_INVALID,
               "nbd_uri", "nbds");
    open_fails(&(struct nbd_conn_opts){.uri = "nbd+vsock://2/"}, ERR_INVALID, "nbd_uri",
               "vsock");
    open_fails(&(struct nbd_conn_opts){.uri = "nbd+unix:///x"}, ERR_INVALID, "nbd_uri",
               "socket");
    open_fails(&(struct nbd_conn_opts){.uri = "nbd://127.0.0.1:1/"}, ERR_UNAVAILABLE,
               "nbd_connect", "connect to 'nbd://127.0.0.1:1/'");
    open_fails(&(struct nbd_conn_opts){.uri = "nbd://no-such-host.invalid/"},
               ERR_NOT_FOUND, "nbd_resolve", "resolve 'no-such-host.invalid'");
    rig_qcow2(&rig, "r", 1 << 20);
    rig_qemu_nbd(&rig, "r", "qcow2", NULL, &s);
    snprintf(uri, sizeof(uri), "nbd+unix:///other?socket=%.300s/r.sock", rig.dir);
    open_fails(&(struct nbd_conn_opts){.uri = uri}, ERR_NOT_FOUND, "nbd_export_not_found",
               "export 'other' not found");
    rig_stop(&s);
}

/* A socket that accepts and says nothing. */
static void
silent_server(void **state)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLEANUP_FD int cancel = eventfd(1, EFD_CLOEXEC);
    char uri[RIG_TEXT];
    uint64_t start = time_mono_ns();

    (void)state;
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%.80s/silent", rig.dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 4), 0);
    snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", sa.sun_path);
    open_fails(&(struct nbd_conn_opts){.uri = uri, .connect_s = 1}, ERR_TIMEOUT,
               "nbd_timeout", "handshake with");
    assert_true(time_mono_ns() - start < 5 * NS_PER_S);
    open_fails(&(struct nbd_conn_opts){.uri = uri, .cancel_fd = cancel}, ERR_CANCELLED,
               "cancelled", "silent");
}

static void
data(void **state)
{
    struct rig_server s = {0};
    struct nbd_conn *c = NULL;
    struct err err = ERR_INIT;
    static char in[70000], out[70000];

    (void)state;
    rig_nbdkit(&rig, "mem", (const char *[]){"memory", "1M", NULL}, &s);
    open_ok(&(struct nbd_conn_opts){.uri = s.uri}, &c);
    memset(in, 0x5a, sizeof(in));
    assert_int_equal(nbd_conn_pwrite(c, in, sizeof(in), 12345, &err), 0);
    assert_int_equal(nbd_conn_zero(c, 100, 12345, &err), 0);
    assert_int_equal(nbd_conn_flush(c, &err), 0);
    assert_int_equal(nbd_conn_pread(c, out, sizeof(out), 12345, &err), 0);
    memset(in, 0, 100);
    assert_memory_equal(in, out, sizeof(in));
    assert_int_equal(nbd_conn_extents(c, NBD_CONTEXT_MAP, 0, 1, NULL, NULL, &err),
                     ERR_INVALID);
    assert_string_equal(err.code, "nbd_no_context");
    nbd_conn_abandon(c);
    assert_null(nbd_conn_handle(c));
    assert_int_equal(nbd_conn_flush(c, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.code, "nbd_disconnected");
    nbd_conn_free(c);
    rig_stop(&s);
}

struct map {
    uint64_t next, zero, data;
    int stop;
};

static int
on_extent(void *arg, uint64_t off, uint64_t len, uint32_t flags, struct err *err)
{
    struct map *m = arg;

    assert_int_equal(off, m->next);
    assert_true(len > 0);
    m->next = off + len;
    *(flags & LIBNBD_STATE_ZERO ? &m->zero : &m->data) += len;
    return m->stop ? err_set(err, ERR_LIMIT, "enough", "enough") : 0;
}

static void
extents(void **state)
{
    struct rig_server s = {0};
    struct nbd_conn *c = NULL;
    struct err err = ERR_INIT;
    struct map m = {.next = 65536};
    char path[RIG_TEXT];

    (void)state;
    rig_sparse_file(&rig, "e", 5ull << 30, 0, 1); /* more than two pages */
    rig_write(&rig, "e", "x", 1, 3ull << 30);
    rig_path(&rig, "e", path);
    rig_nbdkit(&rig, "e.sock", (const char *[]){"file", path, NULL}, &s);
    open_ok(&(struct nbd_conn_opts){.uri = s.uri, .want_map = true}, &c);
    assert_int_equal(nbd_conn_extents(c, NBD_CONTEXT_MAP, 65536, (5ull << 30) - 65636,
                                      on_extent, &m, &err),
                     0);
    assert_int_equal(m.next, (5ull << 30) - 100); /* clipped to the range */
    assert_true(m.data > 0 && m.data <= 1 << 20);
    m = (struct map){.stop = 1};
    assert_int_equal(
        nbd_conn_extents(c, NBD_CONTEXT_MAP, 0, 5ull << 30, on_extent, &m, &err),
        ERR_LIMIT);
    nbd_conn_free(c);
    rig_stop(&s);
}

static void
stopped_server(void **state)
{
    struct rig_server s = {0};
    struct nbd_conn *c = NULL;
    struct err err = ERR_INIT;
    char p[512];

    (void)state;
    rig_nbdkit(&rig, "stopped", (const char *[]){"memory", "1M", NULL}, &s);
    open_ok(&(struct nbd_conn_opts){.uri = s.uri, .io_s = 1}, &c);
    rig_signal(&s, SIGSTOP);
    assert_int_equal(nbd_conn_pread(c, p, sizeof(p), 1024, &err), ERR_TIMEOUT);
    assert_string_equal(err.code, "nbd_timeout");
    assert_non_null(strstr(err.msg, "read 512 bytes at 1024"));
    assert_int_equal(nbd_conn_flush(c, &err), ERR_UNAVAILABLE); /* useless from now on */
    nbd_conn_free(c);
    rig_stop(&s);
}

static void
failing_server(void **state)
{
    struct rig_server s = {0};
    struct nbd_conn *c = NULL;
    struct err err = ERR_INIT;
    char p[512] = {1};

    (void)state;
    rig_nbdkit(&rig, "enospc",
               (const char *[]){"--filter=error", "memory", "1M", "error-pwrite=ENOSPC",
                                "error-pwrite-rate=100%", NULL},
               &s);
    open_ok(&(struct nbd_conn_opts){.uri = s.uri}, &c);
    assert_int_equal(nbd_conn_pwrite(c, p, sizeof(p), 0, &err), ERR_NO_SPACE);
    assert_string_equal(err.code, "no_space");
    assert_non_null(strstr(err.msg, "write 512 bytes at 0"));
    rig_signal(&s, SIGKILL);
    assert_int_equal(nbd_conn_pread(c, p, sizeof(p), 0, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.code, "nbd_disconnected");
    nbd_conn_free(c);
    rig_stop(&s);
}

static void
resolve(void **state)
{
    static struct nbd_resolved r;
    uint64_t deadline = time_mono_ns() + 10 * NS_PER_S;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(nbd_resolve("nbd://[::1]:99/a?b", deadline, -1, &r, &err), 0);
    assert_string_equal(r.uris[0], "nbd://[::1]:99/a?b");
    assert_int_equal(nbd_resolve("nbd://u@localhost:10809/x", deadline, -1, &r, &err), 0);
    assert_true(r.n >= 1);
    assert_null(strstr(r.uris[0], "localhost"));
    assert_non_null(strstr(r.uris[0], "nbd://u@"));
    assert_non_null(strstr(r.uris[0], ":10809/x"));
    assert_int_equal(nbd_resolve("nbd://[::1", deadline, -1, &r, &err), ERR_INVALID);
    assert_int_equal(nbd_conn_io_error(&err, ENOSPC, "w"), ERR_NO_SPACE);
    assert_int_equal(nbd_conn_io_error(&err, EIO, "w"), ERR_IO);
    assert_int_equal(nbd_conn_io_error(&err, ECONNRESET, "w"), ERR_UNAVAILABLE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info),    cmocka_unit_test(refused),
        cmocka_unit_test(data),    cmocka_unit_test(silent_server),
        cmocka_unit_test(extents), cmocka_unit_test(stopped_server),
        cmocka_unit_test(resolve), cmocka_unit_test(failing_server),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
