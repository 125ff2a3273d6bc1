/* copy/result.c - see result.h. */
#include <string.h>

#include "base/cleanup.h"
#include "copy/result.h"

/* What may pass although its class, here, says that it does not. */
static const char *const again[] = {
    "target_unreachable", "source_unreachable", /* an export that is not there yet */
    "nbd_resolve",        "nbd_export_not_found",
    "job_not_found", /* a hub that restarts */
    "forbidden",
};

/* What will not pass by itself, although its class might. */
static const char *const never[] = {
    "consolidation_needed", /* somebody has to do it */
    "quiesce_failed",       /* the same */
    "snapshot_changed",     /* what was copied is of no single moment */
};

static bool
is_one_of(const char *const *words, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

bool
result_is_retryable(int class, const char *code)
{
    if (class >= 0 || class == ERR_CANCELLED)
        return false;
    if (is_one_of(again, ARRAY_LEN(again), code))
        return true;
    return err_is_transient(class) && !is_one_of(never, ARRAY_LEN(never), code);
}

void
result_emit(struct output *o, int class, int64_t disk, const struct err *err)
{
    struct err copy = *err;
    struct job_event ev = {
        .type = EVENT_RESULT, .status = RESULT_OK, .message = copy.msg};

    if (class < 0) {
        ev.status = class == ERR_CANCELLED ? RESULT_CANCELLED : RESULT_FAILED;
        ev.code = copy.code;
        ev.retryable = result_is_retryable(class, copy.code);
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
