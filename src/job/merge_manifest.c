/* job/merge_manifest.c - see merge_manifest.h. */
#include "job/merge_manifest.h"

#include <string.h>

#include "base/mem.h"
#include "model/manifest_merge.h"
#include "store/manifest_file.h"

#define CHUNK_RECORDS 1024u

static int
next_record(void *arg, struct manifest_record *ret, struct err *err)
{
    return manifest_file_next(arg, ret, err);
}

static int
check_ids(const struct merge_manifest *how, const struct manifest_header *parent,
          const struct manifest_header *child, struct err *err)
{
    char lower[UUID_STR_SIZE], upper[UUID_STR_SIZE];

    manifest_id_to_str(parent->layer_id, lower);
    manifest_id_to_str(child->layer_id, upper);
    if (strcmp(lower, how->parent_layer_id) == 0 &&
        strcmp(upper, how->child_layer_id) == 0 &&
        memcmp(child->parent_layer_id, parent->layer_id, MANIFEST_ID_SIZE) == 0 &&
        memcmp(child->disk_uuid, parent->disk_uuid, MANIFEST_ID_SIZE) == 0 &&
        child->disk_size >= parent->disk_size)
        return 0;
    return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                   "manifest '%s' is not that of a layer on '%s'", how->child,
                   how->parent);
}

static int
copy_records(struct manifest_merge *m, struct manifest_writer *w, struct err *err)
{
    CLEANUP_FREE uint8_t *chunk = xcalloc(CHUNK_RECORDS, MANIFEST_RECORD_SIZE);
    struct manifest_record rec;
    uint64_t total = 0;
    int r = 1;

    while (r > 0) {
        size_t n = 0;

        while (n < CHUNK_RECORDS && (r = manifest_merge_next(m, &rec, err)) > 0)
            manifest_record_encode(&rec, chunk + n++ * MANIFEST_RECORD_SIZE);
        if (r >= 0 && n > 0 &&
            manifest_writer_append(w, total, chunk, n * MANIFEST_RECORD_SIZE, &total,
                                   err) < 0)
            return err->class;
    }
    return r;
}

int
merge_manifest_make(const struct merge_manifest *how, struct merged_layer *ret,
                    struct err *err)
{
    CLEANUP_MANIFEST_FILE struct manifest_file *parent = NULL, *child = NULL;
    CLEANUP_MANIFEST_WRITER struct manifest_writer *w = NULL;
    CLEANUP_MANIFEST_MERGE struct manifest_merge *m = NULL;
    struct resolve_layer lower = {.next = next_record}, upper = {.next = next_record};
    struct merged_layer layer = {.records = 0};
    struct manifest_header h;

    if (manifest_file_open(how->parent, &parent, err) < 0 ||
        manifest_file_open(how->child, &child, err) < 0 ||
        check_ids(how, manifest_file_header(parent), manifest_file_header(child), err) <
            0)
        return err->class;
    h = *manifest_file_header(child);
    memcpy(h.parent_layer_id, manifest_file_header(parent)->parent_layer_id,
           sizeof h.parent_layer_id);
    manifest_id_to_str(h.layer_id, layer.layer_id);
    manifest_id_to_str(h.parent_layer_id, layer.parent_layer_id);
    lower.arg = parent;
    upper.arg = child;
    if (manifest_merge_new(&lower, &upper, !layer.parent_layer_id[0], &m, err) < 0 ||
        manifest_writer_create(how->new, &h, &w, err) < 0 ||
        copy_records(m, w, err) < 0 || manifest_writer_seal(w, layer.layer_root, err) < 0)
        return err->class;
    layer.records = manifest_writer_count(w);
    *ret = layer;
    return 0;
}
