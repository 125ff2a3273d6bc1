/* store/group_roots.c - see group_roots.h. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "model/content_root.h"
#include "store/group_roots.h"
#include "store/store_priv.h"

#define MAGIC "SDNROOTS"
#define VERSION 1u
#define HEADER_SIZE 128u
#define HEADER_SUM 96u /* the digest of what is before it */
#define RECORD_SIZE 40u
#define CHUNK_RECORDS 1024u

struct header {
    struct group_roots_id id;
    uint64_t count;
    uint8_t content_root[MANIFEST_HASH_SIZE];
};

static int
sum(const uint8_t raw[HEADER_SIZE], uint8_t out[MANIFEST_HASH_SIZE], struct err *err)
{
    return EVP_Digest(raw, HEADER_SUM, out, NULL, EVP_sha256(), NULL)
               ? 0
               : err_set(err, ERR_INTERNAL, NULL, "SHA-256 failed");
}

static void
put_u64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static uint64_t
get_u64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static int
header_encode(const struct header *h, uint8_t raw[HEADER_SIZE], struct err *err)
{
    memset(raw, 0, HEADER_SIZE);
    memcpy(raw, MAGIC, 8);
    put_u64(raw + 8, VERSION | (uint64_t)CONTENT_ROOT_GROUP << 32);
    put_u64(raw + 16, h->id.disk_size);
    put_u64(raw + 24, h->count);
    memcpy(raw + 32, h->id.layer_id, MANIFEST_ID_SIZE);
    memcpy(raw + 48, h->id.disk_uuid, MANIFEST_ID_SIZE);
    memcpy(raw + 64, h->content_root, MANIFEST_HASH_SIZE);
    return sum(raw, raw + HEADER_SUM, err);
}

static int
corrupt(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "roots_corrupt", "group digests: %s", what);
}

static int
header_decode(const uint8_t raw[HEADER_SIZE], struct header *ret, struct err *err)
{
    uint8_t want[MANIFEST_HASH_SIZE];

    if (sum(raw, want, err) < 0)
        return err->class;
    if (memcmp(raw, MAGIC, 8) != 0 || memcmp(raw + HEADER_SUM, want, sizeof(want)) != 0 ||
        get_u64(raw + 8) != (VERSION | (uint64_t)CONTENT_ROOT_GROUP << 32))
        return corrupt(err, "the header is not one of ours, or the file is not complete");
    ret->id.disk_size = get_u64(raw + 16);
    ret->count = get_u64(raw + 24);
    memcpy(ret->id.layer_id, raw + 32, MANIFEST_ID_SIZE);
    memcpy(ret->id.disk_uuid, raw + 48, MANIFEST_ID_SIZE);
    memcpy(ret->content_root, raw + 64, MANIFEST_HASH_SIZE);
    if (ret->id.disk_size == 0 || ret->id.disk_size > MANIFEST_DISK_SIZE_MAX)
        return corrupt(err, "no disk has that size");
    return 0;
}

/* --- writing --- */

struct group_roots_writer {
    char *path;
    int fd; /* -1 = sealed */
    struct header header;
    unsigned n; /* records in chunk */
    uint8_t chunk[CHUNK_RECORDS * RECORD_SIZE];
};

void
cleanup_group_roots_writer(struct group_roots_writer **w)
{
    group_roots_writer_free(*w);
}

void
group_roots_writer_free(struct group_roots_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0) {
        close(w->fd);
        (void)unlink(w->path);
    }
    free(w->path);
    free(w);
}

int
group_roots_create(const char *path, const struct group_roots_id *id,
                   struct group_roots_writer **ret, struct err *err)
{
    struct group_roots_writer *w;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(err, errno, store_code(errno), "create '%s'", path);
    w = xcalloc(1, sizeof(*w));
    w->path = xstrdup(path);
    w->fd = fd;
    w->header.id = *id;
    *ret = w;
    return 0;
}

static int
flush(struct group_roots_writer *w, struct err *err)
{
    uint64_t at = HEADER_SIZE + (w->header.count - w->n) * RECORD_SIZE;

    if (fs_pwrite_full(w->fd, w->chunk, (size_t)w->n * RECORD_SIZE, at, err) < 0) {
        (void)store_recode(err);
        return err_prefix(err, "write '%s'", w->path);
    }
    w->n = 0;
    return 0;
}

int
group_roots_put(struct group_roots_writer *w, uint64_t group,
                const uint8_t digest[MANIFEST_HASH_SIZE], struct err *err)
{
    uint8_t *p = w->chunk + (size_t)w->n * RECORD_SIZE;

    put_u64(p, group);
    memcpy(p + 8, digest, MANIFEST_HASH_SIZE);
    w->header.count++;
    return ++w->n == CHUNK_RECORDS ? flush(w, err) : 0;
}

int
group_roots_seal(struct group_roots_writer *w,
                 const uint8_t content_root[MANIFEST_HASH_SIZE], struct err *err)
{
    uint8_t raw[HEADER_SIZE];

    memcpy(w->header.content_root, content_root, MANIFEST_HASH_SIZE);
    if (flush(w, err) < 0 || header_encode(&w->header, raw, err) < 0)
        return err->class;
    if (fs_pwrite_full(w->fd, raw, sizeof(raw), 0, err) < 0) {
        (void)store_recode(err);
        return err_prefix(err, "write '%s'", w->path);
    }
    close(w->fd);
    w->fd = -1;
    return 0;
}

/* --- reading --- */

struct group_roots {
    int fd;
    struct header header;
    uint64_t next;  /* number of the record that is given out next */
    uint64_t group; /* what it must not be below */
    uint64_t chunk_at;
    unsigned chunk_n;
    uint8_t chunk[CHUNK_RECORDS * RECORD_SIZE];
};

