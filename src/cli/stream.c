/* cli/stream.c - see stream.h. */
#include <string.h>

#include "cli/stream.h"

int
line_splitter_feed(struct line_splitter *s, const char *p, size_t n)
{
    struct err err = ERR_INIT;

    s->line.cap = STREAM_LINE_MAX;
    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t len = end ? (size_t)(end - p) : n;
        int r;

        if (buf_append(&s->line, p, len, &err) < 0)
            return -1;
        if (!end)
            return 0;
        if (s->line.len > 0 && s->line.data[s->line.len - 1] == '\r')
            s->line.len--;
        r = s->on_line(s->arg, s->line.data ? s->line.data : "", s->line.len);
        buf_reset(&s->line);
        if (r != 0)
            return r;
        p += len + 1;
        n -= len + 1;
    }
    return 0;
}

int
line_splitter_end(struct line_splitter *s)
{
    int r = s->line.len > 0 ? s->on_line(s->arg, s->line.data, s->line.len) : 0;

    buf_reset(&s->line);
    return r;
}

void
line_splitter_done(struct line_splitter *s)
{
    buf_done(&s->line);
}

static void
copy(char *out, size_t size, const char *p, size_t n)
{
    if (n >= size)
        n = size - 1;
    memcpy(out, p, n);
    out[n] = '\0';
}

bool
sse_take_line(struct sse_event *e, const char *line, size_t n)
{
    struct err err =
        ERR_INIT; /* an event over the cap is cut, and then no JSON: it is skipped */
    const char *colon = memchr(line, ':', n), *value;
    size_t name = colon ? (size_t)(colon - line) : n, left;

    e->data.cap = STREAM_LINE_MAX;
    if (n == 0)
        return e->data.len > 0;
    value = colon ? colon + 1 : line + n;
    if (value < line + n && *value == ' ')
        value++;
    left = (size_t)(line + n - value);
    if (name == 2 && memcmp(line, "id", 2) == 0)
        copy(e->id, sizeof(e->id), value, left);
    else if (name == 5 && memcmp(line, "event", 5) == 0)
        copy(e->type, sizeof(e->type), value, left);
    else if (name == 4 && memcmp(line, "data", 4) == 0) {
        if (e->data.len > 0)
            buf_append(&e->data, "\n", 1, &err);
        buf_append(&e->data, value, left, &err);
    }
    return false;
}

void
sse_reset(struct sse_event *e)
{
    e->id[0] = e->type[0] = '\0';
    buf_reset(&e->data);
}
