/* Whole copies with real servers: what arrives is compared with what was there. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/mem.h"
#include "copy/copy.h"
#include "nbd_rig.h"

#define MAX_DISKS 5

/* What the engine told. */
struct seen {
    pthread_mutex_t lock;
    struct byte_counters last[MAX_DISKS];
    unsigned done, checkpoints, falls, warnings;
    uint64_t sampled, bad;
    char warning[64];
    struct copy_stop *stop_at_progress; /* cancel at the first progress */
    struct rig_server *freeze;          /* SIGSTOP at the first progress */
};

static bool
falls(const struct byte_counters *a, const struct byte_counters *b)
{
    return b->done < a->done || b->read < a->read || b->sent < a->sent ||
           b->zero < a->zero || b->skipped < a->skipped || b->audit < a->audit ||
           b->done > b->total;
}

static void
on_event(void *arg, struct job_event *ev)
{
    struct seen *s = arg;
    struct err why = ERR_INIT;
    LOCK_SCOPE(&s->lock);

    if (ev->type == EVENT_PROGRESS || ev->type == EVENT_DISK_DONE) {
        struct byte_counters *last = &s->last[ev->disk % MAX_DISKS];

        s->falls += falls(last, &ev->bytes);
        *last = ev->bytes;
    }
    s->done += ev->type == EVENT_DISK_DONE;
    s->checkpoints += ev->type == EVENT_CHECKPOINT;
    if (ev->type == EVENT_AUDIT) {
        s->sampled += ev->sampled;
        s->bad += ev->bad;
    }
    if (ev->type == EVENT_WARNING) {
        s->warnings++;
        snprintf(s->warning, sizeof(s->warning), "%s", ev->code);
    }
    if (ev->type == EVENT_PROGRESS && s->stop_at_progress) {
        err_set(&why, ERR_CANCELLED, "cancelled", "cancelled by the test");
        copy_stop_set(s->stop_at_progress, -1, &why);
    }
    if (ev->type == EVENT_PROGRESS && s->freeze) {
        rig_signal(s->freeze, SIGSTOP);
        s->freeze = NULL;
    }
}

struct world {
    struct rig rig;
    struct rig_server source[MAX_DISKS], target[MAX_DISKS];
    struct job_spec spec;
    struct job_spec_disk disks[MAX_DISKS];
    struct copy_stop *stop;
    struct seen seen;
    char manifest_dir[RIG_TEXT];
    struct err err;
};

static int
setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    struct err err = ERR_INIT;

    rig_init(&w->rig);
    pthread_mutex_init(&w->seen.lock, NULL);
    assert_int_equal(copy_stop_new(&w->stop, &err), 0);
    rig_path(&w->rig, "manifests", w->manifest_dir);
    uuid_make(w->spec.job_id);
    w->spec.limits = spec_limits_default;
    w->spec.deadlines = (struct spec_deadlines){.connect_s = 5, .io_s = 10};
    w->spec.audit_samples = 64;
    w->spec.audit_seed = 7;
    w->spec.disks = w->disks;
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < MAX_DISKS; i++) {
        rig_stop(&w->source[i]);
        rig_stop(&w->target[i]);
    }
    copy_stop_free(w->stop);
    rig_done(&w->rig);
    free(w);
    return 0;
}

/* Adds a disk: DIR/sK served with @extra filter words, to DIR/tK. */
static void
add_disk(struct world *w, uint64_t size, const char *const *filters)
{
    size_t i = w->spec.n_disks++;
    struct job_spec_disk *d = &w->disks[i];
    char file[RIG_TEXT], name[32];
    const char *args[24];
    unsigned n = 0;

    snprintf(name, sizeof(name), "s%zu", i);
    rig_path(&w->rig, name, file);
    for (; filters && filters[n] && n < 20 && filters[n][0] == '-'; n++)
        args[n] = filters[n];
    args[n] = "file";
    args[n + 1] = file;
    for (unsigned k = n; filters && filters[k]; k++)
        args[k + 2] = filters[k], args[k + 3] = NULL;
    if (!filters || !filters[n])
        args[n + 2] = NULL;
    snprintf(name, sizeof(name), "s%zu.sock", i);
    rig_nbdkit(&w->rig, name, args, &w->source[i]);
    snprintf(name, sizeof(name), "t%zu", i);
    rig_qcow2(&w->rig, name, (size + 511) / 512 * 512);
    rig_qemu_nbd(&w->rig, name, "qcow2", "sendense JOB KEY", &w->target[i]);
    d->key = (uint32_t)(2000 + i);
    d->size_bytes = size;
    d->source_url = w->source[i].uri;
    d->target = w->target[i].uri;
    d->target_description = NULL;
    uuid_make(d->disk_uuid);
    uuid_make(d->layer_id);
}

static int
copy(struct world *w)
{
    struct copy_opts o = {.spec = &w->spec,
                          .stop = w->stop,
                          .event = on_event,
                          .event_arg = &w->seen,
                          .manifest_dir = w->manifest_dir};

    return copy_run(&o, &w->err);
}

