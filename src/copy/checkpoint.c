/* copy/checkpoint.c - see checkpoint.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/mem.h"
#include "copy/checkpoint.h"
#include "copy/earlier.h"

static int
file_open(struct checkpoint *c, const struct manifest_header *h, struct err *err)
{
    uint8_t raw[MANIFEST_HEADER_SIZE];
    CLEANUP_FREE char *part = NULL;
    int r = fs_mkdirs(c->disk->opts->manifest_dir, 0700, err);

    if (r < 0)
        return r;
    c->path =
        xasprintf("%s/%u.manifest", c->disk->opts->manifest_dir, c->disk->spec->key);
    part = xasprintf("%s.part", c->path);
    c->fd = open(part, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (c->fd < 0)
        return err_errno(err, errno, "manifest_io", "create '%s'", part);
    manifest_header_encode(h, raw);
    return fs_write_full(c->fd, raw, sizeof(raw), err);
}

int
checkpoint_init(struct checkpoint *c, struct copy_disk *d, struct err *err)
{
    const struct job_spec_disk *s = d->spec;
    struct manifest_header h = {.disk_size = s->size_bytes};
    int r;

    *c = (struct checkpoint){.disk = d, .fd = -1};
    if (manifest_id_from_str(s->layer_id, h.layer_id) < 0 ||
        manifest_id_from_str(s->parent_layer_id, h.parent_layer_id) < 0 ||
        manifest_id_from_str(s->disk_uuid, h.disk_uuid) < 0)
        return err_set(err, ERR_INTERNAL, NULL, "the spec has malformed ids");
    r = manifest_check_new(&h, &c->check, err);
    if (r == 0 && d->opts->spec->hub_url)
        r = copy_push_new(d->opts->spec, s->key, s->resume.records, d->opts->stop,
                          &c->push, err);
    if (r == 0 && s->resume.block > 0)
        r = copy_earlier_take(d->opts->spec, s, d->opts->stop, c->check, err);
    if (r == 0 && d->opts->manifest_dir)
        r = file_open(c, &h, err);
    return r;
}

void
checkpoint_done(struct checkpoint *c)
{
    manifest_check_free(c->check);
    copy_push_free(c->push);
    cleanup_fd(&c->fd);
    free(c->path);
}

static int
take(struct checkpoint *c, const uint8_t *records, size_t n, uint64_t block, bool final,
     struct err *err)
{
    const struct push_part part = {.checkpoint = c->n + 1,
                                   .records = records,
                                   .n = n,
                                   .block = block,
                                   .final = final};
    struct push_answer answer = {0};
    /* This also proves that what we tell the hub is in order and inside of the disk. */
    int r = manifest_check_add_raw(c->check, records, n, err);

    if (r == 0 && c->fd >= 0)
        r = fs_write_full(c->fd, records, n * MANIFEST_RECORD_SIZE, err);
    if (r == 0 && final)
        r = manifest_check_root(c->check, c->root, err);
    if (r < 0 || !c->push)
        return r;
    r = copy_push_send(c->push, &part, &answer, err);
    if (r == 0 && final && memcmp(answer.root, c->root, sizeof(c->root)) != 0)
        r = err_set(err, ERR_CORRUPT, "manifest_root_mismatch",
                    "the manifest that the hub stored is not the one that was sent");
    return r;
}

static void
emit(struct checkpoint *c)
{
    struct job_event ev = {.type = EVENT_CHECKPOINT,
                           .checkpoint = c->n,
                           .records = manifest_check_count(c->check),
                           .bytes = copy_disk_bytes(c->disk)};

    copy_emit(c->disk, &ev);
}

int
checkpoint_add(struct checkpoint *c, const uint8_t *records, size_t n, uint64_t block,
               struct err *err)
{
    int r = take(c, records, n, block, false, err);

    if (r < 0)
        return err_prefix(err, "checkpoint %llu", (unsigned long long)c->n + 1);
    FAILPOINT(CLIENT_CHECKPOINT);
    c->n++;
    emit(c);
    return 0;
}

static int
file_seal(struct checkpoint *c, struct err *err)
{
    struct manifest_trailer t = {.count = manifest_check_count(c->check)};
    uint8_t raw[MANIFEST_TRAILER_SIZE];
    CLEANUP_FREE char *part = xasprintf("%s.part", c->path);
    int r;

    memcpy(t.layer_root, c->root, sizeof(t.layer_root));
    manifest_trailer_encode(&t, raw);
    r = fs_write_full(c->fd, raw, sizeof(raw), err);
    if (r == 0 && fsync(c->fd) < 0)
        r = err_errno(err, errno, "manifest_io", "sync '%s'", part);
    if (r == 0 && rename(part, c->path) < 0)
        r = err_errno(err, errno, "manifest_io", "rename '%s'", part);
    return r == 0 ? fs_sync_parent(c->path, err) : r;
}

int
checkpoint_end(struct checkpoint *c, const uint8_t *records, size_t n, struct err *err)
{
    int r = take(c, records, n, manifest_blocks(c->disk->spec->size_bytes), true, err);

    if (r == 0 && c->fd >= 0)
        r = file_seal(c, err);
    if (r < 0)
        return err_prefix(err, "last checkpoint");
    FAILPOINT(CLIENT_CHECKPOINT);
    c->n++;
    emit(c);
    return 0;
}
