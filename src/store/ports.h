/* store/ports.h - the range of TCP ports for NBD exports.                 Layer 2.
 * Thread-safe. */
#ifndef SENDENSE_STORE_PORTS_H
#define SENDENSE_STORE_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define PORT_FIRST_DEFAULT 10100
#define PORT_LAST_DEFAULT 10200
#define PORT_OWNER_MAX 63

struct port_pool;

/* Range inclusive.  ERR_INVALID "port_range". */
int port_pool_new(uint16_t first, uint16_t last, struct port_pool **ret, struct err *err);
void port_pool_free(struct port_pool *p);

/* The next port that no owner has and that nobody listens on now (bind test on
 * 127.0.0.1).  Ports are handed out in a ring, so that one just released, or lost to
 * another program, comes last. ERR_LIMIT "no_free_port"; ERR_INVALID for an empty or
 * overlong @owner. */
int port_take(struct port_pool *p, const char *owner, uint16_t *ret, struct err *err);
/* No-op unless @owner has it; idempotent.  Returns whether it was released now. */
bool port_release(struct port_pool *p, uint16_t port, const char *owner);
unsigned port_release_all(struct port_pool *p, const char *owner); /* how many */

/* First and last, inclusive. */
void port_pool_range(const struct port_pool *p, uint16_t *ret_first, uint16_t *ret_last);
unsigned port_pool_size(const struct port_pool *p);
unsigned port_pool_used(struct port_pool *p);

/* Can 127.0.0.1:@port be bound now?  SO_REUSEADDR, so that TIME_WAIT does not count. */
bool port_is_free(uint16_t port);

#endif
