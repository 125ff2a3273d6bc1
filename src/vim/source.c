/* vim/source.c - see source.h. */
#include "vim/source.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "vim/layout.h"
#include "vim/props.h"

#define NVRAM_MAX (768u << 10) /* 1 MiB of base64: what a restore point holds */

bool
vim_ds_split(const char *file, char **ret_datastore, char **ret_path)
{
    const char *end = file[0] == '[' ? strchr(file, ']') : NULL;
    const char *path;

    if (!end || end == file + 1)
        return false;
    path = end + 1 + strspn(end + 1, " ");
    if (!*path || *path == '/')
        return false;
    *ret_datastore = xasprintf("%.*s", (int)(end - file - 1), file + 1);
    *ret_path = xstrdup(path);
    return true;
}

char *
vim_ds_url(const struct vim_session *s, const char *datacenter, const char *datastore,
           const char *path)
{
    return vim_folder_url(vim_url(s), datacenter, datastore, path);
}

/* ---- descriptors ---- */

static void
chain_done(struct vim_chain *c)
{
    for (size_t i = 0; i < c->n_links; i++) {
        vmdk_place_done(&c->links[i].place);
        vmdk_descriptor_done(&c->links[i].descriptor);
    }
    free(c->links);
    c->links = NULL;
    c->n_links = 0;
}

/* Of the file at l->place. */
static int
read_descriptor(struct vim_session *s, const struct vim_chain *c, struct vim_link *l,
                struct err *err)
{
    CLEANUP_FREE char *url = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT(VMDK_DESCRIPTOR_MAX);
    int r;

    url = vim_folder_url(c->url, c->datacenter, l->place.datastore, l->place.path);
    r = vim_get(s, url, VMDK_DESCRIPTOR_MAX, &text, err);
    if (r == ERR_LIMIT)
        err_set(err, ERR_INVALID, "source_unreadable",
                "it is too large for a descriptor");
    else if (r == 0)
        r = vmdk_descriptor_parse(text.data ? text.data : "", text.len, &l->descriptor,
                                  err);
    return r < 0 ? err_prefix(err, "[%.100s] %.200s", l->place.datastore, l->place.path)
                 : 0;
}

/* ---- datastores ---- */

static void
store_done(struct vim_store *d)
{
    free(d->id);
    free(d->name);
    *d = (struct vim_store){0};
}

static int
read_store(struct vim_session *s, const struct moref *ref, struct vim_store *ret,
           struct err *err)
{
    static const char *const paths[] = {"summary.name", "summary.url", NULL};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *object;

    if (vim_read_object(s, ref, paths, &doc, &object, err) < 0)
        return err_prefix(err, "the datastore of the disk");
    vim_store_decode(object, ret);
    return 0;
}

/* ---- chains ---- */

struct reading {
    struct vim_session *s;
    const struct vim_disk *disk;
    struct vim_chain chain;
    struct vim_store store; /* the disk's; read only when a descriptor needs it */
};

static void
reading_done(struct reading *r)
{
    chain_done(&r->chain);
    store_done(&r->store);
}

static int
need_store(struct reading *r, const char *file, struct err *err)
{
    if (!file || file[0] != '/' || r->chain.n_stores > 0 || !r->disk->datastore.value[0])
        return 0;
    if (read_store(r->s, &r->disk->datastore, &r->store, err) < 0)
        return err->class;
    r->chain.stores = &r->store;
    r->chain.n_stores = 1;
    return 0;
}

/* Where the next file of the chain is: as the server says, or, where it says nothing, as
 * the delta before it does.  1, or 0 at the end. */
static int
next_place(struct reading *r, struct vmdk_place *ret, struct err *err)
{
    const struct vim_disk *disk = r->disk;
    const size_t n = r->chain.n_links;
    const struct vim_link *last = n > 0 ? &r->chain.links[n - 1] : NULL;
    const char *file = n == 0                 ? disk->file
                       : n <= disk->n_parents ? disk->parents[n - 1]
                                              : NULL;

    if (!file && !vim_layout_has_parent(last))
        return 0;
    if (n == VIM_LAYERS_MAX)
        return err_set(err, ERR_INVALID, "source_unreadable",
                       "%.200s: a chain of more than %d files: delete snapshots",
                       disk->file, VIM_LAYERS_MAX);
    if (!file) {
        if (need_store(r, last->descriptor.parent_hint, err) < 0 ||
            vim_layout_parent(&r->chain, last, ret, err) < 0)
            return err->class;
        return 1;
    }
    if (!vim_ds_split(file, &ret->datastore, &ret->path))
        return err_set(err, ERR_INVALID, "source_unreadable",
                       "'%.200s' is no file of a datastore", file);
    return 1;
}

