/* vim/task_decode.c - what the server says about a task; see decode.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vim/decode.h"

int
vim_task_decode(const struct xml_node *object, struct vim_task *ret, struct err *err)
{
    CLEANUP_FREE char *state = vim_prop_text(object, "info.state");
    const struct xml_node *error = vim_prop(object, "info.error");
    struct vim_task t = {.state = VIM_TASK_RUNNING};
    uint64_t percent;

    if (xml_u64(vim_prop(object, "info.progress"), &percent))
        t.percent = percent > 100 ? 100 : (unsigned)percent;
    if (strcmp(state, "success") == 0) {
        t.state = VIM_TASK_OK;
        t.percent = 100;
        (void)soap_moref(vim_prop(object, "info.result"), &t.result);
    } else if (strcmp(state, "error") == 0) {
        CLEANUP_FREE char *text = xml_text(xml_child(error, "localizedMessage"));

        t.state = VIM_TASK_FAILED;
        (void)soap_fault(xml_child(error, "fault"), text, &t.error);
        if (strcmp(t.error.code, "vcenter_fault") == 0)
            err_recode(&t.error, "vcenter_task");
    } else if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0) {
        return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                       "the server gives a task the state '%.32s'", state);
    }
    *ret = t;
    return 0;
}
