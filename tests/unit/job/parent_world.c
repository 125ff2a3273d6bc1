/* tests/unit/job/parent_world.c - see parent_world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "parent_world.h"
#include "store/manifest_file.h"

struct model_block model[BLOCKS_MAX];

uint64_t
rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

void
hash_of(uint32_t tag, uint8_t out[MANIFEST_HASH_SIZE])
{
    memset(out, 0x5a, MANIFEST_HASH_SIZE);
    memcpy(out, &tag, sizeof(tag));
}

void
add_layer(struct world *w, uint64_t blocks, uint64_t gap, uint64_t *s)
{
    static uint32_t tag;
    struct chain_layer *l;
    struct manifest_header h = {.disk_size =
                                    blocks * MANIFEST_BLOCK_SIZE - rnd(s) % 65536};
    CLEANUP_MANIFEST_WRITER struct manifest_writer *m = NULL;
    struct err err = ERR_INIT;
    static uint8_t raw[BLOCKS_MAX * MANIFEST_RECORD_SIZE];
    uint64_t b = rnd(s) % gap, total;
    size_t n = 0;

    w->chain.v = xreallocarray(w->chain.v, w->chain.n + 1, sizeof(*l));
    l = &w->chain.v[w->chain.n];
    *l = (struct chain_layer){.manifest = xasprintf("%s/%zu", w->dir, w->chain.n),
                              .size_bytes = h.disk_size};
    uuid_make(l->layer_id);
    manifest_id_from_str(l->layer_id, h.layer_id);
    manifest_id_from_str(DISK, h.disk_uuid);
    manifest_id_from_str(w->chain.n ? l[-1].layer_id : "", h.parent_layer_id);
    assert_int_equal(manifest_writer_create(l->manifest, &h, &m, &err), 0);
    while (b < blocks) {
        struct manifest_record r = {.block = b, .state = MANIFEST_DATA, .count = 1};

        if (w->chain.n > 0 && rnd(s) % 3 == 0) {
            r.state = MANIFEST_ZERO;
            r.count = 1 + rnd(s) % 40;
            if (r.count > blocks - b)
                r.count = blocks - b;
            for (uint64_t i = 0; i < r.count; i++)
                model[b + i].data = false;
        } else {
            model[b].data = true;
            model[b].tag = ++tag;
            hash_of(tag, r.hash);
        }
        manifest_record_encode(&r, raw + n++ * MANIFEST_RECORD_SIZE);
        b += r.count + (rnd(s) % 2 ? 0 : rnd(s) % gap);
    }
    assert_int_equal(
        manifest_writer_append(m, 0, raw, n * MANIFEST_RECORD_SIZE, &total, &err), 0);
    assert_int_equal(manifest_writer_seal(m, l->layer_root, &err), 0);
    w->chain.n++;
    w->blocks = blocks;
}

void
world_init(struct world *w)
{
    *w = (struct world){.blocks = 0};
    snprintf(w->dir, sizeof(w->dir), "/tmp/parent-manifest-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->chain.disk_uuid, UUID_STR_SIZE, "%s", DISK);
    memset(model, 0, sizeof(model));
}

void
world_done(struct world *w)
{
    for (size_t i = 0; i < w->chain.n; i++) {
        CLEANUP_FREE char *roots = xasprintf("%s.roots", w->chain.v[i].manifest);

        unlink(w->chain.v[i].manifest);
        unlink(roots);
    }
    assert_int_equal(rmdir(w->dir), 0);
    chain_done(&w->chain);
}

void
roots_begin(struct world *w, struct roots *r)
{
    struct chain_layer *tip = &w->chain.v[w->chain.n - 1];
    struct manifest_header h = {.disk_size = tip->size_bytes};
    struct err err = ERR_INIT;

    r->path = xasprintf("%s.roots", tip->manifest);
    manifest_id_from_str(tip->layer_id, h.layer_id);
    manifest_id_from_str(DISK, h.disk_uuid);
    assert_int_equal(content_root_new(h.disk_size, &r->root, &err), 0);
    assert_int_equal(chain_root_keep(r->path, &h, r->root, &r->keep, &err), 0);
}

void
roots_end(struct world *w, struct roots *r)
{
    struct chain_layer *tip = &w->chain.v[w->chain.n - 1];
    struct err err = ERR_INIT;

    assert_int_equal(content_root_finish(r->root, tip->content_root, &err), 0);
    assert_int_equal(chain_root_keep_end(r->keep, tip->content_root, &err), 0);
    content_root_free(r->root);
    free(r->path);
}

void
leave_roots(struct world *w)
{
    struct roots r;
    struct err err = ERR_INIT;
    uint8_t hash[MANIFEST_HASH_SIZE];

    roots_begin(w, &r);
    for (uint64_t b = 0; b < w->blocks; b++) {
        hash_of(model[b].tag, hash);
        if (model[b].data)
            assert_int_equal(content_root_add(r.root, b, hash, &err), 0);
    }
    roots_end(w, &r);
}

void
check_data(const struct manifest_record *r)
{
    uint8_t want[MANIFEST_HASH_SIZE];

    assert_true(r->block < BLOCKS_MAX && model[r->block].data);
    hash_of(model[r->block].tag, want);
    assert_memory_equal(r->hash, want, sizeof(want));
    assert_int_equal(r->count, 1);
}

void
check_range(struct parent_manifest *p, uint64_t block, uint64_t count)
{
    struct manifest_record r;
    struct err err = ERR_INIT;
    uint64_t at = block;
    bool was_zero = false;
    int got;

    assert_int_equal(parent_manifest_range(p, block, count, &err), 0);
    while ((got = parent_manifest_next(p, &r, &err)) > 0) {
        assert_int_equal(r.block, at);
        if (r.state == MANIFEST_DATA) {
            check_data(&r);
        } else {
            assert_false(was_zero); /* runs are joined */
            for (uint64_t i = 0; i < r.count; i++)
                assert_true(at + i >= BLOCKS_MAX || !model[at + i].data);
        }
        was_zero = r.state == MANIFEST_ZERO;
        at += r.count;
    }
    if (got < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(at, block + count);
}
