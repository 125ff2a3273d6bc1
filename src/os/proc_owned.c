/* os/proc_owned.c - see proc_owned.h. */
#include "os/proc_owned.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

char *
proc_mark_hub(const char *hub_uuid)
{
    return xasprintf("hub:%s", hub_uuid);
}

char *
proc_mark_node(const char *state_folder)
{
    CLEANUP_FREE char *real = realpath(state_folder, NULL);

    return xasprintf("node:%s", real ? real : state_folder);
}

bool
proc_is_orphan(const struct proc_list *l, const struct proc *p, const char *mark,
               pid_t self)
{
    return p->owner && strcmp(p->owner, mark) == 0 && p->id.pid != self &&
           !proc_descends(l, p, self);
}

bool
proc_is_ours_to_end(const struct proc *p)
{
    static const char *const programs[] = {"qemu-nbd",        "qemu-img",
                                           "nbdkit",          "guestfsd",
                                           "supermin",        "sendense-backup-client",
                                           "sendense-worker", "sendense-files"};
    static const char appliance[] = "qemu-system-";
    const char *name = proc_program(p);

    for (size_t i = 0; i < ARRAY_LEN(programs); i++)
        if (strcmp(name, programs[i]) == 0)
            return true;
    return strncmp(name, appliance, sizeof(appliance) - 1) == 0;
}

int
proc_end(const struct child_id *id, struct err *err)
{
    return child_id_stop(id, PROC_STOP_GRACE_MS, PROC_KILL_MS, err);
}
