/* api/routes_doctor.c - a look at everything, and mending. */
#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "job/doctor.h"

static bool
is_stopping(void *arg)
{
    struct http_call *call = arg;

    return http_call_stopping(call);
}

static int
answer(struct http_call *call, struct api *a, bool fix, struct http_reply *reply,
       struct err *err)
{
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings found = {0};
    const struct doctor_how how = {
        .fix = fix, .actor = http_call_user(call), .stop = is_stopping, .arg = call};

    if (doctor_run(a->env, &how, &found, err) < 0)
        return err->class;
    reply->json = json_object();
    put_str(reply->json, "verdict", doctor_verdict_to_str(doctor_judge(&found)));
    json_object_set_new(reply->json, "findings", doctor_findings_encode(&found));
    return 0;
}

int
api_doctor_look(struct http_call *call, void *app, struct http_reply *reply,
                struct err *err)
{
    return answer(call, app, false, reply, err);
}

int
api_doctor_fix(struct http_call *call, void *app, struct http_reply *reply,
               struct err *err)
{
    return answer(call, app, true, reply, err);
}
