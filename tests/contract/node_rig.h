/* tests/contract/node_rig.h - a real sendense-node with the scripted client, driven over
 * HTTP. Every function fails the running test by itself when something is not as it must
 * be. */
#ifndef SENDENSE_TESTS_NODE_RIG_H
#define SENDENSE_TESTS_NODE_RIG_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/secret.h"
#include "base/text.h"
#include "os/child.h"
#include "os/http_client.h"

#define RIG_PASSWORD "password-of-a-vcenter"
#define RIG_TOKEN "sendense_test-token-0123456789"

struct node_rig {
    char dir[64]; /* token, state/ */
    const char *max_jobs, *stop_timeout;
    struct child *node;
    char url[80]; /* http://127.0.0.1:PORT */
    struct http_client *http;
    struct secret *token;
};

/* @max_jobs and @stop_timeout as the options of these names. */
void rig_start(struct node_rig *rig, const char *max_jobs, const char *stop_timeout);
/* The node that was stopped or killed is started again on its state. */
void rig_start_again(struct node_rig *rig);
void rig_kill(struct node_rig *rig); /* SIGKILL */
/* SIGTERM; the exit status must be 0. */
void rig_stop(struct node_rig *rig);
void
rig_cleanup(struct node_rig *rig); /* after rig_stop(), or when the node was killed */

/* One request with the right token; @body is taken (NULL = none); the status; *ret = the
 * answer's JSON (NULL allowed). */
long rig_call(struct node_rig *rig, const char *method, const char *path, json_t *body,
              json_t **ret);
/* A request of any text, any token (NULL = none). */
long rig_call_raw(struct node_rig *rig, const char *method, const char *path,
                  const char *token, const char *body, json_t **ret);
/* rig_call() that must be refused with @status and the stable @code. */
void rig_refused(struct node_rig *rig, const char *method, const char *path, json_t *body,
                 long status, const char *code);

/* A valid spec of two disks (2000, 2001), whose VM name tells the client how to behave.
 */
json_t *rig_spec(const char *job_id, int attempt, const char *vm_name);
/* The same with a vSphere source and a snapshot; @user is the login's. */
json_t *rig_spec_vsphere(const char *job_id, int attempt, const char *vm_name,
                         const char *vm_ref, const char *user);
/* Posts one; 202; the job's id (a new one) in @id, its pid returned. */
pid_t rig_post(struct node_rig *rig, const char *vm_name, char id[UUID_STR_SIZE]);
/* Pulls events to the end; a new array, pages checked for order. */
json_t *rig_events(struct node_rig *rig, const char *id);
/* The result among them must have this status and code (NULL = null); it is returned,
 * borrowed. */
const json_t *rig_result(const json_t *events, const char *status, const char *code);
/* All of it: post, pull, check the result. */
json_t *rig_run(struct node_rig *rig, const char *vm_name, const char *status,
                const char *code);

void rig_assert_gone(pid_t pid); /* waits up to 10 s */

#endif
