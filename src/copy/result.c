/* copy/result.c - see result.h. */
#include "copy/result.h"

void
result_emit(struct output *o, int class, int64_t disk, const struct err *err)
{
    struct err copy = *err;
    struct job_event ev = {
        .type = EVENT_RESULT, .status = RESULT_OK, .message = copy.msg};

    if (class < 0) {
        ev.status = class == ERR_CANCELLED ? RESULT_CANCELLED : RESULT_FAILED;
        ev.code = copy.code;
        ev.retryable = err_is_transient(class);
        ev.has_disk = disk >= 0;
        ev.disk = disk >= 0 ? (uint32_t)disk : 0;
    } else {
        copy.msg[0] = '\0';
    }
    ev.phase = output_phase(o);
    output_emit(o, &ev);
}

int
result_exit_status(int class)
{
    if (class >= 0)
        return 0;
    return class == ERR_CANCELLED ? 130 : 1;
}
