#include "job/joblog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/timeutil.h"

#define LINE_MAX_BYTES 8192

struct joblog {
    int fd; /* -1: only the program's log */
    char job_id[UUID_STR_SIZE];
};

void
cleanup_joblog(struct joblog **l)
{
    joblog_close(*l);
}

char *
joblog_path(const struct job_env *env, const char *job_id)
{
    return xasprintf("%s/jobs/%s.log", env->data_dir, job_id);
}

struct joblog *
joblog_open(const struct job_env *env, const char *job_id)
{
    struct joblog *l = xcalloc(1, sizeof *l);
    CLEANUP_FREE char *path = joblog_path(env, job_id);

    strncpy(l->job_id, job_id, sizeof l->job_id - 1);
    l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (l->fd < 0)
        log_warn("job '%s': open its log '%s': %s, ignoring", job_id, path,
                 strerror(errno));
    return l;
}

void
joblog_close(struct joblog *l)
{
    if (!l)
        return;
    cleanup_fd(&l->fd);
    free(l);
}

/* A name from outside must not forge a line of the log. */
static void
escape_controls(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

static const char *
level_word(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARN:
        return "warn";
    case LOG_LEVEL_INFO:
        return "info";
    default:
        return "debug";
    }
}

void
joblog_line(struct joblog *l, enum log_level level, const char *fmt, ...)
{
    char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 64], when[TIME_STR_SIZE];
    struct err err = ERR_INIT;
    va_list ap;
    int n;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    escape_controls(text);
    if (level == LOG_LEVEL_ERROR)
        log_error("job='%s' %s", l->job_id, text);
    else if (level == LOG_LEVEL_WARN)
        log_warn("job='%s' %s", l->job_id, text);
    else
        log_info("job='%s' %s", l->job_id, text);
    if (l->fd < 0)
        return;
    time_utc_to_str(time_utc_us(), when);
    n = snprintf(line, sizeof line, "%s %s %s\n", when, level_word(level), text);
    if (fs_write_full(l->fd, line, (size_t)n, &err) < 0) {
        log_warn("job='%s' write its log: %s, ignoring", l->job_id, err.msg);
        cleanup_fd(&l->fd);
    }
}