static void
copy_ok(struct world *w)
{
    if (copy(w) < 0)
        fail_msg("%s", w->err.msg);
    assert_int_equal(w->seen.done, w->spec.n_disks);
    assert_int_equal(w->seen.falls, 0);
    for (size_t i = 0; i < w->spec.n_disks; i++) {
        const struct byte_counters *b = &w->seen.last[(2000 + i) % MAX_DISKS];
        char raw[32], qcow2[32];

        snprintf(raw, sizeof(raw), "s%zu", i);
        snprintf(qcow2, sizeof(qcow2), "t%zu", i);
        assert_int_equal(b->done, w->disks[i].size_bytes);
        assert_int_equal(b->read - b->audit + b->skipped, w->disks[i].size_bytes);
        rig_stop(&w->target[i]);
        rig_assert_equal(&w->rig, raw, qcow2, w->disks[i].size_bytes);
    }
}

static void
odd_sizes(void **state)
{
    struct world *w = *state;
    static const uint64_t sizes[] = {1, 512 * 3, 65537, (1 << 20) + 1, (10 << 20) + 512};

    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        char name[16];

        snprintf(name, sizeof(name), "s%u", i);
        rig_sparse_file(&w->rig, name, sizes[i], 4, i + 1);
        rig_write(&w->rig, name, "\1", 1, sizes[i] - 1);
        add_disk(w, sizes[i], NULL);
    }
    copy_ok(w);
}

static void
sparse_disk(void **state)
{
    struct world *w = *state;

    rig_sparse_file(&w->rig, "s0", 96 << 20, 24, 99);
    add_disk(w, 96 << 20, NULL);
    copy_ok(w);
    assert_true(w->seen.sampled > 0 && w->seen.sampled <= 64);
    assert_true(w->seen.last[0].skipped > 0);
    assert_int_equal(w->seen.bad, 0);
}

/* One non-zero byte in each block: first, last, somewhere. */
static void
worst_case(void **state)
{
    struct world *w = *state;
    unsigned seed = 3;

    rig_sparse_file(&w->rig, "s0", 24 << 20, 0, 1);
    for (unsigned b = 0; b < (24 << 20) / 65536; b++) {
        unsigned at = b % 3 == 0   ? 0
                      : b % 3 == 1 ? 65535
                                   : (unsigned)rand_r(&seed) % 65536;

        rig_write(&w->rig, "s0", "\x80", 1, (uint64_t)b * 65536 + at);
    }
    add_disk(w, 24 << 20, NULL);
    w->spec.limits.connections = 3;
    copy_ok(w);
    assert_int_equal(w->seen.last[0].sent, 24 << 20);
    assert_int_equal(w->seen.last[0].zero, 0);
}

/* Without a map everything is read, and zero blocks are still not written. */
static void
no_map(void **state)
{
    static const char *const filters[] = {"--filter=noextents", NULL};
    struct world *w = *state;

    rig_sparse_file(&w->rig, "s0", 40 << 20, 6, 5);
    add_disk(w, 40 << 20, filters);
    w->spec.limits.request_bytes = 65536;
    copy_ok(w);
    assert_true(w->seen.last[0].zero > 0);
}

static void
expect_failure(struct world *w, const char *code, const char *a, const char *b)
{
    int64_t disk = -1;
    struct err first = ERR_INIT;

    assert_true(copy(w) < 0);
    copy_stop_get(w->stop, &disk, &first);
    if (strcmp(first.code, code) != 0 || !strstr(first.msg, a) || !strstr(first.msg, b))
        fail_msg("want %s with '%s' and '%s', got %s: %s", code, a, b, first.code,
                 first.msg);
    if (strstr(a, "disk 2000"))
        assert_int_equal(disk, 2000);
}

static void
read_error(void **state)
{
    static const char *const filters[] = {"--filter=error", "error-pread=EIO",
                                          "error-pread-rate=100%", NULL};
    struct world *w = *state;

    rig_sparse_file(&w->rig, "s0", 8 << 20, 40, 5);
    add_disk(w, 8 << 20, filters);
    w->spec.audit_samples = 0;
    expect_failure(w, "nbd_io", "disk 2000: read ", "of source");
}

static void
wrong_sizes(void **state)
{
    struct world *w = *state;

    rig_sparse_file(&w->rig, "s0", 1 << 20, 1, 5);
    add_disk(w, 1 << 20, NULL);
    w->disks[0].size_bytes = 2 << 20;
    expect_failure(w, "size_mismatch", "disk 2000", "1048576");
}

static void
wrong_target_size(void **state)
{
    struct world *w = *state;

    rig_sparse_file(&w->rig, "s0", 1 << 20, 1, 5);
    add_disk(w, 1 << 20, NULL);
    rig_stop(&w->target[0]);
    rig_qcow2(&w->rig, "other", 2 << 20);
    rig_qemu_nbd(&w->rig, "other", "qcow2", NULL, &w->target[0]);
    expect_failure(w, "target_size_mismatch", "disk 2000", "2097152");
}

