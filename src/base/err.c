/* base/err.c - see err.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

static const struct {
    int class;
    const char *word;
} class_words[] = {
    {ERR_INVALID, "invalid"},   {ERR_NOT_FOUND, "not_found"},
    {ERR_EXISTS, "exists"},     {ERR_IO, "io"},
    {ERR_TIMEOUT, "timeout"},   {ERR_NO_SPACE, "no_space"},
    {ERR_AUTH, "auth"},         {ERR_PROTOCOL, "protocol"},
    {ERR_CORRUPT, "corrupt"},   {ERR_CANCELLED, "cancelled"},
    {ERR_LIMIT, "limit"},       {ERR_UNAVAILABLE, "unavailable"},
    {ERR_INTERNAL, "internal"},
};

const char *
err_class_word(int class)
{
    if (class >= 0)
        return "none";
    for (size_t i = 0; i < ARRAY_LEN(class_words); i++)
        if (class_words[i].class == class)
            return class_words[i].word;
    return "internal";
}

bool
err_is_transient(int class)
{
    return class == ERR_IO || class == ERR_TIMEOUT || class == ERR_UNAVAILABLE;
}

void
err_clear(struct err *err)
{
    err->class = 0;
    err->code[0] = '\0';
    err->msg[0] = '\0';
}

int
err_recode(struct err *err, const char *code)
{
    snprintf(err->code, sizeof(err->code), "%s", code);
    return err->class;
}

/* The message goes into log lines and JSON answers and often quotes a peer: what is not
 * printable UTF-8 (a sequence cut by the end of the buffer, too) becomes '?', controls
 * become a space. */
static void
clean_msg(struct err *err)
{
    size_t n = strlen(err->msg);

    for (size_t i = 0; i < n;) {
        size_t len = text_utf8_len(err->msg + i, n - i);
        unsigned char c = (unsigned char)err->msg[i];

        if (len == 0) {
            err->msg[i] = '?';
            len = 1;
        } else if (c < 0x20 || c == 0x7f) {
            err->msg[i] = ' ';
        }
        i += len;
    }
}

static void
set_class(struct err *err, int class, const char *code)
{
    /* A class of 0 or more would read as success at every caller. */
    err->class = class < 0 ? class : ERR_INTERNAL;
    err_recode(err, code ? code : err_class_word(err->class));
}

int
err_set(struct err *err, int class, const char *code, const char *fmt, ...)
{
    char msg[ERR_MSG_SIZE]; /* arguments may point into err->msg */
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    set_class(err, class, code);
    memcpy(err->msg, msg, sizeof(msg));
    clean_msg(err);
    return err->class;
}

static int
class_from_errno(int e)
{
    switch (e) {
    case ENOENT:
    case ESRCH:
        return ERR_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
    case EBUSY:
    case EADDRINUSE:
    case ETXTBSY:
        return ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case EACCES:
    case EPERM:
        return ERR_AUTH;
    case ETIMEDOUT:
    case ETIME:
        return ERR_TIMEOUT;
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
        return ERR_INVALID;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case E2BIG:
    case EFBIG:
    case EMSGSIZE:
        return ERR_LIMIT;
    case ECANCELED:
        return ERR_CANCELLED;
    case EAGAIN:
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
        return ERR_UNAVAILABLE;
    case EPROTO:
        return ERR_PROTOCOL;
    default:
        return ERR_IO;
    }
}

int
err_errno(struct err *err, int e, const char *code, const char *fmt, ...)
{
    char what[ERR_MSG_SIZE];
    char reason[128];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    /* The reason is short and the part that helps most: a long name must not push it out.
     */
    return err_set(err, class_from_errno(e), code, "%.*s: %s",
                   (int)(sizeof(what) - sizeof(reason)), what,
                   strerror_r(e, reason, sizeof(reason)));
}

int
err_prefix(struct err *err, const char *fmt, ...)
{
    char whole[ERR_MSG_SIZE];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(whole, sizeof(whole), fmt, ap);
    va_end(ap);
    if (n < 0)
        return err->class;
    if ((size_t)n < sizeof(whole) - 2)
        snprintf(whole + n, sizeof(whole) - (size_t)n, ": %.*s",
                 (int)sizeof(whole) - n - 3, err->msg);
    memcpy(err->msg, whole, sizeof(whole));
    clean_msg(err);
    return err->class;
}
