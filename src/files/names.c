#include "files/names.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "files/pump.h"
#include "files/wire.h"

#define NAME_MAX_BYTES 4096u /* more than any file system allows */
#define ALIVE_EVERY 20000u   /* names */

void
names_done(struct names *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->v[i]);
    free(p->v);
    *p = (struct names){0};
}

void
names_offer(struct names *p, const char *name, const char *after)
{
    size_t lo = 0, hi = p->n;

    if (strcmp(name, after) <= 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    if (p->n == p->limit && strcmp(name, p->v[p->n - 1]) >= 0) {
        p->more = true;
        return;
    }
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(name, p->v[mid]);

        if (c == 0)
            return;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    if (p->n == p->limit) {
        free(p->v[--p->n]);
        p->more = true;
    }
    memmove(p->v + lo + 1, p->v + lo, (p->n - lo) * sizeof *p->v);
    p->v[lo] = xstrdup(name);
    p->n++;
    p->v[p->n] = NULL;
}

struct splitter {
    char name[NAME_MAX_BYTES];
    size_t n;
    unsigned seen;
};

static int
take(struct splitter *s, const char *p, size_t n, struct names *page, const char *after,
     struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (s->n == sizeof s->name)
            return err_set(err, ERR_IO, "guest_unreadable", "a name is too long");
        s->name[s->n++] = p[i];
        if (p[i])
            continue;
        names_offer(page, s->name, after);
        s->n = 0;
        if (++s->seen % ALIVE_EVERY == 0 && wire_send(FILES_ALIVE, NULL, 0, err) < 0)
            return err->class;
    }
    return 0;
}

int
names_collect(struct appliance *a, const char *folder, const char *after, size_t limit,
              struct names *ret, struct err *err)
{
    struct pump p = {.appliance = a, .call = pump_names, .folder = folder};
    struct splitter s = {0};
    struct err first = ERR_INIT;
    char chunk[16384];
    ssize_t got;

    ret->limit = limit;
    ret->v = xcalloc(limit + 2, sizeof *ret->v);
    if (pump_start(&p, err) < 0)
        return err->class;
    while ((got = read(p.read_fd, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err_errno(&first, errno, NULL, "read names");
        if (got < 0 || take(&s, chunk, (size_t)got, ret, after, &first) < 0)
            break;
    }
    if (pump_end(&p, err) >= 0 || first.class != 0)
        *err = first;
    return err->class;
}
