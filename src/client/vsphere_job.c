/* client/vsphere_job.c - see vsphere_job.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/vsphere_disks.h"
#include "client/vsphere_job.h"
#include "client/vsphere_prepare.h"
#include "client/vsphere_snapshot.h"
#include "copy/copy.h"
#include "copy/session.h"

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

/* The first error of the copy says that a read failed; the source knows why. */
static int
explain(struct vsphere_job *job, struct err *err)
{
    int64_t disk = -1;

    copy_stop_get(job->control->stop, &disk, err);
    if (job->servers && source_servers_explain(job->servers, disk, err))
        copy_stop_amend(job->control->stop, err);
    return err->class;
}

static int
work(struct vsphere_job *job, struct err *err)
{
    const struct copy_opts opts = {.spec = job->spec,
                                   .stop = job->control->stop,
                                   .event = output_emit,
                                   .event_arg = job->control->output};

    if (vsphere_prepare(job, err) < 0 || vsphere_snapshot_make(job, err) < 0 ||
        serve(job, err) < 0)
        return err->class;
    if (copy_run(&opts, err) < 0)
        return explain(job, err);
    return 0;
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
    vsphere_snapshot_remove(job);
    vcenter_close(&job->vc);
    minder_free(job->minder);
    vim_vm_done(&job->vm);
    vim_snapshot_done(&job->content);
    for (size_t i = 0; i < job->spec->n_disks; i++)
        cleanup_fd(&job->layouts[i].layout_fd);
    free(job->layouts);
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
