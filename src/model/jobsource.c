/* model/jobsource.c - see jobsource.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/jobsource.h"
#include "model/naming.h"
#include "model/vsphere.h"
#include "model/vsphere_codec.h"
#include "model/words.h"

WORDS_DEFINE(quiesce, QUIESCE_LIST)

void
job_vsphere_free(struct job_vsphere *v)
{
    if (!v)
        return;
    vsphere_login_done(&v->login);
    free(v->transport);
    free(v);
}

void
job_snapshot_free(struct job_snapshot *s)
{
    if (!s)
        return;
    free(s->name);
    free(s->description);
    free(s->existing_ref);
    free(s->existing_chain);
    free(s);
}

static void
get_vsphere(struct jreader *r, struct job_vsphere *v)
{
    vsphere_login_get(r, false, &v->login);
    v->transport = codec_str(r, "transport", 1, 16);
    if (v->transport && strcmp(v->transport, "https") != 0)
        codec_fail(r, "transport", "must be 'https'");
    codec_word(r, "quiesce", quiesce_from_str, &v->quiesce);
    v->connections = (uint32_t)codec_range(r, "connections", 1, 16);
}

static void
get_snapshot(struct jreader *up, struct job_spec *s)
{
    const json_t *j = s->vsphere ? jget_obj(up, "snapshot") : jopt_obj(up, "snapshot");
    struct jreader r;

    if (!s->vsphere && j)
        codec_fail(up, "snapshot", "must be null for a source of type 'nbd'");
    if (!s->vsphere || !j)
        return;
    s->snapshot = xcalloc(1, sizeof(*s->snapshot));
    jreader_init(&r, j, "job spec snapshot", up->err);
    s->snapshot->name = vsphere_snapshot_name_get(&r, "name");
    s->snapshot->description = codec_str(&r, "description", 0, VSPHERE_TEXT_MAX);
    s->snapshot->existing_ref = codec_str_opt(&r, "existing_ref", 1, NAMING_NAME_MAX);
    s->snapshot->existing_chain = codec_str_opt(&r, "existing_chain", 1, SPEC_CHAIN_MAX);
    if (s->snapshot->existing_chain && !s->snapshot->existing_ref)
        codec_fail(&r, "existing_chain", "needs an 'existing_ref'");
    s->snapshot->lease_s =
        (uint32_t)codec_range(&r, "lease_s", VSPHERE_LEASE_MIN_S, VSPHERE_LEASE_MAX_S);
    jreader_end(&r);
}

void
job_source_get(struct jreader *up, struct job_spec *s)
{
    const json_t *j = jget_obj(up, "source");
    struct jreader r;

    jreader_init(&r, j, "source", up->err);
    s->source_type = codec_str(&r, "type", 1, 16);
    if (s->source_type && strcmp(s->source_type, "vsphere") == 0) {
        s->vsphere = xcalloc(1, sizeof(*s->vsphere));
        get_vsphere(&r, s->vsphere);
    } else if (s->source_type && strcmp(s->source_type, "nbd") != 0) {
        codec_fail(&r, "type", "must be 'nbd' or 'vsphere'");
    }
    jreader_end(&r);
    get_snapshot(up, s);
}

static json_t *
put_snapshot(const struct job_snapshot *s)
{
    json_t *o = json_object();

    codec_put_str(o, "name", s->name);
    codec_put_text(o, "description", s->description ? s->description : "",
                   VSPHERE_TEXT_MAX);
    codec_put_str(o, "existing_ref", s->existing_ref);
    codec_put_str(o, "existing_chain", s->existing_chain);
    codec_put_u64(o, "lease_s", s->lease_s);
    return o;
}

void
job_source_put(json_t *o, const struct job_spec *s)
{
    json_t *source = json_object();

    codec_put_str(source, "type", s->source_type);
    if (s->vsphere) {
        codec_put(source, "login", vsphere_login_put(&s->vsphere->login));
        codec_put_str(source, "transport", s->vsphere->transport);
        codec_put_str(source, "quiesce", quiesce_to_str(s->vsphere->quiesce));
        codec_put_u64(source, "connections", s->vsphere->connections);
    }
    codec_put(o, "source", source);
    codec_put(o, "snapshot", s->snapshot ? put_snapshot(s->snapshot) : json_null());
}
