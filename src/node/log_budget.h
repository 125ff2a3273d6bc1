/* node/log_budget.h - how many lines a client may put into the node's log.    Layer 5.
 * Pure. A token bucket: bursts pass, a flood does not fill the journal.  Zeroed memory is
 * full. */
#ifndef SENDENSE_NODE_LOG_BUDGET_H
#define SENDENSE_NODE_LOG_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_BUDGET_BURST 200u /* lines */
#define LOG_BUDGET_PER_S 20u

struct log_budget {
    unsigned used;     /* of the burst */
    uint64_t since_ns; /* up to when @used was paid back */
    unsigned dropped;
};

/* May one more line go out at @now_ns?  *ret_dropped = lines refused since the last that
 * went out (0 when refused). */
bool log_budget_take(struct log_budget *b, uint64_t now_ns, unsigned *ret_dropped);

#endif
