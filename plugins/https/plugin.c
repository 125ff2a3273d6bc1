/* https/plugin.c - the nbdkit plugin: a disk in files of a datastore, read over HTTPS.
 * Read-only; its parameters are numbers of inherited descriptors, so that neither address
 * nor cookie is in argv.  docs/design/protocol.md, "Source plugin: layout and cookie". */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "source.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static int layout_fd = -1, cookie_fd = -1, renew_fd = -1;
static struct layout layout;
static struct cookie_box cookie;
static struct fetch_pool *pool;
static struct source *source;

static int
https_config(const char *key, const char *value)
{
    int *fd = strcmp(key, "layout") == 0   ? &layout_fd
              : strcmp(key, "cookie") == 0 ? &cookie_fd
              : strcmp(key, "renew") == 0  ? &renew_fd
                                           : NULL;

    if (!fd) {
        nbdkit_error("unknown parameter '%s'", key);
        return -1;
    }
    if (*fd >= 0) {
        nbdkit_error("parameter '%s' is given twice", key);
        return -1;
    }
    if (nbdkit_parse_int(key, value, fd) < 0)
        return -1;
    if (*fd <= STDERR_FILENO || fcntl(*fd, F_SETFD, FD_CLOEXEC) < 0) {
        nbdkit_error("parameter '%s' is not the number of an open descriptor", key);
        return -1;
    }
    return 0;
}

static int
https_config_complete(void)
{
    struct err err = ERR_INIT;
    int r;

    if (layout_fd < 0 || cookie_fd < 0 || renew_fd < 0) {
        nbdkit_error("the parameters layout=FD, cookie=FD and renew=FD are needed");
        return -1;
    }
    r = layout_read(layout_fd, &layout, &err);
    if (r == 0)
        r = cookie_box_map(cookie_fd, false, &cookie, &err);
    if (r < 0)
        nbdkit_error("%s", err.msg);
    return r < 0 ? -1 : 0;
}

static void
on_trouble(const char *text)
{
    nbdkit_error("%s", text);
}

/* After nbdkit went to the background, if it does: libcurl's state is this process's. */
static int
https_after_fork(void)
{
    struct fetch_options opt = {.trust = &layout.trust,
                                .cookie = &cookie,
                                .renew_fd = renew_fd,
                                .connections = layout.connections,
                                .retry_s = layout.retry_s,
                                .on_trouble = on_trouble};
    struct err err = ERR_INIT;

    if (fetch_pool_new(&opt, &pool, &err) < 0) {
        nbdkit_error("%s", err.msg);
        return -1;
    }
    source = source_new(&layout, pool);
    return 0;
}

static void
https_unload(void)
{
    source_free(source);
    fetch_pool_free(pool);
    cookie_box_unmap(&cookie);
    layout_done(&layout);
}

static void *
https_open(int readonly)
{
    return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t
https_get_size(void *handle)
{
    return (int64_t)layout.size;
}

static int
https_can_multi_conn(void *handle)
{
    return 1;
}

static int
https_can_cache(void *handle)
{
    return NBDKIT_CACHE_NONE;
}

/* Any byte can be read; more than FETCH_MAX makes further requests, less costs as much.
 */
static int
https_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
    *minimum = 1;
    *preferred = FETCH_MAX;
    *maximum = 32u << 20;
    return 0;
}

static int
https_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
    struct err err = ERR_INIT;

    if (source_read(source, offset, count, buf, &err) == 0)
        return 0;
    nbdkit_error("%s", err.msg);
    nbdkit_set_error(EIO);
    return -1;
}

/* The first range that ends after @offset. */
static size_t
find_range(uint64_t offset)
{
    size_t low = 0, high = layout.n_allocated;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (layout.allocated[mid].offset + layout.allocated[mid].length <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The map is the client's word for what was allocated.  Reads do not go by it: whoever
 * reads in a hole sees what is there, so that an audit can find a map that lies. */
static int
https_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
              struct nbdkit_extents *extents)
{
    uint64_t end = offset + count;

    if (!layout.has_map)
        return nbdkit_add_extent(extents, offset, count, 0);
    for (size_t i = find_range(offset); offset < end; i++) {
        uint64_t begin = layout.size, stop = layout.size;

        if (i < layout.n_allocated) {
            begin = layout.allocated[i].offset;
            stop = begin + layout.allocated[i].length;
        }
        if (begin > offset &&
            nbdkit_add_extent(extents, offset, begin - offset,
                              NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO) < 0)
            return -1;
        if (begin < offset)
            begin = offset;
        if (stop > begin && nbdkit_add_extent(extents, begin, stop - begin, 0) < 0)
            return -1;
        offset = stop;
    }
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "sendense-https",
    .longname = "disks of VMs in datastores, over HTTPS",
    .version = SENDENSE_PLUGIN_VERSION,
    .config = https_config,
    .config_complete = https_config_complete,
    .config_help = "layout=FD   what to serve (JSON)\n"
                   "cookie=FD   shared memory with the session's cookie\n"
                   "renew=FD    pipe: one byte asks for another cookie",
    .after_fork = https_after_fork,
    .unload = https_unload,
    .open = https_open,
    .get_size = https_get_size,
    .can_multi_conn = https_can_multi_conn,
    .can_cache = https_can_cache,
    .block_size = https_block_size,
    .pread = https_pread,
    .extents = https_extents,
};

/* nbdkit's header defines it without having declared it. */
NBDKIT_DLL_PUBLIC struct nbdkit_plugin *plugin_init(void);
NBDKIT_REGISTER_PLUGIN(plugin)
