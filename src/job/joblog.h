/* job/joblog.h - what one job did, a line each, in DATA/jobs/JOB_ID.log.    Layer 3.
 * Line: TIME LEVEL message.  Every line goes to the program's log as well.  Thread-safe:
 * one write(2) per line.  A log that cannot be written never fails a job. */
#ifndef SENDENSE_JOB_JOBLOG_H
#define SENDENSE_JOB_JOBLOG_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "job/env.h"

struct joblog;
#define CLEANUP_JOBLOG CLEANUP(cleanup_joblog)
void cleanup_joblog(struct joblog **l);

struct joblog *joblog_open(const struct job_env *env,
                           const char *job_id); /* never NULL */
void joblog_close(struct joblog *l);
void joblog_line(struct joblog *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

char *joblog_path(const struct job_env *env, const char *job_id); /* caller frees */

#endif
