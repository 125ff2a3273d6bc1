/* base/log.c - see log.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "base/timeutil.h"

#define LOG_MSG_MAX 2048
#define LOG_LINE_MAX                                                                     \
    4000 /* under PIPE_BUF: lines of several processes do not mix in a pipe */
#define LOG_CONTEXT_MAX 256

static const char *const level_words[] = {"error", "warn", "info", "debug"};

/* Written once in main(), before threads. */
static char log_prog[32] = "sendense";
static enum log_level log_max = LOG_LEVEL_INFO;

static _Thread_local char log_context[LOG_CONTEXT_MAX];

void
log_setup(const char *prog, enum log_level level)
{
    snprintf(log_prog, sizeof(log_prog), "%s", prog);
    log_max = level;
}

int
log_level_from_str(const char *s, enum log_level *ret_level)
{
    for (unsigned i = 0; i < ARRAY_LEN(level_words); i++) {
        if (strcmp(s, level_words[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

void
log_set_context(const char *context)
{
    snprintf(log_context, sizeof(log_context), "%s", context ? context : "");
}

/* How one piece of @s is written: itself, or an escape in @esc.  *ret_len = bytes of @s
 * used. */
static const char *
escape_one(const char *s, size_t n, char esc[8], size_t *ret_len, size_t *ret_out)
{
    unsigned char c = (unsigned char)s[0];
    size_t len = text_utf8_len(s, n);
    /* U+0080-U+009F are controls too, and terminals obey them. */
    bool c1 = len == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0;

    *ret_len = 1;
    if (c == '\n' || c == '\r' || c == '\t')
        snprintf(esc, 8, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if (c == '"' || c == '\\')
        snprintf(esc, 8, "\\%c", c);
    else if (len == 0 || c < 0x20 || c == 0x7f || c1)
        snprintf(esc, 8, "\\x%02x", c);
    else {
        *ret_len = *ret_out = len;
        return s;
    }
    *ret_out = strlen(esc);
    return esc;
}

/* Appends @s to @line (of @size bytes) and returns the new length; stops before what does
 * not fit. */
static size_t
add_escaped(char *line, size_t len, size_t size, const char *s)
{
    size_t n = strlen(s);

    while (n > 0) {
        char esc[8];
        size_t used, out;
        const char *p = escape_one(s, n, esc, &used, &out);

        if (len + out > size)
            break;
        memcpy(line + len, p, out);
        len += out;
        s += used;
        n -= used;
    }
    return len;
}

static void log_line(enum log_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
log_line(enum log_level level, const char *fmt, va_list ap)
{
    int saved = errno;
    char msg[LOG_MSG_MAX], ts[TIME_STR_SIZE], line[LOG_LINE_MAX];
    const size_t room = sizeof(line) - LOG_CONTEXT_MAX; /* for the message and its head */
    size_t len;
    ssize_t w;

    if (level > log_max)
        return;
    time_utc_to_str(time_utc_us(), ts);
    len = (size_t)snprintf(line, sizeof(line), "ts=%s level=%s prog=%s msg=\"", ts,
                           level_words[level], log_prog);
    errno = saved; /* for %m */
    vsnprintf(msg, sizeof(msg), fmt, ap);
    len = add_escaped(line, len, room, msg);
    line[len++] = '"';
    if (log_context[0] != '\0') {
        line[len++] = ' ';
        len = add_escaped(line, len, sizeof(line) - 1, log_context);
    }
    line[len++] = '\n';
    do
        w = write(STDERR_FILENO, line, len);
    while (w < 0 && errno == EINTR);
    errno = saved;
}

#define DEFINE_LOG(name, level)                                                          \
    void name(const char *fmt, ...)                                                      \
    {                                                                                    \
        va_list ap;                                                                      \
                                                                                         \
        va_start(ap, fmt);                                                               \
        log_line(level, fmt, ap);                                                        \
        va_end(ap);                                                                      \
    }

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
