/* cli/cmd_vm.c - VMs. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/cmd_vm.h"
#include "cli/exitcode.h"
#include "cli/output.h"

static const struct output_col vm_list[] = {
    {"ID", "id"},
    {"NAME", "name"},
    {"SOURCE", "source_type"},
    {"DISKS", "disks", OUTPUT_COUNT},
    {"LAST BACKUP", "last_backup.completed", OUTPUT_TIME},
    {"STATUS", "last_backup.status", OUTPUT_STATUS},
    {"NOTE", "note"},
    {0},
};

static const struct output_col vm_fields[] = {
    {"id", "id"},
    {"name", "name"},
    {"source type", "source_type"},
    {"node", "node_id"},
    {"created", "created", OUTPUT_TIME},
    {"credential", "credential.name"},
    {"reference", "ref"},
    {"instance uuid", "instance_uuid"},
    {"discovered", "discovered", OUTPUT_TIME},
    {"template", "platform.is_template"},
    {"power", "platform.power"},
    {"connection", "platform.connection"},
    {"host", "platform.host"},
    {"datacenter", "platform.datacenter"},
    {"guest", "platform.guest_id"},
    {"hardware", "platform.version"},
    {"firmware", "platform.firmware"},
    {"change tracking", "platform.cbt_enabled"},
    {"snapshots", "platform.snapshots"},
    {"last backup", "last_backup.backup_id"},
    {"its status", "last_backup.status", OUTPUT_STATUS},
    {"completed", "last_backup.completed", OUTPUT_TIME},
    {0},
};

static const struct output_col disk_list[] = {
    {"DISK", "disk_id"},
    {"KEY", "key"},
    {"SIZE", "size_bytes", OUTPUT_SIZE},
    {"LABEL", "label"},
    {"SOURCE", "source"},
    {"UUID", "disk_uuid"},
    {0},
};

/* Of a VM of a vCenter. */
static const struct output_col placed_list[] = {
    {"DISK", "disk_id"},
    {"KEY", "key"},
    {"PLACE", "place"},
    {"SIZE", "size_bytes", OUTPUT_SIZE},
    {"LABEL", "label"},
    {"FILE", "source"},
    {"BACKED UP", "backed_up"},
    {"UUID", "disk_uuid"},
    {0},
};

