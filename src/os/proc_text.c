/* os/proc_text.c - see proc_text.h; the forms are those of proc(5). */
#include "os/proc_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

#define FIELD_STATE 3
#define FIELD_PPID 4
#define FIELD_START 22

#define TCP_LISTEN 0x0A
#define TCP_FIELDS                                                                       \
    10 /* sl local remote st queues timer retransmits uid timeout inode                  \
        */
#define TCP_LOCAL 1
#define TCP_STATE 3
#define TCP_INODE 9

static int
get_u64(const char *word, size_t n, uint64_t *ret)
{
    char text[24];

    if (n >= sizeof(text))
        return -1;
    memcpy(text, word, n);
    text[n] = '\0';
    return text_to_u64(text, ret);
}

int
proc_stat_parse(const char *text, struct proc_stat *ret)
{
    const char *p = strrchr(text, ')');
    struct proc_stat s = {0};
    uint64_t v;

    for (int field = FIELD_STATE; p; field++) {
        size_t n;

        p = strchr(p, ' ');
        if (!p)
            break;
        p++;
        n = strcspn(p, " \n");
        if (n == 0)
            break;
        if (field == FIELD_STATE)
            s.state = *p;
        if (field == FIELD_PPID) {
            if (get_u64(p, n, &v) < 0 || v > INT32_MAX)
                break;
            s.ppid = (pid_t)v;
        }
        if (field == FIELD_START) {
            if (get_u64(p, n, &s.start_ticks) < 0)
                break;
            *ret = s;
            return 0;
        }
    }
    return -1;
}

char **
proc_args_split(const char *p, size_t n, size_t *ret_n)
{
    const char *end = p + n;
    size_t count = 0;
    char **args;

    for (size_t i = 0; i < n; i++)
        count += p[i] == '\0';
    args = xcalloc(count + 2, sizeof(*args));
    count = 0;
    while (p < end) {
        size_t len = strnlen(p, (size_t)(end - p));

        args[count++] = xasprintf("%.*s", (int)len, p);
        p += len + 1;
    }
    *ret_n = count;
    return args;
}

void
proc_args_free(char **args)
{
    for (size_t i = 0; args && args[i]; i++)
        free(args[i]);
    free(args);
}

char *
proc_env_get(const char *p, size_t n, const char *name)
{
    const char *end = p + n;
    size_t want = strlen(name);

    while (p < end) {
        size_t len = strnlen(p, (size_t)(end - p));

        if (len > want && memcmp(p, name, want) == 0 && p[want] == '=')
            return xasprintf("%.*s", (int)(len - want - 1), p + want + 1);
        p += len + 1;
    }
    return NULL;
}

static int
get_hex(const char *word, size_t n, unsigned *ret)
{
    unsigned v = 0;

    if (n == 0 || n > 4)
        return -1;
    for (size_t i = 0; i < n; i++) {
        static const char digits[] = "0123456789ABCDEF";
        const char *d = word[i] ? strchr(digits, word[i]) : NULL;

        if (!d)
            return -1;
        v = v * 16 + (unsigned)(d - digits);
    }
    *ret = v;
    return 0;
}

int
proc_listener_parse(const char *line, struct proc_listener *ret)
{
    const char *words[TCP_FIELDS];
    size_t lens[TCP_FIELDS];
    unsigned port, state;
    const char *colon;
    size_t n = 0;

    for (const char *p = line; n < TCP_FIELDS; n++) {
        p += strspn(p, " ");
        if (!*p)
            break;
        words[n] = p;
        lens[n] = strcspn(p, " ");
        p += lens[n];
    }
    if (n > 0 && lens[0] == 2 && memcmp(words[0], "sl", 2) == 0)
        return 0;
    if (n < TCP_FIELDS)
        return -1;
    colon = memchr(words[TCP_LOCAL], ':', lens[TCP_LOCAL]);
    if (!colon || get_hex(words[TCP_STATE], lens[TCP_STATE], &state) < 0)
        return -1;
    colon++;
    if (get_hex(colon, lens[TCP_LOCAL] - (size_t)(colon - words[TCP_LOCAL]), &port) < 0 ||
        get_u64(words[TCP_INODE], lens[TCP_INODE], &ret->inode) < 0)
        return -1;
    ret->port = (uint16_t)port;
    return state == TCP_LISTEN;
}

int
proc_socket_inode(const char *target, uint64_t *ret)
{
    static const char head[] = "socket:[";
    size_t n = strlen(target);

    if (n < sizeof(head) || strncmp(target, head, sizeof(head) - 1) != 0 ||
        target[n - 1] != ']')
        return -1;
    return get_u64(target + sizeof(head) - 1, n - sizeof(head), ret);
}
