/* model/nodejob.c - jobs and events as the node shows them.  See nodeapi.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/codec.h"
#include "model/nodeapi.h"
#include "model/nodeapi_version.h"

void
node_job_done(struct node_job *job)
{
    nodeapi_version_done(&job->client);
    *job = (struct node_job){0};
}

int
node_job_decode(const json_t *j, struct node_job *ret, struct err *err)
{
    CLEANUP_NODE_JOB struct node_job job = {0};
    const json_t *client;
    const char *state;
    struct jreader r, rc;

    jreader_init(&r, j, "job", err);
    codec_uuid(&r, "job_id", job.job_id);
    job.attempt = (uint32_t)codec_range(&r, "attempt", 1, CODEC_U31_MAX);
    state = jget_str(&r, "state");
    job.ended = strcmp(state, "ended") == 0;
    if (err->class == 0 && !job.ended && strcmp(state, "running") != 0)
        codec_fail(&r, "state", "must be 'running' or 'ended'");
    job.pid = (uint32_t)codec_range(&r, "pid", 0, CODEC_U31_MAX);
    job.started_us = codec_time(&r, "started");
    client = jopt_obj(&r, "client");
    job.has_client = client != NULL;
    if (client) {
        jreader_init(&rc, client, "job client", err);
        nodeapi_version_get(&rc, &job.client);
        jreader_end(&rc);
    }
    job.last_seq = jget_u64(&r, "last_seq");
    if (jreader_end(&r) < 0)
        return err->class;
    *ret = job;
    job = (struct node_job){0};
    return 0;
}

json_t *
node_job_encode(const struct node_job *job)
{
    json_t *o = json_object(), *client = json_null();

    if (job->has_client) {
        client = json_object();
        nodeapi_version_put(client, &job->client);
    }
    codec_put_uuid(o, "job_id", job->job_id);
    codec_put_u64(o, "attempt", job->attempt);
    codec_put_str(o, "state", job->ended ? "ended" : "running");
    codec_put_u64(o, "pid", job->pid);
    codec_put_time(o, "started", job->started_us);
    codec_put(o, "client", client);
    codec_put_u64(o, "last_seq", job->last_seq);
    return o;
}

void
node_jobs_done(struct node_jobs *jobs)
{
    for (size_t i = 0; i < jobs->n; i++)
        node_job_done(&jobs->jobs[i]);
    free(jobs->jobs);
    *jobs = (struct node_jobs){0};
}

int
node_jobs_decode(const json_t *j, struct node_jobs *ret, struct err *err)
{
    CLEANUP_NODE_JOBS struct node_jobs jobs = {0};
    const json_t *a;
    struct jreader r;

    jreader_init(&r, j, "jobs", err);
    a = codec_array(&r, "jobs", 0, NODEAPI_JOBS_MAX);
    if (jreader_end(&r) < 0)
        return err->class;
    jobs.jobs = xcalloc(json_array_size(a) + 1, sizeof(*jobs.jobs));
    for (; jobs.n < json_array_size(a); jobs.n++)
        if (node_job_decode(json_array_get(a, jobs.n), &jobs.jobs[jobs.n], err) < 0)
            return err_prefix(err, "job %zu", jobs.n);
    *ret = jobs;
    jobs = (struct node_jobs){0};
    return 0;
}

json_t *
node_jobs_encode(const struct node_jobs *jobs)
{
    json_t *o = json_object(), *a = json_array();

    for (size_t i = 0; i < jobs->n; i++)
        json_array_append_new(a, node_job_encode(&jobs->jobs[i]));
    codec_put(o, "jobs", a);
    return o;
}

void
events_page_done(struct events_page *p)
{
    for (size_t i = 0; i < p->n; i++)
        job_event_done(&p->events[i]);
    free(p->events);
    *p = (struct events_page){0};
}

int
events_page_decode(const json_t *j, struct events_page *ret, struct err *err)
{
    CLEANUP_EVENTS_PAGE struct events_page p = {0};
    const json_t *a;
    struct jreader r;

    jreader_init(&r, j, "events", err);
    p.attempt = (uint32_t)codec_range(&r, "attempt", 1, CODEC_U31_MAX);
    a = codec_array(&r, "events", 0, NODEAPI_EVENTS_MAX);
    p.ended = jget_bool(&r, "ended");
    if (jreader_end(&r) < 0)
        return err->class;
    p.events = xcalloc(json_array_size(a) + 1, sizeof(*p.events));
    for (; p.n < json_array_size(a); p.n++)
        if (job_event_decode(json_array_get(a, p.n), &p.events[p.n], err) < 0)
            return err_prefix(err, "event %zu of the page", p.n);
    *ret = p;
    p = (struct events_page){0};
    return 0;
}

json_t *
events_page_encode(const struct events_page *p)
{
    json_t *o = json_object(), *a = json_array();

    for (size_t i = 0; i < p->n; i++)
        json_array_append_new(a, job_event_encode(&p->events[i]));
    codec_put_u64(o, "attempt", p->attempt);
    codec_put(o, "events", a);
    codec_put(o, "ended", json_boolean(p->ended));
    return o;
}
