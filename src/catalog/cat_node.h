/* catalog/cat_node.h - table nodes.                                    Layer 2. Blocking.
 */
#ifndef SENDENSE_CATALOG_CAT_NODE_H
#define SENDENSE_CATALOG_CAT_NODE_H

#include "catalog/cat_repository.h" /* CAT_ID_SIZE */
#include "catalog/catalog.h"

struct cat_node {
    const char *id;   /* ignored by add, which gives one */
    const char *name; /* unique */
    const char *url;
    const char *sealed_token; /* text made by os/seal; never the token itself */
    int64_t created_us;
    int64_t last_seen_us;
    const char *version; /* NULL until seen */
};

struct cat_nodes {
    struct cat_node *v;
    size_t n;
    bool more;
};

void cat_node_done(struct cat_node *n);
void cat_nodes_done(struct cat_nodes *l);

/* ERR_EXISTS "node_exists". */
int cat_node_add(struct catalog *c, const struct cat_node *n, char ret_id[CAT_ID_SIZE],
                 struct err *err);

/* ERR_NOT_FOUND "node_not_found". */
int cat_node_get(struct catalog *c, const char *id, struct cat_node *ret,
                 struct err *err);
int cat_node_get_by_name(struct catalog *c, const char *name, struct cat_node *ret,
                         struct err *err);

/* Sorted by id, as numbers. */
int cat_node_list(struct catalog *c, const struct cat_page *page, struct cat_nodes *ret,
                  struct err *err);

int cat_node_set_access(struct catalog *c, const char *id, const char *url,
                        const char *sealed_token, struct err *err);
int cat_node_set_seen(struct catalog *c, const char *id, const char *version,
                      int64_t now_us, struct err *err);

/* ERR_EXISTS "node_in_use" while a VM, a credential or a backup job names it;
 * ERR_NOT_FOUND. */
int cat_node_remove(struct catalog *c, const char *id, struct err *err);

#endif
