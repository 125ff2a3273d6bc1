/* tests/unit/store/repo_suite.c - the conformance suite of struct repo_ops. */
#include "store_test.h"

#include "nbd/nbd_conn.h"
#include "repo_suite.h"
#include "store/layer.h"
#include "store/lockprobe.h"

#define POINTS "vms/" VM_A "/points"
#define SIZE (3 * 65536 + 700)
#define VSIZE (3 * 65536 + 1024)

static void
small_files(struct repo *r)
{
    struct err err = ERR_INIT;
    CLEANUP_BUF struct buf b = BUF_INIT(64);
    CLEANUP_BUF struct buf tiny = BUF_INIT(3);

    assert_fails(repo_get(r, POINTS "/000001.json", &b, &err), ERR_NOT_FOUND, NULL);
    assert_ok(repo_put(r, POINTS "/000001.json", "{\"a\":1}", 7, &err));
    assert_fails(repo_put(r, POINTS "/000001.json", "other", 5, &err), ERR_EXISTS, NULL);
    assert_ok(repo_get(r, POINTS "/000001.json", &b, &err));
    assert_int_equal(b.len, 7);
    assert_memory_equal(b.data, "{\"a\":1}", 8);
    assert_fails(repo_get(r, POINTS "/000001.json", &tiny, &err), ERR_LIMIT, NULL);
    assert_ok(repo_remove(r, POINTS "/000001.json", false, &err));
    assert_fails(repo_remove(r, POINTS "/000001.json", false, &err), ERR_NOT_FOUND, NULL);
    assert_ok(repo_remove(r, POINTS "/000001.json", true, &err));
    assert_ok(repo_remove(r, "vms/nowhere/x", true, &err));
    assert_ok(repo_put(r, POINTS "/000002.json", "", 0, &err)); /* empty is a file too */
    buf_reset(&b);
    assert_ok(repo_get(r, POINTS "/000002.json", &b, &err));
    assert_int_equal(b.len, 0);
}

static int
count_names(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    ++*(unsigned *)arg;
    assert_int_equal(kind, REPO_ENTRY_FILE);
    return 0;
}

static int
stop_now(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    ++*(unsigned *)arg;
    return 1;
}

static int
fail_now(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    return err_set(err, ERR_CANCELLED, "enough", "enough");
}

static void
listing(struct repo *r)
{
    struct err err = ERR_INIT;
    unsigned n = 0;

    assert_ok(repo_list(r, POINTS, count_names, &n, &err));
    assert_int_equal(n, 0);
    assert_ok(repo_put(r, POINTS "/000001.json", "a", 1, &err));
    assert_ok(repo_put(r, POINTS "/000002.json", "b", 1, &err));
    assert_ok(repo_put(r, POINTS "/000003.json.tmp2", "b", 1, &err)); /* no point */
    assert_ok(repo_list(r, POINTS, count_names, &n, &err));
    assert_int_equal(n, 3);
    n = 0;
    assert_ok(repo_list_points(r, count_names, &n, &err));
    assert_int_equal(n, 2);
    n = 0;
    assert_ok(repo_list(r, POINTS, stop_now, &n, &err));
    assert_int_equal(n, 1);
    assert_fails(repo_list(r, POINTS, fail_now, NULL, &err), ERR_CANCELLED, "enough");
    assert_fails(repo_list_points(r, fail_now, NULL, &err), ERR_CANCELLED, "enough");
}

static void
folders(struct repo *r)
{
    struct err err = ERR_INIT;
    char path[REPO_PATH_SIZE];

    assert_ok(repo_make_dir(r, POINTS, &err));
    assert_ok(repo_make_dir(r, POINTS, &err));
    assert_ok(repo_make_dir(r, "vms/" VM_A "/disks/" DISK_A, &err));
    assert_ok(repo_remove_dir(r, POINTS, &err)); /* stops at the VM: disks/ is left */
    assert_ok(repo_path(r, "vms/" VM_A "/disks/" DISK_A, path, &err));
    assert_int_equal(access(path, F_OK), 0);
    assert_ok(repo_remove_dir(r, "vms/" VM_A "/disks/" DISK_A, &err));
    assert_ok(repo_path(r, "vms/" VM_A, path, &err));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_ok(repo_path(r, "vms", path, &err));
    assert_int_equal(access(path, F_OK), 0);
    assert_ok(repo_remove_dir(r, POINTS, &err)); /* gone already */
}

