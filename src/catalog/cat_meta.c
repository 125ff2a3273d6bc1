#include "catalog/cat_meta.h"

#include <string.h>

#include "base/mem.h"
#include "catalog/stmt.h"

#define HUB_UUID "hub_uuid"

int
cat_meta_get(struct catalog *c, const char *name, char **ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(&s, c, "SELECT value FROM meta WHERE name = ?", err) < 0)
        return err->class;
    bind_text(&s, name);
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "setting_not_found", "no setting '%s'", name);
    *ret = stmt_col_text(&s, 0);
    return 0;
}

static int
update(struct catalog *c, const char *name, const char *value, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE meta SET value = ? WHERE name = ?", err) < 0)
        return err->class;
    bind_text(&s, value);
    bind_text(&s, name);
    return stmt_exec(&s);
}

static int
insert(struct catalog *c, const char *name, const char *value, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "INSERT INTO meta (name, value) VALUES (?, ?)", err) < 0)
        return err->class;
    bind_text(&s, name);
    bind_text(&s, value);
    return stmt_exec(&s);
}

int
cat_meta_set(struct catalog *c, const char *name, const char *value, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    int rc;

    if (catalog_tx_begin(c, &tx, err) < 0)
        return err->class;
    rc = update(c, name, value, err);
    if (rc == 0)
        rc = insert(c, name, value, err);
    if (rc < 0)
        return rc;
    return catalog_tx_commit(&tx, err);
}

int
cat_meta_remove(struct catalog *c, const char *name, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(&s, c, "DELETE FROM meta WHERE name = ?", err) < 0)
        return err->class;
    bind_text(&s, name);
    rc = stmt_exec(&s);
    return rc < 0 ? rc : 0;
}

int
cat_meta_hub_uuid(struct catalog *c, char ret[UUID_STR_SIZE], struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    CLEANUP_FREE char *have = NULL;
    char uuid[UUID_STR_SIZE];

    if (catalog_tx_begin(c, &tx, err) < 0)
        return err->class;
    if (cat_meta_get(c, HUB_UUID, &have, err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
        uuid_make(uuid);
        if (insert(c, HUB_UUID, uuid, err) < 0)
            return err->class;
    } else if (!uuid_is_valid(have)) {
        return err_set(err, ERR_CORRUPT, "catalog_corrupt",
                       "the hub's identity is not a UUID");
    } else {
        memcpy(uuid, have, UUID_STR_SIZE);
    }
    if (catalog_tx_commit(&tx, err) < 0)
        return err->class;
    memcpy(ret, uuid, UUID_STR_SIZE);
    return 0;
}
