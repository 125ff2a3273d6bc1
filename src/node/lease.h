/* node/lease.h - what the node must know to remove a job's snapshot, whatever happens to
 * the client, the hub or itself.                                       Layer 5.  Pure.
 * docs/design/protocol.md section 2.2. */
#ifndef SENDENSE_NODE_LEASE_H
#define SENDENSE_NODE_LEASE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/vsphere.h"
#include "os/seal.h"

struct node_lease {
    char job_id[UUID_STR_SIZE];
    char *vm_ref, *vm_instance_uuid, *vm_name, *snapshot_name;
    struct vsphere_login login;
    struct spec_deadlines deadlines;
    int64_t expires_us;
    struct secret *session; /* the client's cookie; NULL = it has none, or logged out */
    bool removing;          /* ended or expired: the snapshot is to be removed */

    /* not in the file */
    bool client_lives;  /* nothing is removed meanwhile: it does so itself */
    bool dirty;         /* a snapshot may exist */
    bool busy;          /* a thread works on it; nobody else changes or frees it */
    uint32_t attempts;  /* removals that failed */
    uint32_t not_found; /* of them the last, one after the other: there was no such VM */
    char *last_error;
    uint64_t next_try_ns; /* monotonic */
};
void node_lease_free(struct node_lease *l); /* NULL ok */
#define CLEANUP_NODE_LEASE CLEANUP(cleanup_node_lease)
void cleanup_node_lease(struct node_lease **l);

/* Of a spec that has a snapshot; expires lease_s from @now_us; everything copied. */
struct node_lease *node_lease_of_spec(const struct job_spec *spec, int64_t now_us);

/* @cookie: of the client's session, "" = none.  True when that is another one. */
bool node_lease_set_session(struct node_lease *l, const char *cookie);

/* The file: everything in clear but login and session, sealed for this job. */
int node_lease_encode(const struct node_lease *l, const struct seal_key *key,
                      json_t **ret, struct err *err);
/* A lease that was read comes from an earlier run of the node: dirty, and nobody's.
 * ERR_INVALID as job_spec_decode(), ERR_CORRUPT "unseal_failed". */
int node_lease_decode(const json_t *j, const struct seal_key *key,
                      struct node_lease **ret, struct err *err);

/* The question that removes it.  Borrows from @l: not to be freed. */
struct vsphere_question node_lease_question(const struct node_lease *l);
/* Of the same VM of the same server: only one snapshot is removed at a time. */
bool node_lease_same_vm(const struct node_lease *a, const struct node_lease *b);
/* As the API shows it; copied. */
void node_lease_view(const struct node_lease *l, struct lease *ret);

/* A removal failed with @code.  True when the VM was not known so often in a row (three
 * quarters of an hour) that it is gone, and its snapshots with it. */
bool node_lease_failed(struct node_lease *l, const char *code);
/* How long to wait after the @attempts-th failure: 5 s, doubled, at most 5 min. */
unsigned node_lease_backoff_s(uint32_t attempts);

#endif
