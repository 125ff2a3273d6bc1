/* model/words.h - the two string functions of an enum, made from its list.  Internal to
 * model. */
#ifndef SENDENSE_MODEL_WORDS_H
#define SENDENSE_MODEL_WORDS_H

#include <stddef.h>

#include "base/cleanup.h"

/* The word, or "?" when @v is none of the table's. */
const char *words_get(const char *const *words, size_t n, unsigned v);
/* Its index, or -1; NULL is no word. */
int words_find(const char *const *words, size_t n, const char *s);

#define WORDS_ITEM(id, word) [id] = word,

/* Defines NAME_to_str() and NAME_from_str() of enum NAME; the prototypes stand in the
 * public header. */
#define WORDS_DEFINE(name, LIST)                                                         \
    static const char *const name##_words[] = {LIST(WORDS_ITEM)};                        \
                                                                                         \
    const char *name##_to_str(enum name v)                                               \
    {                                                                                    \
        return words_get(name##_words, ARRAY_LEN(name##_words), (unsigned)v);            \
    }                                                                                    \
                                                                                         \
    int name##_from_str(const char *s, enum name *ret)                                   \
    {                                                                                    \
        int i = words_find(name##_words, ARRAY_LEN(name##_words), s);                    \
                                                                                         \
        if (i < 0)                                                                       \
            return -1;                                                                   \
        *ret = (enum name)i;                                                             \
        return 0;                                                                        \
    }

#endif