static void
names_are_checked(struct repo *r)
{
    static const char *const bad[] = {
        "",    "/etc/passwd", "../x", "vms/../x", "vms//x", "vms/.x", ".",
        "a/.", "a/",          "A",    "a b",      "a\n",    "a\\b",   "vms/%2e%2e/x",
    };
    struct err err = ERR_INIT;
    CLEANUP_BUF struct buf b = BUF_INIT(64);
    char path[REPO_PATH_SIZE];
    char longest[REPO_NAME_MAX + 2];
    uint64_t n;

    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_fails(repo_put(r, bad[i], "x", 1, &err), ERR_INVALID, "repo_name");
        assert_fails(repo_get(r, bad[i], &b, &err), ERR_INVALID, "repo_name");
        assert_fails(repo_remove(r, bad[i], true, &err), ERR_INVALID, "repo_name");
        assert_fails(repo_path(r, bad[i], path, &err), ERR_INVALID, "repo_name");
        assert_fails(repo_make_dir(r, bad[i], &err), ERR_INVALID, "repo_name");
        assert_fails(repo_remove_dir(r, bad[i], &err), ERR_INVALID, "repo_name");
        assert_fails(layer_stored_bytes(r, bad[i], &n, &err), ERR_INVALID, "repo_name");
        assert_fails(layer_sync(r, bad[i], &err), ERR_INVALID, "repo_name");
        assert_fails(layer_repair(r, bad[i], &err), ERR_INVALID, "repo_name");
        assert_fails(layer_check(r, bad[i], 0, &err), ERR_INVALID, "repo_name");
        assert_fails(layer_remove(r, bad[i], &err), ERR_INVALID, "repo_name");
        assert_fails(layer_check_chain(r, bad[i], 0, &err), ERR_INVALID, "repo_name");
    }
    assert_fails(repo_get(r, longest, &b, &err), ERR_INVALID, "repo_name");
    assert_true(repo_locator_is_valid(LOC(DISK_A, "000001")));
    assert_false(repo_locator_is_valid(LOC(DISK_A, "000001.qcow2")));
    assert_false(repo_locator_is_valid(NULL));
}

/* The header stays sound, the table of tables points beyond the end. */
static void
spoil_tables(struct repo *r, const char *locator)
{
    CLEANUP_FREE char *name = xasprintf("%s.qcow2", locator);
    char path[REPO_PATH_SIZE];
    struct err err = ERR_INIT;
    unsigned char header[48], junk[8];
    uint64_t l1 = 0;
    int fd;

    assert_ok(repo_path(r, name, path, &err));
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, header, sizeof header, 0), sizeof header);
    for (int i = 0; i < 8; i++) /* l1_table_offset, big-endian */
        l1 = l1 << 8 | header[40 + i];
    memset(junk, 0x7f, sizeof junk);
    assert_int_equal(pwrite(fd, junk, sizeof junk, (off_t)l1), sizeof junk);
    close(fd);
}

