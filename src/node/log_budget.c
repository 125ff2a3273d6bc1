/* node/log_budget.c - see log_budget.h. */
#include "node/log_budget.h"
#include "base/timeutil.h"

#define LINE_NS (NS_PER_S / LOG_BUDGET_PER_S)

bool
log_budget_take(struct log_budget *b, uint64_t now_ns, unsigned *ret_dropped)
{
    uint64_t back = now_ns > b->since_ns ? (now_ns - b->since_ns) / LINE_NS : 0;

    *ret_dropped = 0;
    if (back >= b->used) {
        b->used = 0;
        b->since_ns = now_ns;
    } else {
        b->used -= (unsigned)back;
        b->since_ns += back * LINE_NS;
    }
    if (b->used >= LOG_BUDGET_BURST) {
        if (b->dropped < UINT32_MAX)
            b->dropped++;
        return false;
    }
    b->used++;
    *ret_dropped = b->dropped;
    b->dropped = 0;
    return true;
}