static void
wrong_target(void **state)
{
    struct world *w = *state;
    char want[] = "sendense JOB OTHER";

    rig_sparse_file(&w->rig, "s0", 1 << 20, 1, 5);
    add_disk(w, 1 << 20, NULL);
    w->disks[0].target_description = want;
    expect_failure(w, "target_mismatch", "'sendense JOB KEY'", "'sendense JOB OTHER'");
    assert_int_equal(w->seen.last[0].read, 0);
}

static void
read_only_target(void **state)
{
    struct world *w = *state;

    rig_sparse_file(&w->rig, "s0", 1 << 20, 1, 5);
    add_disk(w, 1 << 20, NULL);
    w->disks[0].target = w->source[0].uri;
    rig_stop(&w->target[0]);
    rig_nbdkit(&w->rig, "ro", (const char *[]){"-r", "memory", "1M", NULL},
               &w->target[0]);
    w->disks[0].target = w->target[0].uri;
    expect_failure(w, "target_read_only", "disk 2000", "read-only");
}

static void
missing_source(void **state)
{
    struct world *w = *state;

    rig_sparse_file(&w->rig, "s0", 1 << 20, 1, 5);
    add_disk(w, 1 << 20, NULL);
    w->disks[0].source_url = (char[]){"nbd+unix:///?socket=/nonexistent/socket"};
    expect_failure(w, "source_unreachable", "disk 2000: source", "connect");
}

static void
hung_target(void **state)
{
    struct world *w = *state;

    rig_sparse_file(&w->rig, "s0", 64 << 20, 60, 5);
    add_disk(w, 64 << 20, NULL);
    w->spec.limits.rate_bytes_per_s = 8 << 20;
    w->spec.deadlines.io_s = 1;
    w->seen.freeze = &w->target[0];
    expect_failure(w, "nbd_timeout", "disk 2000", "target: no progress for 1 s");
}

static void
cancel(void **state)
{
    struct world *w = *state;

    rig_sparse_file(&w->rig, "s0", 64 << 20, 60, 5);
    add_disk(w, 64 << 20, NULL);
    w->spec.limits.rate_bytes_per_s = 4 << 20;
    w->seen.stop_at_progress = w->stop;
    assert_int_equal(copy(w), ERR_CANCELLED);
    assert_int_equal(w->seen.done, 0);
}

/* A map that calls everything a hole: found out, told, and copied whole all the same. */
static void
lying_map(void **state)
{
    static const char script[] =
        "#!/bin/sh\n"
        "case $1 in\n"
        "get_size) echo 8388608 ;;\n"
        "pread) dd if=\"$FILE\" iflag=skip_bytes,count_bytes skip=$4 "
        "count=$3 status=none ;;\n"
        "can_extents|thread_model) test $1 = can_extents && exit 0; "
        "echo parallel ;;\n"
        "extents) echo $4 $3 hole,zero ;;\n"
        "*) exit 2 ;;\n"
        "esac\n";
    struct world *w = *state;
    char path[RIG_TEXT], sh[sizeof(script) + 2 * RIG_TEXT];

    rig_sparse_file(&w->rig, "s0", 8 << 20, 40, 5);
    add_disk(w, 8 << 20, NULL);
    rig_stop(&w->source[0]);
    rig_path(&w->rig, "s0", path);
    snprintf(sh, sizeof(sh), "#!/bin/sh\nFILE=%s\n%s", path,
             script + strlen("#!/bin/sh\n"));
    rig_write(&w->rig, "liar.sh", sh, strlen(sh), 0);
    rig_path(&w->rig, "liar.sh", path);
    assert_int_equal(chmod(path, 0700), 0);
    rig_nbdkit(&w->rig, "liar", (const char *[]){"sh", path, NULL}, &w->source[0]);
    copy_ok(w);
    assert_true(w->seen.bad > 0);
    assert_string_equal(w->seen.warning, "allocation_map_wrong");
}

/* A target without multi-conn: every worker flushes its own connection. */
static void
single_flush(void **state)
{
    struct world *w = *state;

    rig_sparse_file(&w->rig, "s0", 8 << 20, 10, 5);
    add_disk(w, 8 << 20, NULL);
    rig_stop(&w->target[0]);
    rig_nbdkit(&w->rig, "mc",
               (const char *[]){"--filter=multi-conn", "memory", "8M",
                                "multi-conn-mode=disable", NULL},
               &w->target[0]);
    w->disks[0].target = w->target[0].uri;
    w->spec.limits.connections = 4;
    if (copy(w) < 0)
        fail_msg("%s", w->err.msg);
    assert_true(w->seen.checkpoints >= 1);
    assert_int_equal(w->seen.done, 1);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(odd_sizes),      T(sparse_disk),      T(worst_case),        T(no_map),
        T(read_error),     T(wrong_sizes),      T(wrong_target_size), T(wrong_target),
        T(missing_source), T(read_only_target), T(hung_target),       T(cancel),
        T(lying_map),      T(single_flush),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
