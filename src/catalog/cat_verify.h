/* catalog/cat_verify.h - table verify_jobs: a read-back of one backup.     Layer 2.
 * Blocking. States as in cat_backup.h. */
#ifndef SENDENSE_CATALOG_CAT_VERIFY_H
#define SENDENSE_CATALOG_CAT_VERIFY_H

#include "catalog/cat_backup_update.h" /* struct cat_transition */
#include "catalog/catalog.h"

struct cat_verify {
    const char *id;        /* UUID */
    const char *backup_id; /* kept after the backup is deleted */
    const char *state;
    const char *current_phase;
    uint64_t bytes_total;
    uint64_t bytes_done;
    const char *bad_ranges; /* JSON text, NULL = none found so far */
    const char *requested_by;
    int64_t created_us;
    int64_t started_us;
    int64_t completed_us;
    const char *error_code;
    const char *error_phase;
    const char *error_message;
};

struct cat_verifies {
    struct cat_verify *v;
    size_t n;
    bool more;
};

void cat_verify_done(struct cat_verify *v);
void cat_verifies_done(struct cat_verifies *l);

int cat_verify_insert(struct catalog *c, const struct cat_verify *v, struct err *err);
/* ERR_NOT_FOUND "verify_not_found". */
int cat_verify_get(struct catalog *c, const char *id, struct cat_verify *ret,
                   struct err *err);
/* Newest first by (created_us, id); @backup_id NULL = of all. */
int cat_verify_list(struct catalog *c, const char *backup_id, const struct cat_page *page,
                    struct cat_verifies *ret, struct err *err);
int cat_verify_list_open(struct catalog *c, struct cat_verifies *ret, struct err *err);

/* ERR_EXISTS "state_conflict" as in cat_backup_update.h; finish ignores point_id and
 * error_disk. */
int cat_verify_set_state(struct catalog *c, const char *id,
                         const struct cat_transition *t, struct err *err);
int cat_verify_set_progress(struct catalog *c, const char *id, uint64_t bytes_total,
                            uint64_t bytes_done, struct err *err);
int cat_verify_set_bad_ranges(struct catalog *c, const char *id, const char *bad_ranges,
                              struct err *err);
int cat_verify_finish(struct catalog *c, const char *id, const struct cat_finish *f,
                      struct err *err);

#endif
