#include "job/journal.h"

#include "base/log.h"
#include "base/timeutil.h"
#include "catalog/cat_resource.h"

int
journal_intent(const struct job_env *env, const char *job_id, const char *kind,
               const char *key, int64_t *ret_id, struct err *err)
{
    struct cat_resource r = {
        .job_id = job_id, .kind = kind, .res_key = key, .created_us = time_utc_us()};

    return cat_resource_intend(env->catalog, &r, ret_id, err);
}

int
journal_held(const struct job_env *env, const char *job_id, int64_t id,
             const struct child_id *process, struct err *err)
{
    struct cat_hold h = {.now_us = time_utc_us()};

    if (process) {
        h.pid = process->pid;
        h.start_ticks = (int64_t)process->start_ticks;
        h.boot_id = process->boot_id;
    }
    return cat_resource_hold(env->catalog, job_id, id, &h, err);
}

void
journal_released(const struct job_env *env, const char *job_id, int64_t *id)
{
    struct err err = ERR_INIT;

    if (*id == 0)
        return;
    if (cat_resource_release(env->catalog, job_id, *id, time_utc_us(), &err) < 0)
        log_error("job '%s': journal entry %lld stays open until the next start: %s",
                  job_id, (long long)*id, err.msg);
    *id = 0;
}
