/* model/nodeapi.c - probes and versions.  See nodeapi.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/nodeapi.h"
#include "model/naming.h"
#include "model/nodeapi_version.h"
#include "model/spec_common.h"

#define VERSION_TEXT_MAX 128u

void
probe_request_done(struct probe_request *q)
{
    for (size_t i = 0; i < q->n_disks; i++)
        free(q->disks[i].source_url);
    free(q->disks);
    free(q->source_type);
    *q = (struct probe_request){0};
}

static int
request_disks(struct jreader *up, struct probe_request *q)
{
    const json_t *a = codec_array(up, "disks", 1, SPEC_DISKS_MAX);

    if (!a)
        return up->err->class;
    q->disks = xcalloc(json_array_size(a), sizeof(*q->disks));
    for (size_t i = 0; i < json_array_size(a); i++) {
        struct jreader r;

        q->n_disks = i + 1;
        jreader_init(&r, json_array_get(a, i), "probe disk", up->err);
        q->disks[i].key = (uint32_t)codec_range(&r, "key", 0, NAMING_KEY_MAX);
        q->disks[i].source_url = codec_uri(&r, "source_url");
        if (jreader_end(&r) < 0)
            return err_prefix(up->err, "disk %zu", i);
    }
    if (codec_has_twin_keys(&q->disks[0].key, sizeof(*q->disks), q->n_disks))
        return spec_twins(up->err, "probe", "key");
    return 0;
}

int
probe_request_decode(const json_t *j, struct probe_request *ret, struct err *err)
{
    CLEANUP_PROBE_REQUEST struct probe_request q = {0};
    struct jreader r;

    jreader_init(&r, j, "probe", err);
    codec_version(&r);
    q.source_type = spec_get_source(&r);
    spec_get_deadlines(&r, &q.deadlines);
    request_disks(&r, &q);
    if (jreader_end(&r) < 0)
        return err->class;
    *ret = q;
    q = (struct probe_request){0};
    return 0;
}

json_t *
probe_request_encode(const struct probe_request *q)
{
    json_t *o = json_object(), *disks = json_array();

    for (size_t i = 0; i < q->n_disks; i++) {
        json_t *d = json_object();

        codec_put_u64(d, "key", q->disks[i].key);
        codec_put_str(d, "source_url", q->disks[i].source_url);
        json_array_append_new(disks, d);
    }
    codec_put_u64(o, "v", SPEC_VERSION);
    codec_put(o, "source", spec_put_source(q->source_type));
    codec_put(o, "disks", disks);
    codec_put(o, "deadlines", spec_put_deadlines(&q->deadlines));
    return o;
}

void
probe_answer_done(struct probe_answer *a)
{
    for (size_t i = 0; i < a->n_disks; i++) {
        free(a->disks[i].code);
        free(a->disks[i].message);
    }
    free(a->disks);
    *a = (struct probe_answer){0};
}

static int
answer_disk(const json_t *j, struct probe_result *d, struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "probe answer disk", err);
    d->key = (uint32_t)codec_range(&r, "key", 0, NAMING_KEY_MAX);
    d->ok = jget_bool(&r, "ok");
    if (d->ok) {
        d->size_bytes = codec_range(&r, "size_bytes", 1, MANIFEST_DISK_SIZE_MAX);
        d->allocated_bytes = codec_range(&r, "allocated_bytes", 0, d->size_bytes);
    } else {
        d->code = codec_code(&r, "code");
        d->message = codec_str(&r, "message", 0, EVENT_MESSAGE_MAX);
    }
    return jreader_end(&r);
}

int
probe_answer_decode(const json_t *j, struct probe_answer *ret, struct err *err)
{
    CLEANUP_PROBE_ANSWER struct probe_answer a = {0};
    const json_t *disks;
    struct jreader r;

    jreader_init(&r, j, "probe answer", err);
    codec_version(&r);
    disks = codec_array(&r, "disks", 1, SPEC_DISKS_MAX);
    if (jreader_end(&r) < 0)
        return err->class;
    a.disks = xcalloc(json_array_size(disks), sizeof(*a.disks));
    for (size_t i = 0; i < json_array_size(disks); i++) {
        a.n_disks = i + 1;
        if (answer_disk(json_array_get(disks, i), &a.disks[i], err) < 0)
            return err_prefix(err, "disk %zu", i);
    }
    if (codec_has_twin_keys(&a.disks[0].key, sizeof(*a.disks), a.n_disks))
        return spec_twins(err, "probe answer", "key");
    *ret = a;
    a = (struct probe_answer){0};
    return 0;
}

json_t *
probe_answer_encode(const struct probe_answer *a)
{
    json_t *o = json_object(), *disks = json_array();

    for (size_t i = 0; i < a->n_disks; i++) {
        const struct probe_result *s = &a->disks[i];
        json_t *d = json_object();

        codec_put_u64(d, "key", s->key);
        codec_put(d, "ok", json_boolean(s->ok));
        if (s->ok) {
            codec_put_u64(d, "size_bytes", s->size_bytes);
            codec_put_u64(d, "allocated_bytes", s->allocated_bytes);
        } else {
            codec_put_str(d, "code", s->code);
            codec_put_text(d, "message", s->message ? s->message : "", EVENT_MESSAGE_MAX);
        }
        json_array_append_new(disks, d);
    }
    codec_put_u64(o, "v", SPEC_VERSION);
    codec_put(o, "disks", disks);
    return o;
}

void
nodeapi_version_done(struct program_version *v)
{
    free(v->version);
    free(v->commit);
    free(v->build_id);
    *v = (struct program_version){0};
}

void
nodeapi_version_get(struct jreader *r, struct program_version *v)
{
    v->version = codec_str(r, "version", 1, VERSION_TEXT_MAX);
    v->commit = codec_str(r, "commit", 0, VERSION_TEXT_MAX);
    v->build_id = codec_str(r, "build_id", 0, VERSION_TEXT_MAX);
}

void
nodeapi_version_put(json_t *o, const struct program_version *v)
{
    codec_put_str(o, "version", v->version);
    codec_put_str(o, "commit", v->commit);
    codec_put_str(o, "build_id", v->build_id);
}

void
node_version_done(struct node_version *v)
{
    nodeapi_version_done(&v->node);
    nodeapi_version_done(&v->client);
}

int
node_version_decode(const json_t *j, struct node_version *ret, struct err *err)
{
    CLEANUP_NODE_VERSION struct node_version v = {0};
    const json_t *client;
    struct jreader r, rc;

    jreader_init(&r, j, "version", err);
    nodeapi_version_get(&r, &v.node);
    client = jget_obj(&r, "client");
    jreader_init(&rc, client, "version of the client", err);
    nodeapi_version_get(&rc, &v.client);
    jreader_end(&rc);
    if (jreader_end(&r) < 0)
        return err->class;
    *ret = v;
    v = (struct node_version){0};
    return 0;
}

json_t *
node_version_encode(const struct node_version *v)
{
    json_t *o = json_object(), *client = json_object();

    nodeapi_version_put(o, &v->node);
    nodeapi_version_put(client, &v->client);
    codec_put(o, "client", client);
    return o;
}
