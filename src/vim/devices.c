/* vim/devices.c - see devices.h. */
#include "vim/devices.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define PARENTS_MAX XML_DEPTH_MAX

static const char *const bus_words[] = {"ide", "scsi", "sata", "nvme", "other"};

const char *
vim_bus_to_str(enum vim_bus b)
{
    return bus_words[b];
}

static const struct {
    const char *word, *advice;
} unprotected_texts[] = {
    [VIM_PROTECTED] = {NULL, NULL},
    [VIM_INDEPENDENT] = {"independent", "an independent disk is left out of snapshots: "
                                        "set its mode to dependent to back it up"},
    [VIM_PHYSICAL_RDM] =
        {"physical_rdm",
         "a raw device mapping in physical mode has no snapshots: back it "
         "up inside the guest or at the array"},
    [VIM_MULTI_WRITER] =
        {"multi_writer",
         "a disk that several machines write has no snapshots: back it up "
         "inside the guests"},
    [VIM_SHARED_BUS] = {"shared_bus",
                        "disks of a controller with bus sharing have no snapshots: back "
                        "them up inside the guest"},
    [VIM_UNKNOWN_BACKING] = {"unknown_backing",
                             "this version does not know this kind of disk"},
};

const char *
vim_unprotected_to_str(enum vim_unprotected u)
{
    return unprotected_texts[u].word;
}

const char *
vim_unprotected_advice(enum vim_unprotected u)
{
    return unprotected_texts[u].advice;
}

void
vim_devices_done(struct vim_devices *d)
{
    for (size_t i = 0; i < d->n_disks; i++) {
        struct vim_disk *k = &d->disks[i];

        free(k->label);
        free(k->backing);
        free(k->file);
        free(k->base_file);
        for (size_t j = 0; j < k->n_parents; j++)
            free(k->parents[j]);
        free(k->parents);
        free(k->mode);
        free(k->uuid);
        free(k->change_id);
    }
    free(d->disks);
    free(d->controllers);
    *d = (struct vim_devices){0};
}

/* ---- controllers ---- */

/* By the end of the type's name: VirtualLsiLogicSASController, ParaVirtualSCSIController,
 * VirtualAHCIController, … */
static bool
controller_bus(const char *type, enum vim_bus *ret)
{
    static const struct {
        const char *word;
        enum vim_bus bus;
    } kinds[] = {{"IDE", VIM_IDE},       {"SCSI", VIM_SCSI}, {"LsiLogic", VIM_SCSI},
                 {"BusLogic", VIM_SCSI}, {"AHCI", VIM_SATA}, {"SATA", VIM_SATA},
                 {"NVME", VIM_NVME}};
    size_t n = strlen(type);

    if (n < 10 || strcmp(type + n - 10, "Controller") != 0)
        return false;
    *ret = VIM_OTHER_BUS;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strstr(type, kinds[i].word))
            *ret = kinds[i].bus;
    return true;
}

/* Keys are xsd:int: negative ones are the client's, for devices not made yet. */
static bool
signed_key(const struct xml_node *e, int32_t *ret)
{
    CLEANUP_FREE char *text = xml_text(e);
    bool minus = text[0] == '-';
    uint64_t n;

    if (text_to_u64(text + minus, &n) < 0 || n > INT32_MAX)
        return false;
    *ret = minus ? -(int32_t)n : (int32_t)n;
    return true;
}

static void
add_controller(struct vim_devices *d, const struct xml_node *e, enum vim_bus bus)
{
    CLEANUP_FREE char *sharing = xml_text(xml_child(e, "sharedBus"));
    struct vim_controller c = {.bus = bus,
                               .shared = sharing[0] && strcmp(sharing, "noSharing") != 0};
    uint64_t number = 0;

    if (!signed_key(xml_child(e, "key"), &c.key))
        return; /* no disk can name it */
    if (xml_u64(xml_child(e, "busNumber"), &number) && number <= UINT32_MAX)
        c.bus_number = (uint32_t)number;
    d->controllers =
        xreallocarray(d->controllers, d->n_controllers + 1, sizeof(*d->controllers));
    d->controllers[d->n_controllers++] = c;
}

/* ---- disks ---- */

static int
broken(struct err *err, const char *what)
{
    return err_set(err, ERR_PROTOCOL, "vcenter_protocol", "the server describes %s",
                   what);
}

/* "VirtualDiskFlatVer2BackingInfo" -> "FlatVer2" */
static char *
backing_kind(const struct xml_node *backing)
{
    CLEANUP_FREE char *type = xml_type(backing);
    size_t n = strlen(type);

    if (n > 22 && strncmp(type, "VirtualDisk", 11) == 0 &&
        strcmp(type + n - 11, "BackingInfo") == 0)
        return xasprintf("%.*s", (int)(n - 22), type + 11);
    return take_ptr(&type);
}

static int
read_chain(const struct xml_node *backing, struct vim_disk *k, struct err *err)
{
    const struct xml_node *parent = xml_child(backing, "parent");

    for (; parent; parent = xml_child(parent, "parent")) {
        if (k->n_parents == PARENTS_MAX)
            return broken(err, "a disk with too long a chain of parents");
        k->parents = xreallocarray(k->parents, k->n_parents + 1, sizeof(*k->parents));
        k->parents[k->n_parents++] = xml_text(xml_child(parent, "fileName"));
    }
    k->base_file = xstrdup(k->n_parents ? k->parents[k->n_parents - 1] : k->file);
    return 0;
}

