/* job/merge_manifest.h - the manifest of two layers that become one.        Layer 3.
 * Blocking. */
#ifndef SENDENSE_JOB_MERGE_MANIFEST_H
#define SENDENSE_JOB_MERGE_MANIFEST_H

#include "base/err.h"
#include "model/merge_note.h"

/* Absolute paths; ids as the note has them. */
struct merge_manifest {
    const char *parent, *child; /* sealed */
    const char *new;            /* neither it nor its .part may exist */
    const char *parent_layer_id, *child_layer_id;
};

/* Writes and seals @how->new, durable.  @ret is what the layer will be.  ERR_CORRUPT
 * "manifest_corrupt": one of them is damaged, or not what the ids say; ERR_NO_SPACE
 * "repo_full"; ERR_IO. */
int merge_manifest_make(const struct merge_manifest *how, struct merged_layer *ret,
                        struct err *err);

#endif
