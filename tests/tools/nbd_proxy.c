/* tests/tools/nbd_proxy.c - an NBD proxy on loopback that does one wrong thing.
 *
 * Usage: nbd_proxy UPSTREAM_PORT flip|drop|cut|cut-all|pass N
 *   cut: when N bytes of writes have passed, every connection of that moment ends, in the
 *        middle of a message; later ones pass.  cut-all: later ones end at once, too
 *   flip: one bit of the N-th write (from 1, over all connections) is turned over
 *   drop: the N-th write is acknowledged and never done (it becomes a flush on its way)
 * Prints its own port, serves until it is killed, at most LIFE_S seconds. */
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OPTION_MAGIC 0x49484156u /* first half of IHAVEOPT */
#define REQUEST_MAGIC 0x25609513u
#define CMD_WRITE 1
#define CMD_FLUSH 3
#define LIFE_S 300
#define BODY_MAX (64u << 20)

static uint16_t upstream_port;
static bool flip, drop, cut, cut_all;
static uint64_t nth;
static atomic_uint_fast64_t writes_seen, bytes_seen;
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static int open_fds[256];
static size_t open_count;

struct side {
    int from, to;
};

/* The fds stay open, so that no number is another connection's, until serve() forgets
 * them. */
static bool
remember(int fd)
{
    bool fits;

    pthread_mutex_lock(&open_lock);
    fits = open_count < sizeof open_fds / sizeof open_fds[0];
    if (fits)
        open_fds[open_count++] = fd;
    pthread_mutex_unlock(&open_lock);
    return fits;
}

static void
forget(int fd)
{
    pthread_mutex_lock(&open_lock);
    for (size_t i = 0; i < open_count; i++)
        if (open_fds[i] == fd)
            open_fds[i] = open_fds[--open_count];
    pthread_mutex_unlock(&open_lock);
}

static void
end_all(void)
{
    pthread_mutex_lock(&open_lock);
    for (size_t i = 0; i < open_count; i++)
        shutdown(open_fds[i], SHUT_RDWR);
    pthread_mutex_unlock(&open_lock);
}

/* The bytes of a write that may still pass; fewer than n once, at the cut. */
static uint32_t
until_cut(uint32_t n)
{
    uint64_t before = atomic_fetch_add(&bytes_seen, n);

    if (!cut || before >= nth || before + n < nth)
        return n;
    return (uint32_t)(nth - before) < n ? (uint32_t)(nth - before) : n - 1;
}

static bool
read_all(int fd, void *p, size_t n)
{
    for (char *at = p; n > 0;) {
        ssize_t got = read(fd, at, n);

        if (got <= 0)
            return false;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

static bool
write_all(int fd, const void *p, size_t n)
{
    for (const char *at = p; n > 0;) {
        ssize_t put = write(fd, at, n);

        if (put <= 0)
            return false;
        at += put;
        n -= (size_t)put;
    }
    return true;
}

static void *
pass_replies(void *arg)
{
    struct side *s = arg;
    char buf[65536];
    ssize_t n;

    while ((n = read(s->from, buf, sizeof buf)) > 0 && write_all(s->to, buf, (size_t)n))
        ;
    shutdown(s->to, SHUT_WR);
    return NULL;
}

static bool
pass_bytes(struct side *s, uint32_t n)
{
    char *body = malloc(n ? n : 1);
    bool ok = n <= BODY_MAX && read_all(s->from, body, n) && write_all(s->to, body, n);

    free(body);
    return ok;
}

/* Rest of an option: 8-byte magic (4 read), option, length, data. */
static bool
pass_option(struct side *s, uint32_t magic)
{
    struct {
        uint32_t magic2, option, len;
    } rest;

    return read_all(s->from, &rest, sizeof rest) && write_all(s->to, &magic, 4) &&
           write_all(s->to, &rest, sizeof rest) && pass_bytes(s, be32toh(rest.len));
}

struct __attribute__((packed)) request {
    uint32_t magic;
    uint16_t flags, type;
    uint64_t handle, offset;
    uint32_t len;
};

static bool
pass_write(struct side *s, struct request *r)
{
    uint32_t n = be32toh(r->len);
    bool hit = atomic_fetch_add(&writes_seen, 1) + 1 == nth;
    char *body = n <= BODY_MAX ? malloc(n) : NULL;
    bool ok = body && read_all(s->from, body, n);

    if (ok && hit && drop) {
        r->type = htobe16(CMD_FLUSH);
        r->flags = 0;
        r->offset = 0;
        r->len = 0;
        ok = write_all(s->to, r, sizeof *r);
    } else if (ok) {
        if (hit && flip)
            body[n / 2] ^= 1;
        uint32_t some = until_cut(n);

        ok = write_all(s->to, r, sizeof *r) && write_all(s->to, body, some);
        if (some < n) {
            fprintf(stderr, "nbd_proxy: cut\n");
            end_all();
            ok = false;
        }
    }
    free(body);
    return ok;
}

static bool
pass_request(struct side *s, uint32_t magic)
{
    struct request r = {.magic = magic};

    if (!read_all(s->from, (char *)&r + 4, sizeof r - 4))
        return false;
    if (be16toh(r.type) == CMD_WRITE)
        return pass_write(s, &r);
    return write_all(s->to, &r, sizeof r);
}

static void
pass_requests(struct side *s)
{
    uint32_t flags, magic;

    if (!read_all(s->from, &flags, 4) || !write_all(s->to, &flags, 4))
        return;
    while (read_all(s->from, &magic, 4)) {
        bool ok = be32toh(magic) == OPTION_MAGIC    ? pass_option(s, magic)
                  : be32toh(magic) == REQUEST_MAGIC ? pass_request(s, magic)
                                                    : false;
        if (!ok)
            return;
    }
}

static void *
serve(void *arg)
{
    int client = (int)(intptr_t)arg, one = 1;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(upstream_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct side up = {client, server}, down = {server, client};
    pthread_t thread;

    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (cut_all && atomic_load(&bytes_seen) >= nth)
        shutdown(client, SHUT_RDWR);
    else if (!remember(client))
        fprintf(stderr, "nbd_proxy: too many connections\n");
    else if (connect(server, (struct sockaddr *)&to, sizeof to) == 0 &&
             pthread_create(&thread, NULL, pass_replies, &down) == 0) {
        pass_requests(&up);
        shutdown(server, SHUT_WR);
        pthread_join(thread, NULL);
    }
    forget(client);
    close(server);
    close(client);
    return NULL;
}

int
main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (argc != 4 || fd < 0)
        return 2;
    upstream_port = (uint16_t)strtoul(argv[1], NULL, 10);
    flip = strcmp(argv[2], "flip") == 0;
    drop = strcmp(argv[2], "drop") == 0;
    cut_all = strcmp(argv[2], "cut-all") == 0;
    cut = cut_all || strcmp(argv[2], "cut") == 0;
    nth = strtoull(argv[3], NULL, 10);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 64) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0)
        return 1;
    alarm(LIFE_S);
    printf("%u\n", ntohs(at.sin_port));
    fflush(stdout);
    for (;;) {
        pthread_t thread;
        int client = accept(fd, NULL, NULL);

        if (client >= 0 &&
            pthread_create(&thread, NULL, serve, (void *)(intptr_t)client) == 0)
            pthread_detach(thread);
    }
}
