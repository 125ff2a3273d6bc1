/* node/probe.c - see probe.h. */
#include "base/json.h"
#include "node/probe.h"

#define MARGIN_S 5u /* start, name resolution, the answer itself */

int
probe_asker_new(const char *client, struct asker **ret, struct err *err)
{
    const struct asker_options opt = {
        .client = client,
        .mode = "--probe",
        .what = "probe",
        .timeout_code = "probe_timeout",
        .busy_code = "too_many_probes",
        .max = PROBES_MAX,
        .answer_max = EVENT_LINE_MAX,
    };

    return asker_new(&opt, ret, err);
}

static int
check_answer(const struct probe_request *q, const json_t *j, struct probe_answer *ret,
             struct err *err)
{
    CLEANUP_PROBE_ANSWER struct probe_answer a = {0};
    struct err why = ERR_INIT;
    bool same;

    if (probe_answer_decode(j, &a, &why) < 0)
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the client's answer to the probe: %.500s", why.msg);
    same = a.n_disks == q->n_disks;
    for (size_t i = 0; same && i < a.n_disks; i++)
        same = a.disks[i].key == q->disks[i].key;
    if (!same)
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the client's answer to the probe is about other disks");
    *ret = a;
    a = (struct probe_answer){0};
    return 0;
}

int
probe_run(struct asker *a, const json_t *body, struct probe_answer *ret, struct err *err)
{
    CLEANUP_PROBE_REQUEST struct probe_request q = {0};
    CLEANUP_JSON json_t *question = NULL, *answer = NULL;
    unsigned s;

    if (probe_request_decode(body, &q, err) < 0)
        return err->class;
    question = probe_request_encode(&q);
    s = q.deadlines.connect_s + q.deadlines.io_s + MARGIN_S;
    if (s > PROBE_TIME_MAX_S)
        s = PROBE_TIME_MAX_S;
    if (asker_run(a, question, s, &answer, err) < 0)
        return err->class;
    return check_answer(&q, answer, ret, err);
}
