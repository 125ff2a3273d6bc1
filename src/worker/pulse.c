/* worker/pulse.c - see pulse.h. */
#include "worker/pulse.h"

#include "base/timeutil.h"

void
pulse_tell(struct pulse *p, const struct byte_counters *c)
{
    struct job_event ev = {
        .type = EVENT_PROGRESS, .has_disk = true, .disk = p->key, .bytes = *c};
    uint64_t now = time_mono_ns();

    p->bytes = *c;
    if (p->told_ns != 0 && now - p->told_ns < NS_PER_S)
        return;
    p->told_ns = now;
    output_emit(p->out, &ev);
}

int
pulse_beat(struct pulse *p, struct err *err)
{
    if (copy_stop_is_set(p->stop))
        return err_set(err, ERR_CANCELLED, "cancelled", "cancelled");
    if (p->since_ns == 0)
        p->since_ns = time_mono_ns();
    /* A short task has one line, and that is the last one. */
    if (time_mono_ns() - p->since_ns >= NS_PER_S)
        pulse_tell(p, &p->bytes);
    return 0;
}

void
pulse_warn(struct pulse *p, const struct err *why)
{
    struct err copy = *why;
    struct job_event ev = {.type = EVENT_WARNING,
                           .has_disk = true,
                           .disk = p->key,
                           .code = copy.code,
                           .message = copy.msg};

    output_emit(p->out, &ev);
}