static int
read_chain(struct reading *r, struct err *err)
{
    struct vim_chain *c = &r->chain;

    c->links = xcalloc(VIM_LAYERS_MAX, sizeof(*c->links));
    for (;;) {
        struct vmdk_place place = {0};
        struct vim_link *l = &c->links[c->n_links];
        int more = next_place(r, &place, err);

        if (more <= 0)
            return more;
        l->place = place;
        c->n_links++;
        if (read_descriptor(r->s, c, l, err) < 0)
            return err->class;
        for (unsigned k = 0; k < l->descriptor.n_extents; k++)
            if (need_store(r, l->descriptor.extents[k].file, err) < 0)
                return err->class;
    }
}

/* ---- layout ---- */

static int
check_disk(const struct vim_disk *disk, struct err *err)
{
    if (disk->unprotected != VIM_PROTECTED)
        return err_set(err, ERR_INVALID, "source_unreadable", "%s: %s", disk->label,
                       vim_unprotected_advice(disk->unprotected));
    if (disk->encrypted)
        return err_set(err, ERR_INVALID, "source_unreadable",
                       "%s is encrypted: over HTTPS the server gives only what is "
                       "stored, not what it means; back it up inside the guest",
                       disk->label);
    return 0;
}

static json_t *
layout_json(const struct vim_disk *disk, const struct tls_trust *trust,
            unsigned connections, unsigned retry_s, json_t *layers)
{
    char pin[TLS_FINGERPRINT_STR] = "";

    if (trust->has_sha256)
        tls_fingerprint_format(trust->sha256, pin);
    return json_pack(
        "{s:i, s:I, s:{s:s?, s:s?}, s:i, s:i, s:O, s:n}", "v", 1, "size_bytes",
        (json_int_t)disk->capacity_bytes, "tls", "sha256", trust->has_sha256 ? pin : NULL,
        "ca_pem", trust->ca_pem, "connections", (int)connections, "retry_s",
        (int)(retry_s < VIM_LAYOUT_RETRY_MAX_S ? retry_s : VIM_LAYOUT_RETRY_MAX_S),
        "layers", layers, "allocated");
}

int
vim_disk_layout(struct vim_session *s, const char *datacenter,
                const struct vim_disk *disk, const struct tls_trust *trust,
                unsigned connections, unsigned retry_s, json_t **ret, struct err *err)
{
    CLEANUP(reading_done)
    struct reading r = {.s = s,
                        .disk = disk,
                        .chain = {.url = vim_url(s),
                                  .datacenter = datacenter,
                                  .size_bytes = disk->capacity_bytes}};
    CLEANUP_JSON json_t *layers = NULL;

    if (check_disk(disk, err) < 0 || read_chain(&r, err) < 0 ||
        vim_layout_layers(&r.chain, &layers, err) < 0)
        return err->class;
    *ret = layout_json(disk, trust, connections, retry_s, layers);
    if (!*ret)
        return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                       "the server's names are not UTF-8");
    return 0;
}

/* ---- NVRAM ---- */

int
vim_read_nvram(struct vim_session *s, const struct vim_vm *vm, char **ret,
               struct err *err)
{
    CLEANUP_FREE char *datastore = NULL, *path = NULL, *url = NULL;
    CLEANUP_BUF struct buf b = BUF_INIT(NVRAM_MAX);
    size_t n;
    int r;

    if (!vm->nvram_file[0]) {
        *ret = NULL;
        return 0;
    }
    if (!vim_ds_split(vm->nvram_file, &datastore, &path))
        return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                       "the server puts the NVRAM at '%.200s'", vm->nvram_file);
    url = vim_ds_url(s, vm->datacenter, datastore, path);
    r = vim_get(s, url, NVRAM_MAX, &b, err);
    if (r == ERR_NOT_FOUND) { /* a VM that never ran has none yet */
        err_clear(err);
        *ret = NULL;
        return 0;
    }
    if (r < 0)
        return err_prefix(err, "NVRAM %.200s", vm->nvram_file);
    n = sodium_base64_encoded_len(b.len, sodium_base64_VARIANT_ORIGINAL);
    *ret = xcalloc(n, 1);
    sodium_bin2base64(*ret, n, (const unsigned char *)(b.data ? b.data : ""), b.len,
                      sodium_base64_VARIANT_ORIGINAL);
    return 0;
}
