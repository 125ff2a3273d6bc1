/* job/restore_make.c - a disk as one file: made, written, compared. */
#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_resource.h"
#include "job/journal.h"
#include "job/restore_priv.h"
#include "job/restore_record.h"
#include "store/image_convert.h"

static const struct point_disk *
disk_of(const struct restore_job *j)
{
    return &j->stored.point.disks[j->disk];
}

int
restore_open_image(struct restore_job *j, const struct restore_image *image,
                   struct err *err)
{
    char name[NAMING_EXPORT_SIZE];
    CLEANUP_FREE char *socket = NULL;
    struct export_spec spec = {.path = image->path,
                               .format = image->format,
                               .name = name,
                               .size_bytes = image->size_bytes,
                               .read_only = image->read_only,
                               .allocation_depth = image->allocation_depth};

    naming_export_make(name);
    socket = xasprintf("%s/%s", j->env->run_dir, name);
    spec.socket = socket;
    if (journal_intent(j->env, j->id, RES_SOCKET, socket, &j->writer.res_socket, err) <
            0 ||
        journal_intent(j->env, j->id, RES_EXPORT, name, &j->writer.res_export, err) < 0 ||
        export_start(&spec, &j->writer.export, err) < 0)
        return err_prefix(err, "open '%s'", image->path);
    return journal_held(j->env, j->id, j->writer.res_export,
                        export_identity(j->writer.export), err);
}

int
restore_close_image(struct restore_job *j, struct err *err)
{
    if (export_stop(j->writer.export, NULL, err) < 0)
        return err_prefix(err, "close the target");
    reader_close(j->env, j->id, j->log, &j->writer);
    return 0;
}

int
restore_hold_target(struct restore_job *j, struct err *err)
{
    struct cat_hold hold = {.now_us = time_utc_us()};
    char id[RESTORE_FILE_ID_SIZE];

    if (restore_file_id(j->part, id) < 0)
        return err_errno(err, errno, NULL, "look at '%s'", j->part);
    hold.detail = id;
    return cat_resource_hold(j->env->catalog, j->id, j->res_target, &hold, err);
}

static void
on_bad(void *arg, const struct bad_range_item *bad)
{
    struct restore_job *j = arg;

    json_array_append_new(j->bad, json_pack("{s:I, s:I, s:I, s:s}", "device_key",
                                            (json_int_t)bad->key, "offset",
                                            (json_int_t)bad->offset, "length",
                                            (json_int_t)bad->length, "reason",
                                            bad_range_to_str(bad->reason)));
}

int
restore_run_worker(struct restore_job *j, enum worker_task task, struct verify_disk *d,
                   struct err *err)
{
    struct verify_run v = {.env = j->env,
                           .job_id = j->id,
                           .attempt = 1,
                           .task = task,
                           .repo = j->stored.repo,
                           .live = j->live,
                           .log = j->log,
                           .disks = d,
                           .n = 1,
                           .limits = &j->env->limits,
                           .salvage = j->salvage,
                           .on_bad = on_bad,
                           .arg = j};
    int r = verify_run(&v, err);

    if (r >= 0 && !d->source)
        joblog_line(j->log, LOG_LEVEL_INFO,
                    "compared, read from the %s; read_bytes=%llu written_bytes=%llu",
                    d->direct ? "medium" : "page cache",
                    (unsigned long long)d->bytes.read, (unsigned long long)d->bytes.sent);
    return r;
}

/* --- the target before its first byte --- */

/* What an earlier try left is thrown away only where the user said so. */
static int
make_room(const struct restore_job *j, struct err *err)
{
    if (!fs_exists(j->part))
        return restore_record_remove(j->part, err);
    if (!j->force)
        return err_set(err, ERR_EXISTS, "target_exists", "'%.300s' exists", j->part);
    if (restore_record_remove(j->part, err) < 0)
        return err->class;
    return fs_unlink(j->part, true, err);
}

static int
make_new(struct restore_job *j, const struct restore_record *record, struct err *err)
{
    if (make_room(j, err) < 0)
        return err->class;
    /* Before the image: one that nothing is known of cannot be gone on with. */
    if (j->resume && restore_record_write(j->part, record, err) < 0)
        return err->class;
    if (!j->image->in_place)
        return 0;
    if (image_create(j->part, j->image, disk_of(j)->size_bytes, err) < 0)
        return err->class;
    j->made = true;
    return 0;
}

static int
take_up(struct restore_job *j, const struct restore_record *record, struct err *err)
{
    if (restore_record_check(j->part, record, err) < 0 ||
        image_reopen(j->part, j->image, disk_of(j)->size_bytes, err) < 0)
        return err->class;
    j->made = j->resuming = true;
    joblog_line(j->log, LOG_LEVEL_INFO, "going on with '%s'", j->part);
    return 0;
}

