/* node/event_log.c - see event_log.h. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/event_log.h"

struct entry {
    uint64_t seq;
    uint32_t disk; /* progress only */
    char *line;
    size_t len;
};

struct event_log {
    struct entry *kept; /* rising seq */
    size_t n_kept, room;
    /* The newest of each disk, rising seq: a new one goes to the end. */
    struct entry progress[SPEC_DISKS_MAX];
    size_t n_progress;
    uint64_t last_seq;
    uint64_t result_seq; /* 0 = not yet */
    size_t bytes;
};

struct event_log *
event_log_new(void)
{
    return xcalloc(1, sizeof(struct event_log));
}

void
event_log_free(struct event_log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < log->n_kept; i++)
        free(log->kept[i].line);
    for (size_t i = 0; i < log->n_progress; i++)
        free(log->progress[i].line);
    free(log->kept);
    free(log);
}

static size_t
entry_bytes(const struct entry *e)
{
    return sizeof(*e) + e->len;
}

static void
drop_older_progress(struct event_log *log, uint32_t disk)
{
    for (size_t i = 0; i < log->n_progress; i++) {
        struct entry *p = &log->progress[i];

        if (p->disk != disk)
            continue;
        log->bytes -= entry_bytes(p);
        free(p->line);
        memmove(p, p + 1, (log->n_progress - i - 1) * sizeof(*p));
        log->n_progress--;
        return;
    }
}

static int
full(struct err *err)
{
    return err_set(err, ERR_LIMIT, "too_many_events",
                   "the client reports more events than the node keeps");
}

int
event_log_add(struct event_log *log, const struct job_event *e, struct err *err)
{
    CLEANUP_JSON json_t *j = job_event_encode(e);
    CLEANUP_FREE char *line = json_line(j);
    struct entry entry = {.seq = e->seq, .disk = e->disk, .len = strlen(line)};

    if (e->seq <= log->last_seq)
        return err_set(err, ERR_INTERNAL, NULL, "event %llu comes after event %llu",
                       (unsigned long long)e->seq, (unsigned long long)log->last_seq);
    if (e->type != EVENT_RESULT && log->bytes + entry_bytes(&entry) > EVENT_LOG_BYTES_MAX)
        return full(err);
    if (e->type == EVENT_PROGRESS) {
        drop_older_progress(log, e->disk);
        if (log->n_progress == SPEC_DISKS_MAX)
            return full(err);
        entry.line = take_ptr(&line);
        log->progress[log->n_progress++] = entry;
    } else {
        if (log->n_kept == log->room) {
            log->room = log->room ? log->room * 2 : 16;
            log->kept = xreallocarray(log->kept, log->room, sizeof(*log->kept));
        }
        entry.line = take_ptr(&line);
        log->kept[log->n_kept++] = entry;
    }
    log->bytes += entry_bytes(&entry);
    log->last_seq = e->seq;
    if (e->type == EVENT_RESULT)
        log->result_seq = e->seq;
    return 0;
}

uint64_t
event_log_last_seq(const struct event_log *log)
{
    return log->last_seq;
}

size_t
event_log_bytes(const struct event_log *log)
{
    return log->bytes;
}

/* Index of the first entry with seq > @after. */
static size_t
first_after(const struct entry *e, size_t n, uint64_t after)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (e[mid].seq > after)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static int
decode_entry(const struct entry *e, struct job_event *ret, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;

    if (json_parse(e->line, e->len, &j, err) < 0)
        return err->class;
    return job_event_decode(j, ret, err);
}

int
event_log_page(const struct event_log *log, uint64_t after, struct events_page *page,
               struct err *err)
{
    size_t k = first_after(log->kept, log->n_kept, after);
    size_t p = first_after(log->progress, log->n_progress, after);
    size_t left = log->n_kept - k + log->n_progress - p;
    size_t n = left < NODEAPI_EVENTS_MAX ? left : NODEAPI_EVENTS_MAX;
    uint64_t last = after;

    page->events = n > 0 ? xcalloc(n, sizeof(*page->events)) : NULL;
    page->n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct entry *e;

        if (p == log->n_progress ||
            (k < log->n_kept && log->kept[k].seq < log->progress[p].seq))
            e = &log->kept[k++];
        else
            e = &log->progress[p++];
        if (decode_entry(e, &page->events[i], err) < 0)
            return err->class;
        page->n++;
        last = e->seq;
    }
    page->ended = log->result_seq > 0 && last >= log->result_seq;
    return 0;
}
