/* job/credentials.h - logins of vCenters and ESXi hosts: kept sealed, tried through a
 * node. Layer 3. Blocking.  A password leaves this module only inside a struct
 * vsphere_login. */
#ifndef SENDENSE_JOB_CREDENTIALS_H
#define SENDENSE_JOB_CREDENTIALS_H

#include "base/err.h"
#include "base/secret.h"
#include "catalog/cat_credential.h"
#include "job/env.h"
#include "job/node_client.h"
#include "model/vsphere.h"

struct credential_request {
    const char *name;
    const char *url; /* https://host[:port] */
    const char *username;
    const struct secret *password; /* may be empty */
    const char *sha256;            /* this or ca_pem; hex, with or without colons */
    const char *ca_pem;
    const char *node_id; /* NULL = "1" */
    const char *actor;
};

/* The password is sealed before it is stored, bound to name, url, user and trust.  Nobody
 * logs in.  ERR_EXISTS "credential_exists"; ERR_NOT_FOUND "node_not_found"; ERR_INVALID
 * "invalid_url", "invalid_fingerprint", "invalid_field"; ERR_UNAVAILABLE
 * "no_sealing_key". */
int credentials_add(struct job_env *env, const struct credential_request *req,
                    char ret_id[CAT_ID_SIZE], struct err *err);

/* NULL = stays as it is; sha256 and ca_pem replace each other. */
struct credential_change {
    const char *id;
    const char *url;
    const char *username;
    const struct secret *password;
    const char *sha256, *ca_pem; /* at most one */
    const char *actor;
};

/* Another url must lead to the same server: both are asked through the node.  What is
 * kept is believed only while the old seal holds; without it all of the login must be
 * given. ERR_EXISTS "credential_other_server"; ERR_NOT_FOUND; ERR_INVALID,
 * "no_sealing_key" as credentials_add(); "unseal_failed"; with another url also what
 * vsphere_ask() gives. */
int credentials_change(struct job_env *env, const struct credential_change *change,
                       struct err *err);

/* ERR_EXISTS "credential_in_use" while a VM names it; ERR_NOT_FOUND. */
int credentials_remove(struct job_env *env, const char *id, const char *actor,
                       struct err *err);

/* The login of credential @id, unsealed.  ERR_NOT_FOUND "credential_not_found",
 * ERR_UNAVAILABLE "no_sealing_key", "unseal_failed". */
int credentials_login(struct job_env *env, const struct cat_credential *row,
                      struct vsphere_login *ret, struct err *err);
int credentials_login_by_id(struct job_env *env, const char *id,
                            struct vsphere_login *ret, struct err *err);

/* A door to one server: who asks, and as whom. */
struct vsphere_door {
    struct job_env *env;
    struct cat_credential row;
    struct vsphere_login login;
    struct node_client *node;
    unsigned limit_s; /* no answer takes longer: "vcenter_timeout"; 0 = the deadlines */
};
#define CLEANUP_VSPHERE_DOOR CLEANUP(vsphere_door_done)
int vsphere_door_open(struct job_env *env, const char *credential_id,
                      struct vsphere_door *ret, struct err *err);
void vsphere_door_done(struct vsphere_door *d);

/* Asks; an answer that is not `ok` becomes the error that it tells: ERR_NOT_FOUND
 * "vcenter_vm_not_found"; ERR_UNAVAILABLE "vcenter_unreachable", "vcenter_timeout",
 * "vm_not_connected"; ERR_EXISTS "vm_changed"; else ERR_IO with the code of the answer.
 * @q is filled but for its login and deadlines. */
int vsphere_ask(struct vsphere_door *d, struct vsphere_question *q,
                struct vsphere_answer *ret, struct err *err);

/* Logs in and out.  Caller: vsphere_answer_done. */
int credentials_test(struct job_env *env, const char *id, struct vsphere_answer *ret,
                     struct err *err);

/* The certificate that @url shows now; trusts nothing, logs in nowhere.  @node_id NULL =
 * "1". */
int credentials_fingerprint(struct job_env *env, const char *node_id, const char *url,
                            struct vsphere_answer *ret, struct err *err);

/* "AA:BB:…" or plain hex of either case to 64 lower-case digits.  ERR_INVALID
 * "invalid_fingerprint". */
#define FINGERPRINT_SIZE 65
int fingerprint_normalize(const char *text, char ret[FINGERPRINT_SIZE], struct err *err);

#endif
