/* client/mode_job.c - one job of the node. */
#include <unistd.h>

#include "base/failpoint.h"
#include "client/modes.h"
#include "copy/copy.h"
#include "copy/session.h"

static int
run(struct control *c, const char *line, size_t n, struct err *err)
{
    CLEANUP_JOB_SPEC struct job_spec spec = {0};
    struct copy_opts opts = {
        .spec = &spec, .stop = c->stop, .event = output_emit, .event_arg = c->output};
    int r;

    FAILPOINT(CLIENT_STARTED);
    if (job_spec_decode_line(line, n, &spec, err) < 0 ||
        session_watch(c, spec.job_id, err) < 0)
        return err->class;
    r = copy_run(&opts, err);
    FAILPOINT(CLIENT_BEFORE_RESULT);
    session_unwatch(c);
    return r;
}

int
mode_job(int signal_fd)
{
    const struct session s = {.prog = CLIENT_PROG, .leave = _exit, .run = run};

    return session_main(&s, signal_fd);
}
