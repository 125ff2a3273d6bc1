/* model/spec_common.c - see spec_common.h. */
#include <stdlib.h>
#include <string.h>

#include "model/spec_common.h"

const struct spec_limits spec_limits_default = {.disks_parallel = 4,
                                                .connections = 2,
                                                .requests = 16,
                                                .request_bytes = 1048576,
                                                .rate_bytes_per_s = 0};
const struct spec_deadlines spec_deadlines_default = {.connect_s = 10, .io_s = 60};

void
spec_get_limits(struct jreader *up, struct spec_limits *ret)
{
    const json_t *j = jget_obj(up, "limits");
    struct jreader r;

    jreader_init(&r, j, "limits", up->err);
    ret->disks_parallel = (uint32_t)codec_range(&r, "disks_parallel", 1, 64);
    ret->connections = (uint32_t)codec_range(&r, "connections", 1, 8);
    ret->requests = (uint32_t)codec_range(&r, "requests", 1, 64);
    ret->request_bytes = (uint32_t)codec_range(&r, "request_bytes", MANIFEST_BLOCK_SIZE,
                                               SPEC_REQUEST_BYTES_MAX);
    if (ret->request_bytes % MANIFEST_BLOCK_SIZE != 0)
        codec_fail(&r, "request_bytes", "must be a multiple of 65536");
    ret->rate_bytes_per_s = jget_u64(&r, "rate_bytes_per_s");
    jreader_end(&r);
}

void
spec_get_deadlines(struct jreader *up, struct spec_deadlines *ret)
{
    const json_t *j = jget_obj(up, "deadlines");
    struct jreader r;

    jreader_init(&r, j, "deadlines", up->err);
    ret->connect_s = (uint32_t)codec_range(&r, "connect_s", 1, 3600);
    ret->io_s = (uint32_t)codec_range(&r, "io_s", 1, 86400);
    jreader_end(&r);
}

char *
spec_get_source(struct jreader *up)
{
    const json_t *j = jget_obj(up, "source");
    CLEANUP_FREE char *type = NULL;
    struct jreader r;

    jreader_init(&r, j, "source", up->err);
    type = codec_str(&r, "type", 1, 16);
    if (type && strcmp(type, "nbd") != 0)
        codec_fail(&r, "type", "must be 'nbd'");
    return jreader_end(&r) == 0 ? take_ptr(&type) : NULL;
}

json_t *
spec_put_limits(const struct spec_limits *l)
{
    json_t *o = json_object();

    codec_put_u64(o, "disks_parallel", l->disks_parallel);
    codec_put_u64(o, "connections", l->connections);
    codec_put_u64(o, "requests", l->requests);
    codec_put_u64(o, "request_bytes", l->request_bytes);
    codec_put_u64(o, "rate_bytes_per_s", l->rate_bytes_per_s);
    return o;
}

json_t *
spec_put_deadlines(const struct spec_deadlines *d)
{
    json_t *o = json_object();

    codec_put_u64(o, "connect_s", d->connect_s);
    codec_put_u64(o, "io_s", d->io_s);
    return o;
}

json_t *
spec_put_source(const char *type)
{
    json_t *o = json_object();

    codec_put_str(o, "type", type);
    return o;
}

int
spec_twins(struct err *err, const char *what, const char *what_twice)
{
    return err_set(err, ERR_INVALID, "invalid_field", "%s: two disks have the same %s",
                   what, what_twice);
}
