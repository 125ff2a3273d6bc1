/* cli/doctor_local.h - what can be seen of a hub that does not answer.    Layer 5. */
#ifndef SENDENSE_CLI_DOCTOR_LOCAL_H
#define SENDENSE_CLI_DOCTOR_LOCAL_H

#include "model/doctor.h"

/* Looks at the processes of this machine and at the sockets of run folders that it learns
 * of.  @url: of the hub; @why: what became of the call.  Adds to @ret; changes nothing.
 */
void doctor_local_look(const char *url, const char *why, struct doctor_findings *ret);

#endif