static const char *
text_at(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* "scsi 0:1" and "yes" or why not, beside what the hub says. */
static json_t *
placed_disks(const json_t *disks)
{
    json_t *out = json_deep_copy(disks), *d;
    size_t i;

    json_array_foreach(out, i, d)
    {
        const json_t *not = json_object_get(d, "not_protected");

        json_object_set_new(
            d, "place",
            json_sprintf("%s %lld:%lld", text_at(d, "bus"),
                         (long long)json_integer_value(json_object_get(d, "bus_number")),
                         (long long)json_integer_value(json_object_get(d, "unit"))));
        json_object_set_new(d, "backed_up",
                            json_is_object(not )
                                ? json_sprintf("no (%s): %s", text_at(not, "reason"),
                                               text_at(not, "message"))
                                : json_string("yes"));
    }
    return out;
}

static void
put_note(json_t *vm)
{
    const json_t *disks = json_object_get(vm, "disks"), *d;
    size_t i, n = 0;

    json_array_foreach(disks, i, d)
    {
        n += json_is_object(json_object_get(d, "not_protected"));
    }
    if (json_is_true(json_object_get(json_object_get(vm, "platform"), "is_template")))
        json_object_set_new(
            vm, "note",
            json_string("template: not protected, no snapshot can be made "
                        "of it"));
    else if (n > 0)
        json_object_set_new(vm, "note", json_sprintf("%zu disks not protected", n));
}

int
vm_list_show(struct cli *c, const json_t *page, struct err *err)
{
    CLEANUP_JSON json_t *noted = json_deep_copy(page);
    json_t *vm;
    size_t i;

    if (c->format != FORMAT_TABLE)
        return output_list(c, page, "vms", vm_list, err);
    json_array_foreach(json_object_get(noted, "vms"), i, vm)
    {
        put_note(vm);
    }
    return output_list(c, noted, "vms", vm_list, err);
}

static void
list_candidates(const struct cli *c, const json_t *vms)
{
    const json_t *vm;
    size_t i;

    json_array_foreach(vms, i, vm)
    {
        CLEANUP_FREE char *id = output_value(vm, "id", OUTPUT_TEXT);
        CLEANUP_FREE char *disks = output_value(vm, "disks", OUTPUT_COUNT);
        CLEANUP_FREE char *created = output_value(vm, "created", OUTPUT_TIME);

        CLEANUP_FREE char *credential = output_value(vm, "credential.name", OUTPUT_TEXT);
        bool has = json_is_object(json_object_get(vm, "credential"));

        cli_complain(c, "candidate: %s, %s disks, added %s%s%s", id, disks, created,
                     has ? ", credential " : "", has ? credential : "");
    }
}

int
vm_resolve(struct cli *c, const char *word, char **ret_id, struct err *err)
{
    const char *id = c->args.value[OPT_VM_ID];
    CLEANUP_JSON json_t *candidates = NULL;
    int r;

    if (!!id == !!word || (id && !*id))
        return err_set(err, ERR_INVALID, "usage",
                       "give the VM either by name or by --vm-id");
    if (id) {
        *ret_id = xstrdup(id);
        return 0;
    }
    r = hub_find_vm(&c->hub, word, ret_id, &candidates, err);
    if (r < 0)
        list_candidates(c, candidates);
    return r;
}

static int
show_one(struct cli *c, const json_t *vm, struct err *err)
{
    int r = 0;

    if (!output_json(c, vm)) {
        const json_t *disks = json_object_get(vm, "disks");
        CLEANUP_JSON json_t *placed = NULL;

        r = output_fields(c, vm, vm_fields, err);
        if (json_object_get(json_array_get(disks, 0), "bus"))
            placed = placed_disks(disks);
        if (r == 0)
            r = output_rows(c, placed ? placed : disks, placed ? placed_list : disk_list,
                            err);
    }
    return r < 0 ? r : EXIT_OK;
}

/* "2000=nbd://…" */
static int
parse_disk(const char *text, json_t *disks, struct err *err)
{
    size_t n = strcspn(text, "=");
    CLEANUP_FREE char *key_text = xasprintf("%.*s", (int)n, text);
    json_t *disk;
    uint64_t key;

    if (text[n] != '=' || !text[n + 1] || text_to_u64(key_text, &key) < 0 ||
        key > INT64_MAX)
        return err_set(err, ERR_INVALID, "usage",
                       "--disk is KEY=URI with a number as KEY, such as "
                       "2000=nbd://127.0.0.1:10809/disk");
    disk = json_pack("{s:I, s:s}", "key", (json_int_t)key, "source", text + n + 1);
    if (!disk)
        return err_set(err, ERR_INVALID, "usage",
                       "the address of disk %s is not UTF-8 text", key_text);
    json_array_append_new(disks, disk);
    return 0;
}

int
cmd_vm_add(struct cli *c, struct err *err)
{
    json_t *disks = json_array();
    CLEANUP_JSON json_t *body =
        json_pack("{s:s, s:o}", "name", c->args.words[0], "disks", disks);
    CLEANUP_JSON json_t *vm = NULL;
    CLEANUP_FREE char *node = NULL;
    int r = 0;

    if (!body)
        return err_set(err, ERR_INVALID, "usage", "the name must be UTF-8 text");
    if (c->args.n_repeated == 0)
        return err_set(err, ERR_INVALID, "usage",
                       "a VM needs at least one --disk KEY=URI");
    for (unsigned i = 0; i < c->args.n_repeated && r == 0; i++)
        r = parse_disk(c->args.repeated[i], disks, err);
    if (r == 0 && c->args.value[OPT_NODE])
        r = hub_find(&c->hub, "node", "nodes", c->args.value[OPT_NODE], &node, err);
    if (r < 0)
        return r;
    if (node)
        json_object_set_new(body, "node_id", json_string(node));
    r = hub_call(&c->hub, "POST", "/vms", body, &vm, err);
    return r < 0 ? r : show_one(c, vm, err);
}

int
cmd_vm_ls(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *page = NULL;
    int r = hub_list(&c->hub, "/vms", "vms", &page, err);

    if (r == 0)
        r = vm_list_show(c, page, err);
    return r < 0 ? r : EXIT_OK;
}

int
cmd_vm_show(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *id = NULL, *path = NULL;
    CLEANUP_JSON json_t *vm = NULL;
    int r = vm_resolve(c, c->args.words[0], &id, err);

    if (r < 0)
        return r;
    path = hub_path("/vms/", id, "");
    r = hub_call(&c->hub, "GET", path, NULL, &vm, err);
    return r < 0 ? r : show_one(c, vm, err);
}

int
cmd_vm_rm(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *id = NULL, *path = NULL;
    int r = vm_resolve(c, c->args.words[0], &id, err);

    if (r < 0)
        return r;
    path = hub_path("/vms/", id, "");
    r = hub_call(&c->hub, "DELETE", path, NULL, NULL, err);
    if (r < 0)
        return r;
    cli_say(c, "VM %s is removed", id);
    return EXIT_OK;
}
