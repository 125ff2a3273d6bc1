/* client/vsphere_job.c - see vsphere_job.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/vsphere_changes.h"
#include "client/vsphere_disks.h"
#include "client/vsphere_job.h"
#include "client/vsphere_prepare.h"
#include "client/vsphere_report.h"
#include "client/vsphere_snapshot.h"
#include "client/vsphere_still.h"
#include "copy/result.h"
#include "copy/session.h"
#include "vim/source.h"

/* The bytes are copied: how long it is tried to learn that they are the right ones. */
#define STILL_PATIENCE_S 120u
#define SOURCE_MARGIN_S 10u

void
vsphere_warn(struct vsphere_job *job, int64_t key, const char *code, const char *fmt, ...)
{
    char text[ERR_MSG_SIZE + 256];
    struct job_event ev = {.type = EVENT_WARNING,
                           .code = (char *)code,
                           .message = text,
                           .has_disk = key >= 0,
                           .disk = key >= 0 ? (uint32_t)key : 0};
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    log_warn("%s", text);
    output_emit(job->control->output, &ev);
}

void
vsphere_phase(struct vsphere_job *job, enum job_phase phase)
{
    struct job_event ev = {.type = EVENT_PHASE, .phase = phase};

    output_emit(job->control->output, &ev);
}

const struct vim_disk *
vsphere_disk(const struct vsphere_job *job, uint32_t key)
{
    const struct vim_devices *d = &job->content.devices;

    for (size_t i = 0; i < d->n_disks; i++)
        if (d->disks[i].key == key)
            return &d->disks[i];
    return NULL;
}

/* That of an earlier attempt is in the tree as well.  Of the others the one before it is
 * what it was made on: parents come first. */
const char *
vsphere_stands_on(const struct vsphere_job *job)
{
    const char *on = "";
    bool own = false;

    for (size_t i = 0; i < job->vm.n_snapshots; i++) {
        const struct vim_snapshot_item *s = &job->vm.snapshots[i];

        if (strcmp(s->name, job->spec->snapshot->name) == 0) {
            own = true;
            continue;
        }
        if (s->is_current && !own)
            return s->ref.value;
        if (!own || !on[0])
            on = s->ref.value;
    }
    return on;
}

static int
serve(struct vsphere_job *job, struct err *err)
{
    const struct source_servers_opts o = {
        .n = job->spec->n_disks,
        .disks = job->layouts,
        .cookie_fd = minder_cookie_fd(job->minder),
        .renew_fd = minder_renew_fd(job->minder),
        .stop = job->control->stop,
        .connect_s = job->spec->deadlines.connect_s,
    };

    if (vsphere_disks_describe(job, err) < 0 ||
        minder_start(job->minder, job->vc.session, err) < 0 ||
        source_servers_start(&o, &job->servers, err) < 0)
        return err->class;
    for (size_t i = 0; i < job->spec->n_disks; i++) {
        free(job->spec->disks[i].source_url);
        job->spec->disks[i].source_url = xstrdup(source_servers_uri(job->servers, i));
    }
    FAILPOINT(CLIENT_SOURCE_STARTED);
    return 0;
}

/* A source that failed has met the end of something else: the session, the server, the
 * snapshot.  0 when nothing of them is known to be wrong. */
static int
find_cause(struct vsphere_job *job, struct err *ret)
{
    minder_stop(job->minder);
    if (minder_trouble(job->minder, ret) < 0)
        return ret->class;
    vim_ignore_cancel(job->vc.session); /* the job has failed: this is only asking why */
    if (vim_keepalive(job->vc.session, ret) < 0)
        return ret->class;
    if (vsphere_snapshot_still(job, 0, ret) < 0 &&
        strcmp(ret->code, "snapshot_changed") == 0)
        return ret->class;
    return 0;
}

