/* https/source.h - the disk that the layers make.  Thread-safe, blocking. */
#ifndef SENDENSE_HTTPS_SOURCE_H
#define SENDENSE_HTTPS_SOURCE_H

#include "fetch.h"
#include "layout.h"

struct source;

/* @layout and @pool outlive the source.  Reads nothing yet. */
struct source *source_new(const struct layout *layout, struct fetch_pool *pool);
void source_free(struct source *s);

/* @length bytes at @at, all within the disk.  Errors of fetch_read(), and ERR_CORRUPT
 * "source_unreadable" of a damaged delta. */
int source_read(struct source *s, uint64_t at, uint64_t length, uint8_t *buf,
                struct err *err);

#endif
