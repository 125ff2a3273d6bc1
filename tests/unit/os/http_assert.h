/* What an answer of the HTTP server must and must not have.  Include after cmocka.h. */
#ifndef SENDENSE_TESTS_HTTP_ASSERT_H
#define SENDENSE_TESTS_HTTP_ASSERT_H

#include <string.h>

static inline void
assert_has(const char *answer, const char *part)
{
    if (!answer || !strstr(answer, part))
        fail_msg("no '%s' in:\n%s", part, answer ? answer : "(nothing)");
}

static inline void
assert_lacks(const char *answer, const char *part)
{
    if (strstr(answer, part))
        fail_msg("there is '%s' in:\n%s", part, answer);
}
#endif
