/* model/words.c - see words.h. */
#include <string.h>

#include "model/words.h"

const char *
words_get(const char *const *words, size_t n, unsigned v)
{
    return v < n ? words[v] : "?";
}

int
words_find(const char *const *words, size_t n, const char *s)
{
    if (!s)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i], s) == 0)
            return (int)i;
    return -1;
}
