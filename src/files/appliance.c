#include "files/appliance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "files/limits.h"
#include "model/filesproto.h"
#include "model/guestpath.h"
#include "model/jobspec.h"
#include "model/naming.h"

#define MEMORY_MIB_MIN 512u
#define MEMORY_MIB_MAX 16384u

static void
free_strings(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

int
appliance_err_from(struct err *err, int e, const char *message, const char *code,
                   const char *what)
{
    CLEANUP_FREE char *name = guestpath_to_text(what);

    switch (e) {
    case ENOENT:
        return err_set(err, ERR_NOT_FOUND, "file_not_found", "'%.300s' does not exist",
                       name);
    case ENOTDIR:
        return err_set(err, ERR_INVALID, "not_a_folder", "'%.300s' is no folder", name);
    case EISDIR:
        return err_set(err, ERR_INVALID, "not_a_file", "'%.300s' is no file", name);
    case ELOOP:
        return err_set(err, ERR_INVALID, "link_loop", "'%.300s' is a loop of links",
                       name);
    case ENAMETOOLONG:
        return err_set(err, ERR_INVALID, "invalid_path", "'%.300s' is too long", name);
    default:
        return err_set(err, ERR_IO, code, "'%.200s': %.400s", name,
                       message ? message : "unknown failure");
    }
}

int
appliance_err(struct appliance *a, struct err *err, const char *code, const char *what)
{
    if (appliance_is_dead(a))
        return err_set(err, ERR_UNAVAILABLE, "appliance_died",
                       "the appliance ended at '%.200s'; open the backup again", what);
    return appliance_err_from(err, guestfs_last_errno(a->g), guestfs_last_error(a->g),
                              code, what);
}

bool
appliance_is_dead(const struct appliance *a)
{
    return guestfs_is_ready(a->g) != 1;
}

static int
add_disk(struct appliance *a, const json_t *disk, struct err *err)
{
    const char *socket, *export;
    CLEANUP_FREE char *server = NULL;
    char *servers[2] = {NULL, NULL};
    struct jreader r;
    uint64_t key;

    jreader_init(&r, disk, "disk of a file session", err);
    key = jget_u64(&r, "key");
    socket = jget_str(&r, "socket");
    export = jget_str(&r, "export");
    if (jreader_end(&r) < 0)
        return err->class;
    if (key > NAMING_KEY_MAX || !naming_export_is_valid(export) || socket[0] != '/')
        return err_set(err, ERR_INVALID, "invalid_field",
                       "a disk of the session is wrong");
    server = xasprintf("unix:%s", socket);
    servers[0] = server;
    a->keys[a->n_keys++] = (uint32_t)key;
    /* Read-only: the library puts an overlay in its temporary folder before it, which
     * takes what the replay of a journal writes. */
    if (guestfs_add_drive_opts(a->g, export, GUESTFS_ADD_DRIVE_OPTS_READONLY, 1,
                               GUESTFS_ADD_DRIVE_OPTS_FORMAT, "raw",
                               GUESTFS_ADD_DRIVE_OPTS_PROTOCOL, "nbd",
                               GUESTFS_ADD_DRIVE_OPTS_SERVER, servers, -1) < 0)
        return err_set(err, ERR_UNAVAILABLE, "appliance_unavailable",
                       "add disk %llu to the appliance: %.300s", (unsigned long long)key,
                       guestfs_last_error(a->g));
    return 0;
}

static int
configure(struct appliance *a, const json_t *spec, bool accelerated, struct err *err)
{
    const json_t *disks = json_object_get(spec, "disks"), *disk;
    const char *folder = json_string_value(json_object_get(spec, "folder"));
    const char *path = json_string_value(json_object_get(spec, "appliance"));
    json_int_t memory = json_integer_value(json_object_get(spec, "memory_mib"));
    size_t i;

    a->g = guestfs_create_flags(GUESTFS_CREATE_NO_ENVIRONMENT);
    if (!a->g)
        return err_set(err, ERR_UNAVAILABLE, "appliance_unavailable",
                       "libguestfs gives no handle");
    guestfs_set_error_handler(a->g, NULL, NULL);
    /* The library goes without by itself where it may not open the device. */
    a->accelerated = accelerated && access("/dev/kvm", R_OK | W_OK) == 0;
    a->n_keys = 0;
    a->keys = xreallocarray(a->keys, json_array_size(disks) + 1, sizeof *a->keys);
    if (guestfs_set_backend(a->g, "direct") < 0 || guestfs_set_tmpdir(a->g, folder) < 0 ||
        guestfs_set_memsize(a->g, (int)memory) < 0 || guestfs_set_network(a->g, 0) < 0 ||
        guestfs_set_autosync(a->g, 0) < 0 || (path && guestfs_set_path(a->g, path) < 0) ||
        (!accelerated && guestfs_set_backend_setting(a->g, "force_tcg", "1") < 0))
        return err_set(err, ERR_UNAVAILABLE, "appliance_unavailable",
                       "set up the appliance: %.300s", guestfs_last_error(a->g));
    json_array_foreach(disks, i, disk)
    {
        if (add_disk(a, disk, err) < 0)
            return err->class;
    }
    return 0;
}

static int
launch(struct appliance *a, const json_t *spec, bool accelerated, struct err *err)
{
    if (a->g)
        guestfs_close(a->g);
    a->g = NULL;
    if (configure(a, spec, accelerated, err) < 0)
        return err->class;
    if (guestfs_launch(a->g) == 0)
        return 0;
    return err_set(err, ERR_UNAVAILABLE, "appliance_unavailable",
                   "the appliance does not start; it needs the packages guestfsd, "
                   "qemu-system-x86, a kernel image such as linux-image-cloud-amd64 that "
                   "this user can read, or a fixed appliance (sendense-hub run "
                   "--appliance); sendense-quick-files shows files without one: %.200s",
                   guestfs_last_error(a->g));
}

/* Device "/dev/sdb3" is on the disk that was added second. */
static int64_t
key_of(const struct appliance *a, const char *device)
{
    size_t index = 0;
    const char *p = device + strlen("/dev/sd");

    if (strncmp(device, "/dev/sd", strlen("/dev/sd")) != 0 || *p < 'a' || *p > 'z')
        return -1;
    for (; *p >= 'a' && *p <= 'z' && index < 1000; p++)
        index = index * 26 + (size_t)(*p - 'a') + 1;
    if (strspn(p, "0123456789") != strlen(p) || index == 0 || index > a->n_keys)
        return -1;
    return a->keys[index - 1];
}

static bool
type_is_readable(const char *type)
{
    static const char *const others[] = {"unknown",          "swap",      "",
                                         "crypto_LUKS",      "BitLocker", "LVM2_member",
                                         "linux_raid_member"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strcmp(type, others[i]) == 0)
            return false;
    return true;
}

static int
list_fs(struct appliance *a, struct err *err)
{
    char **list = guestfs_list_filesystems(a->g);
    size_t n = 0;

    if (!list)
        return appliance_err(a, err, "guest_unreadable", "list of file systems");
    while (list[n])
        n++;
    n = n / 2 < FS_MAX ? n / 2 : FS_MAX;
    a->fs = xcalloc(n + 1, sizeof *a->fs);
    for (size_t i = 0; i < n; i++) {
        struct appliance_fs *f = &a->fs[a->n_fs++];
        int64_t size;

        f->fs = xstrdup(list[2 * i]);
        f->type = xstrdup(list[2 * i + 1]);
        f->readable = type_is_readable(f->type);
        f->key = key_of(a, f->fs);
        f->label = guestfs_vfs_label(a->g, f->fs);
        f->uuid = guestfs_vfs_uuid(a->g, f->fs);
        size = strncmp(f->fs, "/dev/", 5) == 0 ? guestfs_blockdev_getsize64(a->g, f->fs)
                                               : -1;
        f->size_bytes = size > 0 ? (uint64_t)size : 0;
    }
    free_strings(list);
    return 0;
}

static int
check_spec(const json_t *spec, struct err *err)
{
    const json_t *disks;
    struct jreader r;
    uint64_t memory, version;
    const char *folder;

    jreader_init(&r, spec, "file session", err);
    jget_str(&r, "op");
    version = jget_u64(&r, "v");
    folder = jget_str(&r, "folder");
    jopt_str(&r, "appliance", NULL);
    memory = jget_u64(&r, "memory_mib");
    disks = jget_arr(&r, "disks");
    if (jreader_end(&r) < 0)
        return err->class;
    if (version != FILES_VERSION)
        return err_set(err, ERR_PROTOCOL, "unsupported_version",
                       "this program speaks version %d", FILES_VERSION);
    if (folder[0] != '/' || memory < MEMORY_MIB_MIN || memory > MEMORY_MIB_MAX ||
        json_array_size(disks) == 0 || json_array_size(disks) > SPEC_DISKS_MAX)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "folder, memory_mib or disks of the session are wrong");
    return 0;
}

