/* The SQLite driver.  Public contract: db.h.  Settings, and why:
 *   WAL             readers (a backup of the file, the sqlite3 shell) do not stop the hub
 *   synchronous     FULL: a commit that was acknowledged survives a power cut; the
 * journal of resources is worth nothing without it BEGIN IMMEDIATE the right to write is
 * taken at once, so a transaction never fails half-way because somebody else wrote in
 * between no DQS          "x" is never silently a string: a name that is mistyped is an
 * error defensive, untrusted schema: a file from outside cannot run code or damage itself
 * by SQL */
#include "catalog/db.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

struct db {
    sqlite3 *h;
};

struct db_stmt {
    struct db *db;
    sqlite3_stmt *h;
    int64_t changes;
};

static int
constraint_error(int rc, struct err *err)
{
    switch (rc) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return err_set(err, ERR_EXISTS, "already_exists",
                       "it exists already in the catalog");
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return err_set(err, ERR_EXISTS, "in_use",
                       "the catalog has records that refer to it, or it refers to none");
    default:
        return err_set(
            err, ERR_INVALID, "catalog_constraint",
            "the catalog refuses the record: a value is missing or not allowed");
    }
}

static int
sq_error(sqlite3 *h, int rc, struct err *err)
{
    int e = h ? sqlite3_system_errno(h) : 0;

    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, ERR_UNAVAILABLE, "catalog_busy",
                       "another process holds the catalog; try again");
    case SQLITE_CONSTRAINT:
        return constraint_error(rc, err);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(err, ERR_CORRUPT, "catalog_corrupt",
                       "the catalog is damaged: run 'sendense-hub catalog rebuild'");
    case SQLITE_FULL:
        return err_set(err, ERR_NO_SPACE, "catalog_full",
                       "no space left for the catalog");
    case SQLITE_IOERR:
        if (e == EDQUOT || e == ENOSPC)
            return err_set(err, ERR_NO_SPACE, "catalog_full",
                           "no space left for the catalog");
        return err_set(err, ERR_IO, "catalog_io", "catalog: %s", sqlite3_errstr(rc));
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return err_set(err, ERR_IO, "catalog_io", "catalog: %s", sqlite3_errstr(rc));
    default:
        /* The text of SQLite may quote the statement: for developers only. */
        log_debug("catalog: sqlite %d: %s", rc, h ? sqlite3_errmsg(h) : "");
        return err_set(err, ERR_INTERNAL, "catalog_internal", "catalog: %s",
                       sqlite3_errstr(rc));
    }
}

static int
sq_script(struct db *db, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(db->h, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : sq_error(db->h, rc, err);
}

static int
want_wal(sqlite3 *h, struct err *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(h, "PRAGMA journal_mode=WAL", -1, &st, NULL);
    bool wal = false;

    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(st, 0);

        wal = mode && strcmp(mode, "wal") == 0;
    }
    sqlite3_finalize(st);
    if (rc != SQLITE_ROW)
        return sq_error(h, rc, err);
    if (!wal)
        return err_set(err, ERR_IO, "catalog_io",
                       "the file system of the catalog does not allow a write-ahead log");
    return 0;
}