static bool
is_known_backing(const char *kind)
{
    static const char *const known[] = {"FlatVer1",   "FlatVer2", "SparseVer1",
                                        "SparseVer2", "SeSparse", "RawDiskMappingVer1"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(kind, known[i]) == 0)
            return true;
    return false;
}

static enum vim_unprotected
why_unprotected(const struct vim_disk *d, const struct xml_node *backing)
{
    CLEANUP_FREE char *rdm = xml_text(xml_child(backing, "compatibilityMode"));
    CLEANUP_FREE char *sharing = xml_text(xml_child(backing, "sharing"));

    if (strcmp(rdm, "physicalMode") == 0)
        return VIM_PHYSICAL_RDM;
    if (strcmp(sharing, "sharingMultiWriter") == 0)
        return VIM_MULTI_WRITER;
    if (d->controller && d->controller->shared)
        return VIM_SHARED_BUS;
    if (!is_known_backing(d->backing))
        return VIM_UNKNOWN_BACKING;
    /* persistent, and the two modes of old snapshots, undoable and append, are frozen. */
    if (strncmp(d->mode, "independent", 11) == 0 || strcmp(d->mode, "nonpersistent") == 0)
        return VIM_INDEPENDENT;
    return VIM_PROTECTED;
}

static const struct vim_controller *
find_controller(const struct vim_devices *d, const struct xml_node *key)
{
    int32_t n;

    for (size_t i = 0; signed_key(key, &n) && i < d->n_controllers; i++)
        if (d->controllers[i].key == n)
            return &d->controllers[i];
    return NULL;
}

static int
read_capacity(const struct xml_node *e, uint64_t *ret)
{
    uint64_t kib;

    if (xml_u64(xml_child(e, "capacityInBytes"), ret) && *ret > 0)
        return 0;
    if (!xml_u64(xml_child(e, "capacityInKB"), &kib) || kib == 0 ||
        kib > UINT64_MAX / 1024)
        return -1;
    *ret = kib * 1024;
    return 0;
}

static int
add_disk(struct vim_devices *d, const struct xml_node *e, struct err *err)
{
    const struct xml_node *backing = xml_child(e, "backing");
    struct vim_disk *k;
    uint64_t unit = 0;
    int32_t key;

    if (d->n_disks == VIM_DISKS_MAX)
        return broken(err, "more disks than a machine can have");
    if (!signed_key(xml_child(e, "key"), &key) || key < 0)
        return broken(err, "a disk without a key");
    for (size_t i = 0; i < d->n_disks; i++)
        if (d->disks[i].key == (uint32_t)key)
            return broken(err, "two disks with one key");
    d->disks = xreallocarray(d->disks, d->n_disks + 1, sizeof(*d->disks));
    k = &d->disks[d->n_disks++];
    *k = (struct vim_disk){
        .key = (uint32_t)key,
        .controller = find_controller(d, xml_child(e, "controllerKey")),
        .label = xml_text(xml_child(xml_child(e, "deviceInfo"), "label")),
        .backing = backing_kind(backing),
        .file = xml_text(xml_child(backing, "fileName")),
        .mode = xml_text(xml_child(backing, "diskMode")),
        .uuid = xml_text(xml_child(backing, "uuid")),
        .change_id = xml_text(xml_child(backing, "changeId")),
        .encrypted = xml_child(backing, "keyId") != NULL};
    if (read_capacity(e, &k->capacity_bytes) < 0)
        return broken(err, "a disk without a capacity");
    if (xml_u64(xml_child(e, "unitNumber"), &unit) && unit <= UINT32_MAX)
        k->unit = (uint32_t)unit;
    (void)xml_bool(xml_child(backing, "thinProvisioned"), &k->thin);
    (void)soap_moref(xml_child(backing, "datastore"), &k->datastore);
    k->unprotected = why_unprotected(k, backing);
    return read_chain(backing, k, err);
}

static int
by_place(const void *a, const void *b)
{
    const struct vim_disk *x = a, *y = b;
    const struct vim_controller *cx = x->controller, *cy = y->controller;

    if (!cx != !cy)
        return !cx - !cy;
    if (cx && cx->bus != cy->bus)
        return cx->bus < cy->bus ? -1 : 1;
    if (cx && cx->bus_number != cy->bus_number)
        return cx->bus_number < cy->bus_number ? -1 : 1;
    if (x->unit != y->unit)
        return x->unit < y->unit ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

int
vim_devices_decode(const struct xml_node *val, struct vim_devices *ret, struct err *err)
{
    CLEANUP_VIM_DEVICES struct vim_devices d = {0};
    enum vim_bus bus;

    /* Controllers first: a disk may stand before its own. */
    for (const struct xml_node *e = xml_child(val, NULL); e; e = xml_next(e, NULL)) {
        CLEANUP_FREE char *type = xml_type(e);

        if (controller_bus(type, &bus))
            add_controller(&d, e, bus);
    }
    for (const struct xml_node *e = xml_child(val, NULL); e; e = xml_next(e, NULL)) {
        CLEANUP_FREE char *type = xml_type(e);

        if (strcmp(type, "VirtualDisk") == 0 && add_disk(&d, e, err) < 0)
            return err->class;
    }
    if (d.n_disks > 0)
        qsort(d.disks, d.n_disks, sizeof(*d.disks), by_place);
    *ret = d;
    d = (struct vim_devices){0};
    return 0;
}