static unsigned
ms_since(uint64_t begin_ns)
{
    return (unsigned)((time_mono_ns() - begin_ns) / NS_PER_MS);
}

int
appliance_open(const json_t *spec, struct appliance **ret, struct err *err)
{
    struct appliance *a = xcalloc(1, sizeof *a);
    uint64_t begin_ns = time_mono_ns();
    struct err first = ERR_INIT;
    int r = check_spec(spec, err);

    if (r >= 0 && launch(a, spec, true, &first) < 0) {
        /* Also where /dev/kvm is there but does not work. */
        log_info("without acceleration, since: %s", first.msg);
        r = launch(a, spec, false, err);
    }
    if (r >= 0) {
        a->boot_ms = ms_since(begin_ns);
        limits_remove_sockets();
        limits_own_memory();
        begin_ns = time_mono_ns();
        r = list_fs(a, err);
        a->look_ms = ms_since(begin_ns);
    }
    if (r < 0) {
        appliance_close(a);
        return err->class;
    }
    *ret = a;
    return 0;
}

void
appliance_close(struct appliance *a)
{
    if (!a)
        return;
    if (a->g)
        guestfs_close(a->g);
    for (size_t i = 0; i < a->n_fs; i++) {
        free(a->fs[i].fs);
        free(a->fs[i].type);
        free(a->fs[i].label);
        free(a->fs[i].uuid);
    }
    free(a->fs);
    free(a->keys);
    free(a);
}

