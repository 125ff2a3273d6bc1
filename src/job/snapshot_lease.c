#include "job/snapshot_lease.h"

#include <string.h>

static int
still_there(const struct lease *l, struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "snapshot_removing",
                   "the node is removing snapshot '%s' of VM '%.200s' and goes on by "
                   "itself (%u tries failed%s%.300s)",
                   l->snapshot_name, l->vm_name, l->attempts,
                   l->last_error ? ", the last: " : "",
                   l->last_error ? l->last_error : "");
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
