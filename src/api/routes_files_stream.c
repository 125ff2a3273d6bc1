/* api/routes_files_stream.c - one file, or an archive, as a stream.  A stream that fails
 * is cut: chunked coding without its last chunk, which no client takes for the end. */
#include <stdlib.h>
#include <string.h>

#include "api/files_call.h"
#include "api/handlers.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/files_io.h"

/* A stream callback may wait for one second. */
#define STREAM_WAIT_MS 900u
#define BUSY_WAIT_MS 5000u

struct files_stream {
    struct files_session *session;
    char *actor, *what, *fs, *path; /* path: of a download */
    uint64_t sent, offset, size;    /* bytes; offset and size: of a download */
    uint64_t asked_at;              /* offset of the piece that was asked for */
    bool archive, running, complete;
    struct files_reply piece; /* what is being handed out */
    size_t at;                /* of it that is gone */
};

static void
stream_free(void *arg)
{
    struct files_stream *s = arg;
    CLEANUP_FREE char *message = NULL;

    if (s->running)
        files_end(s->session);
    message = xasprintf("%s: %llu bytes, %s", s->what, (unsigned long long)s->sent,
                        s->complete ? "complete" : "cut off");
    files_audit(s->session, s->archive ? "files.archive" : "files.download", s->actor,
                message);
    files_reply_done(&s->piece);
    files_unref(s->session);
    free(s->actor);
    free(s->what);
    free(s->fs);
    free(s->path);
    free(s);
}

static ssize_t
fail(struct files_stream *s, const struct err *err)
{
    log_error("%s is cut off after %llu bytes: %s", s->what, (unsigned long long)s->sent,
              err->msg);
    return -2;
}

static ssize_t
hand_out(struct files_stream *s, char *p, size_t n)
{
    size_t left = s->piece.n - s->at;

    if (n > left)
        n = left;
    memcpy(p, s->piece.data + s->at, n);
    s->at += n;
    s->sent += n;
    return (ssize_t)n;
}

/* 1 = a piece is there, 0 = nothing yet, 2 = the request has its answer. */
static int
next_piece(struct files_stream *s, struct err *err)
{
    int r;

    files_reply_done(&s->piece);
    s->at = 0;
    r = files_recv(s->session, STREAM_WAIT_MS, &s->piece, err);
    if (r > 0 && s->piece.type == FILES_ANSWER)
        r = 2;
    if (r == 1 && s->piece.type == FILES_DATA && s->piece.n > 0)
        return 1;
    if (r > 0)
        files_reply_done(&s->piece);
    if (r < 0 || r == 2) {
        files_end(s->session);
        s->running = false;
    }
    return r == 1 ? 0 : r;
}

static ssize_t
archive_pull(void *arg, char *p, size_t n)
{
    struct files_stream *s = arg;
    struct err err = ERR_INIT;
    int r;

    if (s->at < s->piece.n)
        return hand_out(s, p, n);
    if (!s->running)
        return s->complete ? -1 : -2;
    r = next_piece(s, &err);
    if (r < 0)
        return fail(s, &err);
    if (r == 2)
        s->complete = true;
    return r == 1 ? hand_out(s, p, n) : r == 2 ? -1 : 0;
}

/* Asks for the next piece of the file; 0 when another request is before us. */
static int
ask_piece(struct files_stream *s, struct err *err)
{
    CLEANUP_JSON json_t *q =
        json_pack("{s:s, s:s?, s:s, s:I, s:I}", "op", "read", "fs", s->fs, "path",
                  s->path, "offset", (json_int_t)s->offset, "length",
                  (json_int_t)(s->size - s->offset < FILES_READ_MAX ? s->size - s->offset
                                                                    : FILES_READ_MAX));

    if (files_begin(s->session, STREAM_WAIT_MS, err) < 0) {
        if (strcmp(err->code, "mount_busy") != 0)
            return err->class;
        err_clear(err);
        return 0;
    }
    s->running = true;
    s->asked_at = s->offset;
    return files_send(s->session, q, err) < 0 ? err->class : 1;
}

static ssize_t
file_pull(void *arg, char *p, size_t n)
{
    struct files_stream *s = arg;
    struct err err = ERR_INIT;
    uint64_t before = s->offset;
    int r;

    if (s->at < s->piece.n)
        return hand_out(s, p, n);
    if (!s->running && s->offset == s->size) {
        s->complete = true;
        return -1;
    }
    r = s->running ? 1 : ask_piece(s, &err);
    if (r > 0)
        r = next_piece(s, &err);
    if (r == 2 && s->offset == s->asked_at)
        r = err_set(&err, ERR_PROTOCOL, "files_protocol", "a piece without data came");
    if (r < 0)
        return fail(s, &err);
    if (r != 1)
        return 0;
    s->offset = before + s->piece.n;
    if (s->offset > s->size) {
        err_set(&err, ERR_PROTOCOL, "files_protocol", "more came than was asked for");
        return fail(s, &err);
    }
    return hand_out(s, p, n);
}

static struct files_stream *
stream_new(struct http_call *call, struct files_session **session, bool archive)
{
    struct files_stream *s = xcalloc(1, sizeof *s);

    s->session = take_ptr(session);
    s->archive = archive;
    s->actor = xstrdup(http_call_user(call));
    return s;
}

