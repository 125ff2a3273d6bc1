#include "job/point_check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/manifest.h"
#include "store/layer.h"
#include "store/manifest_file.h"
#include "store/qcow2_header.h"

/* Clusters of any layer beside its data: header, refcount table, one refcount block, L1
 * table. */
#define CLUSTERS_BESIDE_DATA 4u

static int
differs(const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, NULL, "%s is not the one that the point names",
                   what);
}

/* A full records exactly its data clusters, so their number says how long it must be at
 * least (the last cluster may be short).  An overlay also records runs of zeroes, which
 * take no room: there only the header tells. */
static int
check_length(const struct point_disk *d, uint64_t length, struct err *err)
{
    uint64_t least = (CLUSTERS_BESIDE_DATA + d->records) * QCOW2_CLUSTER_SIZE;

    if (d->parent_layer_id[0] || d->records == 0 || length > least)
        return 0;
    return err_set(err, ERR_CORRUPT, NULL,
                   "it is cut off: %llu bytes cannot hold its %llu blocks",
                   (unsigned long long)length, (unsigned long long)d->records);
}

static int
check_layer(struct repo *repo, const struct point_disk *d, const char *name,
            struct err *err)
{
    CLEANUP_FD int fd = -1;
    struct naming_locator at;
    struct qcow2_header h;
    char path[REPO_PATH_SIZE];
    struct stat st;

    if (layer_check_chain(repo, d->locator, d->size_bytes, err) < 0 ||
        repo_path(repo, name, path, err) < 0)
        return err->class;
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, errno, NULL, "open '%s'", path);
    if (naming_locator_parse(d->locator, &at) < 0)
        return err_set(err, ERR_INVALID, NULL, "'%s' is no locator", d->locator);
    if (qcow2_header_read(fd, at.seq, &h, err) < 0)
        return err->class;
    if ((h.backing[0] != '\0') != (d->parent_layer_id[0] != '\0'))
        return differs("its backing file", err);
    return check_length(d, (uint64_t)st.st_size, err);
}

static int
check_manifest(struct repo *repo, const struct point_disk *d, const char *name,
               struct err *err)
{
    CLEANUP_MANIFEST_FILE struct manifest_file *f = NULL;
    const struct manifest_header *h;
    char path[REPO_PATH_SIZE], layer[UUID_STR_SIZE], parent[UUID_STR_SIZE],
        disk[UUID_STR_SIZE];

    if (repo_path(repo, name, path, err) < 0 || manifest_file_open(path, &f, err) < 0)
        return err->class;
    h = manifest_file_header(f);
    manifest_id_to_str(h->layer_id, layer);
    manifest_id_to_str(h->parent_layer_id, parent);
    manifest_id_to_str(h->disk_uuid, disk);
    if (strcmp(disk, d->disk_uuid) != 0)
        return differs("the disk in its header", err);
    if (strcmp(layer, d->layer_id) != 0 || strcmp(parent, d->parent_layer_id) != 0)
        return differs("the layer in its header", err);
    if (h->disk_size != d->size_bytes)
        return differs("the size in its header", err);
    if (manifest_file_count(f) != d->records)
        return differs("the number of its records", err);
    if (memcmp(manifest_file_root(f), d->layer_root, MANIFEST_ROOT_SIZE) != 0)
        return differs("its layer root", err);
    return 0;
}

static int
check_disk(struct repo *repo, const struct point_disk *d, struct err *err)
{
    CLEANUP_FREE char *layer = xasprintf("%s.qcow2", d->locator);
    CLEANUP_FREE char *manifest = xasprintf("%s.manifest", d->locator);

    if (check_layer(repo, d, layer, err) < 0)
        return err_prefix(err, "disk %u: layer '%s'", d->key, layer);
    if (check_manifest(repo, d, manifest, err) < 0)
        return err_prefix(err, "disk %u: manifest '%s'", d->key, manifest);
    return 0;
}

/* ERR_INVALID is a link, or something else that is no regular file, in its place. */
static bool
is_damage(const struct err *e)
{
    return e->class == ERR_NOT_FOUND || e->class == ERR_CORRUPT ||
           e->class == ERR_INVALID;
}

int
point_check_files(struct repo *repo, const struct point *p, bool *bad, struct err *err)
{
    for (size_t i = 0; i < p->n_disks; i++) {
        CLEANUP_FREE char *before = err->class != 0 ? xasprintf("%s; ", err->msg) : NULL;
        struct err one = ERR_INIT;

        if (check_disk(repo, &p->disks[i], &one) >= 0)
            continue;
        if (!is_damage(&one)) {
            *err = one;
            return err->class;
        }
        if (bad)
            bad[i] = true;
        err_set(err, ERR_CORRUPT, "verification_failed", "%s%s", before ? before : "",
                one.msg);
    }
    return err->class;
}
