/* model/jobevent.c - one event: decode and encode.  See jobevent.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/codec.h"
#include "model/jobevent.h"
#include "model/jobevent_snapshot.h"
#include "model/naming.h"
#include "model/words.h"

#define PROGRAM_TEXT_MAX 128u /* version, commit, build id */

WORDS_DEFINE(event_type, EVENT_TYPE_LIST)
WORDS_DEFINE(job_phase, JOB_PHASE_LIST)
WORDS_DEFINE(bad_range, BAD_RANGE_LIST)
WORDS_DEFINE(job_result, RESULT_LIST)

void
job_event_done(struct job_event *e)
{
    free(e->program);
    free(e->version);
    free(e->commit);
    free(e->build_id);
    free(e->code);
    free(e->message);
    event_snapshot_free(e->snapshot);
    json_decref(e->configuration);
    free(e->nvram);
    free(e->ref);
    *e = (struct job_event){0};
}

/* Members of byte_counters and their names, in the order of the protocol. */
static const struct {
    const char *name;
    size_t offset;
} counters[] = {
    {"bytes_total", offsetof(struct byte_counters, total)},
    {"bytes_done", offsetof(struct byte_counters, done)},
    {"bytes_read", offsetof(struct byte_counters, read)},
    {"bytes_sent", offsetof(struct byte_counters, sent)},
    {"bytes_zero", offsetof(struct byte_counters, zero)},
    {"bytes_skipped", offsetof(struct byte_counters, skipped)},
    {"bytes_audit", offsetof(struct byte_counters, audit)},
};

static void
get_counters(struct jreader *r, struct byte_counters *c)
{
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        *(uint64_t *)((char *)c + counters[i].offset) = jget_u64(r, counters[i].name);
    if (c->done > c->total)
        codec_fail(r, "bytes_done", "is more than bytes_total");
}

static void
put_counters(json_t *o, const struct byte_counters *c)
{
    for (size_t i = 0; i < ARRAY_LEN(counters); i++)
        codec_put_u64(o, counters[i].name,
                      *(const uint64_t *)((const char *)c + counters[i].offset));
}

static void
get_disk(struct jreader *r, struct job_event *e)
{
    e->has_disk = true;
    e->disk = (uint32_t)codec_range(r, "disk", 0, NAMING_KEY_MAX);
}

static void
get_disk_opt(struct jreader *r, struct job_event *e)
{
    uint64_t key = jopt_u64(r, "disk", UINT64_MAX);

    e->has_disk = key != UINT64_MAX;
    if (e->has_disk && key > NAMING_KEY_MAX)
        codec_fail(r, "disk", "is no device key");
    e->disk = e->has_disk ? (uint32_t)key : 0;
}

/* "none" is our word for null; on the wire it is no phase. */
static void
get_phase(struct jreader *r, struct job_event *e, bool required)
{
    const char *s = required ? jget_str(r, "phase") : jopt_str(r, "phase", NULL);

    if (s && r->err->class == 0 &&
        (job_phase_from_str(s, &e->phase) < 0 || e->phase == PHASE_NONE))
        codec_fail(r, "phase", "has an unknown value");
}

static void
get_result(struct jreader *r, struct job_event *e)
{
    codec_word(r, "status", job_result_from_str, &e->status);
    if (e->status == RESULT_FAILED || jopt_str(r, "code", NULL))
        e->code = codec_code(r, "code");
    get_phase(r, e, false);
    get_disk_opt(r, e);
    e->message = codec_str_opt(r, "message", 0, EVENT_MESSAGE_MAX);
    if (!e->message)
        e->message = xstrdup("");
    e->retryable = jopt_bool(r, "retryable", false);
}

