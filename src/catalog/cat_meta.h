/* catalog/cat_meta.h - facts about this hub: name and value.           Layer 2. Blocking.
 */
#ifndef SENDENSE_CATALOG_CAT_META_H
#define SENDENSE_CATALOG_CAT_META_H

#include "base/text.h"
#include "catalog/catalog.h"

/* The identity of this hub; made on first use, then the same for ever. */
int cat_meta_hub_uuid(struct catalog *c, char ret[UUID_STR_SIZE], struct err *err);

/* *ret owned by the caller; ERR_NOT_FOUND "setting_not_found". */
int cat_meta_get(struct catalog *c, const char *name, char **ret, struct err *err);
int cat_meta_set(struct catalog *c, const char *name, const char *value, struct err *err);
int cat_meta_remove(struct catalog *c, const char *name,
                    struct err *err); /* missing is fine */

#endif
