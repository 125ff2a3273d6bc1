/* files/tree.h - folders, files and links of the guest as one archive.     Layer 5. */
#ifndef SENDENSE_FILES_TREE_H
#define SENDENSE_FILES_TREE_H

#include "files/appliance.h"

/* The request `archive`: sends K once all paths are found, then data, and gives the
 * answer. @folder is for a temporary file. */
int tree_archive(struct appliance *a, const char *folder, const json_t *request,
                 json_t **ret, struct err *err);

#endif