static void
get_hello(struct jreader *r, struct job_event *e)
{
    e->program = codec_str(r, "program", 1, PROGRAM_TEXT_MAX);
    e->version = codec_str(r, "version", 1, PROGRAM_TEXT_MAX);
    e->commit = codec_str(r, "commit", 0, PROGRAM_TEXT_MAX);
    e->build_id = codec_str(r, "build_id", 0, PROGRAM_TEXT_MAX);
    codec_uuid(r, "job_id", e->job_id);
    e->attempt = (uint32_t)codec_range(r, "attempt", 1, CODEC_U31_MAX);
    e->pid = (uint32_t)codec_range(r, "pid", 1, CODEC_U31_MAX);
}

static void
get_members(struct jreader *r, struct job_event *e)
{
    switch (e->type) {
    case EVENT_HELLO:
        get_hello(r, e);
        break;
    case EVENT_PHASE:
        get_phase(r, e, true);
        break;
    case EVENT_SNAPSHOT:
        e->snapshot = event_snapshot_get(r);
        break;
    case EVENT_VM_CONFIG:
        event_vm_config_get(r, e);
        break;
    case EVENT_SNAPSHOT_HELD:
        e->ref = codec_str(r, "ref", 1, NAMING_NAME_MAX);
        break;
    case EVENT_SNAPSHOT_REMOVED:
        e->ref = codec_str(r, "ref", 0, NAMING_NAME_MAX);
        e->consolidation_needed = jget_bool(r, "consolidation_needed");
        break;
    case EVENT_READ_MODE:
        get_disk(r, e);
        codec_word(r, "mode", read_mode_from_str, &e->mode);
        codec_word_opt(r, "reason", reason_from_str, &e->reason);
        break;
    case EVENT_PROGRESS:
        get_disk(r, e);
        get_counters(r, &e->bytes);
        break;
    case EVENT_CHECKPOINT:
        get_disk(r, e);
        e->checkpoint = codec_range(r, "n", 1, CODEC_I64_MAX);
        e->records = jget_u64(r, "records");
        e->bytes.done = jget_u64(r, "bytes_done");
        break;
    case EVENT_AUDIT:
        get_disk(r, e);
        e->sampled = jget_u64(r, "sampled");
        e->bad = jget_u64(r, "bad");
        if (e->bad > e->sampled)
            codec_fail(r, "bad", "is more than sampled");
        break;
    case EVENT_WARNING:
        e->code = codec_code(r, "code");
        e->message = codec_str(r, "message", 0, EVENT_MESSAGE_MAX);
        get_disk_opt(r, e);
        break;
    case EVENT_BAD_RANGE:
        get_disk(r, e);
        e->offset = jget_u64(r, "offset");
        e->length = codec_range(r, "length", 1, CODEC_I64_MAX);
        codec_word(r, "reason", bad_range_from_str, &e->bad_reason);
        break;
    case EVENT_DISK_DONE:
        get_disk(r, e);
        codec_hash(r, "layer_root", e->layer_root);
        e->records = jget_u64(r, "records");
        e->has_content_root = codec_hash_opt(r, "content_root", e->content_root);
        e->manifest_bytes = jopt_u64(r, "manifest_bytes", 0);
        get_counters(r, &e->bytes);
        break;
    case EVENT_RESULT:
    case EVENT_TYPE_COUNT:
        get_result(r, e);
        break;
    }
}

int
job_event_decode(const json_t *j, struct job_event *ret, struct err *err)
{
    CLEANUP_JOB_EVENT struct job_event e = {0};
    struct jreader r;

    jreader_init(&r, j, "event", err);
    codec_version(&r);
    e.seq = codec_range(&r, "seq", 1, CODEC_I64_MAX);
    e.time_us = codec_time(&r, "t");
    codec_word(&r, "type", event_type_from_str, &e.type);
    if (err->class == 0)
        get_members(&r, &e);
    if (jreader_end(&r) < 0)
        return err->class;
    *ret = e;
    e = (struct job_event){0};
    return 0;
}

static void
put_disk(json_t *o, const struct job_event *e)
{
    codec_put(o, "disk", e->has_disk ? json_integer(e->disk) : json_null());
}