static void
put_stream(struct http_reply *reply, struct files_stream *s, const char *type)
{
    reply->content_type = type;
    reply->stream = s->archive ? archive_pull : file_pull;
    reply->stream_free = stream_free;
    reply->stream_arg = s;
}

int
api_mounts_download(struct http_call *call, void *app, struct http_reply *reply,
                    struct err *err)
{
    static const char *const known[] = {"fs", "path", "offset", NULL};
    CLEANUP_FILES struct files_session *session = NULL;
    CLEANUP_JSON json_t *q = NULL, *answer = NULL;
    const char *path = http_call_query(call, "path"), *fs = http_call_query(call, "fs");
    struct files_stream *s;
    uint64_t offset, size;

    if (http_call_query_only(call, known, err) < 0 ||
        http_call_query_u64(call, "offset", 0, INT64_MAX, &offset, err) < 0)
        return err->class;
    if (!path)
        return err_set(err, ERR_INVALID, "invalid_parameter", "path is missing");
    q = json_pack("{s:s, s:s?, s:s, s:i, s:i}", "op", "read", "fs", fs, "path", path,
                  "offset", 0, "length", 0);
    if (files_call_session(call, app, &session, err) < 0 ||
        files_ask(session, q, &answer, err) < 0)
        return err->class;
    size = (uint64_t)json_integer_value(json_object_get(answer, "size_bytes"));
    if (offset > size)
        return err_set(err, ERR_INVALID, "invalid_parameter",
                       "the file has %llu bytes only", (unsigned long long)size);
    s = stream_new(call, &session, false);
    s->fs = xstrdup(fs);
    s->path = xstrdup(path);
    s->what = xasprintf("file '%.600s' of %s from byte %llu", path, fs ? fs : "the disk",
                        (unsigned long long)offset);
    s->offset = offset;
    s->size = size;
    put_stream(reply, s, "application/octet-stream");
    return 0;
}

/* Takes over @q.  The answer is an error, or a stream, once the program has found all
 * paths. */
static int
start_archive(struct http_call *call, void *app, json_t *q, const char *first,
              struct http_reply *reply, struct err *err)
{
    CLEANUP_FILES struct files_session *session = NULL;
    CLEANUP_JSON json_t *owned = q;
    const char *format = json_string_value(json_object_get(q, "format"));
    const char *fs = json_string_value(json_object_get(q, "fs"));
    size_t n = json_array_size(json_object_get(q, "paths"));
    struct files_reply first_frame = {0};
    struct files_stream *s;
    int r;

    if (files_call_session(call, app, &session, err) < 0 ||
        files_begin(session, BUSY_WAIT_MS, err) < 0)
        return err->class;
    r = files_send(session, owned, err);
    while (r == 0 && (r = files_recv(session, STREAM_WAIT_MS, &first_frame, err)) == 0)
        if (http_call_stopping(call))
            r = err_set(err, ERR_UNAVAILABLE, "shutting_down", "the hub is stopping");
    files_reply_done(&first_frame);
    if (r < 0) {
        files_end(session);
        return err->class;
    }
    s = stream_new(call, &session, true);
    s->running = true;
    s->what = xasprintf("%s of %zu paths of %s, the first '%.600s'", format, n,
                        fs ? fs : "the disk", first);
    put_stream(reply, s,
               strcmp(format, "zip") == 0 ? "application/zip" : "application/gzip");
    return 0;
}

static int
check_format(const char *format, struct err *err)
{
    if (strcmp(format, "tar.gz") == 0 || strcmp(format, "zip") == 0)
        return 0;
    return err_set(err, ERR_INVALID, "invalid_parameter",
                   "format is 'tar.gz' or 'zip', not '%.40s'", format);
}

int
api_mounts_archive(struct http_call *call, void *app, struct http_reply *reply,
                   struct err *err)
{
    static const char *const known[] = {"fs", "path", "format", NULL};
    const char *format = http_call_query(call, "format");
    const char *path = http_call_query(call, "path");

    if (!format)
        format = "tar.gz";
    if (http_call_query_only(call, known, err) < 0 || check_format(format, err) < 0)
        return err->class;
    if (!path)
        return err_set(err, ERR_INVALID, "invalid_parameter", "path is missing");
    return start_archive(call, app,
                         json_pack("{s:s, s:s?, s:s, s:[s]}", "op", "archive", "fs",
                                   http_call_query(call, "fs"), "format", format, "paths",
                                   path),
                         path, reply, err);
}

int
api_mounts_archive_many(struct http_call *call, void *app, struct http_reply *reply,
                        struct err *err)
{
    const char *format, *fs, *first;
    const json_t *paths;
    struct jreader r;

    jreader_init(&r, http_call_json(call), "request", err);
    fs = jopt_str(&r, "fs", NULL);
    format = jopt_str(&r, "format", "tar.gz");
    paths = jget_arr(&r, "paths");
    if (jreader_end(&r) < 0 || check_format(format, err) < 0)
        return err->class;
    first = json_string_value(json_array_get(paths, 0));
    if (!first || json_array_size(paths) > FILES_PATHS_MAX)
        return err_set(err, ERR_INVALID, "invalid_field", "paths is 1 to %u paths",
                       FILES_PATHS_MAX);
    return start_archive(call, app,
                         json_pack("{s:s, s:s?, s:s, s:O}", "op", "archive", "fs", fs,
                                   "format", format, "paths", paths),
                         first, reply, err);
}