static void
layers(struct repo *r)
{
    struct err err = ERR_INIT;
    struct repo_layer_spec full = {.locator = LOC(DISK_A, "000001"), .size_bytes = SIZE};
    struct repo_layer_spec over = {.locator = LOC(DISK_A, "000002"),
                                   .parent = LOC(DISK_A, "000001"),
                                   .size_bytes = SIZE};
    struct repo_layer_spec bad = over;
    uint64_t stored = 0;
    uint32_t seq = 0;

    assert_ok(layer_next_seq(r, VM_A, &seq, &err));
    assert_int_equal(seq, 1);
    assert_fails(layer_next_seq(r, "x", &seq, &err), ERR_INVALID, "repo_name");
    assert_fails(layer_create(r, &over, &err), ERR_NOT_FOUND, NULL); /* no parent yet */
    assert_ok(layer_create(r, &full, &err));
    assert_fails(layer_create(r, &full, &err), ERR_EXISTS, "layer_exists");
    assert_ok(layer_create(r, &over, &err));
    assert_ok(layer_check_chain(r, over.locator, SIZE, &err));
    assert_ok(layer_check_chain(r, over.locator, 0, &err));
    assert_fails(layer_check_chain(r, over.locator, SIZE + 512, &err), ERR_CORRUPT,
                 "layer_header");
    assert_ok(layer_stored_bytes(r, full.locator, &stored, &err));
    assert_true(stored > 0 && stored <= 1 << 20 && stored % 512 == 0);
    assert_ok(layer_sync(r, full.locator, &err));
    assert_ok(layer_next_seq(r, VM_A, &seq, &err));
    assert_int_equal(seq, 3);
    assert_ok(repo_put(r, POINTS "/000041.json", "{}", 2, &err));
    assert_ok(
        repo_put(r, "vms/" VM_A "/disks/" DISK_B "/000123.manifest.part", "", 0, &err));
    assert_ok(layer_next_seq(r, VM_A, &seq, &err));
    assert_int_equal(seq, 124);
    bad.locator = LOC(DISK_A, "000001"); /* not newer than its parent */
    assert_fails(layer_create(r, &bad, &err), ERR_INVALID, NULL);
    bad.locator = LOC(DISK_B, "000002"); /* another disk */
    assert_fails(layer_create(r, &bad, &err), ERR_INVALID, NULL);
    bad = full;
    bad.locator = LOC(DISK_A, "000009");
    bad.size_bytes = 0;
    assert_fails(layer_create(r, &bad, &err), ERR_INVALID, NULL);
    assert_ok(layer_repair(r, over.locator, &err));
    assert_ok(layer_check(r, over.locator, 0, &err));
    spoil_tables(r, over.locator);
    assert_fails(layer_check(r, over.locator, 0, &err), ERR_CORRUPT, "layer_damaged");
    assert_fails(layer_repair(r, over.locator, &err), ERR_CORRUPT, "layer_damaged");
    assert_ok(layer_remove(r, over.locator, &err));
    assert_ok(layer_remove(r, over.locator, &err));
    assert_fails(layer_repair(r, over.locator, &err), ERR_NOT_FOUND, NULL);
    assert_fails(layer_stored_bytes(r, over.locator, &stored, &err), ERR_NOT_FOUND, NULL);
    assert_fails(layer_sync(r, over.locator, &err), ERR_NOT_FOUND, NULL);
}

/* What goes in through a read-write export comes out of a read-only one, through an
 * overlay. */
static void
exports(struct repo *r)
{
    struct err err = ERR_INIT;
    struct repo_layer_spec full = {.locator = LOC(DISK_A, "000001"), .size_bytes = SIZE};
    struct repo_layer_spec over = {.locator = LOC(DISK_A, "000002"),
                                   .parent = LOC(DISK_A, "000001"),
                                   .size_bytes = SIZE};
    CLEANUP_FREE char *sock = xasprintf("%s.sock", repo_folder(r));
    struct export_spec spec = {.name = "sendense-x",
                               .description = "sendense 1 2000",
                               .socket = sock,
                               .size_bytes = SIZE,
                               .allocation_depth = true};
    struct nbd_conn_opts opts = {0};
    struct export *e = NULL;
    struct nbd_conn *c = NULL;
    char block[4096], back[4096];

    memset(block, 0xa5, sizeof(block));
    assert_ok(layer_create(r, &full, &err));
    assert_ok(layer_export_rw(r, full.locator, &spec, &e, &err));
    assert_int_equal(export_size(e), VSIZE);
    opts.uri = export_uri(e);
    assert_ok(nbd_conn_open(&opts, &c, &err));
    assert_ok(nbd_conn_pwrite(c, block, sizeof(block), 65536, &err));
    assert_ok(nbd_conn_flush(c, &err));
    nbd_conn_free(c);
    assert_ok(export_stop(e, NULL, &err));
    export_free(e);
    assert_ok(layer_create(r, &over, &err));
    assert_ok(layer_export_ro(r, over.locator, &spec, &e, &err));
    opts.uri = export_uri(e);
    opts.want_depth = true;
    assert_ok(nbd_conn_open(&opts, &c, &err));
    assert_true(nbd_conn_info(c)->read_only);
    assert_true(nbd_conn_info(c)->has_depth);
    assert_string_equal(nbd_conn_info(c)->description, "sendense 1 2000");
    assert_ok(nbd_conn_pread(c, back, sizeof(back), 65536, &err));
    assert_memory_equal(back, block, sizeof(back));
    assert_int_not_equal(nbd_conn_pwrite(c, block, sizeof(block), 0, &err), 0);
    nbd_conn_free(c);
    export_free(e);
    spec.size_bytes = SIZE + 4096;
    assert_fails(layer_export_ro(r, over.locator, &spec, &e, &err), ERR_CORRUPT,
                 "layer_header");
    assert_fails(layer_export_ro(r, LOC(DISK_A, "000077"), &spec, &e, &err),
                 ERR_NOT_FOUND, NULL);
}

