/* job/nodes.h - the nodes of this hub, and the inventory that comes through them.
 * Layer 3. Blocking. */
#ifndef SENDENSE_JOB_NODES_H
#define SENDENSE_JOB_NODES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "catalog/cat_node.h"
#include "catalog/cat_vm.h"
#include "job/env.h"
#include "job/node_client.h"

/* The token is sealed before it is stored.  ERR_EXISTS "node_exists", ERR_INVALID,
 * ERR_UNAVAILABLE "no_sealing_key". */
int nodes_add(struct job_env *env, const char *name, const char *url,
              const struct secret *token, char ret_id[CAT_ID_SIZE], struct err *err);

/* A client for node @id.  Does not speak to it yet.  ERR_NOT_FOUND "node_not_found". */
int nodes_connect(struct job_env *env, const char *id, struct node_client **ret,
                  struct err *err);

/* Asks for each disk of @vm and puts its size there.  *ret_allocated: how many bytes may
 * hold data.  ERR_IO "source_unreachable" names the first key that cannot be read, and
 * why. */
int nodes_probe_vm(struct job_env *env, struct node_client *node, struct cat_vm *vm,
                   uint64_t *ret_allocated, struct err *err);

struct vm_request {
    const char *name;
    const char *node_id; /* NULL = "1" */
    struct vm_request_disk {
        uint32_t key;
        const char *source;
        const char *label;
    } * disks;
    size_t n_disks;
    const char *actor;
};
/* ERR_INVALID "duplicate_key", "invalid_source", "vm_without_disks"; those of
 * nodes_probe_vm(). */
int nodes_add_vm(struct job_env *env, const struct vm_request *req,
                 char ret_id[UUID_STR_SIZE], struct err *err);
/* The disks of a VM of source type "nbd" as a whole; @req->name and node_id are not
 * looked at.  What has the source of a known disk is that disk, whatever its key is now;
 * any other is a new one, also under the key of an old one.  Those that are gone leave
 * the VM, their backups stay.  ERR_NOT_FOUND "vm_not_found"; ERR_INVALID "not_by_hand" (a
 * discovery says what disks the VM has), and those of nodes_add_vm(). */
int nodes_set_disks(struct job_env *env, const char *vm_id, const struct vm_request *req,
                    struct err *err);
int nodes_remove_vm(struct job_env *env, const char *vm_id, const char *actor,
                    struct err *err);

#endif