static void
put_text(json_t *o, const char *key, const char *bytes)
{
    CLEANUP_FREE char *text = bytes && bytes[0] ? guestpath_to_text(bytes) : NULL;

    json_object_set_new(o, key, text ? json_string(text) : json_null());
}

json_t *
appliance_describe(const struct appliance *a)
{
    json_t *disks = json_array(), *list = json_array();

    for (size_t i = 0; i < a->n_keys; i++) {
        char name[] = {'/', 'd', 'e', 'v', '/', 's', 'd', 0, 0, 0};

        if (i < 26) {
            name[7] = (char)('a' + i);
        } else {
            name[7] = (char)('a' + i / 26 - 1);
            name[8] = (char)('a' + i % 26);
        }
        json_array_append_new(disks, json_pack("{s:I, s:s}", "device_key",
                                               (json_int_t)a->keys[i], "device", name));
    }
    for (size_t i = 0; i < a->n_fs; i++) {
        const struct appliance_fs *f = &a->fs[i];
        json_t *o = json_object();

        put_text(o, "fs", f->fs);
        put_text(o, "type", f->type);
        put_text(o, "label", f->label);
        put_text(o, "uuid", f->uuid);
        json_object_set_new(o, "size_bytes",
                            f->size_bytes ? json_integer((json_int_t)f->size_bytes)
                                          : json_null());
        json_object_set_new(o, "device_key",
                            f->key >= 0 ? json_integer(f->key) : json_null());
        json_object_set_new(o, "readable", json_boolean(f->readable));
        json_array_append_new(list, o);
    }
    return json_pack("{s:i, s:b, s:I, s:I, s:o, s:o}", "v", FILES_VERSION, "accelerated",
                     a->accelerated, "boot_ms", (json_int_t)a->boot_ms, "look_ms",
                     (json_int_t)a->look_ms, "disks", disks, "filesystems", list);
}

static int
find_fs(const struct appliance *a, const char *name, const struct appliance_fs **ret,
        struct err *err)
{
    const struct appliance_fs *only = NULL;
    size_t n = 0;

    for (size_t i = 0; i < a->n_fs; i++) {
        CLEANUP_FREE char *text = guestpath_to_text(a->fs[i].fs);

        if (name && strcmp(text, name) == 0) {
            *ret = &a->fs[i];
            return 0;
        }
        if (a->fs[i].readable) {
            only = &a->fs[i];
            n++;
        }
    }
    if (name)
        return err_set(err, ERR_NOT_FOUND, "fs_not_found",
                       "this backup has no file system '%.200s'", name);
    if (n != 1)
        return err_set(err, ERR_INVALID, "fs_required",
                       "this backup has %zu readable file systems: name one", n);
    *ret = only;
    return 0;
}

static const char *
mount_options(const char *type)
{
    /* A snapshot may lie beside its origin: XFS would refuse the second of a UUID. */
    if (strcmp(type, "xfs") == 0)
        return "ro,nouuid";
    /* Long names are UTF-16 there, and would be told with '?' else. */
    if (strcmp(type, "vfat") == 0)
        return "ro,utf8";
    return "ro";
}

int
appliance_mount(struct appliance *a, const char *name, struct err *err)
{
    const struct appliance_fs *f = NULL;
    const char *options;

    if (find_fs(a, name, &f, err) < 0)
        return err->class;
    if (a->mounted == f)
        return 0;
    if (!f->readable)
        return err_set(err, ERR_IO, "fs_unreadable", "'%.200s' is %.40s: no files in it",
                       f->fs, f->type);
    a->mounted = NULL;
    if (guestfs_umount_all(a->g) < 0)
        return appliance_err(a, err, "fs_unreadable", f->fs);
    options = mount_options(f->type);
    if (guestfs_mount_options(a->g, options, f->fs, "/") < 0) {
        if (appliance_is_dead(a))
            return appliance_err(a, err, "fs_unreadable", f->fs);
        return err_set(err, ERR_IO, "fs_unreadable", "mount '%.200s': %.400s", f->fs,
                       guestfs_last_error(a->g));
    }
    a->mounted = f;
    return 0;
}