#define GROWN (5 * 65536 + 512)

/* Writes through the export of @locator: a block of @fill at @block, or zeroes. */
static void
write_block(struct repo *r, const char *locator, uint64_t size, uint64_t block, int fill)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *sock = xasprintf("%s.sock", repo_folder(r));
    struct export_spec spec = {.name = "sendense-x", .socket = sock, .size_bytes = size};
    struct nbd_conn_opts opts = {0};
    struct export *e = NULL;
    struct nbd_conn *c = NULL;
    CLEANUP_FREE char *p = xcalloc(1, 65536);
    uint64_t n = (size + 511) / 512 * 512 - block * 65536;

    n = n < 65536 ? n : 65536;
    memset(p, fill, 65536);
    assert_ok(layer_export_rw(r, locator, &spec, &e, &err));
    opts.uri = export_uri(e);
    assert_ok(nbd_conn_open(&opts, &c, &err));
    assert_ok(fill ? nbd_conn_pwrite(c, p, n, block * 65536, &err)
                   : nbd_conn_zero(c, n, block * 65536, &err));
    assert_ok(nbd_conn_flush(c, &err));
    nbd_conn_free(c);
    assert_ok(export_stop(e, NULL, &err));
    export_free(e);
}

/* One letter for each block, as its depth: 0 = nowhere, 1 = the tip, …  What lies beyond
 * the end of a lower layer counts as that layer's (zero). */
static int
see_depth(void *arg, uint64_t off, uint64_t len, uint32_t depth, struct err *err)
{
    char *map = arg;

    (void)err;
    for (uint64_t b = off / 65536; b * 65536 < off + len; b++)
        map[b] = (char)('0' + depth);
    return 0;
}

