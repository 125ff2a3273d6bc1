/* catalog/cat_credential.h - table vmware_credentials.                 Layer 2. Blocking.
 * How to log in to a vCenter or an ESXi host, and how it is known to be the right one. */
#ifndef SENDENSE_CATALOG_CAT_CREDENTIAL_H
#define SENDENSE_CATALOG_CAT_CREDENTIAL_H

#include "catalog/cat_repository.h" /* CAT_ID_SIZE */
#include "catalog/catalog.h"

struct cat_credential {
    const char *id;   /* ignored by add, which gives one */
    const char *name; /* unique */
    const char *url;  /* https://host[:port] */
    const char *username;
    const char *sealed_password; /* text made by os/seal; never the password itself */
    const char *tls_sha256;      /* exactly one of the two is set */
    const char *tls_ca_pem;
    const char *node_id; /* which node reaches it */
    int64_t created_us;
};

struct cat_credentials {
    struct cat_credential *v;
    size_t n;
    bool more;
};

void cat_credential_done(struct cat_credential *r);
void cat_credentials_done(struct cat_credentials *l);

/* ERR_EXISTS "credential_exists", ERR_NOT_FOUND "node_not_found". */
int cat_credential_add(struct catalog *c, const struct cat_credential *r,
                       char ret_id[CAT_ID_SIZE], struct err *err);

/* ERR_NOT_FOUND "credential_not_found". */
int cat_credential_get(struct catalog *c, const char *id, struct cat_credential *ret,
                       struct err *err);

/* Sorted by id, as numbers. */
int cat_credential_list(struct catalog *c, const struct cat_page *page,
                        struct cat_credentials *ret, struct err *err);

/* Replaces url, username, password and trust of row @r->id.  ERR_NOT_FOUND
 * "credential_not_found". */
int cat_credential_change(struct catalog *c, const struct cat_credential *r,
                          struct err *err);

/* ERR_EXISTS "credential_in_use" while a VM names it; ERR_NOT_FOUND. */
int cat_credential_remove(struct catalog *c, const char *id, struct err *err);

#endif
