/* base/text.h - strict parsing and small encodings.                       Layer 0. */
#ifndef SENDENSE_BASE_TEXT_H
#define SENDENSE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only, whole string, no sign, no overflow.  0 or -1. */
int text_to_u64(const char *s, uint64_t *ret_v);

void text_hex(const void *p, size_t n, char *out); /* 2n + NUL, lower case */
int text_unhex(const char *s, void *out,
               size_t n); /* exactly 2n lower-case digits; 0 or -1 */

#define UUID_STR_SIZE 37
void uuid_make(char out[UUID_STR_SIZE]);   /* version 7: time-ordered, random */
bool uuid_is_valid(const char *s);         /* 8-4-4-4-12 lower-case hex, nothing else */
void random_hex(char *out, size_t nbytes); /* 2*nbytes + NUL, from getrandom(2) */

/* Length (1-4) of the well-formed UTF-8 sequence at @s, 0 when there is none in @n bytes.
 */
size_t text_utf8_len(const char *s, size_t n);
bool text_is_utf8(const char *s, size_t n); /* well-formed, no NUL */

/* "1.5 GiB", "12 KiB": for humans only. */
#define TEXT_SIZE_STR 24
void text_size(uint64_t bytes, char out[TEXT_SIZE_STR]);

#endif
