/* client/mode_job.c - one job of the node. */
#include <unistd.h>

#include "base/failpoint.h"
#include "client/modes.h"
#include "client/vsphere_job.h"
#include "copy/copy.h"
#include "copy/session.h"

static int
run_nbd(struct control *c, const struct job_spec *spec, struct err *err)
{
    struct copy_opts opts = {
        .spec = spec, .stop = c->stop, .event = output_emit, .event_arg = c->output};
    int r = copy_run(&opts, err);

    FAILPOINT(CLIENT_BEFORE_RESULT);
    session_unwatch(c);
    return r;
}

/* Where the node reads our session's cookie; set once, before there are threads. */
static int box_fd = -1;

static int
run(struct control *c, const char *line, size_t n, struct err *err)
{
    CLEANUP_JOB_SPEC struct job_spec spec = {0};

    FAILPOINT(CLIENT_STARTED);
    if (job_spec_decode_line(line, n, &spec, err) < 0 ||
        session_watch(c, spec.job_id, err) < 0)
        return err->class;
    return spec.vsphere ? vsphere_job_run(c, &spec, box_fd, err) : run_nbd(c, &spec, err);
}

int
mode_job(int signal_fd, int cookie_fd)
{
    const struct session s = {
        .prog = CLIENT_PROG, .leave = _exit, .resumable = true, .run = run};

    box_fd = cookie_fd;
    return session_main(&s, signal_fd);
}
