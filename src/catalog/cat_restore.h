/* catalog/cat_restore.h - table restore_jobs: one disk to one file.    Layer 2. Blocking.
 * States as in cat_backup.h. */
#ifndef SENDENSE_CATALOG_CAT_RESTORE_H
#define SENDENSE_CATALOG_CAT_RESTORE_H

#include "catalog/cat_backup_update.h" /* struct cat_transition */
#include "catalog/catalog.h"

struct cat_restore {
    const char *id;        /* UUID */
    const char *backup_id; /* kept after the backup is deleted */
    int64_t device_key;
    const char *target_path;
    const char *format;
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
    int64_t salvaged_us; /* parts of the disk are damaged and left out: when found */
};

struct cat_restores {
    struct cat_restore *v;
    size_t n;
    bool more;
};

void cat_restore_done(struct cat_restore *r);
void cat_restores_done(struct cat_restores *l);

int cat_restore_insert(struct catalog *c, const struct cat_restore *r, struct err *err);
/* ERR_NOT_FOUND "restore_not_found". */
int cat_restore_get(struct catalog *c, const char *id, struct cat_restore *ret,
                    struct err *err);
/* Newest first by (created_us, id); @backup_id NULL = of all. */
int cat_restore_list(struct catalog *c, const char *backup_id,
                     const struct cat_page *page, struct cat_restores *ret,
                     struct err *err);
int cat_restore_list_open(struct catalog *c, struct cat_restores *ret, struct err *err);

/* ERR_EXISTS "state_conflict" as in cat_backup_update.h; finish ignores point_id and
 * error_disk. */
int cat_restore_set_state(struct catalog *c, const char *id,
                          const struct cat_transition *t, struct err *err);
int cat_restore_set_progress(struct catalog *c, const char *id, uint64_t bytes_total,
                             uint64_t bytes_done, struct err *err);
int cat_restore_set_bad_ranges(struct catalog *c, const char *id, const char *bad_ranges,
                               struct err *err);
/* Before the target gets its name, so that no crash makes it pass for a whole one. */
int cat_restore_set_salvaged(struct catalog *c, const char *id, const char *bad_ranges,
                             int64_t now_us, struct err *err);
int cat_restore_finish(struct catalog *c, const char *id, const struct cat_finish *f,
                       struct err *err);

#endif
