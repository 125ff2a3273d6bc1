#include "job/snapshot_lease.h"

#include <string.h>

static int
still_there(const struct lease *l, struct err *err)
{
    err_set(err, ERR_UNAVAILABLE, "snapshot_removing",
            "the node is removing snapshot '%s' of VM '%.200s' and goes on by itself",
            l->snapshot_name, l->vm_name);
    if (l->attempts > 0)
        err_set(err, ERR_UNAVAILABLE, "snapshot_removing",
                "the node is removing snapshot '%s' of VM '%.200s' and goes on by itself "
                "(%u tries failed, the last: %.300s)",
                l->snapshot_name, l->vm_name, l->attempts,
                l->last_error ? l->last_error : "unknown");
    return err->class;
}

int
snapshot_lease_settle(struct node_client *node, const char *job_id, struct err *err)
{
    CLEANUP_LEASES struct leases leases = {0};

    if (node_client_lease_end(node, job_id, err) < 0 ||
        node_client_leases(node, &leases, err) < 0)
        return err->class;
    for (size_t i = 0; i < leases.n; i++)
        if (strcmp(leases.v[i].job_id, job_id) == 0)
            return still_there(&leases.v[i], err);
    return 0;
}
