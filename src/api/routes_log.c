/* api/routes_log.c - the log of one job as text, whole or followed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/handlers.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup.h"
#include "job/joblog.h"
#include "job/live.h"

/* A log is some hundred lines; whoever has more reads the rest on the hub. */
#define LOG_BYTES_MAX (64ull << 20)
#define FOLLOW_WAIT_NS (NS_PER_S / 2)

struct log_stream {
    int fd;
    struct live_job *live; /* NULL: not followed, or the job is over */
    uint64_t version, sent;
};

static void
stream_free(void *arg)
{
    struct log_stream *s = arg;

    cleanup_fd(&s->fd);
    live_unref(s->live);
    free(s);
}

static ssize_t
stream(void *arg, char *p, size_t n)
{
    struct log_stream *s = arg;
    ssize_t got;

    if (s->sent >= LOG_BYTES_MAX)
        return -1;
    got = pread(s->fd, p, n, (off_t)s->sent);
    if (got > 0) {
        s->sent += (uint64_t)got;
        return got;
    }
    if (got < 0 && errno != EINTR)
        return -2;
    if (!s->live)
        return -1;
    if (!live_wait_change(s->live, time_mono_ns() + FOLLOW_WAIT_NS, &s->version)) {
        /* Over: once more for the last lines, then the end. */
        live_unref(s->live);
        s->live = NULL;
    }
    return 0;
}

int
api_backups_log(struct http_call *call, void *app, struct http_reply *reply,
                struct err *err)
{
    static const char *const known[] = {"follow", NULL};
    CLEANUP_FREE char *path = NULL;
    struct api *a = app;
    struct cat_backup row = {0};
    struct log_stream *s;
    uint64_t follow;
    int fd;

    if (http_call_query_only(call, known, err) < 0 ||
        http_call_query_u64(call, "follow", 0, 1, &follow, err) < 0 ||
        cat_backup_get(a->env->catalog, http_call_param(call, "id"), &row, err) < 0)
        return err->class;
    path = joblog_path(a->env, row.job_id);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        cat_backup_done(&row);
        return err_set(err, ERR_NOT_FOUND, "log_not_found",
                       "the log of this backup is not kept any more");
    }
    s = xcalloc(1, sizeof *s);
    s->fd = fd;
    if (follow)
        s->live = live_find(a->env->live, row.job_id);
    cat_backup_done(&row);
    reply->content_type = "text/plain; charset=utf-8";
    reply->stream = stream;
    reply->stream_free = stream_free;
    reply->stream_arg = s;
    return 0;
}