void
cleanup_group_roots(struct group_roots **g)
{
    group_roots_free(*g);
}

void
group_roots_free(struct group_roots *g)
{
    if (!g)
        return;
    if (g->fd >= 0)
        close(g->fd);
    free(g);
}

int
group_roots_open(const char *path, struct group_roots **ret, struct err *err)
{
    CLEANUP_GROUP_ROOTS struct group_roots *g = xcalloc(1, sizeof(*g));
    uint8_t raw[HEADER_SIZE];
    struct stat st;

    g->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (g->fd < 0)
        return err_errno(err, errno, NULL, "open '%s'", path);
    if (fstat(g->fd, &st) < 0)
        return err_errno(err, errno, NULL, "stat '%s'", path);
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)HEADER_SIZE)
        return corrupt(err, "the file is none, or too short");
    if (fs_pread_full(g->fd, raw, sizeof(raw), 0, err) < 0 ||
        header_decode(raw, &g->header, err) < 0)
        return err->class;
    if (((uint64_t)st.st_size - HEADER_SIZE) % RECORD_SIZE != 0 ||
        ((uint64_t)st.st_size - HEADER_SIZE) / RECORD_SIZE != g->header.count)
        return corrupt(err, "the file has not the length that its header says");
    *ret = take_ptr(&g);
    return 0;
}

const struct group_roots_id *
group_roots_id(const struct group_roots *g)
{
    return &g->header.id;
}

const uint8_t *
group_roots_content_root(const struct group_roots *g)
{
    return g->header.content_root;
}

static int
load(struct group_roots *g, struct err *err)
{
    uint64_t left = g->header.count - g->next;
    unsigned n = left < CHUNK_RECORDS ? (unsigned)left : CHUNK_RECORDS;

    if (fs_pread_full(g->fd, g->chunk, (size_t)n * RECORD_SIZE,
                      HEADER_SIZE + g->next * RECORD_SIZE, err) < 0)
        return err_prefix(err, "group digests");
    g->chunk_at = g->next;
    g->chunk_n = n;
    return 0;
}

int
group_roots_next(struct group_roots *g, uint64_t *ret_group,
                 uint8_t ret_digest[MANIFEST_HASH_SIZE], struct err *err)
{
    const uint8_t *p;
    uint64_t group;

    if (g->next == g->header.count)
        return 0;
    if (g->next >= g->chunk_at + g->chunk_n && load(g, err) < 0)
        return err->class;
    p = g->chunk + (g->next - g->chunk_at) * RECORD_SIZE;
    group = get_u64(p);
    if (group < g->group || group >= UINT64_MAX / CONTENT_ROOT_GROUP)
        return corrupt(err, "they are out of order");
    g->group = group + 1;
    g->next++;
    *ret_group = group;
    memcpy(ret_digest, p + 8, MANIFEST_HASH_SIZE);
    return 1;
}

int
group_roots_find(const struct group_roots *g, uint64_t group,
                 uint8_t ret_digest[MANIFEST_HASH_SIZE], struct err *err)
{
    uint64_t low = 0, high = g->header.count;
    uint8_t raw[RECORD_SIZE];

    while (low < high) {
        uint64_t mid = low + (high - low) / 2, at;

        if (fs_pread_full(g->fd, raw, sizeof(raw), HEADER_SIZE + mid * RECORD_SIZE, err) <
            0)
            return err_prefix(err, "group digests");
        at = get_u64(raw);
        if (at == group) {
            memcpy(ret_digest, raw + 8, MANIFEST_HASH_SIZE);
            return 1;
        }
        if (at < group)
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

/* --- for somebody who knows what it must be --- */

int
group_roots_unusable(struct err *err)
{
    if (err->class != ERR_CANCELLED && err->class != ERR_LIMIT) {
        err->class = ERR_EXISTS;
        err_recode(err, "roots_unusable");
    }
    return err->class;
}

static int
check_all(struct group_roots *g, const uint8_t want[MANIFEST_HASH_SIZE], struct err *err)
{
    CLEANUP_CONTENT_ROOT struct content_root *root = NULL;
    uint8_t digest[MANIFEST_HASH_SIZE];
    uint64_t group;
    int r = content_root_new(g->header.id.disk_size, &root, err);

    while (r >= 0 && (r = group_roots_next(g, &group, digest, err)) > 0)
        r = content_root_add_group(root, group, digest, err);
    if (r < 0 || content_root_finish(root, digest, err) < 0)
        return err->class;
    if (memcmp(digest, want, sizeof(digest)) != 0)
        return corrupt(err, "they do not give the content root of the restore point");
    g->next = g->group = g->chunk_at = 0;
    g->chunk_n = 0;
    return 0;
}

int
group_roots_open_checked(const char *path, const struct group_roots_id *want,
                         const uint8_t content_root[MANIFEST_HASH_SIZE],
                         struct group_roots **ret, struct err *err)
{
    CLEANUP_GROUP_ROOTS struct group_roots *g = NULL;
    const struct group_roots_id *id;

    if (group_roots_open(path, &g, err) < 0)
        return group_roots_unusable(err);
    id = group_roots_id(g);
    if (id->disk_size != want->disk_size ||
        memcmp(id->layer_id, want->layer_id, sizeof(id->layer_id)) != 0 ||
        memcmp(id->disk_uuid, want->disk_uuid, sizeof(id->disk_uuid)) != 0)
        (void)corrupt(err, "they are of another layer");
    if (err->class != 0 || check_all(g, content_root, err) < 0)
        return group_roots_unusable(err);
    *ret = take_ptr(&g);
    return 0;
}
