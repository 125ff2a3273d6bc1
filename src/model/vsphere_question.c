/* model/vsphere_question.c - questions to a vCenter.  See vsphere.h. */
#include <stdlib.h>
#include <string.h>

#include "model/spec_common.h"
#include "model/vsphere.h"
#include "model/vsphere_codec.h"
#include "model/words.h"

static const char *const question_words[] = {VSPHERE_QUESTION_LIST(WORDS_ITEM)};

const char *
vsphere_question_to_str(enum vsphere_question_kind v)
{
    return words_get(question_words, ARRAY_LEN(question_words), (unsigned)v);
}

int
vsphere_question_from_str(const char *s, enum vsphere_question_kind *ret)
{
    int i = words_find(question_words, ARRAY_LEN(question_words), s);

    if (i < 0)
        return -1;
    *ret = (enum vsphere_question_kind)i;
    return 0;
}

static bool
is_about_vm(enum vsphere_question_kind kind)
{
    return kind == VSPHERE_VM || kind == VSPHERE_REMOVE_SNAPSHOT;
}

void
vsphere_question_done(struct vsphere_question *q)
{
    vsphere_login_done(&q->login);
    free(q->vm_ref);
    free(q->vm_instance_uuid);
    free(q->snapshot_name);
    secret_free(q->stale_session);
    *q = (struct vsphere_question){0};
}

static void
get_vm(struct jreader *up, struct vsphere_question *q)
{
    const json_t *j = jget_obj(up, "vm");
    struct jreader r;

    jreader_init(&r, j, "question vm", up->err);
    q->vm_ref = codec_str(&r, "ref", 0, VSPHERE_REF_MAX);
    q->vm_instance_uuid = codec_str(&r, "instance_uuid", 0, SPEC_INSTANCE_UUID_MAX);
    if (up->err->class == 0 && !q->vm_ref[0] && !q->vm_instance_uuid[0])
        codec_fail(&r, "ref", "or instance_uuid must name the VM");
    jreader_end(&r);
}

/* It goes into a header: what could end that and begin another one is refused. */
static void
get_stale_session(struct jreader *r, struct vsphere_question *q)
{
    const char *s = jopt_str(r, "stale_session", NULL);

    if (!s)
        return;
    if (q->kind != VSPHERE_REMOVE_SNAPSHOT)
        codec_fail(r, "stale_session", "must be null for this question");
    else if (!s[0] || strlen(s) > VSPHERE_COOKIE_MAX)
        codec_fail(r, "stale_session", "must have 1 to 4088 bytes");
    for (const char *p = s; *p; p++)
        if (*p < ' ' || *p > '~')
            codec_fail(r, "stale_session", "must be printable ASCII");
    if (r->err->class == 0)
        q->stale_session = secret_new(s, strlen(s));
}

int
vsphere_question_decode(const json_t *j, struct vsphere_question *ret, struct err *err)
{
    CLEANUP_VSPHERE_QUESTION struct vsphere_question q = {0};
    struct jreader r;

    jreader_init(&r, j, "question", err);
    codec_version(&r);
    codec_word(&r, "question", vsphere_question_from_str, &q.kind);
    vsphere_login_get(&r, q.kind == VSPHERE_FINGERPRINT, &q.login);
    if (is_about_vm(q.kind))
        get_vm(&r, &q);
    else if (jopt_obj(&r, "vm"))
        codec_fail(&r, "vm", "must be null for this question");
    if (q.kind == VSPHERE_REMOVE_SNAPSHOT)
        q.snapshot_name = vsphere_snapshot_name_get(&r, "snapshot_name");
    else if (jopt_str(&r, "snapshot_name", NULL))
        codec_fail(&r, "snapshot_name", "must be null for this question");
    get_stale_session(&r, &q);
    spec_get_deadlines(&r, &q.deadlines);
    if (jreader_end(&r) < 0)
        return err->class;
    *ret = q;
    q = (struct vsphere_question){0};
    return 0;
}

json_t *
vsphere_question_encode(const struct vsphere_question *q)
{
    json_t *o = json_object(), *vm = json_null();

    if (is_about_vm(q->kind)) {
        vm = json_object();
        codec_put_str(vm, "ref", q->vm_ref ? q->vm_ref : "");
        codec_put_str(vm, "instance_uuid",
                      q->vm_instance_uuid ? q->vm_instance_uuid : "");
    }
    codec_put_u64(o, "v", SPEC_VERSION);
    codec_put_str(o, "question", vsphere_question_to_str(q->kind));
    codec_put(o, "login", vsphere_login_put(&q->login));
    codec_put(o, "vm", vm);
    codec_put_str(o, "snapshot_name", q->snapshot_name);
    if (q->stale_session)
        codec_put_str(o, "stale_session", secret_reveal(q->stale_session));
    codec_put(o, "deadlines", spec_put_deadlines(&q->deadlines));
    return o;
}
