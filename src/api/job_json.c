/* api/job_json.c - see job_json.h. */
#include "api/job_json.h"

#include "api/reply.h"
#include "job/live.h"

void
put_job_view(json_t *o, struct api *a, const char *job_id, const struct job_view *v)
{
    CLEANUP_LIVE struct live_job *live = live_find(a->env->live, job_id);
    char phase[LIVE_PHASE_SIZE] = "";
    uint64_t total = v->total, done = v->done;

    if (live) {
        struct progress_view p;

        live_view(live, &p);
        live_phase(live, phase);
        total = p.bytes.total;
        done = p.bytes.done;
    }
    put_str(o, "status", v->state);
    put_str(o, "current_phase", phase[0] ? phase : v->phase);
    json_object_set_new(o, "percent",
                        json_real(total ? (double)(done * 1000 / total) / 10.0 : 0.0));
    put_u64(o, "bytes_total", total);
    put_u64(o, "bytes_done", done);
}
