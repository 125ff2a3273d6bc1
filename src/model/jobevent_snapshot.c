/* model/jobevent_snapshot.c - see jobevent_snapshot.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/jobevent_snapshot.h"
#include "model/jobspec.h"
#include "model/naming.h"
#include "model/vsphere_codec.h"

void
event_snapshot_free(struct event_snapshot *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_disks; i++) {
        free(s->disks[i].uuid);
        free(s->disks[i].change_id);
        free(s->disks[i].file);
    }
    for (size_t i = 0; i < s->n_not_protected; i++) {
        free(s->not_protected[i].label);
        free(s->not_protected[i].reason);
        free(s->not_protected[i].message);
    }
    free(s->disks);
    free(s->not_protected);
    free(s->ref);
    free(s->name);
    free(s->stands_on);
    free(s->chain);
    free(s);
}

static int
twin_keys(struct err *err)
{
    return err_set(err, ERR_INVALID, "invalid_field",
                   "snapshot: two disks have the same key");
}

static int
get_disks(struct jreader *up, struct event_snapshot *s)
{
    const json_t *a = codec_array(up, "disks", 0, EVENT_DISKS_MAX);

    if (!a)
        return up->err->class;
    s->disks = xcalloc(json_array_size(a) + 1, sizeof(*s->disks));
    for (size_t i = 0; i < json_array_size(a); i++) {
        struct event_snapshot_disk *d = &s->disks[i];
        struct jreader r;

        s->n_disks = i + 1;
        jreader_init(&r, json_array_get(a, i), "snapshot disk", up->err);
        d->key = (uint32_t)codec_range(&r, "key", 0, NAMING_KEY_MAX);
        d->uuid = codec_str(&r, "uuid", 0, VSPHERE_TEXT_MAX);
        d->size_bytes = codec_range(&r, "size_bytes", 1, MANIFEST_DISK_SIZE_MAX);
        d->change_id = codec_str_opt(&r, "change_id", 1, SPEC_CHANGE_ID_MAX);
        d->file = codec_str(&r, "file", 0, VSPHERE_TEXT_MAX);
        if (jreader_end(&r) < 0)
            return up->err->class;
    }
    if (codec_has_twin_keys(&s->disks[0].key, sizeof(*s->disks), s->n_disks))
        return twin_keys(up->err);
    return 0;
}

static int
get_not_protected(struct jreader *up, struct event_snapshot *s)
{
    const json_t *a = codec_array(up, "not_protected", 0, EVENT_DISKS_MAX);

    if (!a)
        return up->err->class;
    s->not_protected = xcalloc(json_array_size(a) + 1, sizeof(*s->not_protected));
    for (size_t i = 0; i < json_array_size(a); i++) {
        struct event_not_protected *d = &s->not_protected[i];
        struct jreader r;

        s->n_not_protected = i + 1;
        jreader_init(&r, json_array_get(a, i), "disk that is not protected", up->err);
        d->key = (uint32_t)codec_range(&r, "key", 0, NAMING_KEY_MAX);
        d->label = codec_str(&r, "label", 0, VSPHERE_TEXT_MAX);
        d->reason = codec_code(&r, "reason");
        d->message = codec_str(&r, "message", 0, VSPHERE_TEXT_MAX);
        if (jreader_end(&r) < 0)
            return up->err->class;
    }
    if (codec_has_twin_keys(&s->not_protected[0].key, sizeof(*s->not_protected),
                            s->n_not_protected))
        return twin_keys(up->err);
    return 0;
}

struct event_snapshot *
event_snapshot_get(struct jreader *r)
{
    struct event_snapshot *s = xcalloc(1, sizeof(*s));

    s->ref = codec_str(r, "ref", 1, NAMING_NAME_MAX);
    s->name = codec_name(r, "name");
    s->stands_on = codec_str(r, "stands_on", 0, NAMING_NAME_MAX);
    s->chain = codec_str_opt(r, "chain", 1, SPEC_CHAIN_MAX);
    s->quiesced = jget_bool(r, "quiesced");
    get_disks(r, s);
    get_not_protected(r, s);
    return s;
}

static void
put_text(json_t *o, const char *key, const char *s)
{
    codec_put_text(o, key, s ? s : "", VSPHERE_TEXT_MAX);
}

void
event_snapshot_put(json_t *o, const struct event_snapshot *s)
{
    json_t *disks = json_array(), *others = json_array();

    for (size_t i = 0; i < s->n_disks; i++) {
        const struct event_snapshot_disk *d = &s->disks[i];
        json_t *j = json_object();

        codec_put_u64(j, "key", d->key);
        put_text(j, "uuid", d->uuid);
        codec_put_u64(j, "size_bytes", d->size_bytes);
        codec_put_str(j, "change_id", d->change_id);
        put_text(j, "file", d->file);
        json_array_append_new(disks, j);
    }
    for (size_t i = 0; i < s->n_not_protected; i++) {
        const struct event_not_protected *d = &s->not_protected[i];
        json_t *j = json_object();

        codec_put_u64(j, "key", d->key);
        put_text(j, "label", d->label);
        codec_put_str(j, "reason", d->reason);
        put_text(j, "message", d->message);
        json_array_append_new(others, j);
    }
    codec_put_str(o, "ref", s->ref);
    codec_put_str(o, "name", s->name);
    codec_put_str(o, "stands_on", s->stands_on ? s->stands_on : "");
    codec_put_str(o, "chain", s->chain);
    codec_put(o, "quiesced", json_boolean(s->quiesced));
    codec_put(o, "disks", disks);
    codec_put(o, "not_protected", others);
}

static bool
is_base64(const char *s)
{
    size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789+/");
    size_t pad = strspn(s + n, "=");

    return s[n + pad] == '\0' && pad <= 2 && (n + pad) % 4 == 0;
}

void
event_vm_config_get(struct jreader *r, struct job_event *e)
{
    const json_t *configuration = jget_obj(r, "configuration");

    e->nvram = codec_str_opt(r, "nvram", 1, EVENT_NVRAM_MAX);
    if (e->nvram && !is_base64(e->nvram))
        codec_fail(r, "nvram", "must be base64");
    if (configuration)
        e->configuration = json_deep_copy(configuration);
}

void
event_vm_config_put(json_t *o, const struct job_event *e)
{
    codec_put(o, "configuration", json_deep_copy(e->configuration));
    codec_put_str(o, "nvram", e->nvram);
}
