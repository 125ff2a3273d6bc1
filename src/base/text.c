/* base/text.c - see text.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "base/timeutil.h"

int
text_to_u64(const char *s, uint64_t *ret_v)
{
    uint64_t v = 0;

    if (!s || *s == '\0')
        return -1;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return -1;
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return -1;
    }
    *ret_v = v;
    return 0;
}

void
text_hex(const void *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *b = p;

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[b[i] >> 4];
        out[2 * i + 1] = digits[b[i] & 15];
    }
    out[2 * n] = '\0';
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int
text_unhex(const char *s, void *out, size_t n)
{
    unsigned char *b = out;

    for (size_t i = 0; i < 2 * n; i++)
        if (hex_digit(s[i]) < 0) /* stops at the NUL of a short string */
            return -1;
    if (s[2 * n] != '\0')
        return -1;
    for (size_t i = 0; i < n; i++)
        b[i] = (unsigned char)(hex_digit(s[2 * i]) << 4 | hex_digit(s[2 * i + 1]));
    return 0;
}

static void
random_bytes(unsigned char *p, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            /* Ids and keys from a guessable source are worse than no program. */
            log_error("getrandom: %s, aborting", strerror(errno));
            abort();
        }
        p += got;
        n -= (size_t)got;
    }
}

void
random_hex(char *out, size_t nbytes)
{
    unsigned char chunk[64];

    out[0] = '\0';
    while (nbytes > 0) {
        size_t n = nbytes < sizeof(chunk) ? nbytes : sizeof(chunk);

        random_bytes(chunk, n);
        text_hex(chunk, n, out);
        out += 2 * n;
        nbytes -= n;
    }
    explicit_bzero(chunk, sizeof(chunk));
}

/* RFC 9562, 5.7: 48 bits of milliseconds, then 12 bits of the fraction (6.2, method 3),
 * then random bits. */
void
uuid_make(char out[UUID_STR_SIZE])
{
    unsigned char b[16];
    char hex[33];
    uint64_t us = (uint64_t)time_utc_us();
    uint64_t ms = us / 1000;
    unsigned fraction = (unsigned)((us % 1000) * 4096 / 1000);

    random_bytes(b, sizeof(b));
    for (unsigned i = 0; i < 6; i++)
        b[i] = (unsigned char)(ms >> (40 - 8 * i));
    b[6] = (unsigned char)(0x70 | fraction >> 8);
    b[7] = (unsigned char)fraction;
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f));
    text_hex(b, sizeof(b), hex);
    snprintf(out, UUID_STR_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
             hex + 16, hex + 20);
}

bool
uuid_is_valid(const char *s)
{
    if (!s)
        return false;
    for (size_t i = 0; i < UUID_STR_SIZE - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : hex_digit(s[i]) < 0)
            return false;
    }
    return s[UUID_STR_SIZE - 1] == '\0';
}

/* Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t
text_utf8_len(const char *s, size_t n)
{
    static const struct {
        unsigned char first_lo, first_hi, second_lo, second_hi, len;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const unsigned char *u = (const unsigned char *)s;

    if (n == 0)
        return 0;
    for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
        if (u[0] < forms[f].first_lo || u[0] > forms[f].first_hi)
            continue;
        if (forms[f].len > n)
            return 0;
        if (forms[f].len > 1 && (u[1] < forms[f].second_lo || u[1] > forms[f].second_hi))
            return 0;
        for (size_t i = 2; i < forms[f].len; i++)
            if (u[i] < 0x80 || u[i] > 0xbf)
                return 0;
        return forms[f].len;
    }
    return 0;
}

bool
text_is_utf8(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t len = s[i] == '\0' ? 0 : text_utf8_len(s + i, n - i);

        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

void
text_size(uint64_t bytes, char out[TEXT_SIZE_STR])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes / 1024;
    size_t u = 0;
    char number[16];
    size_t n;

    if (bytes < 1024) {
        snprintf(out, TEXT_SIZE_STR, "%u B", (unsigned)bytes);
        return;
    }
    for (; v >= 1023.5 && u + 1 < ARRAY_LEN(units); u++) /* 1023.5 would print as 1024 */
        v /= 1024;
    snprintf(number, sizeof(number), v < 99.95 ? "%.1f" : "%.0f", v);
    n = strlen(number);
    if (n > 2 && strcmp(number + n - 2, ".0") == 0)
        number[n - 2] = '\0';
    snprintf(out, TEXT_SIZE_STR, "%s %s", number, units[u]);
}
