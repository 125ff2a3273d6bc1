/* tests/unit/store/test_export.c - the life of a qemu-nbd, with real ones. */
#include "store_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/fs.h"
#include "base/timeutil.h"
#include "nbd/nbd_conn.h"
#include "nbd/nbd_slots.h"
#include "store/export.h"
#include "store/lockprobe.h"
#include "store/ports.h"

#define SIZE (4u << 20)
#define TEN 10

struct rig {
    char *dir, *image;
    struct port_pool *ports;
    uint16_t port;
    struct export_spec spec;
};

static int
rig_setup(void **state)
{
    struct err err = ERR_INIT;
    struct rig *g = xcalloc(1, sizeof(*g));
    void *dir = NULL;
    int fd;

    if (tmp_setup(&dir) < 0 || port_pool_new(10150, 10190, &g->ports, &err) < 0 ||
        port_take(g->ports, "test", &g->port, &err) < 0)
        return -1;
    g->dir = dir;
    g->image = xasprintf("%s/disk.raw", g->dir);
    fd = open(g->image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, SIZE) < 0)
        return -1;
    close(fd);
    g->spec = (struct export_spec){.path = g->image,
                                   .format = "raw",
                                   .name = "sendense-0f",
                                   .description = "sendense JOB 2000",
                                   .port = g->port,
                                   .size_bytes = SIZE};
    *state = g;
    return 0;
}

static int
rig_teardown(void **state)
{
    struct rig *g = *state;
    void *dir = g->dir;

    export_set_qemu_nbd("qemu-nbd");
    port_pool_free(g->ports);
    free(g->image);
    free(g);
    return tmp_teardown(&dir);
}

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

/* Listens on the rig's port and never says a word. */
static int
silent_listener(const struct rig *g)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(g->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

/* A file of /proc/PID with its NUL bytes made into spaces. */
static char *
proc_text(pid_t pid, const char *file)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = xasprintf("/proc/%d/%s", (int)pid, file);
    CLEANUP_BUF struct buf b = BUF_INIT(65536);

    assert_ok(fs_read_file(path, &b, &err));
    for (size_t i = 0; i < b.len; i++)
        if (b.data[i] == '\0')
            b.data[i] = ' ';
    return buf_take(&b);
}

static bool
holds_file(pid_t pid, const char *path)
{
    bool found = false;

    for (int fd = 0; fd < 64 && !found; fd++) {
        CLEANUP_FREE char *link = xasprintf("/proc/%d/fd/%d", (int)pid, fd);
        char target[4096] = "";

        found = readlink(link, target, sizeof(target) - 1) > 0 && !strcmp(target, path);
    }
    return found;
}

/* Ten connections are open together and each writes and reads its own range. */
static void
ten_connections(const char *uri)
{
    struct err err = ERR_INIT;
    struct nbd_conn *c[TEN] = {NULL};
    const struct nbd_conn_opts opts = {.uri = uri, .connect_s = 5, .io_s = 5};
    char out[4096], in[4096];
    nbd_completion_callback none = NBD_NULL_COMPLETION;
    static char data[TEN][65536];

    for (int i = 0; i < TEN; i++)
        assert_ok(nbd_conn_open(&opts, &c[i], &err));
    for (int i = 0; i < TEN; i++) {
        memset(data[i], i + 1, sizeof(data[i]));
        assert_true(nbd_aio_pwrite(nbd_conn_handle(c[i]), data[i], sizeof(data[i]),
                                   (uint64_t)i * 65536, none, 0) >= 0);
    }
    for (int i = 0; i < TEN; i++) /* all in flight before the first is waited for */
        while (nbd_aio_in_flight(nbd_conn_handle(c[i])) > 0)
            assert_true(nbd_poll(nbd_conn_handle(c[i]), 5000) > 0);
    assert_ok(nbd_conn_flush(c[0], &err));
    for (int i = 0; i < TEN; i++) {
        memset(out, TEN - i, sizeof(out));
        assert_ok(
            nbd_conn_pread(c[i], in, sizeof(in), (uint64_t)(TEN - 1 - i) * 65536, &err));
        assert_memory_equal(in, out, sizeof(in));
    }
    for (int i = 0; i < TEN; i++)
        nbd_conn_free(c[i]);
}