/* A chain of three, the last one of a disk that grew: each shows its own moment. */
static void
overlays(struct repo *r)
{
    static const struct {
        const char *locator, *parent;
        uint64_t size, block;
        int fill;
        const char *depth;      /* of the blocks once it was written */
        unsigned char first[6]; /* what each block holds */
    } v[] = {
        {LOC(DISK_A, "000001"), NULL, SIZE, 0, 'a', "1000", "a"},
        {LOC(DISK_A, "000002"), LOC(DISK_A, "000001"), SIZE, 3, 'b', "2001", "a\0\0b"},
        {LOC(DISK_A, "000005"), LOC(DISK_A, "000002"), GROWN, 0, 0, "100222", "\0\0\0b"},
        {LOC(DISK_A, "000006"), LOC(DISK_A, "000005"), GROWN, 5, 'c', "200331",
         "\0\0\0b\0c"},
    };
    CLEANUP_FREE char *sock = xasprintf("%s.sock", repo_folder(r));
    struct err err = ERR_INIT;
    char parent[NAMING_LOCATOR_SIZE];

    for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
        struct repo_layer_spec l = {
            .locator = v[i].locator, .parent = v[i].parent, .size_bytes = v[i].size};

        assert_ok(layer_create(r, &l, &err));
        assert_ok(layer_parent(r, v[i].locator, parent, &err));
        assert_string_equal(parent, v[i].parent ? v[i].parent : "");
        write_block(r, v[i].locator, v[i].size, v[i].block, v[i].fill);
    }
    for (unsigned i = 0; i < ARRAY_LEN(v); i++) {
        struct export_spec spec = {.name = "sendense-x",
                                   .socket = sock,
                                   .size_bytes = v[i].size,
                                   .allocation_depth = true};
        struct nbd_conn_opts opts = {.want_depth = true};
        struct export *e = NULL;
        struct nbd_conn *c = NULL;
        char depth[8] = "";

        assert_ok(layer_check_chain(r, v[i].locator, v[i].size, &err));
        assert_ok(layer_export_ro(r, v[i].locator, &spec, &e, &err));
        opts.uri = export_uri(e);
        assert_ok(nbd_conn_open(&opts, &c, &err));
        assert_ok(nbd_conn_extents(c, NBD_CONTEXT_DEPTH, 0, nbd_conn_info(c)->size_bytes,
                                   see_depth, depth, &err));
        assert_string_equal(depth, v[i].depth);
        for (unsigned b = 0; b < strlen(depth); b++) {
            unsigned char byte = 0xee;

            assert_ok(nbd_conn_pread(c, &byte, 1, b * 65536, &err));
            assert_int_equal(byte, v[i].first[b]);
        }
        nbd_conn_free(c);
        export_free(e);
    }
}

/* No layer is larger than the one that stands on it. */
static void
renames(struct repo *r)
{
    struct err err = ERR_INIT;
    CLEANUP_BUF struct buf b = BUF_INIT(64);

    assert_ok(repo_put(r, POINTS "/a.new", "new", 3, &err));
    assert_ok(repo_put(r, POINTS "/a", "old", 3, &err));
    assert_ok(repo_rename(r, POINTS "/a.new", POINTS "/a", &err));
    assert_ok(repo_get(r, POINTS "/a", &b, &err));
    assert_memory_equal(b.data, "new", 3);
    assert_fails(repo_rename(r, POINTS "/a.new", POINTS "/a", &err), ERR_NOT_FOUND, NULL);
    assert_fails(repo_rename(r, POINTS "/a", "vms/" VM_A "/a", &err), ERR_INVALID,
                 "repo_name");
    assert_fails(repo_rename(r, POINTS "/a", POINTS "/../a", &err), ERR_INVALID,
                 "repo_name");
}

static int
count_started(void *arg, const struct child_id *id, struct err *err)
{
    ++*(unsigned *)arg;
    return id->pid > 0 ? 0 : err_set(err, ERR_INTERNAL, NULL, "no pid");
}

static int
refuse_start(void *arg, const struct child_id *id, struct err *err)
{
    return err_set(err, ERR_IO, "not_now", "not now");
}

