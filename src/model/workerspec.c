/* model/workerspec.c - the worker spec.  See jobspec.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/spec_common.h"
#include "model/naming.h"
#include "model/words.h"

#define WHAT "worker spec"

WORDS_DEFINE(worker_task, WORKER_TASK_LIST)

static void
disk_done(struct worker_spec_disk *d)
{
    for (size_t i = 0; i < d->n_layers; i++)
        free(d->layers[i].manifest);
    free(d->layers);
    free(d->source);
    free(d->target);
    free(d->roots);
    free(d->parent_roots);
    free(d->delta);
}

void
worker_spec_done(struct worker_spec *s)
{
    for (size_t i = 0; i < s->n_disks; i++)
        disk_done(&s->disks[i]);
    free(s->disks);
    *s = (struct worker_spec){0};
}

static int
decode_layer(const json_t *j, struct worker_spec_layer *l, struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "worker spec layer", err);
    l->manifest = codec_str(&r, "manifest", 2, SPEC_PATH_MAX);
    if (l->manifest && l->manifest[0] != '/')
        codec_fail(&r, "manifest", "must be an absolute path");
    codec_uuid(&r, "layer_id", l->layer_id);
    codec_hash(&r, "layer_root", l->layer_root);
    return jreader_end(&r);
}

static int
decode_layers(struct jreader *r, struct worker_spec_disk *d)
{
    const json_t *a = codec_array(r, "layers", 1, SPEC_LAYERS_MAX);

    if (!a)
        return r->err->class;
    d->layers = xcalloc(json_array_size(a), sizeof(*d->layers));
    for (size_t i = 0; i < json_array_size(a); i++) {
        d->n_layers = i + 1;
        if (decode_layer(json_array_get(a, i), &d->layers[i], r->err) < 0)
            return err_prefix(r->err, "layer %zu", i);
    }
    if (codec_has_twins(d->layers[0].layer_id, sizeof(*d->layers), d->n_layers))
        codec_fail(r, "layers", "holds a layer twice");
    return r->err->class;
}

static char *
get_path(struct jreader *r, const char *name)
{
    char *path = codec_str_opt(r, name, 2, SPEC_PATH_MAX);

    if (path && path[0] != '/')
        codec_fail(r, name, "must be an absolute path");
    return path;
}

static void
decode_roots(struct jreader *r, enum worker_task task, struct worker_spec_disk *d)
{
    d->roots = get_path(r, "roots");
    d->parent_roots = get_path(r, "parent_roots");
    if ((d->roots || d->parent_roots) && task != WORKER_VERIFY)
        codec_fail(r, "roots", "are for 'verify' only");
    if (codec_hash_opt(r, "parent_content_root", d->parent_content_root) !=
        (d->parent_roots != NULL))
        codec_fail(r, "parent_content_root", "comes with parent_roots, and only then");
}

static int
decode_disk(const json_t *j, enum worker_task task, struct worker_spec_disk *d,
            struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "worker spec disk", err);
    d->key = (uint32_t)codec_range(&r, "key", 0, NAMING_KEY_MAX);
    codec_uuid(&r, "disk_uuid", d->disk_uuid);
    d->size_bytes = codec_range(&r, "size_bytes", 1, MANIFEST_DISK_SIZE_MAX);
    d->source = codec_uri(&r, "source");
    d->has_content_root = codec_hash_opt(&r, "content_root", d->content_root);
    if (task == WORKER_RESTORE)
        d->target = codec_uri(&r, "target");
    else if (jopt_str(&r, "target", NULL))
        codec_fail(&r, "target", "must be null for 'verify' and 'compare'");
    d->resume = jopt_bool(&r, "resume", false);
    if (d->resume && task != WORKER_RESTORE)
        codec_fail(&r, "resume", "is for 'restore' only");
    decode_roots(&r, task, d);
    d->delta = codec_str_opt(&r, "delta", 2, SPEC_PATH_MAX);
    if (d->delta && (task != WORKER_VERIFY || d->delta[0] != '/'))
        codec_fail(&r, "delta", "must be an absolute path, and is for 'verify' only");
    decode_layers(&r, d);
    if (d->parent_roots && d->n_layers < 2)
        codec_fail(&r, "parent_roots", "is for a layer on a parent");
    return jreader_end(&r);
}

static int
decode_disks(struct jreader *r, struct worker_spec *s)
{
    const json_t *a = codec_array(r, "disks", 1, SPEC_DISKS_MAX);

    if (!a)
        return r->err->class;
    s->disks = xcalloc(json_array_size(a), sizeof(*s->disks));
    for (size_t i = 0; i < json_array_size(a); i++) {
        s->n_disks = i + 1;
        if (decode_disk(json_array_get(a, i), s->task, &s->disks[i], r->err) < 0)
            return err_prefix(r->err, "disk %zu", i);
    }
    if (codec_has_twin_keys(&s->disks[0].key, sizeof(*s->disks), s->n_disks))
        return spec_twins(r->err, WHAT, "key");
    if (codec_has_twins(s->disks[0].disk_uuid, sizeof(*s->disks), s->n_disks))
        return spec_twins(r->err, WHAT, "disk_uuid");
    return 0;
}

int
worker_spec_decode(const json_t *j, struct worker_spec *ret, struct err *err)
{
    CLEANUP_WORKER_SPEC struct worker_spec s = {0};
    struct jreader r;

    jreader_init(&r, j, WHAT, err);
    codec_version(&r);
    codec_uuid(&r, "job_id", s.job_id);
    s.attempt = (uint32_t)codec_range(&r, "attempt", 1, CODEC_U31_MAX);
    codec_word(&r, "task", worker_task_from_str, &s.task);
    s.salvage = jopt_bool(&r, "salvage", false);
    if (s.salvage && s.task == WORKER_VERIFY)
        codec_fail(&r, "salvage", "is not for 'verify'");
    spec_get_limits(&r, &s.limits);
    spec_get_deadlines(&r, &s.deadlines);
    decode_disks(&r, &s);
    if (jreader_end(&r) < 0)
        return err->class;
    *ret = s;
    s = (struct worker_spec){0};
    return 0;
}

int
worker_spec_decode_line(const char *line, size_t n, struct worker_spec *ret,
                        struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;

    if (codec_line(line, n, SPEC_LINE_MAX, &j, err) < 0)
        return err_prefix(err, WHAT);
    return worker_spec_decode(j, ret, err);
}

static json_t *
encode_disk(const struct worker_spec_disk *d)
{
    json_t *o = json_object(), *layers = json_array();

    for (size_t i = 0; i < d->n_layers; i++) {
        json_t *l = json_object();

        codec_put_str(l, "manifest", d->layers[i].manifest);
        codec_put_uuid(l, "layer_id", d->layers[i].layer_id);
        codec_put_hash(l, "layer_root", true, d->layers[i].layer_root);
        json_array_append_new(layers, l);
    }
    codec_put_u64(o, "key", d->key);
    codec_put_uuid(o, "disk_uuid", d->disk_uuid);
    codec_put_u64(o, "size_bytes", d->size_bytes);
    codec_put_str(o, "source", d->source);
    codec_put(o, "layers", layers);
    codec_put_hash(o, "content_root", d->has_content_root, d->content_root);
    codec_put_str(o, "target", d->target);
    if (d->resume)
        codec_put(o, "resume", json_true());
    if (d->roots)
        codec_put_str(o, "roots", d->roots);
    if (d->parent_roots) {
        codec_put_str(o, "parent_roots", d->parent_roots);
        codec_put_hash(o, "parent_content_root", true, d->parent_content_root);
    }
    if (d->delta)
        codec_put_str(o, "delta", d->delta);
    return o;
}

json_t *
worker_spec_encode(const struct worker_spec *s)
{
    json_t *o = json_object(), *disks = json_array();

    for (size_t i = 0; i < s->n_disks; i++)
        json_array_append_new(disks, encode_disk(&s->disks[i]));
    codec_put_u64(o, "v", SPEC_VERSION);
    codec_put_uuid(o, "job_id", s->job_id);
    codec_put_u64(o, "attempt", s->attempt);
    codec_put_str(o, "task", worker_task_to_str(s->task));
    if (s->salvage)
        codec_put(o, "salvage", json_true());
    codec_put(o, "disks", disks);
    codec_put(o, "limits", spec_put_limits(&s->limits));
    codec_put(o, "deadlines", spec_put_deadlines(&s->deadlines));
    return o;
}