/* Seed 3.1.4, 3.1.5: started by hand with --shared=10; ten libnbd connections at once. */
static void
seed_3_1_by_hand_ten_connections(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    CLEANUP_FREE char *port = xasprintf("--port=%u", g->port);
    CLEANUP_FREE char *uri = xasprintf("nbd://127.0.0.1:%u/by-hand", g->port);
    const char *argv[] = {"qemu-nbd",
                          "--shared=10",
                          "--persistent",
                          "--format=raw",
                          "--export-name=by-hand",
                          "--bind=127.0.0.1",
                          port,
                          g->image,
                          NULL};
    const struct child_spec spec = {.argv = argv};
    CLEANUP_CHILD struct child *c = NULL;
    struct child_exit gone;
    const struct nbd_conn_opts opts = {.uri = uri, .connect_s = 5};
    struct nbd_conn *probe = NULL;
    uint64_t deadline = time_mono_ns() + 5 * NS_PER_S;

    assert_ok(child_spawn(&spec, &c, &err));
    while (nbd_conn_open(&opts, &probe, &err) < 0) {
        struct pollfd p = {.fd = child_pidfd(c), .events = POLLIN};

        assert_true(time_mono_ns() < deadline);
        assert_int_equal(poll(&p, 1, 10), 0); /* it must live */
        err = (struct err)ERR_INIT;
    }
    nbd_conn_free(probe);
    ten_connections(uri);
    assert_ok(child_stop(c, 5000, &gone, &err));
}

/* Seed 3.1.1-3.1.3: our own start has the option and the whole right command line. */
static void
seed_3_1_command_line(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    CLEANUP_EXPORT struct export *e = NULL;
    CLEANUP_FREE char *lock = xasprintf("%s/lock", g->dir);
    CLEANUP_FREE char *want = xasprintf(
        "qemu-nbd --shared=10 --persistent --format=raw --export-name=sendense-0f "
        "--description=sendense JOB 2000 --bind=127.0.0.1 --port=%u --cache=writeback "
        "%s ",
        g->port, g->image);
    CLEANUP_FD int lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    g->spec.lock_fd = lock_fd;
    assert_ok(export_start(&g->spec, &e, &err));
    CLEANUP_FREE char *cmdline = proc_text(export_pid(e), "cmdline");
    assert_string_equal(cmdline, want);
    CLEANUP_FREE char *env = proc_text(export_pid(e), "environ");
    assert_non_null(strstr(env, "MALLOC_MMAP_THRESHOLD_=268435456 "));
    assert_non_null(strstr(env, "MALLOC_TRIM_THRESHOLD_=1073741824 "));
    assert_non_null(strstr(env, "MALLOC_TOP_PAD_=67108864 "));
    assert_true(holds_file(export_pid(e), lock));
    CLEANUP_FREE char *uri = xasprintf("nbd://127.0.0.1:%u/sendense-0f", g->port);
    assert_string_equal(export_uri(e), uri);
    assert_string_equal(export_name(e), "sendense-0f");
    assert_string_equal(export_path(e), g->image);
    assert_int_equal(export_port(e), g->port);
    assert_int_equal(export_size(e), SIZE);
    assert_false(export_is_direct(e));
    assert_true(export_alive(e));
    assert_true(export_pidfd(e) >= 0);
    assert_true(child_id_alive(export_identity(e)));
    ten_connections(export_uri(e));
}

/* Seed 3.2 and 3.3.1-3.3.5: stop from code; process gone, image unlocked, port free. */
static void
seed_3_2_3_3_stop_releases_all(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    CLEANUP_EXPORT struct export *e = NULL;
    struct export_stop_result res = {0}, again = {0};
    struct lockprobe lp = {0};

    assert_ok(export_start(&g->spec, &e, &err));
    struct child_id id = *export_identity(e);
    assert_ok(lockprobe_file(g->image, &lp, &err));
    assert_true(lp.in_use && lp.written);
    assert_false(port_is_free(g->port));
    assert_ok(export_stop(e, &res, &err));
    assert_true(res.term && !res.kill && !res.already_dead);
    assert_true(res.port_free && res.image_free);
    assert_false(child_id_alive(&id));
    assert_int_equal(kill(id.pid, 0), -1);
    assert_int_equal(errno, ESRCH); /* reaped: not even a zombie */
    assert_ok(lockprobe_file(g->image, &lp, &err));
    assert_false(lp.in_use || lp.written);
    assert_true(port_is_free(g->port));
    assert_ok(export_stop(e, &again, &err));
    assert_memory_equal(&again, &res, sizeof(res));
    assert_int_equal(export_pidfd(e), -1);
    assert_false(export_alive(e));
    assert_true(port_release(g->ports, g->port, "test"));
}