static void
put_result(json_t *o, const struct job_event *e)
{
    codec_put_str(o, "status", job_result_to_str(e->status));
    codec_put_str(o, "code", e->code);
    codec_put_str(o, "phase", e->phase == PHASE_NONE ? NULL : job_phase_to_str(e->phase));
    put_disk(o, e);
    codec_put_text(o, "message", e->message ? e->message : "", EVENT_MESSAGE_MAX);
    codec_put(o, "retryable", json_boolean(e->retryable));
}

static void
put_hello(json_t *o, const struct job_event *e)
{
    codec_put_str(o, "program", e->program);
    codec_put_str(o, "version", e->version);
    codec_put_str(o, "commit", e->commit);
    codec_put_str(o, "build_id", e->build_id);
    codec_put_uuid(o, "job_id", e->job_id);
    codec_put_u64(o, "attempt", e->attempt);
    codec_put_u64(o, "pid", e->pid);
}

static void
put_members(json_t *o, const struct job_event *e)
{
    switch (e->type) {
    case EVENT_HELLO:
        put_hello(o, e);
        break;
    case EVENT_PHASE:
        codec_put_str(o, "phase", job_phase_to_str(e->phase));
        break;
    case EVENT_SNAPSHOT:
        event_snapshot_put(o, e->snapshot);
        break;
    case EVENT_VM_CONFIG:
        event_vm_config_put(o, e);
        break;
    case EVENT_SNAPSHOT_HELD:
        codec_put_text(o, "ref", e->ref ? e->ref : "", NAMING_NAME_MAX);
        break;
    case EVENT_SNAPSHOT_REMOVED:
        codec_put_text(o, "ref", e->ref ? e->ref : "", NAMING_NAME_MAX);
        codec_put(o, "consolidation_needed", json_boolean(e->consolidation_needed));
        break;
    case EVENT_READ_MODE:
        put_disk(o, e);
        codec_put_str(o, "mode", read_mode_to_str(e->mode));
        codec_put_str(o, "reason",
                      e->reason == REASON_NONE ? NULL : reason_to_str(e->reason));
        break;
    case EVENT_PROGRESS:
        put_disk(o, e);
        put_counters(o, &e->bytes);
        break;
    case EVENT_CHECKPOINT:
        put_disk(o, e);
        codec_put_u64(o, "n", e->checkpoint);
        codec_put_u64(o, "records", e->records);
        codec_put_u64(o, "bytes_done", e->bytes.done);
        break;
    case EVENT_AUDIT:
        put_disk(o, e);
        codec_put_u64(o, "sampled", e->sampled);
        codec_put_u64(o, "bad", e->bad);
        break;
    case EVENT_WARNING:
        codec_put_str(o, "code", e->code);
        codec_put_text(o, "message", e->message ? e->message : "", EVENT_MESSAGE_MAX);
        put_disk(o, e);
        break;
    case EVENT_BAD_RANGE:
        put_disk(o, e);
        codec_put_u64(o, "offset", e->offset);
        codec_put_u64(o, "length", e->length);
        codec_put_str(o, "reason", bad_range_to_str(e->bad_reason));
        break;
    case EVENT_DISK_DONE:
        put_disk(o, e);
        codec_put_hash(o, "layer_root", true, e->layer_root);
        codec_put_u64(o, "records", e->records);
        codec_put_hash(o, "content_root", e->has_content_root, e->content_root);
        if (e->manifest_bytes)
            codec_put_u64(o, "manifest_bytes", e->manifest_bytes);
        put_counters(o, &e->bytes);
        break;
    case EVENT_RESULT:
    case EVENT_TYPE_COUNT:
        put_result(o, e);
        break;
    }
}

json_t *
job_event_encode(const struct job_event *e)
{
    json_t *o = json_object();

    codec_put_u64(o, "v", 1);
    codec_put_u64(o, "seq", e->seq);
    codec_put_time(o, "t", e->time_us);
    codec_put_str(o, "type", event_type_to_str(e->type));
    put_members(o, e);
    return o;
}
