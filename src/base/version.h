/* base/version.h - who is running.  --version, the first log line and GET /version. Layer
 * 0. */
#ifndef SENDENSE_BASE_VERSION_H
#define SENDENSE_BASE_VERSION_H

extern const char version_string[]; /* "0.1.0" */
extern const char version_commit[]; /* git commit, "unknown" outside a checkout */
const char *version_build_id(void); /* GNU build id of the running program, hex */

/* Prints "PROG VERSION (commit …, build …)" to stdout. */
void version_print(const char *prog);
/* One INFO line with the same facts. */
void version_log(const char *prog);

#endif