/* Seed 3.2.3, 3.3.6: a hung qemu-nbd is killed after the grace. */
static void
seed_3_3_6_stopped_process_is_killed(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    CLEANUP_EXPORT struct export *e = NULL;
    struct export_stop_result res = {0};

    assert_ok(export_start(&g->spec, &e, &err));
    struct child_id id = *export_identity(e);
    assert_int_equal(kill(id.pid, SIGSTOP), 0);
    assert_ok(export_stop(e, &res, &err));
    assert_true(res.term && res.kill && res.port_free && res.image_free);
    assert_true(res.took_ms >= EXPORT_STOP_GRACE_MS && res.took_ms < 9000);
    assert_false(child_id_alive(&id));
}

static void
killed_process_is_seen(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    CLEANUP_EXPORT struct export *e = NULL;
    struct export_stop_result res = {0};

    assert_ok(export_start(&g->spec, &e, &err));
    assert_int_equal(kill(export_pid(e), SIGKILL), 0);
    struct pollfd p = {.fd = export_pidfd(e), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_false(export_alive(e));
    assert_ok(export_stop(e, &res, &err));
    assert_true(res.already_dead && !res.term && !res.kill);
    assert_true(res.exit.signaled);
    assert_int_equal(res.exit.value, SIGKILL);
    assert_true(res.port_free && res.image_free);
}

/* A listener that says nothing has the port; then another qemu-nbd with the very same
 * name. */
static void
port_race_is_lost(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    struct export_spec other = g->spec;
    CLEANUP_FREE char *image2 = xasprintf("%s/other.raw", g->dir);
    struct export *e = NULL, *winner = NULL;
    int fd = silent_listener(g);
    uint64_t start = time_mono_ns();
    assert_fails(export_start(&g->spec, &e, &err), ERR_EXISTS, "port_in_use");
    assert_true(time_mono_ns() - start < 5 * NS_PER_S);
    close(fd);
    put_file(image2, "", 0);
    assert_int_equal(truncate(image2, SIZE), 0);
    other.path = image2;
    assert_ok(export_start(&other, &winner, &err));
    assert_fails(export_start(&g->spec, &e, &err), ERR_EXISTS, "port_in_use");
    struct lockprobe lp;
    assert_ok(lockprobe_file(g->image, &lp, &err));
    assert_false(lp.in_use); /* the loser left nothing */
    assert_true(export_alive(winner));
    export_free(winner);
}

static void
second_writer_is_refused(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    CLEANUP_EXPORT struct export *e = NULL;
    struct export *two = NULL;
    struct export_spec spec = g->spec;
    CLEANUP_FREE char *sock = xasprintf("%s/s", g->dir);
    const char *argv[] = {"qemu-img", "create", "-q", "-f",
                          "qcow2",    g->image, "4M", NULL};

    /* Two writers of a raw image are no fault for qemu; of a qcow2 they are. */
    assert_ok(child_run(argv, NULL, 0, 30000, NULL, &err));
    g->spec.format = spec.format = "qcow2";
    assert_ok(export_start(&g->spec, &e, &err));
    spec.port = 0;
    spec.socket = sock;
    assert_fails(export_start(&spec, &two, &err), ERR_UNAVAILABLE, "image_locked");
    assert_int_not_equal(access(sock, F_OK), 0);
}

static void
readers_share_and_use_direct_io(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    CLEANUP_EXPORT struct export *a = NULL;
    CLEANUP_EXPORT struct export *b = NULL;
    CLEANUP_FREE char *lock = xasprintf("%s/lock", g->dir);
    CLEANUP_FREE char *sock = xasprintf("%s/a b%%,é.sock", g->dir);
    CLEANUP_FREE char *uri = xasprintf(
        "nbd+unix:///sendense-0f?socket=%s/a%%20b%%25%%2C%%C3%%A9.sock", g->dir);
    struct lockprobe lp;
    struct export_stop_result res;

    g->spec.read_only = true;
    g->spec.allocation_depth = true;
    assert_ok(export_start(&g->spec, &a, &err));
    assert_true(
        export_is_direct(a)); /* /tmp takes O_DIRECT here, see the fallback below */
    CLEANUP_FREE char *env = proc_text(export_pid(a), "environ");
    assert_non_null(strstr(env, "MALLOC_MMAP_THRESHOLD_=50331648 "));
    assert_false(holds_file(export_pid(a), lock));
    assert_ok(lockprobe_file(g->image, &lp, &err));
    assert_true(lp.in_use && !lp.written);
    g->spec.port = 0;
    g->spec.socket = sock;
    g->spec.cache = EXPORT_CACHE_BUFFERED;
    assert_ok(export_start(&g->spec, &b, &err));
    assert_false(export_is_direct(b));
    assert_string_equal(export_uri(b), uri);
    assert_int_equal(export_port(b), 0);
    assert_ok(export_stop(a, &res, &err)); /* b still reads: that is no left-over */
    assert_true(res.image_free);
    assert_ok(export_stop(b, &res, &err));
    assert_int_not_equal(access(sock, F_OK), 0);
}

static void
fake_program(struct rig *g, const char *script)
{
    CLEANUP_FREE char *path = xasprintf("%s/fake", g->dir);

    put_file(path, script, strlen(script));
    assert_int_equal(chmod(path, 0700), 0);
    export_set_qemu_nbd(path);
}

static void
deadline_names_the_stage(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    struct export *e = NULL;
    int fd;

    fake_program(g, "#!/bin/sh\nexec tail -f /dev/null\n"); /* never listens */
    g->spec.timeout_ms = 400;
    assert_int_equal(export_start(&g->spec, &e, &err), ERR_TIMEOUT);
    assert_string_equal(err.code, "export_timeout");
    assert_non_null(strstr(err.msg, "stage: listen"));
    fd = silent_listener(g);
    assert_int_equal(export_start(&g->spec, &e, &err), ERR_TIMEOUT);
    assert_string_equal(err.code, "export_timeout");
    assert_non_null(strstr(err.msg, "stage: handshake"));
    close(fd);
}

static void
start_errors(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    struct export *e = NULL;
    struct export_spec s = g->spec;

    s.size_bytes = SIZE + 512;
    assert_fails(export_start(&s, &e, &err), ERR_PROTOCOL, "export_mismatch");
    s = g->spec;
    s.format = "qcow2"; /* it is raw */
    assert_int_equal(export_start(&s, &e, &err), ERR_IO);
    assert_string_equal(err.code, "export_failed");
    assert_non_null(strstr(err.msg, "qcow2"));
    err = (struct err)ERR_INIT;
    s = g->spec;
    s.path = "/nowhere/x";
    assert_fails(export_start(&s, &e, &err), ERR_NOT_FOUND, "image_missing");
    s.path = g->dir;
    assert_fails(export_start(&s, &e, &err), ERR_INVALID, NULL);
    s = g->spec;
    s.port = 0;
    s.socket = g->image; /* exists */
    assert_fails(export_start(&s, &e, &err), ERR_EXISTS, "socket_exists");
    assert_int_equal(access(g->image, F_OK), 0);
    export_set_qemu_nbd("/nowhere/qemu-nbd");
    assert_fails(export_start(&g->spec, &e, &err), ERR_NOT_FOUND, "qemu_nbd_missing");
    /* More text than a pipe holds does not block the child, and the end of it is kept. */
    fake_program(g, "#!/bin/sh\nyes 0123456789abcdef | head -c 1000000 >&2\necho "
                    ">&2\necho end >&2\n");
    assert_int_equal(export_start(&g->spec, &e, &err), ERR_IO);
    assert_string_equal(err.code, "export_failed");
    assert_non_null(strstr(err.msg, "at once: end"));
    assert_true(port_is_free(g->port));
}

static void
spec_is_checked(void **state)
{
    struct rig *g = *state;
    struct err err = ERR_INIT;
    struct export *e = NULL;
    char big[300];

    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
#define BAD(field, value)                                                                \
    do {                                                                                 \
        struct export_spec s = g->spec;                                                  \
        s.field = (value);                                                               \
        assert_fails(export_start(&s, &e, &err), ERR_INVALID, NULL);                     \
    } while (0)
    BAD(path, NULL);
    BAD(path, "disk.raw");
    BAD(path, "--help");
    BAD(format, NULL);
    BAD(format, "vdi");
    BAD(bind, "localhost");
    BAD(bind, "127.0.0.1 --port=1");
    BAD(tls_psk_dir, "relative");
    BAD(tls_psk_dir, "/nobody");
    BAD(name, NULL);
    BAD(name, "");
    BAD(name, "a/b");
    BAD(name, "a b");
    BAD(name, big);
    BAD(description, big);
    BAD(port, 0);
    BAD(socket, "/tmp/both");
    g->spec.port = 0;
    BAD(socket, "relative");
    big[0] = '/';
    BAD(socket, big);
#undef BAD
    export_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(seed_3_1_by_hand_ten_connections),
        RIG_TEST(seed_3_1_command_line),
        RIG_TEST(seed_3_2_3_3_stop_releases_all),
        RIG_TEST(seed_3_3_6_stopped_process_is_killed),
        RIG_TEST(killed_process_is_seen),
        RIG_TEST(port_race_is_lost),
        RIG_TEST(second_writer_is_refused),
        RIG_TEST(readers_share_and_use_direct_io),
        RIG_TEST(deadline_names_the_stage),
        RIG_TEST(start_errors),
        RIG_TEST(spec_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
