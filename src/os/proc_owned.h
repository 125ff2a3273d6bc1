/* os/proc_owned.h - which processes a Sendense daemon started, and which of them outlived
 * it.                                                                         Layer 1. */
#ifndef SENDENSE_OS_PROC_OWNED_H
#define SENDENSE_OS_PROC_OWNED_H

#include <stdbool.h>

#include "os/proc_scan.h"

#define PROC_STOP_GRACE_MS 5000u
#define PROC_KILL_MS 10000u

/* The marks of the daemons (child_set_owner()); caller frees. */
char *proc_mark_hub(const char *hub_uuid);
char *proc_mark_node(const char *state_folder); /* by its real path */

/* @p has @mark, and neither is @self nor descends from it. */
bool proc_is_orphan(const struct proc_list *l, const struct proc *p, const char *mark,
                    pid_t self);
/* One of the programs that Sendense starts.  A shell that an administrator opened with
 * such an environment is none. */
bool proc_is_ours_to_end(const struct proc *p);
/* Ends that very process: TERM, PROC_STOP_GRACE_MS, KILL. */
int proc_end(const struct child_id *id, struct err *err);

#endif