/* The first error of the copy says that a read failed; why, others know. */
static int
explain(struct vsphere_job *job, struct err *err)
{
    struct err why, cause = ERR_INIT;
    int64_t disk = -1;

    copy_stop_get(job->control->stop, &disk, err);
    if (!job->servers || !source_servers_explain(job->servers, disk, err))
        return err->class;
    why = *err;
    if (find_cause(job, &cause) < 0)
        err_set(err, cause.class, cause.code, "%.500s; so %.300s", cause.msg, why.msg);
    copy_stop_amend(job->control->stop, err);
    return err->class;
}

/* A source is silent while it tries again, and must be the first to give up: it knows
 * why. */
static unsigned
source_io_s(const struct job_spec *spec)
{
    unsigned retry_s = spec->deadlines.io_s < VIM_LAYOUT_RETRY_MAX_S
                           ? spec->deadlines.io_s
                           : VIM_LAYOUT_RETRY_MAX_S;

    return retry_s + VIM_LAYOUT_ATTEMPT_S + SOURCE_MARGIN_S;
}

static int
work(struct vsphere_job *job, struct err *err)
{
    struct copy_opts opts = {.spec = job->spec,
                             .stop = job->control->stop,
                             .event = output_emit,
                             .event_arg = job->control->output,
                             .source_io_s = source_io_s(job->spec)};

    if (vsphere_prepare(job, err) < 0 || vsphere_snapshot_make(job, err) < 0 ||
        vsphere_changes_settle(job, err) < 0 || serve(job, err) < 0)
        return err->class;
    opts.changes = job->changes;
    opts.n_changes = job->n_changes;
    if (copy_run(&opts, err) < 0)
        return explain(job, err);
    FAILPOINT(CLIENT_COPIED);
    if (vsphere_snapshot_still(job, STILL_PATIENCE_S, err) < 0)
        return err->class;
    vsphere_report_held(job);
    FAILPOINT(CLIENT_SNAPSHOT_HELD);
    return 0;
}

/* Another attempt shall find the snapshot: one that can go on with it, and a hub that
 * will say so.  Until then the lease holds it. */
static bool
leaves_snapshot(const struct vsphere_job *job)
{
    struct err why = ERR_INIT;
    int r = copy_stop_get(job->control->stop, NULL, &why);

    return job->spec->hub_url && job->snapshot_told && job->may_have_snapshot &&
           result_is_retryable(r, why.code);
}

static void
end_snapshot(struct vsphere_job *job)
{
    if (leaves_snapshot(job))
        log_info("the snapshot '%s' stays for another attempt",
                 job->spec->snapshot->name);
    else
        vsphere_snapshot_remove(job);
}

/* Nothing of it can be cancelled, and none of it changes what the job came to. */
static void
clean_up(struct vsphere_job *job)
{
    source_servers_stop(job->servers);
    if (job->minder)
        minder_stop(job->minder);
    if (job->vc.session)
        vim_ignore_cancel(job->vc.session);
    end_snapshot(job);
    vcenter_close(&job->vc);
    minder_free(job->minder);
    vim_vm_done(&job->vm);
    vim_snapshot_done(&job->content);
    for (size_t i = 0; i < job->spec->n_disks; i++)
        cleanup_fd(&job->layouts[i].layout_fd);
    free(job->layouts);
    vsphere_changes_done(job);
}

int
vsphere_job_run(struct control *c, struct job_spec *spec, int box_fd, struct err *err)
{
    struct vsphere_job job = {.spec = spec, .control = c, .box_fd = box_fd};
    int r;

    job.layouts = xcalloc(spec->n_disks, sizeof(*job.layouts));
    for (size_t i = 0; i < spec->n_disks; i++)
        job.layouts[i] = (struct source_disk){.key = spec->disks[i].key, .layout_fd = -1};
    r = work(&job, err);
    FAILPOINT(CLIENT_BEFORE_RESULT);
    if (r < 0) /* the reason is settled: what comes after is cleaning up */
        copy_stop_set(c->stop, -1, err);
    session_unwatch(c);
    clean_up(&job);
    return r;
}
