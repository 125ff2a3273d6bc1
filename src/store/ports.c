/* store/ports.c - see ports.h. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "store/ports.h"

struct port_pool {
    pthread_mutex_t lock; /* guards all below but first and n, which never change */
    uint16_t first;
    unsigned n;
    unsigned next; /* where the next search starts */
    char (*owner)[PORT_OWNER_MAX + 1];
};

bool
port_is_free(uint16_t port)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
           bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0;
}

int
port_pool_new(uint16_t first, uint16_t last, struct port_pool **ret, struct err *err)
{
    struct port_pool *p;

    if (first == 0 || last < first)
        return err_set(err, ERR_INVALID, "port_range",
                       "port range %u-%u is empty or starts at 0", first, last);
    p = xcalloc(1, sizeof(*p));
    pthread_mutex_init(&p->lock, NULL);
    p->first = first;
    p->n = (unsigned)last - first + 1;
    p->owner = xcalloc(p->n, sizeof(*p->owner));
    *ret = p;
    return 0;
}

void
port_pool_free(struct port_pool *p)
{
    if (p == NULL)
        return;
    pthread_mutex_destroy(&p->lock);
    free(p->owner);
    free(p);
}

int
port_take(struct port_pool *p, const char *owner, uint16_t *ret, struct err *err)
{
    unsigned used = 0;

    if (owner == NULL || *owner == '\0' || strlen(owner) > PORT_OWNER_MAX)
        return err_set(err, ERR_INVALID, NULL, "a port needs an owner of 1-%d bytes",
                       PORT_OWNER_MAX);
    LOCK_SCOPE(&p->lock);
    for (unsigned i = 0; i < p->n; i++) {
        unsigned at = (p->next + i) % p->n;
        uint16_t port = (uint16_t)(p->first + at);

        if (p->owner[at][0] != '\0') {
            used++;
            continue;
        }
        if (!port_is_free(port))
            continue;
        memcpy(p->owner[at], owner, strlen(owner) + 1);
        p->next = (at + 1) % p->n;
        *ret = port;
        return 0;
    }
    return err_set(
        err, ERR_LIMIT, "no_free_port",
        "no free port in %u-%u: %u are used by running jobs, %u by other programs; "
        "wait for a job to end or widen the range",
        p->first, p->first + p->n - 1, used, p->n - used);
}

bool
port_release(struct port_pool *p, uint16_t port, const char *owner)
{
    unsigned at = (unsigned)port - p->first;

    if (port < p->first || at >= p->n || owner == NULL || *owner == '\0')
        return false;
    LOCK_SCOPE(&p->lock);
    if (strcmp(p->owner[at], owner) != 0)
        return false;
    p->owner[at][0] = '\0';
    return true;
}

unsigned
port_release_all(struct port_pool *p, const char *owner)
{
    unsigned released = 0;

    for (unsigned i = 0; i < p->n; i++)
        if (port_release(p, (uint16_t)(p->first + i), owner))
            released++;
    return released;
}

void
port_pool_range(const struct port_pool *p, uint16_t *ret_first, uint16_t *ret_last)
{
    *ret_first = p->first;
    *ret_last = (uint16_t)(p->first + p->n - 1);
}

unsigned
port_pool_size(const struct port_pool *p)
{
    return p->n;
}

unsigned
port_pool_used(struct port_pool *p)
{
    unsigned used = 0;

    LOCK_SCOPE(&p->lock);
    for (unsigned i = 0; i < p->n; i++)
        if (p->owner[i][0] != '\0')
            used++;
    return used;
}
