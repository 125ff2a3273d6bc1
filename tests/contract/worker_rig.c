/* tests/contract/worker_rig.c - see worker_rig.h. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "model/naming.h"
#include "nbd/nbd_conn.h"
#include "store/manifest_file.h"
#include "worker_rig.h"

#define STEP_S 60

static void
check(int r, const struct err *err)
{
    if (r < 0)
        fail_msg("%s", err->msg);
}

void
block_fill(unsigned char *p, size_t n, unsigned seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u;

    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        p[i] = (unsigned char)(x >> 56);
    }
}

void
flip_bit(const char *path, uint64_t off)
{
    CLEANUP_FD int fd = open(path, O_RDWR | O_CLOEXEC);
    struct err err = ERR_INIT;
    unsigned char byte;

    check(fs_pread_full(fd, &byte, 1, off, &err), &err);
    byte ^= 0x10;
    check(fs_pwrite_full(fd, &byte, 1, off, &err), &err);
}

void
wdisk_init(struct wdisk *d, struct rig *rig, uint32_t key, uint64_t size)
{
    *d = (struct wdisk){.rig = rig, .key = key, .size = size};
    uuid_make(d->uuid);
}

void
wdisk_done(struct wdisk *d)
{
    rig_stop(&d->server);
}

void
wdisk_image_path(const struct wdisk *d, size_t layer, char out[RIG_TEXT])
{
    rig_path(d->rig, d->image[layer], out);
}

static void
command(const char *const *argv, struct buf *out)
{
    struct err err = ERR_INIT;

    check(child_run(argv, NULL, 0, STEP_S * 1000u, out, &err), &err);
}

static void
make_image(struct wdisk *d, size_t i)
{
    char path[RIG_TEXT], size[32];
    const char *full[] = {
        "qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=1.1,cluster_size=65536",
        path,       size,     NULL};
    const char *overlay[] = {"qemu-img",
                             "create",
                             "-q",
                             "-f",
                             "qcow2",
                             "-o",
                             "compat=1.1,cluster_size=65536",
                             "-F",
                             "qcow2",
                             "-b",
                             i ? d->image[i - 1] : "",
                             path,
                             size,
                             NULL};
    struct buf out = BUF_INIT(65536);

    snprintf(d->image[i], RIG_TEXT, "%u-%zu.qcow2", d->key, i);
    wdisk_image_path(d, i, path);
    snprintf(size, sizeof(size), "%llu",
             (unsigned long long)naming_round_up_512(d->size));
    command(i ? overlay : full, &out);
    buf_done(&out);
}

static size_t
block_len(const struct wdisk *d, uint64_t block)
{
    uint64_t left = d->size - block * BLOCK;

    return left < BLOCK ? (size_t)left : BLOCK;
}

static void
write_blocks(struct wdisk *d, size_t layer, const struct wblock *blocks, size_t n)
{
    struct rig_server server = {0};
    CLEANUP_NBD_CONN struct nbd_conn *c = NULL;
    unsigned char *p = malloc(BLOCK);
    struct nbd_conn_opts o = {.uri = server.uri};
    struct err err = ERR_INIT;

    rig_qemu_nbd(d->rig, d->image[layer], "qcow2", NULL, &server);
    check(nbd_conn_open(&o, &c, &err), &err);
    for (size_t i = 0; i < n; i++) {
        size_t len = block_len(d, blocks[i].block);
        uint64_t off = blocks[i].block * BLOCK;

        if (blocks[i].not_written)
            continue;
        block_fill(p, len, blocks[i].seed);
        check(blocks[i].seed ? nbd_conn_pwrite(c, p, len, off, &err)
                             : nbd_conn_zero(c, len, off, &err),
              &err);
    }
    check(nbd_conn_flush(c, &err), &err);
    rig_stop(&server);
    free(p);
}

void
wdisk_layer(struct wdisk *d, const struct wblock *blocks, size_t n)
{
    CLEANUP_MANIFEST_WRITER struct manifest_writer *w = NULL;
    size_t i = d->n_layers++;
    struct worker_spec_layer *l = &d->layers[i];
    struct manifest_header h = {.disk_size = d->size};
    unsigned char *p = malloc(BLOCK);
    struct err err = ERR_INIT;
    char name[64];

    uuid_make(l->layer_id);
    manifest_id_from_str(l->layer_id, h.layer_id);
    manifest_id_from_str(d->uuid, h.disk_uuid);
    manifest_id_from_str(i ? d->layers[i - 1].layer_id : "", h.parent_layer_id);
    make_image(d, i);
    write_blocks(d, i, blocks, n);
    snprintf(name, sizeof(name), "%u-%zu.manifest", d->key, i);
    rig_path(d->rig, name, d->manifest[i]);
    l->manifest = d->manifest[i];
    check(manifest_writer_create(l->manifest, &h, &w, &err), &err);
    for (size_t k = 0; k < n; k++) {
        struct manifest_record rec = {.block = blocks[k].block,
                                      .state =
                                          blocks[k].seed ? MANIFEST_DATA : MANIFEST_ZERO,
                                      .count = 1};
        uint8_t raw[MANIFEST_RECORD_SIZE];
        uint64_t total;

        block_fill(p, block_len(d, rec.block), blocks[k].seed);
        if (blocks[k].seed)
            check(manifest_block_hash(p, block_len(d, rec.block), rec.hash, &err), &err);
        manifest_record_encode(&rec, raw);
        check(manifest_writer_append(w, k, raw, sizeof(raw), &total, &err), &err);
    }
    check(manifest_writer_seal(w, l->layer_root, &err), &err);
    free(p);
}

void
wdisk_serve(struct wdisk *d)
{
    char path[RIG_TEXT], name[32];
    const char *words[] = {"-f", "qcow2", "--read-only", "--allocation-depth",
                           path, NULL};

    wdisk_image_path(d, d->n_layers - 1, path);
    snprintf(name, sizeof(name), "export-%u", d->key);
    rig_qemu_nbd_words(d->rig, name, words, &d->server);
}

void
wdisk_qemu_io(struct wdisk *d, const char *text)
{
    char path[RIG_TEXT];
    const char *argv[] = {"qemu-io", "-f", "qcow2", "-c", text, path, NULL};
    struct buf out = BUF_INIT(65536);

    wdisk_image_path(d, d->n_layers - 1, path);
    command(argv, &out);
    buf_done(&out);
}

uint64_t
wdisk_host_offset(struct wdisk *d, size_t layer, uint64_t block)
{
    char path[RIG_TEXT];
    const char *argv[] = {"qemu-img", "map", "-f", "qcow2", "--output=json", path, NULL};
    CLEANUP_JSON json_t *map = NULL;
    struct buf out = BUF_INIT(1 << 20);
    struct err err = ERR_INIT;
    uint64_t off = block * BLOCK;
    json_t *e;
    size_t i;

    wdisk_image_path(d, layer, path);
    command(argv, &out);
    check(json_parse(out.data, out.len, &map, &err), &err);
    buf_done(&out);
    json_array_foreach(map, i, e)
    {
        uint64_t start = (uint64_t)json_integer_value(json_object_get(e, "start"));
        uint64_t len = (uint64_t)json_integer_value(json_object_get(e, "length"));

        if (off >= start && off < start + len && json_object_get(e, "offset"))
            return (uint64_t)json_integer_value(json_object_get(e, "offset")) + off -
                   start;
    }
    fail_msg("block %llu is not in '%s'", (unsigned long long)block, path);
    return 0;
}

void
wspec_init(struct wspec *s, enum worker_task task, struct wdisk *const *disks, size_t n)
{
    *s = (struct wspec){.spec = {.attempt = 1,
                                 .task = task,
                                 .disks = s->disks,
                                 .n_disks = n,
                                 .limits = {.disks_parallel = 2,
                                            .connections = 2,
                                            .requests = 4,
                                            .request_bytes = 4 * BLOCK},
                                 .deadlines = {.connect_s = 10, .io_s = 20}}};
    uuid_make(s->spec.job_id);
    for (size_t i = 0; i < n; i++) {
        s->disks[i] = (struct worker_spec_disk){.key = disks[i]->key,
                                                .size_bytes = disks[i]->size,
                                                .source = disks[i]->server.uri,
                                                .layers = disks[i]->layers,
                                                .n_layers = disks[i]->n_layers};
        snprintf(s->disks[i].disk_uuid, UUID_STR_SIZE, "%s", disks[i]->uuid);
    }
}

void
wrun_send(struct wrun *w, const char *text, size_t n)
{
    struct err err = ERR_INIT;

    check(fs_write_full(child_stdin_fd(w->child), text, n, &err), &err);
}

void
wrun_start_text(struct wrun *w, const char *text, size_t n)
{
    const char *program = getenv("SENDENSE_WORKER");
    /* Nothing is to be had from the environment. */
    const char *argv[] = {"env", "-i", program, NULL};
    struct child_spec spec = {
        .argv = argv, .in = CHILD_PIPE, .out = CHILD_PIPE, .err = CHILD_NULL};
    struct err err = ERR_INIT;

    if (!program)
        fail_msg("SENDENSE_WORKER is not set: run this by meson test");
    *w = (struct wrun){.n = 0};
    line_reader_init(&w->lines, EVENT_LINE_MAX);
    event_stream_init(&w->stream, "", 1, 0, false);
    check(child_spawn(&spec, &w->child, &err), &err);
    wrun_send(w, text, n);
}

