/* api/routes_event.c - server-sent events: what happened, and the progress of what runs.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/backup_json.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "catalog/cat_event.h"
#include "job/bus.h"

#define HEARTBEAT_NS (15 * NS_PER_S)
#define BATCH 50u
#define PENDING_MAX (1u << 20)

struct event_stream_state {
    struct api *api;
    int64_t after;
    uint64_t version;
    uint64_t told_ns;     /* when something was last sent */
    uint64_t progress_ns; /* when progress was last sent */
    struct buf pending;
    size_t at; /* what of pending was sent */
};

static void
stream_free(void *arg)
{
    struct event_stream_state *s = arg;

    buf_done(&s->pending);
    free(s);
}

static int
add_event(struct event_stream_state *s, const struct cat_event *e, struct err *err)
{
    CLEANUP_JSON json_t *o = json_object();
    CLEANUP_FREE char *line = NULL;

    json_object_set_new(o, "id", json_integer(e->id));
    put_time(o, "time", e->time_us);
    put_str(o, "severity", e->severity);
    put_str(o, "type", e->type);
    put_str(o, "code", e->code);
    put_str(o, "message", e->message);
    put_str(o, "backup_id", e->backup_id);
    put_str(o, "job_id", e->job_id);
    put_str(o, "vm_id", e->vm_id);
    line = json_line(o);
    return buf_printf(&s->pending, err, "id: %lld\nevent: %s\ndata: %s\n\n",
                      (long long)e->id, e->type, line);
}

static int
add_events(struct event_stream_state *s, struct err *err)
{
    struct cat_events list = {0};
    int r = cat_event_list(s->api->env->catalog, s->after, BATCH, NULL, &list, err);

    for (size_t i = 0; r >= 0 && i < list.n; i++) {
        r = add_event(s, &list.v[i], err);
        s->after = list.v[i].id;
    }
    cat_events_done(&list);
    return r;
}

static void
add_progress(void *arg, struct live_job *live)
{
    struct event_stream_state *s = arg;
    CLEANUP_JSON json_t *o = NULL;
    CLEANUP_FREE char *line = NULL;
    struct err ignored = ERR_INIT;

    if (live_kind(live) != LIVE_BACKUP)
        return;
    o = json_pack("{s:s, s:o}", "job_id", live_job_id(live), "progress",
                  progress_to_json(live));
    line = json_line(o);
    buf_printf(&s->pending, &ignored, "event: backup.progress\ndata: %s\n\n", line);
}

static ssize_t
send_pending(struct event_stream_state *s, char *p, size_t n)
{
    size_t left = s->pending.len - s->at;

    if (n > left)
        n = left;
    memcpy(p, s->pending.data + s->at, n);
    s->at += n;
    s->told_ns = time_mono_ns();
    if (s->at == s->pending.len) {
        buf_reset(&s->pending);
        s->at = 0;
    }
    return (ssize_t)n;
}

static ssize_t
stream(void *arg, char *p, size_t n)
{
    struct event_stream_state *s = arg;
    struct err err = ERR_INIT;
    uint64_t now;

    if (s->pending.len > 0)
        return send_pending(s, p, n);
    if (add_events(s, &err) < 0)
        return -2;
    now = time_mono_ns();
    if (now - s->progress_ns >= NS_PER_S) {
        live_each(s->api->env->live, add_progress, s);
        s->progress_ns = now;
    }
    if (s->pending.len == 0 && now - s->told_ns > HEARTBEAT_NS)
        buf_printf(&s->pending, &err, ": still here\n\n");
    if (s->pending.len > 0)
        return send_pending(s, p, n);
    s->version = bus_wait(s->api->env->bus, s->version, now + NS_PER_S);
    return 0;
}

static int
start_after(struct http_call *call, struct api *a, int64_t *ret, struct err *err)
{
    const char *header = http_call_header(call, "Last-Event-ID");
    uint64_t v = 0;

    if (http_call_query(call, "after")) {
        if (http_call_query_u64(call, "after", 0, INT64_MAX, &v, err) < 0)
            return err->class;
        *ret = (int64_t)v;
        return 0;
    }
    if (header) {
        if (text_to_u64(header, &v) < 0 || v > INT64_MAX)
            return err_set(err, ERR_INVALID, "invalid_parameter",
                           "Last-Event-ID is not the id of an event");
        *ret = (int64_t)v;
        return 0;
    }
    return cat_event_last_id(a->env->catalog, ret, err);
}

int
api_events(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    static const char *const known[] = {"after", NULL};
    struct event_stream_state *s;
    int64_t after;

    if (http_call_query_only(call, known, err) < 0 ||
        start_after(call, app, &after, err) < 0)
        return err->class;
    s = xcalloc(1, sizeof *s);
    s->api = app;
    s->after = after;
    s->pending = (struct buf)BUF_INIT(PENDING_MAX);
    s->told_ns = time_mono_ns();
    reply->content_type = "text/event-stream";
    reply->stream = stream;
    reply->stream_free = stream_free;
    reply->stream_arg = s;
    return 0;
}
