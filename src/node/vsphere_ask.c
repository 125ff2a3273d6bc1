/* node/vsphere_ask.c - see vsphere_ask.h. */
#include "base/json.h"
#include "node/vsphere_ask.h"

#define MARGIN_S 5u
#define CALLS 4u /* log in, look, a page or two, log out */

int
vsphere_asker_new(const char *client, struct asker **ret, struct err *err)
{
    const struct asker_options opt = {
        .client = client,
        .mode = "--vsphere",
        .what = "question",
        .timeout_code = "question_timeout",
        .busy_code = "too_many_questions",
        .max = VSPHERE_ASKS_MAX,
        .answer_max = VSPHERE_ANSWER_MAX,
    };

    return asker_new(&opt, ret, err);
}

int
vsphere_ask(struct asker *a, const struct vsphere_question *q, unsigned time_s,
            struct vsphere_answer *ret, struct err *err)
{
    CLEANUP_JSON json_t *question = vsphere_question_encode(q);
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer answer = {0};
    struct err why = ERR_INIT;

    if (asker_run(a, question, time_s, &j, err) < 0)
        return err->class;
    if (vsphere_answer_decode(j, &answer, &why) < 0)
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the client's answer to the question: %.500s", why.msg);
    if (answer.kind != q->kind)
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the client answered another question");
    *ret = answer;
    answer = (struct vsphere_answer){0};
    return 0;
}

int
vsphere_ask_body(struct asker *a, const json_t *body, struct vsphere_answer *ret,
                 struct err *err)
{
    CLEANUP_VSPHERE_QUESTION struct vsphere_question q = {0};
    uint64_t s;

    if (vsphere_question_decode(body, &q, err) < 0)
        return err->class;
    s = q.deadlines.connect_s + (uint64_t)CALLS * q.deadlines.io_s + MARGIN_S;
    if (s > VSPHERE_ASK_TIME_MAX_S)
        s = VSPHERE_ASK_TIME_MAX_S;
    return vsphere_ask(a, &q, (unsigned)s, ret, err);
}