/* The upper one of a disk that grew into the lower one, twice, as after a crash. */
static void
merges(struct repo *r)
{
    struct repo_layer_spec base = {.locator = LOC(DISK_A, "000001"), .size_bytes = SIZE};
    struct repo_layer_spec over = {
        .locator = LOC(DISK_A, "000004"), .parent = base.locator, .size_bytes = GROWN};
    static const unsigned char wanted[6] = {0, 'b', 0, 'd', 0, 'c'};
    CLEANUP_FREE char *sock = xasprintf("%s.sock", repo_folder(r));
    struct export_spec spec = {.name = "sendense-x", .socket = sock, .size_bytes = GROWN};
    struct nbd_conn_opts opts = {0};
    struct export *e = NULL;
    struct nbd_conn *c = NULL;
    unsigned started = 0;
    struct layer_merge m = {.parent = base.locator,
                            .child = over.locator,
                            .size_bytes = GROWN,
                            .started = refuse_start,
                            .arg = &started};
    struct err err = ERR_INIT;

    assert_ok(layer_create(r, &base, &err));
    write_block(r, base.locator, SIZE, 0, 'a');
    write_block(r, base.locator, SIZE, 1, 'b');
    write_block(r, base.locator, SIZE, 3, 'd');
    assert_ok(layer_create(r, &over, &err));
    write_block(r, over.locator, GROWN, 0, 0);
    write_block(r, over.locator, GROWN, 5, 'c');
    assert_fails(layer_merge(r, &m, &err), ERR_IO, "not_now");
    m.started = count_started;
    assert_ok(layer_export_ro(r, over.locator, &spec, &e, &err));
    assert_fails(layer_merge(r, &m, &err), ERR_IO, "program_failed"); /* it is open */
    assert_ok(export_stop(e, NULL, &err));
    export_free(e);
    assert_int_equal(started, 1);
    for (unsigned i = 0; i < 2; i++)
        assert_ok(layer_merge(r, &m, &err));
    assert_int_equal(started, 5);
    m.parent = LOC(DISK_A, "000002");
    assert_fails(layer_merge(r, &m, &err), ERR_CORRUPT, "chain_broken");
    assert_ok(
        repo_rename(r, LOC(DISK_A, "000001.qcow2"), LOC(DISK_A, "000004.qcow2"), &err));
    assert_ok(layer_check_chain(r, over.locator, GROWN, &err));
    assert_ok(layer_export_ro(r, over.locator, &spec, &e, &err));
    opts.uri = export_uri(e);
    assert_ok(nbd_conn_open(&opts, &c, &err));
    for (unsigned b = 0; b < ARRAY_LEN(wanted); b++) {
        unsigned char byte = 0xee;

        assert_ok(nbd_conn_pread(c, &byte, 1, (uint64_t)b * 65536, &err));
        assert_int_equal(byte, wanted[b]);
    }
    nbd_conn_free(c);
    export_free(e);
}

static void
overlays_never_shrink(struct repo *r)
{
    struct err err = ERR_INIT;
    struct repo_layer_spec full = {.locator = LOC(DISK_A, "000001"), .size_bytes = SIZE};
    struct repo_layer_spec over = {.locator = LOC(DISK_A, "000002"),
                                   .parent = LOC(DISK_A, "000001"),
                                   .size_bytes = 2 * 65536};
    char path[REPO_PATH_SIZE], parent[NAMING_LOCATOR_SIZE];
    int fd;

    assert_ok(layer_create(r, &full, &err));
    assert_fails(layer_create(r, &over, &err), ERR_INVALID, "layer_shrinks");
    assert_fails(layer_check_chain(r, over.locator, 0, &err), ERR_NOT_FOUND, NULL);
    assert_fails(layer_parent(r, over.locator, parent, &err), ERR_NOT_FOUND, NULL);
    assert_fails(layer_parent(r, "x", parent, &err), ERR_INVALID, "repo_name");
    over.size_bytes = SIZE;
    assert_ok(layer_create(r, &over, &err));
    /* Somebody makes the tip smaller behind our back: bytes 24..31 are its size. */
    assert_ok(repo_path(r, LOC(DISK_A, "000002.qcow2"), path, &err));
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\0\0\0\0\0\2\0\0", 8, 24), 8);
    close(fd);
    assert_fails(layer_check_chain(r, over.locator, 0, &err), ERR_CORRUPT,
                 "layer_header");
}

static void
facts(struct repo *r)
{
    struct err err = ERR_INIT;
    struct repo_space s = {0};
    struct repo_probe p = {0};

    assert_ok(repo_space(r, &s, &err));
    assert_true(s.total_bytes > 0 && s.free_bytes <= s.total_bytes);
    assert_ok(repo_probe(r, &p, &err));
    assert_true(p.ofd_locks);
    assert_memory_equal(&p, repo_probed(r), sizeof(p));
    assert_true(uuid_is_valid(repo_uuid(r)));
    assert_true(repo_lock_fd(r) >= 0);
}

const struct repo_suite_case repo_suite[] = {
    {"small_files", small_files},
    {"listing", listing},
    {"folders", folders},
    {"names_are_checked", names_are_checked},
    {"layers", layers},
    {"exports", exports},
    {"overlays", overlays},
    {"renames", renames},
    {"merges", merges},
    {"overlays_never_shrink", overlays_never_shrink},
    {"facts", facts},
};
const unsigned repo_suite_count = ARRAY_LEN(repo_suite);
