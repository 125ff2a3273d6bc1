/* base/timeutil.h - clocks.  Deadlines are monotonic nanoseconds; records are UTC.  Layer
 * 0. */
#ifndef SENDENSE_BASE_TIMEUTIL_H
#define SENDENSE_BASE_TIMEUTIL_H

#include <stdint.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

uint64_t time_mono_ns(void);
int64_t time_utc_us(void); /* microseconds since 1970, UTC */
#define TIME_STR_SIZE 32
void time_utc_to_str(int64_t utc_us,
                     char out[TIME_STR_SIZE]); /* 2026-01-02T03:04:05.678901Z */
int time_utc_from_str(const char *s,
                      int64_t *ret_utc_us); /* 0 or -1; exactly that form */

/* Milliseconds left until @deadline_ns, rounded up, >= 0; fits poll(2). */
int time_left_ms(uint64_t deadline_ns);

#endif
