/* https/layout.c - see layout.h. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "layout.h"

static const char *const format_words[] = {[LAYOUT_FLAT] = "flat",
                                           [LAYOUT_COWD] = "cowd",
                                           [LAYOUT_SESPARSE] = "sesparse",
                                           [LAYOUT_ZERO] = "zero"};

void
layout_done(struct layout *l)
{
    for (size_t i = 0; i < l->n_layers; i++) {
        for (size_t k = 0; k < l->layers[i].n_extents; k++)
            free(l->layers[i].extents[k].url);
        free(l->layers[i].extents);
    }
    free(l->layers);
    free(l->allocated);
    tls_trust_done(&l->trust);
    *l = (struct layout){0};
}

static int
bad(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "invalid_field", "the layout: %s", what);
}

static int
decode_tls(const json_t *j, struct tls_trust *t, struct err *err)
{
    struct jreader r;
    const char *pin, *pem;
    int res;

    jreader_init(&r, j, "layout.tls", err);
    pin = jopt_str(&r, "sha256", NULL);
    pem = jopt_str(&r, "ca_pem", NULL);
    if ((res = jreader_end(&r)) < 0)
        return res;
    if (pin && (res = tls_fingerprint_parse(pin, t->sha256, err)) < 0)
        return res;
    t->has_sha256 = pin != NULL;
    t->ca_pem = xstrdup(pem);
    return tls_trust_check(t, err);
}

/* No blank and no control character could be hidden in a request by it. */
static bool
is_url(const char *s)
{
    size_t n = strlen(s);

    if (n > LAYOUT_URL_MAX || strncmp(s, "https://", 8) != 0 || !s[8])
        return false;
    for (; *s; s++)
        if (*s <= ' ' || *s > '~')
            return false;
    return true;
}

static int
decode_extent(const json_t *j, const struct layout_layer *layer, uint64_t at,
              uint64_t size, struct layout_extent *e, struct err *err)
{
    bool flat = layer->format == LAYOUT_FLAT;
    const char *url;
    struct jreader r;
    int res;

    jreader_init(&r, j, "layout.layers.extents", err);
    url = flat ? jopt_str(&r, "url", NULL) : jget_str(&r, "url");
    e->offset = jget_u64(&r, "offset_bytes");
    e->start = jget_u64(&r, "start_bytes");
    e->length = jget_u64(&r, "length_bytes");
    if ((res = jreader_end(&r)) < 0)
        return res;
    if (url && !is_url(url))
        return bad(err, "a url is no https:// address");
    if (e->start != at || e->length == 0 || e->length > size - at)
        return bad(err, "the extents of a layer do not cover the disk in order");
    if (e->offset > LAYOUT_SIZE_MAX || (!flat && e->offset != 0))
        return bad(err, "an impossible offset_bytes");
    if (!flat && e->length % 512 != 0)
        return bad(err, "a delta whose length is no multiple of 512");
    e->url = xstrdup(url);
    return 0;
}

static int
decode_extents(const json_t *list, uint64_t size, struct layout_layer *layer,
               struct err *err)
{
    size_t n = json_array_size(list);
    uint64_t at = 0;

    if (layer->format == LAYOUT_ZERO)
        return n == 0 ? 0 : bad(err, "a layer of zeros has extents");
    if (n == 0 || n > LAYOUT_EXTENTS_MAX)
        return bad(err, "a layer without extents, or with too many");
    layer->extents = xcalloc(n, sizeof(*layer->extents));
    for (size_t i = 0; i < n; i++) {
        struct layout_extent *e = &layer->extents[layer->n_extents];
        int r = decode_extent(json_array_get(list, i), layer, at, size, e, err);

        if (r < 0)
            return r;
        layer->n_extents++;
        at += e->length;
    }
    return at == size ? 0 : bad(err, "the extents of a layer do not cover the disk");
}

static int
decode_layer(const json_t *j, uint64_t size, struct layout_layer *layer, struct err *err)
{
    const char *format;
    const json_t *list;
    struct jreader r;
    int res;

    jreader_init(&r, j, "layout.layers", err);
    format = jget_str(&r, "format");
    list = jget_arr(&r, "extents");
    if ((res = jreader_end(&r)) < 0)
        return res;
    for (size_t i = 0; i < ARRAY_LEN(format_words); i++)
        if (strcmp(format, format_words[i]) == 0) {
            layer->format = (enum layout_format)i;
            return decode_extents(list, size, layer, err);
        }
    return bad(err, "a layer of unknown format");
}

