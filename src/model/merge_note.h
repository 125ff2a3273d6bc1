/* model/merge_note.h - the two small files of a merge.                    Layer 1.  Pure.
 * docs/design/repository.md 5.1, 5.2. */
#ifndef SENDENSE_MODEL_MERGE_NOTE_H
#define SENDENSE_MODEL_MERGE_NOTE_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "model/manifest.h"
#include "model/naming.h"

#define MERGE_NOTE_FILE "merge.json"
#define MERGE_NOTE_MAX 65536u /* bytes of either file */
#define MERGE_BACKUP_ID_SIZE 256

/* merge.json: what is merged into what on one disk. */
struct merge_note {
    char job_id[UUID_STR_SIZE];           /* of the backup that is deleted */
    char backup_id[MERGE_BACKUP_ID_SIZE]; /* the same */
    uint32_t parent_seq, child_seq;       /* parent below child */
    char parent_layer_id[UUID_STR_SIZE];
    char child_layer_id[UUID_STR_SIZE];
    uint64_t size_bytes; /* of the disk at the child's time */
};

/* NNNNNN.merged: what a layer is since it was merged. */
struct merged_layer {
    char layer_id[UUID_STR_SIZE];
    char parent_layer_id[UUID_STR_SIZE]; /* "" = null: a full */
    uint8_t layer_root[MANIFEST_HASH_SIZE];
    uint64_t records;
};

/* ERR_CORRUPT "merge_corrupt", also for a format or a word that is not known. */
int merge_note_decode(const char *text, size_t n, struct merge_note *ret,
                      struct err *err);
json_t *merge_note_encode(const struct merge_note *m); /* caller decrefs */
int merged_layer_decode(const char *text, size_t n, struct merged_layer *ret,
                        struct err *err);
json_t *merged_layer_encode(const struct merged_layer *m); /* caller decrefs */

#endif
