/* model/jobstate.c - see jobstate.h. */
#include "model/jobstate.h"
#include "model/words.h"

WORDS_DEFINE(job_state, JOB_STATE_LIST)
WORDS_DEFINE(verification, VERIFICATION_LIST)
WORDS_DEFINE(readback, READBACK_LIST)
WORDS_DEFINE(backup_type, BACKUP_TYPE_LIST)
WORDS_DEFINE(backup_wish, BACKUP_WISH_LIST)
WORDS_DEFINE(read_mode, READ_MODE_LIST)
WORDS_DEFINE(reason, REASON_LIST)

/* Recovery after a crash ends an interrupted job as failed (or rolls it forward to
 * completed); it is never put back to pending, because its resources were journalled
 * under the running job. */
static const bool may[JOB_STATE_COUNT][JOB_STATE_COUNT] = {
    [JOB_PENDING] = {[JOB_RUNNING] = true, [JOB_FAILED] = true, [JOB_CANCELLED] = true},
    [JOB_RUNNING] = {[JOB_COMPLETED] = true, [JOB_FAILED] = true, [JOB_CANCELLED] = true},
};

bool
job_state_may(enum job_state from, enum job_state to)
{
    if ((unsigned)from >= JOB_STATE_COUNT || (unsigned)to >= JOB_STATE_COUNT)
        return false;
    return may[from][to];
}

bool
job_state_is_terminal(enum job_state s)
{
    return s == JOB_COMPLETED || s == JOB_FAILED || s == JOB_CANCELLED;
}