void
wrun_start(struct wrun *w, const struct wspec *s)
{
    CLEANUP_JSON json_t *j = worker_spec_encode(&s->spec);
    CLEANUP_FREE char *line = json_line(j);
    CLEANUP_FREE char *text = xasprintf("%s\n", line);

    wrun_start_text(w, text, strlen(text));
    snprintf(w->stream.job_id, UUID_STR_SIZE, "%s", s->spec.job_id);
}

/* False at the end of file. */
static bool
next_event(struct wrun *w)
{
    struct pollfd p = {.fd = child_stdout_fd(w->child), .events = POLLIN};
    struct err err = ERR_INIT;
    char *line;
    size_t n;
    int r;

    while ((r = line_reader_next(&w->lines, &line, &n, &err)) == 0) {
        assert_int_equal(poll(&p, 1, STEP_S * 1000), 1);
        if (line_reader_fill(&w->lines, p.fd, &err) == LINE_FILL_EOF)
            return false;
    }
    check(r, &err);
    assert_true(w->n < WRUN_EVENTS);
    check(event_stream_line(&w->stream, line, n, &w->ev[w->n], &err), &err);
    w->n++;
    return true;
}

const struct job_event *
wrun_until(struct wrun *w, enum event_type type)
{
    while (next_event(w))
        if (w->ev[w->n - 1].type == type)
            return &w->ev[w->n - 1];
    fail_msg("no event of type %s came", event_type_to_str(type));
    return NULL;
}

