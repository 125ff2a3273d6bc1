/* model/merge_note.c - see merge_note.h. */
#include "model/merge_note.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/codec.h"

#define FORMAT 1

/* What a stored file holds is nobody's input: it is damaged, or newer than we are. */
static int
as_corrupt(struct err *err)
{
    if (err->class == ERR_INVALID || err->class == ERR_LIMIT) {
        err->class = ERR_CORRUPT;
        err_recode(err, "merge_corrupt");
    }
    return err->class;
}

static void
check_format(struct jreader *r)
{
    const json_t *incompat;

    codec_range(r, "format", FORMAT, FORMAT);
    incompat = jget_arr(r, "incompat");
    if (r->err->class == 0 && json_array_size(incompat) > 0)
        codec_fail(r, "incompat", "holds a word that this program does not know");
}

static json_t *
new_object(void)
{
    return json_pack("{s:i, s:[]}", "format", FORMAT, "incompat");
}

/* One of the two layers; *ret_size for the child only. */
static void
decode_layer(struct jreader *up, const char *key, uint32_t *ret_seq,
             char layer_id[UUID_STR_SIZE], uint64_t *ret_size)
{
    const json_t *j = jget_obj(up, key);
    struct jreader r;

    if (up->err->class != 0)
        return;
    jreader_init(&r, j, "merge note layer", up->err);
    *ret_seq = (uint32_t)codec_range(&r, "seq", 1, NAMING_SEQ_MAX);
    codec_uuid(&r, "layer_id", layer_id);
    if (ret_size)
        *ret_size = codec_range(&r, "size_bytes", 1, MANIFEST_DISK_SIZE_MAX);
    jreader_end_lax(&r);
}

static int
note_decode(const json_t *j, struct merge_note *m, struct err *err)
{
    CLEANUP_FREE char *backup_id = NULL;
    struct jreader r;

    jreader_init(&r, j, "merge note", err);
    check_format(&r);
    codec_uuid(&r, "job_id", m->job_id);
    backup_id = codec_str(&r, "backup_id", 1, MERGE_BACKUP_ID_SIZE - 1);
    decode_layer(&r, "parent", &m->parent_seq, m->parent_layer_id, NULL);
    decode_layer(&r, "child", &m->child_seq, m->child_layer_id, &m->size_bytes);
    if (err->class == 0 && m->parent_seq >= m->child_seq)
        codec_fail(&r, "child", "must be newer than its parent");
    if (jreader_end_lax(&r) < 0)
        return err->class;
    strncpy(m->backup_id, backup_id, sizeof m->backup_id - 1);
    return 0;
}

int
merge_note_decode(const char *text, size_t n, struct merge_note *ret, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;
    struct merge_note m = {.parent_seq = 0};

    if (codec_line(text, n, MERGE_NOTE_MAX, &j, err) < 0 || note_decode(j, &m, err) < 0)
        return as_corrupt(err);
    *ret = m;
    return 0;
}

json_t *
merge_note_encode(const struct merge_note *m)
{
    json_t *o = new_object(), *parent = json_object(), *child = json_object();

    codec_put_u64(parent, "seq", m->parent_seq);
    codec_put_uuid(parent, "layer_id", m->parent_layer_id);
    codec_put_u64(child, "seq", m->child_seq);
    codec_put_uuid(child, "layer_id", m->child_layer_id);
    codec_put_u64(child, "size_bytes", m->size_bytes);
    codec_put_uuid(o, "job_id", m->job_id);
    codec_put_str(o, "backup_id", m->backup_id);
    codec_put(o, "parent", parent);
    codec_put(o, "child", child);
    return o;
}

static int
layer_decode(const json_t *j, struct merged_layer *m, struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "merged layer", err);
    check_format(&r);
    codec_uuid(&r, "layer_id", m->layer_id);
    codec_uuid_opt(&r, "parent_layer_id", m->parent_layer_id);
    codec_hash(&r, "layer_root", m->layer_root);
    m->records = jget_u64(&r, "records");
    if (err->class == 0 && strcmp(m->layer_id, m->parent_layer_id) == 0)
        codec_fail(&r, "parent_layer_id", "must differ from layer_id");
    return jreader_end_lax(&r);
}

int
merged_layer_decode(const char *text, size_t n, struct merged_layer *ret, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;
    struct merged_layer m = {.records = 0};

    if (codec_line(text, n, MERGE_NOTE_MAX, &j, err) < 0 || layer_decode(j, &m, err) < 0)
        return as_corrupt(err);
    *ret = m;
    return 0;
}

json_t *
merged_layer_encode(const struct merged_layer *m)
{
    json_t *o = new_object();

    codec_put_uuid(o, "layer_id", m->layer_id);
    codec_put_uuid(o, "parent_layer_id", m->parent_layer_id);
    codec_put_hash(o, "layer_root", true, m->layer_root);
    codec_put_u64(o, "records", m->records);
    return o;
}
