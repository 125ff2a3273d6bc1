/* files/names.h - one page of the names of a folder, by their bytes.       Layer 5.
 * However many names the folder has: only those of the page are in memory. */
#ifndef SENDENSE_FILES_NAMES_H
#define SENDENSE_FILES_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "files/appliance.h"

struct names {
    char **v; /* NULL-terminated */
    size_t n, limit;
    bool more;
};
#define CLEANUP_NAMES CLEANUP(names_done)
void names_done(struct names *p);

/* The first @limit names behind @after ("" = from the start). */
int names_collect(struct appliance *a, const char *folder, const char *after,
                  size_t limit, struct names *ret, struct err *err);
/* Offers one name to the page.  Pure. */
void names_offer(struct names *p, const char *name, const char *after);

#endif
