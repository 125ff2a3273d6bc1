/* cli/escape.c - see escape.h. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "cli/escape.h"

#define ESCAPED_MAX 8 /* "\u202e" and its NUL, rounded up */

static uint32_t
code_point(const char *s, size_t len)
{
    static const uint8_t first_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (uint8_t)s[0] & first_mask[len];

    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((uint8_t)s[i] & 0x3f);
    return c;
}

/* Besides controls: line separators and the marks of the Unicode bidirectional algorithm,
 * with which "exe.txt" can be made of "txt.exe". */
static bool
is_dangerous(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e ||
           c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
           c == 0xfeff;
}

char *
escape_text(const char *s, size_t n, const char *keep)
{
    /* Each byte grows to six characters at most. */
    char *out = xreallocarray(NULL, n + 1, ESCAPED_MAX - 1), *at = out;

    for (size_t i = 0; i < n;) {
        size_t len = text_utf8_len(s + i, n - i);
        uint32_t c = len ? code_point(s + i, len) : 0;

        if (len == 0) {
            at += snprintf(at, ESCAPED_MAX, "\\x%02x", (uint8_t)s[i++]);
            continue;
        }
        if (is_dangerous(c) && !(c && c < 0x80 && strchr(keep, (int)c))) {
            at += snprintf(at, ESCAPED_MAX, "\\u%04x", (unsigned)c);
        } else {
            memcpy(at, s + i, len);
            at += len;
        }
        i += len;
    }
    *at = '\0';
    return out;
}