static int
configure(struct db *db, unsigned busy_timeout_ms, struct err *err)
{
    sqlite3_busy_timeout(db->h,
                         busy_timeout_ms > INT_MAX ? INT_MAX : (int)busy_timeout_ms);
    sqlite3_db_config(db->h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->h, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db->h, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    if (want_wal(db->h, err) < 0)
        return err->class;
    return sq_script(db, "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON", err);
}

/* The file exists with mode 0600 before SQLite sees it; -wal and -shm inherit its mode.
 */
static int
prepare_file(const struct db_where *where, struct err *err)
{
    if (!fs_exists(where->path)) {
        if (!where->create)
            return err_set(
                err, ERR_NOT_FOUND, "catalog_missing",
                "there is no catalog '%s': run 'sendense-hub init', or 'sendense-hub "
                "catalog rebuild' when it was lost",
                where->path);
        if (fs_create_file_durable(where->path, "", 0, 0600, err) < 0 &&
            err->class != ERR_EXISTS) /* another process was faster: fine */
            return err->class;
        err_clear(err);
    }
    if (chmod(where->path, 0600) < 0)
        return err_set(err, ERR_IO, "catalog_io", "cannot set the mode of '%s'",
                       where->path);
    return 0;
}

static void
sq_close(struct db *db)
{
    if (!db)
        return;
    sqlite3_close_v2(db->h);
    free(db);
}

static int
sq_open(const struct db_where *where, struct db **ret, struct err *err)
{
    struct db *db;
    int rc;

    if (prepare_file(where, err) < 0)
        return err->class;
    db = xcalloc(1, sizeof(*db));
    rc = sqlite3_open_v2(
        where->path, &db->h,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc != SQLITE_OK)
        sq_error(db->h, rc, err);
    else if (configure(db, where->busy_timeout_ms, err) >= 0) {
        *ret = db;
        return 0;
    }
    sq_close(db);
    return err_prefix(err, "open '%s'", where->path);
}

static int
sq_prepare(struct db *db, const char *sql, struct db_stmt **ret, struct err *err)
{
    sqlite3_stmt *h = NULL;
    const char *tail = NULL;
    struct db_stmt *st;
    int rc = sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, &h, &tail);

    if (rc != SQLITE_OK)
        return sq_error(db->h, rc, err);
    if (!h || tail[strspn(tail, " \t\r\n;")] != '\0') {
        sqlite3_finalize(h);
        return err_set(err, ERR_INTERNAL, "catalog_internal",
                       "not exactly one statement");
    }
    st = xcalloc(1, sizeof(*st));
    st->db = db;
    st->h = h;
    *ret = st;
    return 0;
}

static int
bound(struct db_stmt *st, int rc, struct err *err)
{
    return rc == SQLITE_OK ? 0 : sq_error(st->db->h, rc, err);
}

static int
sq_bind_null(struct db_stmt *st, int i, struct err *err)
{
    return bound(st, sqlite3_bind_null(st->h, i), err);
}

static int
sq_bind_int64(struct db_stmt *st, int i, int64_t v, struct err *err)
{
    return bound(st, sqlite3_bind_int64(st->h, i, v), err);
}

static int
sq_bind_text(struct db_stmt *st, int i, const char *s, size_t n, struct err *err)
{
    return bound(st, sqlite3_bind_text64(st->h, i, s, n, SQLITE_STATIC, SQLITE_UTF8),
                 err);
}

static int
sq_bind_blob(struct db_stmt *st, int i, const void *p, size_t n, struct err *err)
{
    /* A NULL pointer would become SQL NULL; an empty blob is a value. */
    return bound(st, sqlite3_bind_blob64(st->h, i, p ? p : "", n, SQLITE_STATIC), err);
}

static int
sq_step(struct db_stmt *st, struct err *err)
{
    int rc = sqlite3_step(st->h);

    if (rc == SQLITE_ROW)
        return 1;
    if (rc != SQLITE_DONE)
        return sq_error(st->db->h, rc, err);
    st->changes = sqlite3_stmt_readonly(st->h) ? 0 : sqlite3_changes64(st->db->h);
    return 0;
}

static int
sq_column_count(struct db_stmt *st)
{
    return sqlite3_column_count(st->h);
}

static const char *
sq_column_name(struct db_stmt *st, int i)
{
    return sqlite3_column_name(st->h, i);
}

static bool
sq_column_is_null(struct db_stmt *st, int i)
{
    return sqlite3_column_type(st->h, i) == SQLITE_NULL;
}

static int64_t
sq_column_int64(struct db_stmt *st, int i)
{
    return sqlite3_column_int64(st->h, i);
}

static const char *
sq_column_text(struct db_stmt *st, int i, size_t *ret_n)
{
    const char *s = (const char *)sqlite3_column_text(st->h, i);

    *ret_n = s ? (size_t)sqlite3_column_bytes(st->h, i) : 0;
    return s;
}

static const void *
sq_column_blob(struct db_stmt *st, int i, size_t *ret_n)
{
    const void *p = sqlite3_column_blob(st->h, i);

    *ret_n = (size_t)sqlite3_column_bytes(st->h, i);
    if (!p && !sq_column_is_null(st, i))
        return "";
    return p;
}

static int64_t
sq_changes(struct db_stmt *st)
{
    return st->changes;
}

static void
sq_reset(struct db_stmt *st)
{
    sqlite3_reset(st->h);
    sqlite3_clear_bindings(st->h);
    st->changes = 0;
}

static void
sq_finalize(struct db_stmt *st)
{
    if (!st)
        return;
    sqlite3_finalize(st->h);
    free(st);
}

