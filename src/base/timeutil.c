/* base/timeutil.c - see timeutil.h. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/timeutil.h"

#define US_PER_S 1000000

uint64_t
time_mono_ns(void)
{
    struct timespec ts = {0};

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

int64_t
time_utc_us(void)
{
    struct timespec ts = {0};

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

void
time_utc_to_str(int64_t utc_us, char out[TIME_STR_SIZE])
{
    const int64_t year_0 = -62167219200,
                  last = 253402300799; /* 0000-01-01 .. 9999-12-31 */
    int64_t s = utc_us / US_PER_S, us = utc_us % US_PER_S;
    struct tm tm = {0};
    time_t t;

    if (us < 0) {
        us += US_PER_S;
        s--;
    }
    if (s < year_0)
        s = year_0;
    if (s > last)
        s = last;
    t = (time_t)s;
    gmtime_r(&t, &tm);
    snprintf(out, TIME_STR_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100,
             (unsigned)us % US_PER_S);
}

/* @n digits at @s; the caller has checked that they are digits. */
static int
number(const char *s, unsigned n)
{
    int v = 0;

    while (n-- > 0)
        v = v * 10 + (*s++ - '0');
    return v;
}

int
time_utc_from_str(const char *s, int64_t *ret_utc_us)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
    char again[TIME_STR_SIZE];
    struct tm tm = {0};
    int64_t v;

    if (!s)
        return -1;
    for (size_t i = 0; i < sizeof(form); i++) { /* with the NUL */
        bool ok = form[i] == 'd' ? s[i] >= '0' && s[i] <= '9' : s[i] == form[i];

        if (!ok)
            return -1;
    }
    tm.tm_year = number(s, 4) - 1900;
    tm.tm_mon = number(s + 5, 2) - 1;
    tm.tm_mday = number(s + 8, 2);
    tm.tm_hour = number(s + 11, 2);
    tm.tm_min = number(s + 14, 2);
    tm.tm_sec = number(s + 17, 2);
    v = (int64_t)timegm(&tm) * US_PER_S + number(s + 20, 6);
    time_utc_to_str(v, again);
    if (strcmp(s, again) != 0) /* timegm() takes the 31st of June for the 1st of July */
        return -1;
    *ret_utc_us = v;
    return 0;
}

int
time_left_ms(uint64_t deadline_ns)
{
    uint64_t now = time_mono_ns();
    uint64_t left;

    if (deadline_ns <= now)
        return 0;
    left = deadline_ns - now;
    left = left / NS_PER_MS + (left % NS_PER_MS != 0);
    return left > INT_MAX ? INT_MAX : (int)left;
}
