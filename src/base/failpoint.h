/* base/failpoint.h - named places where a test may kill the program.      Layer 0.
 *
 * FAILPOINT(ID) does nothing unless the build has -Dfailpoints=true and the
 * environment holds SENDENSE_FAILPOINT=name[:N][=abort|hang|error]: at the N-th pass
 * (default 1) the process aborts
 * (_exit by SIGKILL to itself, nothing is cleaned up), or stops for ever, or - where the
 * site uses FAILPOINT_ERR - the step fails.  All names are listed in failpoints.def; an
 * unlisted name does not compile. */
#ifndef SENDENSE_BASE_FAILPOINT_H
#define SENDENSE_BASE_FAILPOINT_H

#include "base/err.h"

enum failpoint {
#define FP(id, name) FP_##id,
#include "base/failpoints.def"
#undef FP
    FP_COUNT
};

#ifdef SENDENSE_FAILPOINTS
int failpoint_hit(enum failpoint fp, struct err *err); /* 0, or < 0 with err set */
#define FAILPOINT(id) (void)failpoint_hit(FP_##id, NULL)
#define FAILPOINT_ERR(id, err) failpoint_hit(FP_##id, (err))
#else
#define FAILPOINT(id) ((void)0)
#define FAILPOINT_ERR(id, err) 0
#endif

const char *failpoint_name(enum failpoint fp);

#endif
