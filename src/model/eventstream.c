/* model/eventstream.c - the order of a program's lines.  See jobevent.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "model/codec.h"
#include "model/jobevent.h"

void
event_stream_init(struct event_stream *s, const char *job_id, uint32_t attempt,
                  uint64_t last_seq, bool may_skip)
{
    *s = (struct event_stream){.attempt = attempt,
                               .last_seq = last_seq,
                               .may_skip = may_skip,
                               .from_start = last_seq == 0};
    snprintf(s->job_id, sizeof(s->job_id), "%s", job_id);
}

static int
breach(struct err *err, const char *what, uint64_t seq)
{
    return err_set(err, ERR_PROTOCOL, "client_protocol", "event %" PRIu64 ": %s", seq,
                   what);
}

static int
check_hello(const struct event_stream *s, const struct job_event *e, struct err *err)
{
    if (s->last_seq != 0)
        return breach(err, "a second hello", e->seq);
    if (s->job_id[0] && (strcmp(s->job_id, e->job_id) != 0 || s->attempt != e->attempt))
        return breach(err, "hello names another job or attempt", e->seq);
    return 0;
}

/* A lease ends by what these say: they must make one story too. */
static int
check_snapshot(const struct event_stream *s, const struct job_event *e, struct err *err)
{
    if (!s->from_start)
        return 0;
    if (e->type == EVENT_SNAPSHOT && s->has_snapshot)
        return breach(err, "a second snapshot", e->seq);
    if (e->type == EVENT_SNAPSHOT && (!s->snapshotting || s->has_removed))
        return breach(err, "a snapshot that was not announced", e->seq);
    if (e->type == EVENT_VM_CONFIG && (!s->has_snapshot || s->has_vm_config))
        return breach(err, "vm_config comes once, after the snapshot", e->seq);
    if (e->type == EVENT_SNAPSHOT_HELD && (!s->has_snapshot || s->has_removed))
        return breach(err, "a snapshot is held that there cannot be", e->seq);
    if (e->type == EVENT_SNAPSHOT_REMOVED && (!s->snapshotting || s->has_removed))
        return breach(err, "a snapshot is removed that there cannot be", e->seq);
    return 0;
}

static void
note_snapshot(struct event_stream *s, const struct job_event *e)
{
    if (e->type == EVENT_PHASE && e->phase == PHASE_SNAPSHOTTING)
        s->snapshotting = true;
    if (e->type == EVENT_SNAPSHOT)
        s->has_snapshot = true;
    if (e->type == EVENT_VM_CONFIG)
        s->has_vm_config = true;
    if (e->type == EVENT_SNAPSHOT_REMOVED)
        s->has_removed = true;
}

int
event_stream_check(struct event_stream *s, const struct job_event *e, struct err *err)
{
    if (s->ended)
        return breach(err, "comes after the result", e->seq);
    if (e->seq <= s->last_seq || (!s->may_skip && e->seq != s->last_seq + 1))
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "event %" PRIu64 " follows event %" PRIu64, e->seq, s->last_seq);
    if (e->type == EVENT_HELLO) {
        if (check_hello(s, e, err) < 0)
            return err->class;
    } else if (s->last_seq == 0 && !(s->may_skip && e->type == EVENT_RESULT)) {
        /* A node that could not start a client, or whose client broke the contract at
         * once, tells only the result. */
        return breach(err, "the first event is no hello", e->seq);
    }
    if (check_snapshot(s, e, err) < 0)
        return err->class;
    note_snapshot(s, e);
    s->last_seq = e->seq;
    s->ended = e->type == EVENT_RESULT;
    return 0;
}

int
event_stream_line(struct event_stream *s, const char *line, size_t n,
                  struct job_event *ret, struct err *err)
{
    CLEANUP_JOB_EVENT struct job_event e = {0};
    CLEANUP_JSON json_t *j = NULL;

    if (s->ended)
        return breach(err, "a line comes after the result", s->last_seq);
    if (codec_line(line, n, EVENT_LINE_MAX, &j, err) < 0 ||
        job_event_decode(j, &e, err) < 0) {
        err->class = ERR_PROTOCOL;
        err_recode(err, "client_protocol");
        return err_prefix(err, "line after event %" PRIu64, s->last_seq);
    }
    if (event_stream_check(s, &e, err) < 0)
        return err->class;
    *ret = e;
    e = (struct job_event){0};
    return 0;
}

int
event_stream_end(const struct event_stream *s, struct err *err)
{
    return s->ended ? 0 : breach(err, "the end came without a result", s->last_seq);
}