static int
make_target(struct restore_job *j, struct err *err)
{
    const struct restore_record record = {
        .point_id = j->stored.point.point_id, .disk = disk_of(j), .format = j->format};
    const char *kind = j->resume ? RES_PARTIAL : RES_FILE;
    bool there;
    int r;

    restore_set_phase(j, "preparing");
    /* One job at a time has this entry: only its owner may touch the files. */
    if (journal_intent(j->env, j->id, kind, j->part, &j->res_target, err) < 0)
        return err->class;
    there = fs_exists(j->part);
    r = j->resume && there ? take_up(j, &record, err) : make_new(j, &record, err);
    if (r < 0)
        return r;
    FAILPOINT(RESTORE_TARGET_CREATED);
    return 0;
}

/* --- its bytes --- */

static int
write_in_place(struct restore_job *j, struct verify_disk *d, struct err *err)
{
    const struct restore_image image = {.path = j->part,
                                        .format = j->image->qemu,
                                        .size_bytes = naming_round_up_512(d->size_bytes)};

    if (restore_hold_target(j, err) < 0 || restore_open_image(j, &image, err) < 0)
        return err->class;
    restore_set_phase(j, "restoring");
    d->target = export_uri(j->writer.export);
    d->resume = j->resuming;
    if (restore_run_worker(j, WORKER_RESTORE, d, err) < 0)
        return err->class;
    restore_set_phase(j, "finishing");
    return restore_close_image(j, err);
}

struct conversion {
    struct restore_job *j;
    int64_t res;
};

static int
on_started(void *arg, const struct child_id *id, struct err *err)
{
    struct conversion *c = arg;

    if (journal_held(c->j->env, c->j->id, c->res, id, err) < 0)
        return err->class;
    return restore_hold_target(c->j, err);
}

static int
convert(struct restore_job *j, const struct verify_disk *d, struct err *err)
{
    CLEANUP_FREE char *key = xasprintf("%s:convert", j->id);
    const struct reader_spec spec = {.job_id = j->id,
                                     .repo = j->stored.repo,
                                     .locator = d->locator,
                                     .key = d->key,
                                     .size_bytes = d->size_bytes};
    struct reader_export source = {0};
    struct conversion conv = {.j = j};
    struct image_convert c = {.path = j->part,
                              .format = j->image,
                              .cancel_fd = live_cancel_fd(j->live),
                              .started = on_started,
                              .arg = &conv};
    int r = reader_open(j->env, &spec, &source, err);

    restore_set_phase(j, "converting");
    if (r >= 0)
        r = journal_intent(j->env, j->id, RES_WORKER, key, &conv.res, err);
    if (r >= 0) {
        c.source_uri = export_uri(source.export);
        r = image_convert_run(&c, err);
        j->made = r >= 0 || strcmp(err->code, "target_exists") != 0;
        if (r >= 0 || err->class != ERR_TIMEOUT)
            journal_released(j->env, j->id, &conv.res);
    }
    reader_close(j->env, j->id, j->log, &source);
    return r;
}

/* Read by the format's own reader, from the file that the user gets. */
static int
read_back(struct restore_job *j, const struct verify_disk *disk, struct err *err)
{
    const struct restore_image image = {.path = j->part,
                                        .format = j->image->qemu,
                                        .size_bytes =
                                            naming_round_up_512(disk->size_bytes),
                                        .read_only = true};
    struct verify_disk d = *disk;

    restore_set_phase(j, "comparing");
    if (restore_open_image(j, &image, err) < 0)
        return err->class;
    d.target = NULL;
    d.resume = d.done = false;
    d.source = export_uri(j->writer.export);
    if (restore_run_worker(j, WORKER_COMPARE, &d, err) < 0)
        return err_prefix(err, "'%.200s' as it was written", j->part);
    return restore_close_image(j, err);
}

int
restore_make_image(struct restore_job *j, struct err *err)
{
    struct verify_disk d;
    struct chain below;
    int r;

    if (stored_fill(&j->stored, j->disk, &d, err) < 0)
        return err->class;
    below = (struct chain){.v = j->chain.v, .n = j->chain.n - 1};
    d.below = &below;
    if (make_target(j, err) < 0)
        return err->class;
    r = j->image->in_place ? write_in_place(j, &d, err) : convert(j, &d, err);
    if (r < 0)
        return r;
    FAILPOINT(RESTORE_COPIED);
    if (image_finish(j->part, j->target, j->image, disk_of(j)->size_bytes, err) < 0)
        return err->class;
    /* What a salvage left out is not there to be compared: the blocks that were written
     * were compared on their way. */
    if (j->image->read_back && !j->salvage)
        return read_back(j, &d, err);
    return 0;
}
