/* model/doctor_codec.c - findings on the wire.  See doctor.h. */
#include "base/mem.h"
#include "model/codec.h"
#include "model/doctor.h"
#include "model/jobspec.h"

static json_t *
put_finding(const struct doctor_finding *f)
{
    json_t *o = json_object();

    codec_put_str(o, "kind", f->kind);
    codec_put_str(o, "severity", doctor_severity_to_str(f->severity));
    codec_put_text(o, "where", f->where, DOCTOR_TEXT_MAX);
    codec_put_text(o, "what", f->what, DOCTOR_TEXT_MAX);
    codec_put_text(o, "why", f->why, DOCTOR_TEXT_MAX);
    codec_put_text(o, "mend", f->mend, DOCTOR_TEXT_MAX);
    codec_put(o, "fixable", json_boolean(f->fixable));
    codec_put(o, "fixed", json_boolean(f->fixed));
    codec_put_text(o, "problem", f->problem, DOCTOR_TEXT_MAX);
    return o;
}

json_t *
doctor_findings_encode(const struct doctor_findings *l)
{
    json_t *a = json_array();

    for (size_t i = 0; i < l->n; i++)
        json_array_append_new(a, put_finding(&l->v[i]));
    return a;
}

json_t *
doctor_answer_encode(const struct doctor_findings *l)
{
    json_t *o = json_object();

    codec_put_u64(o, "v", SPEC_VERSION);
    codec_put(o, "findings", doctor_findings_encode(l));
    return o;
}

static int
get_finding(const json_t *j, struct doctor_finding *f, struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "finding", err);
    f->kind = codec_code(&r, "kind");
    codec_word(&r, "severity", doctor_severity_from_str, &f->severity);
    f->where = codec_str(&r, "where", 1, DOCTOR_TEXT_MAX);
    f->what = codec_str(&r, "what", 1, DOCTOR_TEXT_MAX);
    f->texts[0] = codec_str(&r, "why", 0, DOCTOR_TEXT_MAX);
    f->texts[1] = codec_str(&r, "mend", 0, DOCTOR_TEXT_MAX);
    f->why = f->texts[0];
    f->mend = f->texts[1];
    f->fixable = jget_bool(&r, "fixable");
    f->fixed = jget_bool(&r, "fixed");
    f->problem = codec_str_opt(&r, "problem", 0, DOCTOR_TEXT_MAX);
    return jreader_end(&r);
}

int
doctor_answer_decode(const json_t *j, struct doctor_findings *ret, struct err *err)
{
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings l = {0};
    const json_t *a;
    struct jreader r;

    jreader_init(&r, j, "answer", err);
    codec_version(&r);
    a = codec_array(&r, "findings", 0, DOCTOR_FINDINGS_MAX);
    if (jreader_end(&r) < 0)
        return err->class;
    l.v = xcalloc(json_array_size(a) + 1, sizeof(*l.v));
    for (size_t i = 0; i < json_array_size(a); i++) {
        l.n = i + 1;
        if (get_finding(json_array_get(a, i), &l.v[i], err) < 0)
            return err_prefix(err, "finding %zu", i);
    }
    *ret = l;
    l = (struct doctor_findings){0};
    return 0;
}

int
doctor_request_decode(const json_t *j, bool *ret_fix, struct err *err)
{
    struct jreader r;
    bool fix;

    jreader_init(&r, j, "request", err);
    codec_version(&r);
    fix = jget_bool(&r, "fix");
    if (jreader_end(&r) < 0)
        return err->class;
    *ret_fix = fix;
    return 0;
}

json_t *
doctor_request_encode(bool fix)
{
    json_t *o = json_object();

    codec_put_u64(o, "v", SPEC_VERSION);
    codec_put(o, "fix", json_boolean(fix));
    return o;
}
