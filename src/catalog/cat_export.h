/* catalog/cat_export.h - table restore_exports: disks of a backup open as NBD addresses.
 * Layer 2. Blocking.  opening -> open -> closed, or opening -> failed. */
#ifndef SENDENSE_CATALOG_CAT_EXPORT_H
#define SENDENSE_CATALOG_CAT_EXPORT_H

#include "catalog/catalog.h"

struct cat_export {
    const char *id;        /* UUID */
    const char *backup_id; /* kept after the backup is deleted */
    const char *state;     /* opening, open, closed, failed */
    const char *access;    /* read_only, scratch */
    const char *listen;
    const char *disks; /* JSON text */
    const char *requested_by;
    int64_t created_us;
    int64_t expires_us;
    int64_t closed_us;
    const char *close_reason;
    const char *error_code; /* NULL = none */
    const char *error_message;
};

struct cat_exports {
    struct cat_export *v;
    size_t n;
    bool more;
};

void cat_export_done(struct cat_export *e);
void cat_exports_done(struct cat_exports *l);

int cat_export_insert(struct catalog *c, const struct cat_export *e, struct err *err);
/* ERR_NOT_FOUND "export_not_found". */
int cat_export_get(struct catalog *c, const char *id, struct cat_export *ret,
                   struct err *err);
/* Newest first by (created_us, id); @state NULL = all. */
int cat_export_list(struct catalog *c, const char *state, const struct cat_page *page,
                    struct cat_exports *ret, struct err *err);
/* Those that are opening or open. */
int cat_export_list_open(struct catalog *c, struct cat_exports *ret, struct err *err);

/* From opening; ERR_EXISTS "state_conflict" otherwise. */
int cat_export_set_open(struct catalog *c, const char *id, const char *disks,
                        struct err *err);

struct cat_export_end {
    const char *state;  /* closed or failed */
    const char *reason; /* NULL when failed */
    int64_t closed_us;
    const char *error_code; /* NULL when closed */
    const char *error_message;
};
/* Once: ERR_EXISTS "state_conflict" when it has an end already. */
int cat_export_finish(struct catalog *c, const char *id, const struct cat_export_end *end,
                      struct err *err);

#endif
