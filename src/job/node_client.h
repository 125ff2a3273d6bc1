/* job/node_client.h - the hub's side of the node API (docs/design/protocol.md 2).
 * Layer 3. Blocking.  One thread per object.  Messages name the node; ERR_UNAVAILABLE
 * "node_unreachable" when it does not answer, ERR_AUTH "node_refused" when it does not
 * know our token, ERR_PROTOCOL "node_protocol" when its answer breaks the contract. */
#ifndef SENDENSE_JOB_NODE_CLIENT_H
#define SENDENSE_JOB_NODE_CLIENT_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "model/doctor.h"
#include "model/jobspec.h"
#include "model/nodeapi.h"
#include "model/vsphere.h"

struct node_client;
#define CLEANUP_NODE_CLIENT CLEANUP(cleanup_node_client)
void cleanup_node_client(struct node_client **c);

/* Strings are copied; @token is taken. */
int node_client_new(const char *name, const char *url, struct secret *token,
                    struct node_client **ret, struct err *err);
void node_client_free(struct node_client *c);

int node_client_version(struct node_client *c, struct node_version *ret, struct err *err);
int node_client_probe(struct node_client *c, const struct probe_request *req,
                      struct probe_answer *ret, struct err *err);
/* An attempt after the first ends the client of the one before, which may take a while.
 * @cancel_fd (0 = none) readable: ERR_CANCELLED. */
int node_client_start(struct node_client *c, const struct job_spec *spec, int cancel_fd,
                      struct node_job *ret, struct err *err);
/* Waits up to @wait_s for events after @after.  @cancel_fd readable: ERR_CANCELLED. */
int node_client_events(struct node_client *c, const char *job_id, uint64_t after,
                       unsigned wait_s, int cancel_fd, struct events_page *ret,
                       struct err *err);
/* An answer that the server refused is 0 too: see ret->ok. */
int node_client_vsphere(struct node_client *c, const struct vsphere_question *q,
                        unsigned limit_s, struct vsphere_answer *ret, struct err *err);
/* What the node found on its machine, without what it sees only now and then; @fix: after
 * it has mended what it can. */
int node_client_doctor(struct node_client *c, bool fix, struct doctor_findings *ret,
                       struct err *err);
int node_client_leases(struct node_client *c, struct leases *ret, struct err *err);
/* The lease of the job ends @lease_s from now.  ERR_NOT_FOUND "lease_not_found";
 * ERR_EXISTS "lease_ended": its snapshot is being removed. */
int node_client_lease_renew(struct node_client *c, const char *job_id, uint32_t lease_s,
                            struct err *err);
/* The node removes the snapshot by itself from here on; an unknown lease is fine. */
int node_client_lease_end(struct node_client *c, const char *job_id, struct err *err);
/* Gives up after some seconds: what it must not wait for is done without the node. */
int node_client_cancel(struct node_client *c, const char *job_id, struct err *err);
/* Ends the client when need be and forgets the job; an unknown job is fine. */
int node_client_delete(struct node_client *c, const char *job_id, int cancel_fd,
                       struct err *err);

#endif