static int
sq_begin(struct db *db, struct err *err)
{
    return sq_script(db, "BEGIN IMMEDIATE", err);
}

static int
sq_commit(struct db *db, struct err *err)
{
    return sq_script(db, "COMMIT", err);
}

static bool
sq_in_tx(struct db *db)
{
    return !sqlite3_get_autocommit(db->h);
}

static void
sq_rollback(struct db *db)
{
    if (sq_in_tx(db))
        sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
}

static int
sq_tables(struct db *db, const char *name, bool *ret_has, bool *ret_any, struct err *err)
{
    sqlite3_stmt *st = NULL;
    bool has = false, any = false;
    int rc = sqlite3_prepare_v2(
        db->h,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        -1, &st, NULL);

    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW) {
            const char *s = (const char *)sqlite3_column_text(st, 0);

            any = true;
            has = has || (s && strcmp(s, name) == 0);
        }
    }
    sqlite3_finalize(st);
    if (rc != SQLITE_DONE)
        return sq_error(db->h, rc, err);
    *ret_has = has;
    *ret_any = any;
    return 0;
}

static int
copy_pages(struct db *db, const char *path, struct err *err)
{
    sqlite3 *to = NULL;
    sqlite3_backup *b;
    int rc = sqlite3_open_v2(
        path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
        NULL);

    if (rc == SQLITE_OK) {
        b = sqlite3_backup_init(to, "main", db->h, "main");
        if (b) {
            sqlite3_backup_step(b, -1);
            rc = sqlite3_backup_finish(b); /* tells what step found */
        } else {
            rc = sqlite3_errcode(to);
        }
    }
    if (rc != SQLITE_OK)
        sq_error(to, rc, err);
    sqlite3_close_v2(to);
    return rc == SQLITE_OK ? 0 : err->class;
}

static int
sq_copy_to(struct db *db, const char *path, struct err *err)
{
    CLEANUP_FREE char *tmp = xasprintf("%s.tmp", path);

    if (fs_unlink(tmp, true, err) < 0 ||
        fs_create_file_durable(tmp, "", 0, 0600, err) < 0)
        return err->class;
    /* An older copy is of a schema step that never succeeded: its data is out of date. */
    if (copy_pages(db, tmp, err) < 0 || fs_sync_path(tmp, err) < 0 ||
        fs_unlink(path, true, err) < 0 || fs_rename_noreplace(tmp, path, err) < 0) {
        struct err ignored = ERR_INIT;

        fs_unlink(tmp, true, &ignored);
        return err->class;
    }
    return fs_sync_parent(path, err);
}

static int
sq_check(struct db *db, struct err *err)
{
    sqlite3_stmt *st = NULL;
    bool ok = false;
    int rc = sqlite3_prepare_v2(db->h, "PRAGMA integrity_check(1)", -1, &st, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *s = (const char *)sqlite3_column_text(st, 0);

        ok = s && strcmp(s, "ok") == 0;
    }
    sqlite3_finalize(st);
    if (rc != SQLITE_ROW)
        return sq_error(db->h, rc, err);
    if (!ok)
        return sq_error(db->h, SQLITE_CORRUPT, err);

    st = NULL;
    rc = sqlite3_prepare_v2(db->h, "PRAGMA foreign_key_check", -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    sqlite3_finalize(st);
    if (rc == SQLITE_ROW) /* a record refers to nothing */
        return sq_error(db->h, SQLITE_CORRUPT, err);
    return rc == SQLITE_DONE ? 0 : sq_error(db->h, rc, err);
}

const struct db_ops db_sqlite_ops = {
    .name = "sqlite",
    .open = sq_open,
    .close = sq_close,
    .prepare = sq_prepare,
    .bind_null = sq_bind_null,
    .bind_int64 = sq_bind_int64,
    .bind_text = sq_bind_text,
    .bind_blob = sq_bind_blob,
    .step = sq_step,
    .column_count = sq_column_count,
    .column_name = sq_column_name,
    .column_is_null = sq_column_is_null,
    .column_int64 = sq_column_int64,
    .column_text = sq_column_text,
    .column_blob = sq_column_blob,
    .changes = sq_changes,
    .reset = sq_reset,
    .finalize = sq_finalize,
    .begin = sq_begin,
    .commit = sq_commit,
    .rollback = sq_rollback,
    .in_tx = sq_in_tx,
    .script = sq_script,
    .tables = sq_tables,
    .copy_to = sq_copy_to,
    .check = sq_check,
};
