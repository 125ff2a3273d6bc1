/* vim/task.c - see task.h and snapshot.h. */
#include "vim/task.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "vim/props.h"

/* A task's end is seen after a tenth of its time more, and at most 5 s. */
#define POLL_FIRST_MS 50u
#define POLL_MAX_MS 5000u
#define SILENCE_MS 120000 /* how long a server may be away while we wait */
#define BUSY_FIRST_MS 2000
#define BUSY_MAX_MS 15000

static int
read_task(struct vim_session *s, const struct moref *task, struct vim_task *ret,
          struct err *err)
{
    static const char *const paths[] = {"info.state", "info.progress", "info.error",
                                        "info.result", NULL};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *object;

    if (vim_read_object(s, task, paths, &doc, &object, err) < 0)
        return err->class;
    return vim_task_decode(object, ret, err);
}

static unsigned
poll_ms(uint64_t start_ns)
{
    uint64_t ms = (time_mono_ns() - start_ns) / NS_PER_MS / 10;

    if (ms < POLL_FIRST_MS)
        return POLL_FIRST_MS;
    return ms < POLL_MAX_MS ? (unsigned)ms : POLL_MAX_MS;
}

static int
wait_for(struct vim_session *s, const struct moref *task,
         void (*progress)(void *arg, unsigned percent), void *arg, struct vim_task *ret,
         struct err *err)
{
    uint64_t start_ns = time_mono_ns(), heard_ns = start_ns;

    while (1) {
        int r = read_task(s, task, ret, err);

        if (r == 0) {
            heard_ns = time_mono_ns();
            if (ret->state != VIM_TASK_RUNNING)
                break;
            if (progress)
                progress(arg, ret->percent);
        } else if ((r != ERR_UNAVAILABLE && r != ERR_TIMEOUT) ||
                   time_mono_ns() - heard_ns > SILENCE_MS * NS_PER_MS) {
            return r;
        } else {
            log_warn("a task of the vCenter is still waited for: %s", err->msg);
            err_clear(err);
        }
        if (vim_pause(s, poll_ms(start_ns), err) < 0)
            return err->class;
    }
    if (ret->state == VIM_TASK_FAILED)
        return (*err = ret->error).class;
    return 0;
}

int
vim_task_wait(struct vim_session *s, const struct moref *task,
              void (*progress)(void *arg, unsigned percent), void *arg,
              struct moref *ret_result, struct err *err)
{
    struct vim_task t = {0};

    if (wait_for(s, task, progress, arg, &t, err) < 0)
        return err->class;
    if (ret_result)
        *ret_result = t.result;
    return 0;
}

static int
run_once(struct vim_session *s, void (*fill)(struct soap_request *r, const void *arg),
         const void *arg, struct vim_task *ret, struct err *err)
{
    CLEANUP_SOAP struct soap_request r = {0};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response;
    struct moref task;

    fill(&r, arg);
    if (soap_end(&r, err) < 0 || vim_call(s, &r, &doc, &response, err) < 0)
        return err->class;
    if (!soap_moref(xml_child(response, "returnval"), &task))
        return err_set(err, ERR_PROTOCOL, "vcenter_protocol", "%s: the answer is no task",
                       r.method);
    if (wait_for(s, &task, NULL, NULL, ret, err) < 0)
        return err_prefix(err, "%s", r.method);
    return 0;
}

int
vim_task_run(struct vim_session *s, void (*fill)(struct soap_request *r, const void *arg),
             const void *arg, uint64_t busy_ms, struct vim_task *ret, struct err *err)
{
    uint64_t start_ns = time_mono_ns();
    unsigned ms = BUSY_FIRST_MS;

    while (1) {
        *ret = (struct vim_task){0};
        if (run_once(s, fill, arg, ret, err) == 0)
            return 0;
        if (strcmp(err->code, "vcenter_busy") != 0 ||
            (time_mono_ns() - start_ns) / NS_PER_MS + ms > busy_ms)
            return err->class;
        log_info("tried again in %u ms: %s", ms, err->msg);
        err_clear(err);
        if (vim_pause(s, ms, err) < 0)
            return err->class;
        ms = ms * 2 < BUSY_MAX_MS ? ms * 2 : BUSY_MAX_MS;
    }
}
