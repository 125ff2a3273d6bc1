#include "catalog/cat_vm.h"

#include "catalog/stmt.h"

#define VM_COLUMNS                                                                       \
    "id, name, source_type, node_id, created_us, credential_id, moref, instance_uuid, "  \
    "platform, discovered_us"
#define DISK_COLUMNS                                                                     \
    "disk_uuid, vm_id, device_key, disk_index, label, source_url, size_bytes, "          \
    "source_uuid, bus, bus_number, unit_number, backing, file, base_file, datastore, "   \
    "not_protected, not_protected_message"

static const struct row_field vm_fields[] = {
    ROW_FIELD(cat_vm, TEXT, id),          ROW_FIELD(cat_vm, TEXT, name),
    ROW_FIELD(cat_vm, TEXT, source_type), ROW_FIELD(cat_vm, TEXT, node_id),
    ROW_FIELD(cat_vm, I64, created_us),   ROW_FIELD(cat_vm, TEXT, credential_id),
    ROW_FIELD(cat_vm, TEXT, moref),       ROW_FIELD(cat_vm, TEXT, instance_uuid),
    ROW_FIELD(cat_vm, TEXT, platform),    ROW_FIELD(cat_vm, OPT, discovered_us),
};
static const struct row_map vm_map = ROW_MAP(cat_vm, vm_fields);

static const struct row_field disk_fields[] = {
    ROW_FIELD(cat_vm_disk, TEXT, disk_uuid),
    ROW_FIELD(cat_vm_disk, TEXT, vm_id),
    ROW_FIELD(cat_vm_disk, I64, device_key),
    ROW_FIELD(cat_vm_disk, I64, disk_index),
    ROW_FIELD(cat_vm_disk, TEXT, label),
    ROW_FIELD(cat_vm_disk, TEXT, source_url),
    ROW_FIELD(cat_vm_disk, U64, size_bytes),
    ROW_FIELD(cat_vm_disk, TEXT, source_uuid),
    ROW_FIELD(cat_vm_disk, TEXT, bus),
    ROW_FIELD(cat_vm_disk, INDEX, bus_number),
    ROW_FIELD(cat_vm_disk, INDEX, unit_number),
    ROW_FIELD(cat_vm_disk, TEXT, backing),
    ROW_FIELD(cat_vm_disk, TEXT, file),
    ROW_FIELD(cat_vm_disk, TEXT, base_file),
    ROW_FIELD(cat_vm_disk, TEXT, datastore),
    ROW_FIELD(cat_vm_disk, TEXT, not_protected),
    ROW_FIELD(cat_vm_disk, MESSAGE, not_protected_message),
};
static const struct row_map disk_map = ROW_MAP(cat_vm_disk, disk_fields);

void
cat_vm_done(struct cat_vm *vm)
{
    row_free_all(&disk_map, vm->disks, vm->n_disks);
    row_done(&vm_map, vm);
}

void
cat_vms_done(struct cat_vms *l)
{
    for (size_t i = 0; i < l->n; i++)
        cat_vm_done(&l->v[i]);
    free(l->v);
    *l = (struct cat_vms){0};
}

static int
insert_vm(struct catalog *c, const struct cat_vm *vm, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "INSERT INTO vms (" VM_COLUMNS
                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &vm_map, vm);
    if (stmt_exec(&s) >= 0)
        return 0;
    if (err_has_code(err, "in_use"))
        return err_set(err, ERR_NOT_FOUND, "node_not_found",
                       "no such node or credential");
    return err->class;
}

static int
insert_disk(struct catalog *c, const struct cat_vm_disk *d, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "INSERT INTO vm_disks (" DISK_COLUMNS
                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &disk_map, d);
    if (stmt_exec(&s) < 0)
        return err_prefix(err, "disk %lld", (long long)d->device_key);
    return 0;
}

static int
insert_disks(struct catalog *c, const struct cat_vm *vm, struct err *err)
{
    for (size_t i = 0; i < vm->n_disks; i++) {
        struct cat_vm_disk d = vm->disks[i];

        d.vm_id = vm->id;
        if (!d.bus)
            d.bus_number = d.unit_number = -1;
        if (insert_disk(c, &d, err) < 0)
            return err->class;
    }
    return 0;
}

int
cat_vm_add(struct catalog *c, const struct cat_vm *vm, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};

    if (catalog_tx_begin(c, &tx, err) < 0)
        return err->class;
    if (insert_vm(c, vm, err) < 0 || insert_disks(c, vm, err) < 0) {
        if (err->class == ERR_EXISTS)
            err_recode(err, "vm_exists");
        return err->class;
    }
    return catalog_tx_commit(&tx, err);
}

static int
read_disks(struct catalog *c, struct cat_vm *vm, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " DISK_COLUMNS
                  " FROM vm_disks WHERE vm_id = ? ORDER BY disk_index",
                  err) < 0)
        return err->class;
    bind_text(&s, vm->id);
    return row_read_all(&s, &disk_map, 0, (void **)&vm->disks, &vm->n_disks, NULL);
}

