/* https/tables.h - a bounded cache of pieces of directories and tables.  Thread-safe.
 * The piece used longest ago goes.  Two threads that miss the same piece load it once. */
#ifndef SENDENSE_HTTPS_TABLES_H
#define SENDENSE_HTTPS_TABLES_H

#include <stdint.h>

#include "base/err.h"

#define TABLES_PIECE_MAX 32768u /* bytes: a table of SESparse */
#define TABLES_SLOTS 1024u      /* so 32 MiB at most */

struct tables;

struct tables *tables_new(void);
void tables_free(struct tables *t); /* NULL is fine */

/* Fills @buf; what it gives is not kept when it fails. */
typedef int tables_load(void *arg, uint64_t offset, uint32_t size, uint8_t *buf,
                        struct err *err);

/* Copies @size bytes (<= TABLES_PIECE_MAX) at @offset of @file to @out.  A file's pieces
 * are always asked for with the same bounds.  Blocking when @load is. */
int tables_get(struct tables *t, void *file, uint64_t offset, uint32_t size,
               tables_load *load, uint8_t *out, struct err *err);

#endif
