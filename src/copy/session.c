#include "copy/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/version.h"
#include "copy/result.h"
#include "model/jobspec.h"

/* What is needed for a proper first line even when the rest of the spec is refused. */
struct identity {
    char job_id[UUID_STR_SIZE];
    uint32_t attempt;
};

static void
find_identity(const char *line, size_t n, struct identity *ret)
{
    CLEANUP_JSON json_t *j = NULL;
    struct err ignored = ERR_INIT;
    const char *id;
    json_int_t attempt;

    snprintf(ret->job_id, sizeof(ret->job_id), "00000000-0000-0000-0000-000000000000");
    ret->attempt = 1;
    if (json_parse(line, n, &j, &ignored) < 0)
        return;
    id = json_string_value(json_object_get(j, "job_id"));
    attempt = json_integer_value(json_object_get(j, "attempt"));
    if (id && uuid_is_valid(id))
        snprintf(ret->job_id, sizeof(ret->job_id), "%s", id);
    if (attempt >= 1 && attempt <= UINT32_MAX)
        ret->attempt = (uint32_t)attempt;
}

static void
say_hello(struct output *o, const char *prog, const struct identity *id)
{
    char program[64], version[64], commit[64], build[128];
    struct job_event ev = {.type = EVENT_HELLO,
                           .program = program,
                           .version = version,
                           .commit = commit,
                           .build_id = build,
                           .attempt = id->attempt,
                           .pid = (uint32_t)getpid()};

    snprintf(program, sizeof(program), "%s", prog);
    snprintf(version, sizeof(version), "%s", version_string);
    snprintf(commit, sizeof(commit), "%s", version_commit);
    snprintf(build, sizeof(build), "%s", version_build_id());
    memcpy(ev.job_id, id->job_id, sizeof(ev.job_id));
    output_emit(o, &ev);
}

int
session_watch(struct control *c, const char *job_id, struct err *err)
{
    char context[64];

    snprintf(context, sizeof(context), "job='%s'", job_id);
    log_set_context(context);
    return control_start(c, err);
}

void
session_unwatch(struct control *c)
{
    /* From here on nobody else may tell a result. */
    control_stop(c);
}

static int
run(const struct session *s, struct control *c, int64_t *ret_disk, struct err *err)
{
    struct identity id;
    char *line = NULL;
    size_t n = 0;
    int r = control_first_line(c, &line, &n, err);

    find_identity(r == 0 ? line : "", r == 0 ? n : 0, &id);
    say_hello(c->output, s->prog, &id);
    if (r < 0)
        return r;
    r = s->run(c, line, n, err);
    /* The first error is the reason; what the work saw may be its consequence. */
    if (r < 0)
        copy_stop_get(c->stop, ret_disk, err);
    return r < 0 ? err->class : 0;
}

int
session_main(const struct session *s, int signal_fd)
{
    struct err err = ERR_INIT;
    CLEANUP_COPY_STOP struct copy_stop *stop = NULL;
    struct output output;
    struct control control;
    int64_t disk = -1;
    int r = copy_stop_new(&stop, &err);

    if (r < 0) {
        log_error("%s", err.msg);
        return 1;
    }
    output_init(&output, STDOUT_FILENO, stop);
    control = (struct control){.in_fd = STDIN_FILENO,
                               .signal_fd = signal_fd,
                               .done_fd = -1,
                               .resumable = s->resumable,
                               .stop = stop,
                               .output = &output,
                               .leave = s->leave};
    line_reader_init(&control.lines, SPEC_LINE_MAX);
    r = run(s, &control, &disk, &err);
    if (r < 0 && r != ERR_CANCELLED)
        log_error("%s", err.msg);
    result_emit(&output, r, disk, &err);
    if (output.broken) /* the status is all that is left to tell it */
        r = r < 0 ? r : ERR_IO;
    line_reader_done(&control.lines);
    output_done(&output);
    return result_exit_status(r);
}
