/* vim/task.h - calls that start a task.                           Layer 2.  Blocking.
 * For the other files of this folder. */
#ifndef SENDENSE_VIM_TASK_H
#define SENDENSE_VIM_TASK_H

#include "vim/decode.h"

/* Makes the call of the request that @fill begins (soap_end() is done here) and waits for
 * its task.  While another task of the object runs, it is tried again until @busy_ms have
 * passed; UINT64_MAX = until it works.  @ret: the last state, also after an error;
 * zero when no task was started.  Errors: of vim_call() and
 * vim_task_wait(). */
int vim_task_run(struct vim_session *s,
                 void (*fill)(struct soap_request *r, const void *arg), const void *arg,
                 uint64_t busy_ms, struct vim_task *ret, struct err *err);

#endif
