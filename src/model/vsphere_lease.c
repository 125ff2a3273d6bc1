/* model/vsphere_lease.c - leases of snapshots as the node shows them.  See vsphere.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "model/jobevent.h"
#include "model/naming.h"
#include "model/vsphere.h"
#include "model/vsphere_codec.h"
#include "model/words.h"

WORDS_DEFINE(lease_state, LEASE_STATE_LIST)

static void
lease_done(struct lease *l)
{
    free(l->snapshot_name);
    free(l->vm_ref);
    free(l->vm_name);
    free(l->last_error);
}

void
leases_done(struct leases *l)
{
    for (size_t i = 0; i < l->n; i++)
        lease_done(&l->v[i]);
    free(l->v);
    *l = (struct leases){0};
}

static int
get_lease(const json_t *j, struct lease *l, struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "lease", err);
    codec_uuid(&r, "job_id", l->job_id);
    l->snapshot_name = codec_name(&r, "snapshot_name");
    l->vm_ref = codec_str(&r, "vm_ref", 0, VSPHERE_REF_MAX);
    l->vm_name = codec_name(&r, "vm_name");
    codec_word(&r, "state", lease_state_from_str, &l->state);
    l->expires_us = codec_time(&r, "expires");
    l->attempts = (uint32_t)codec_range(&r, "attempts", 0, CODEC_U31_MAX);
    l->last_error = codec_str_opt(&r, "last_error", 0, EVENT_MESSAGE_MAX);
    return jreader_end(&r);
}

int
leases_decode(const json_t *j, struct leases *ret, struct err *err)
{
    CLEANUP_LEASES struct leases l = {0};
    const json_t *a;
    struct jreader r;

    jreader_init(&r, j, "leases", err);
    a = codec_array(&r, "leases", 0, LEASES_MAX);
    if (jreader_end(&r) < 0)
        return err->class;
    l.v = xcalloc(json_array_size(a) + 1, sizeof(*l.v));
    for (size_t i = 0; i < json_array_size(a); i++) {
        l.n = i + 1;
        if (get_lease(json_array_get(a, i), &l.v[i], err) < 0)
            return err_prefix(err, "lease %zu", i);
    }
    *ret = l;
    l = (struct leases){0};
    return 0;
}

static json_t *
put_lease(const struct lease *l)
{
    json_t *o = json_object();

    codec_put_uuid(o, "job_id", l->job_id);
    codec_put_str(o, "snapshot_name", l->snapshot_name);
    codec_put_str(o, "vm_ref", l->vm_ref ? l->vm_ref : "");
    codec_put_str(o, "vm_name", l->vm_name);
    codec_put_str(o, "state", lease_state_to_str(l->state));
    codec_put_time(o, "expires", l->expires_us);
    codec_put_u64(o, "attempts", l->attempts);
    codec_put_text(o, "last_error", l->last_error, EVENT_MESSAGE_MAX);
    return o;
}

json_t *
leases_encode(const struct leases *l)
{
    json_t *o = json_object(), *a = json_array();

    for (size_t i = 0; i < l->n; i++)
        json_array_append_new(a, put_lease(&l->v[i]));
    codec_put(o, "leases", a);
    return o;
}

int
lease_renewal_decode(const json_t *j, uint32_t *ret_lease_s, struct err *err)
{
    struct jreader r;
    uint64_t s;

    jreader_init(&r, j, "lease", err);
    codec_version(&r);
    s = codec_range(&r, "lease_s", VSPHERE_LEASE_MIN_S, VSPHERE_LEASE_MAX_S);
    if (jreader_end(&r) < 0)
        return err->class;
    *ret_lease_s = (uint32_t)s;
    return 0;
}

json_t *
lease_renewal_encode(uint32_t lease_s)
{
    json_t *o = json_object();

    codec_put_u64(o, "v", SPEC_VERSION);
    codec_put_u64(o, "lease_s", lease_s);
    return o;
}