static int
decode_layers(const json_t *list, struct layout *l, struct err *err)
{
    size_t n = json_array_size(list);

    if (n == 0 || n > LAYOUT_LAYERS_MAX)
        return bad(err, "no layers, or too many");
    l->layers = xcalloc(n, sizeof(*l->layers));
    for (size_t i = 0; i < n; i++) {
        int r;

        l->n_layers++;
        r = decode_layer(json_array_get(list, i), l->size, &l->layers[i], err);
        if (r < 0)
            return r;
        /* What lies below could never be seen: not what its maker meant. */
        if (i + 1 < n &&
            (l->layers[i].format == LAYOUT_FLAT || l->layers[i].format == LAYOUT_ZERO))
            return bad(err, "a layer below a flat one or one of zeros");
    }
    return 0;
}

static int
decode_map(const json_t *list, struct layout *l, struct err *err)
{
    size_t n = json_array_size(list);
    uint64_t end = 0;

    if (n > LAYOUT_RANGES_MAX)
        return bad(err, "allocated has too many ranges");
    l->has_map = true;
    l->allocated = xcalloc(n ? n : 1, sizeof(*l->allocated));
    for (; l->n_allocated < n; l->n_allocated++) {
        const json_t *pair = json_array_get(list, l->n_allocated);
        const json_t *o = json_array_get(pair, 0), *len = json_array_get(pair, 1);
        struct layout_range *a = &l->allocated[l->n_allocated];

        if (json_array_size(pair) != 2 || !json_is_integer(o) || !json_is_integer(len) ||
            json_integer_value(o) < 0 || json_integer_value(len) <= 0)
            return bad(err, "allocated holds other than pairs of offset and length");
        a->offset = (uint64_t)json_integer_value(o);
        a->length = (uint64_t)json_integer_value(len);
        if (a->offset < end || a->offset >= l->size || a->length > l->size - a->offset)
            return bad(err, "allocated has ranges out of order or of the disk");
        end = a->offset + a->length;
    }
    return 0;
}

static int
decode_members(const json_t *j, struct layout *l, struct err *err)
{
    const json_t *tls, *layers, *map;
    uint64_t v, connections, retry_s;
    struct jreader r;
    int res;

    jreader_init(&r, j, "layout", err);
    v = jget_u64(&r, "v");
    l->size = jget_u64(&r, "size_bytes");
    tls = jget_obj(&r, "tls");
    connections = jget_u64(&r, "connections");
    retry_s = jget_u64(&r, "retry_s");
    layers = jget_arr(&r, "layers");
    map = jopt_arr(&r, "allocated");
    if ((res = jreader_end(&r)) < 0)
        return res;
    if (v != 1)
        return bad(err, "an unknown version");
    if (l->size == 0 || l->size > LAYOUT_SIZE_MAX)
        return bad(err, "an impossible size_bytes");
    if (connections == 0 || connections > LAYOUT_CONNECTIONS_MAX ||
        retry_s > LAYOUT_RETRY_MAX_S)
        return bad(err, "connections or retry_s out of bounds");
    l->connections = (unsigned)connections;
    l->retry_s = (unsigned)retry_s;
    res = decode_tls(tls, &l->trust, err);
    if (res == 0)
        res = decode_layers(layers, l, err);
    if (res == 0 && map)
        res = decode_map(map, l, err);
    return res;
}

int
layout_decode(const char *text, size_t n, struct layout *ret, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;
    struct layout l = {0};
    int r = json_parse(text, n, &j, err);

    if (r == 0)
        r = decode_members(j, &l, err);
    if (r < 0) {
        layout_done(&l);
        return r;
    }
    *ret = l;
    return 0;
}

int
layout_read(int fd, struct layout *ret, struct err *err)
{
    CLEANUP_FREE char *text = NULL;
    struct stat st;
    size_t got = 0, size;

    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, NULL, "the descriptor of the layout");
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > LAYOUT_TEXT_MAX)
        return bad(err, "its descriptor is no file, or of impossible size");
    size = (size_t)st.st_size;
    text = malloc(size);
    if (!text)
        return err_set(err, ERR_LIMIT, NULL, "out of memory");
    while (got < size) {
        ssize_t n = pread(fd, text + got, size - got, (off_t)got);

        if (n < 0 && errno != EINTR)
            return err_errno(err, errno, NULL, "read the layout");
        if (n == 0)
            return bad(err, "its file became shorter");
        got += n > 0 ? (size_t)n : 0;
    }
    return layout_decode(text, size, ret, err);
}
