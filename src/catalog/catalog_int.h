/* catalog/catalog_int.h - the inside of struct catalog.  Private to catalog.c and stmt.c.
 */
#ifndef SENDENSE_CATALOG_CATALOG_INT_H
#define SENDENSE_CATALOG_CATALOG_INT_H

#include <pthread.h>

#include "catalog/catalog.h"
#include "catalog/db.h"

/* Statements are few (one per literal): far fewer than this; when it fills they are not
 * kept. */
#define STMT_SLOTS 512u
#define STMT_SLOTS_USED_MAX 384u

struct stmt_slot {
    const char *sql; /* the literal's address is the key */
    struct db_stmt *h;
    bool busy; /* in use by a caller further up: the next one gets a statement of its own
                */
};

struct catalog {
    /* fixed after open */
    const struct db_ops *ops;
    struct db *db;
    int version;

    pthread_mutex_t lock; /* recursive; innermost of the program */
    /* under lock */
    unsigned depth; /* of the open transaction, 0 = none */
    unsigned n_slots;
    struct stmt_slot slots[STMT_SLOTS];
};

#endif