/* protocol.md 4: at most one a second and disk; nothing falls. */
static void
check_progress(const struct wrun *w)
{
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = i + 1; w->ev[i].type == EVENT_PROGRESS && k < w->n; k++) {
            const struct job_event *a = &w->ev[i], *b = &w->ev[k];

            if (b->type != EVENT_PROGRESS || b->disk != a->disk)
                continue;
            assert_true(b->time_us - a->time_us >= 950000);
            assert_true(b->bytes.done >= a->bytes.done && b->bytes.read >= a->bytes.read);
            assert_true(b->bytes.done <= b->bytes.total);
            break;
        }
}

const struct job_event *
wrun_end(struct wrun *w)
{
    struct err err = ERR_INIT;
    struct child_exit how;

    while (next_event(w))
        ;
    check(event_stream_end(&w->stream, &err), &err);
    check(child_wait(w->child, time_mono_ns() + STEP_S * NS_PER_S, &how, &err), &err);
    assert_false(how.signaled);
    w->exit_status = how.value;
    check_progress(w);
    return &w->ev[w->n - 1];
}

void
wrun_done(struct wrun *w)
{
    for (size_t i = 0; i < w->n; i++)
        job_event_done(&w->ev[i]);
    line_reader_done(&w->lines);
    child_free(w->child);
    *w = (struct wrun){.n = 0};
}

const struct job_event *
wrun_find(const struct wrun *w, enum event_type type, uint32_t key, size_t n)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->ev[i].type == type && w->ev[i].disk == key && n-- == 0)
            return &w->ev[i];
    return NULL;
}

void
wrun_fails(struct wrun *w, const struct wspec *s, const char *code, const char *words)
{
    const struct job_event *e;

    wrun_start(w, s);
    e = wrun_end(w);
    if (e->status != RESULT_FAILED || strcmp(e->code, code) != 0 ||
        !strstr(e->message, words))
        fail_msg("%s, %s: %s", job_result_to_str(e->status), e->code ? e->code : "-",
                 e->message);
    assert_int_equal(w->exit_status, 1);
}

void
wrun_succeeds(struct wrun *w, const struct wspec *s)
{
    const struct job_event *e;

    wrun_start(w, s);
    e = wrun_end(w);
    if (e->status != RESULT_OK)
        fail_msg("%s: %s", e->code, e->message);
    assert_int_equal(w->exit_status, 0);
    assert_int_equal(wrun_ranges(w), 0);
    for (size_t i = 0; i < s->spec.n_disks; i++)
        assert_non_null(wrun_find(w, EVENT_DISK_DONE, s->disks[i].key, 0));
}

void
wrun_has_range(const struct wrun *w, uint32_t key, uint64_t offset, uint64_t length,
               enum bad_range reason)
{
    const struct job_event *e;

    for (size_t i = 0; (e = wrun_find(w, EVENT_BAD_RANGE, key, i)); i++)
        if (e->offset == offset && e->length == length && e->bad_reason == reason)
            return;
    for (size_t i = 0; (e = wrun_find(w, EVENT_BAD_RANGE, key, i)); i++)
        print_message("# told: %llu bytes at %llu (%s)\n", (unsigned long long)e->length,
                      (unsigned long long)e->offset, bad_range_to_str(e->bad_reason));
    fail_msg("not told: %llu bytes at %llu (%s)", (unsigned long long)length,
             (unsigned long long)offset, bad_range_to_str(reason));
}

size_t
wrun_ranges(const struct wrun *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++)
        n += w->ev[i].type == EVENT_BAD_RANGE;
    return n;
}