static int
read_list(struct stmt *s, struct catalog *c, unsigned limit, struct cat_vms *ret,
          struct err *err)
{
    struct cat_vms l = {0};

    if (row_read_all(s, &vm_map, limit, (void **)&l.v, &l.n, &l.more) < 0)
        return err->class;
    for (size_t i = 0; i < l.n; i++) {
        if (read_disks(c, &l.v[i], err) < 0) {
            cat_vms_done(&l);
            return err->class;
        }
    }
    *ret = l;
    return 0;
}

int
cat_vm_get(struct catalog *c, const char *id, struct cat_vm *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_vm vm;

    if (stmt_open(&s, c, "SELECT " VM_COLUMNS " FROM vms WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    if (row_read_one(&s, &vm_map, &vm, "vm_not_found", "virtual machine") < 0)
        return err->class;
    if (read_disks(c, &vm, err) < 0) {
        cat_vm_done(&vm);
        return err->class;
    }
    *ret = vm;
    return 0;
}

int
cat_vm_find_by_name(struct catalog *c, const char *name, struct cat_vms *ret,
                    struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " VM_COLUMNS " FROM vms WHERE name = ? ORDER BY id LIMIT ?",
                  err) < 0)
        return err->class;
    bind_text(&s, name);
    bind_i64(&s, CATALOG_PAGE_MAX + 1);
    return read_list(&s, c, CATALOG_PAGE_MAX, ret, err);
}

int
cat_vm_list(struct catalog *c, const struct cat_page *page, struct cat_vms *ret,
            struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    unsigned limit = page_limit(page->limit);

    if (stmt_open(&s, c,
                  "SELECT " VM_COLUMNS " FROM vms WHERE (? IS NULL OR id > ?) "
                  "ORDER BY id LIMIT ?",
                  err) < 0)
        return err->class;
    bind_text(&s, page->after_id);
    bind_text(&s, page->after_id);
    bind_i64(&s, (int64_t)limit + 1);
    return read_list(&s, c, limit, ret, err);
}

int
cat_vm_find_by_instance(struct catalog *c, const char *credential_id,
                        const char *instance_uuid, struct cat_vms *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " VM_COLUMNS " FROM vms WHERE instance_uuid = ? "
                  "AND (credential_id = ? OR (? IS NULL AND credential_id IS NULL)) "
                  "ORDER BY id LIMIT ?",
                  err) < 0)
        return err->class;
    bind_text(&s, instance_uuid);
    bind_text(&s, credential_id);
    bind_text(&s, credential_id);
    bind_i64(&s, CATALOG_PAGE_MAX + 1);
    return read_list(&s, c, CATALOG_PAGE_MAX, ret, err);
}

int
cat_vm_set_disk_size(struct catalog *c, const char *disk_uuid, uint64_t size_bytes,
                     struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE vm_disks SET size_bytes = ? WHERE disk_uuid = ?", err) <
        0)
        return err->class;
    bind_u64(&s, size_bytes);
    bind_text(&s, disk_uuid);
    return stmt_exec_one(&s, "disk_not_found", "disk");
}

static int
delete_disks(struct catalog *c, const char *id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "DELETE FROM vm_disks WHERE vm_id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    return stmt_exec(&s);
}

static int
update_vm(struct catalog *c, const struct cat_vm *vm, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE vms SET name = ?, node_id = ?, credential_id = ?, moref = ?, "
                  "instance_uuid = ?, platform = ?, discovered_us = ? WHERE id = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, vm->name);
    bind_text(&s, vm->node_id);
    bind_text(&s, vm->credential_id);
    bind_text(&s, vm->moref);
    bind_text(&s, vm->instance_uuid);
    bind_text(&s, vm->platform);
    bind_opt(&s, vm->discovered_us);
    bind_text(&s, vm->id);
    return stmt_exec_one(&s, "vm_not_found", "virtual machine");
}

int
cat_vm_refresh(struct catalog *c, const struct cat_vm *vm, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};

    if (catalog_tx_begin(c, &tx, err) < 0 || update_vm(c, vm, err) < 0 ||
        delete_disks(c, vm->id, err) < 0)
        return err->class;
    if (insert_disks(c, vm, err) < 0) {
        if (err->class == ERR_EXISTS)
            err_recode(err, "vm_exists");
        return err->class;
    }
    return catalog_tx_commit(&tx, err);
}

static int
delete_vm(struct catalog *c, const char *id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "DELETE FROM vms WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    return stmt_exec_one(&s, "vm_not_found", "virtual machine");
}

int
cat_vm_remove(struct catalog *c, const char *id, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};

    if (catalog_tx_begin(c, &tx, err) < 0 || delete_disks(c, id, err) < 0)
        return err->class;
    if (delete_vm(c, id, err) < 0) {
        if (err->class == ERR_EXISTS)
            err_set(err, ERR_EXISTS, "vm_in_use",
                    "the virtual machine has backups: delete them first");
        return err->class;
    }
    return catalog_tx_commit(&tx, err);
}
