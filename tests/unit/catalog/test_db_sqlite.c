/* The driver against the contract of db.h, and each error class. */
#include "t_catalog.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "catalog/db.h"

static const struct db_ops *const ops = &db_sqlite_ops;

static struct db *
open_db(struct t_env *e, unsigned timeout_ms)
{
    struct db_where w = {.path = e->path, .create = true, .busy_timeout_ms = timeout_ms};
    struct db *db = NULL;

    T_OK(ops->open(&w, &db, &err));
    return db;
}

static int
run(struct db *db, const char *sql, struct err *err)
{
    struct db_stmt *st;
    int rc;

    if (ops->prepare(db, sql, &st, err) < 0)
        return err->class;
    rc = ops->step(st, err);
    ops->finalize(st);
    return rc;
}

static void
test_values(void **state)
{
    struct t_env e;
    struct db *db;
    struct db_stmt *st;
    struct stat sb;
    size_t n;

    t_mkdir(&e);
    db = open_db(&e, 100);
    assert_int_equal(stat(e.path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    T_OK(ops->script(db, "CREATE TABLE t (a BIGINT, b TEXT, c BLOB)", &err));
    T_OK(ops->prepare(db, "INSERT INTO t (a, b, c) VALUES (?, ?, ?) RETURNING a", &st,
                      &err));
    T_OK(ops->bind_int64(st, 1, INT64_MIN, &err));
    T_OK(ops->bind_text(st, 2, "'; DROP TABLE t; --", 19, &err));
    T_OK(ops->bind_blob(st, 3, "\0\1", 2, &err));
    {
        struct err err = ERR_INIT;

        assert_int_equal(ops->step(st, &err), 1);
        assert_true(ops->column_int64(st, 0) == INT64_MIN);
        assert_int_equal(ops->step(st, &err), 0);
        assert_int_equal(ops->changes(st), 1);
        ops->reset(st); /* forgets the values */
        assert_int_equal(ops->step(st, &err), 1);
        assert_true(ops->column_is_null(st, 0));
    }
    T_ERR(ERR_INTERNAL, "catalog_internal", ops->bind_int64(st, 9, 1, &err));
    ops->finalize(st);
    T_OK(ops->prepare(db, "SELECT a, b, c FROM t WHERE a IS NOT NULL", &st, &err));
    T_OK(ops->step(st, &err));
    assert_int_equal(ops->column_count(st), 3);
    assert_string_equal(ops->column_name(st, 1), "b");
    assert_string_equal(ops->column_text(st, 1, &n), "'; DROP TABLE t; --");
    assert_int_equal(n, 19);
    assert_memory_equal(ops->column_blob(st, 2, &n), "\0\1", 2);
    assert_int_equal(n, 2);
    ops->finalize(st);
    T_OK(ops->prepare(db, "UPDATE t SET b = ?, c = ?", &st, &err));
    T_OK(ops->bind_null(st, 1, &err));
    T_OK(ops->bind_blob(st, 2, NULL, 0, &err));
    T_OK(ops->step(st, &err));
    assert_int_equal(ops->changes(st), 2);
    ops->finalize(st);
    T_OK(ops->prepare(db, "SELECT b, c FROM t", &st, &err));
    T_OK(ops->step(st, &err));
    assert_null(ops->column_text(st, 0, &n));
    assert_non_null(ops->column_blob(st, 1, &n));
    assert_int_equal(n, 0);
    ops->finalize(st);
    ops->close(db);
    ops->close(NULL);
    ops->finalize(NULL);
    t_rmdir(&e);
}

static void
test_constraints(void **state)
{
    struct t_env e;
    struct db *db;

    t_mkdir(&e);
    db = open_db(&e, 100);
    T_OK(ops->script(db,
                     "CREATE TABLE p (id BIGINT NOT NULL PRIMARY KEY, u TEXT UNIQUE,"
                     " c BIGINT CHECK (c > 0));"
                     "CREATE TABLE q (p BIGINT, FOREIGN KEY (p) REFERENCES p (id));"
                     "INSERT INTO p VALUES (1, 'a', 1); INSERT INTO q VALUES (1)",
                     &err));
    T_ERR(ERR_EXISTS, "already_exists",
          run(db, "INSERT INTO p VALUES (1, 'b', 1)", &err));
    T_ERR(ERR_EXISTS, "already_exists",
          run(db, "INSERT INTO p VALUES (2, 'a', 1)", &err));
    T_ERR(ERR_EXISTS, "in_use", run(db, "DELETE FROM p", &err));
    T_ERR(ERR_EXISTS, "in_use", run(db, "INSERT INTO q VALUES (7)", &err));
    T_ERR(ERR_INVALID, "catalog_constraint",
          run(db, "INSERT INTO p VALUES (3, 'c', 0)", &err));
    T_ERR(ERR_INVALID, "catalog_constraint",
          run(db, "INSERT INTO p VALUES (NULL, 'd', 1)", &err));
    T_ERR(ERR_INTERNAL, "catalog_internal", run(db, "SELECT nothing FROM p", &err));
    T_ERR(ERR_INTERNAL, "catalog_internal", run(db, "SELECT \"text\"", &err));
    T_ERR(ERR_INTERNAL, "catalog_internal", run(db, "SELECT 1; SELECT 2", &err));
    T_ERR(ERR_INTERNAL, "catalog_internal", run(db, "  ", &err));
    T_OK(ops->check(db, &err));
    T_OK(ops->script(db, "PRAGMA foreign_keys=OFF; INSERT INTO q VALUES (9)", &err));
    T_ERR(ERR_CORRUPT, "catalog_corrupt", ops->check(db, &err));
    ops->close(db);
    t_rmdir(&e);
}

static void
test_busy(void **state)
{
    struct t_env e;
    struct db *a, *b;

    t_mkdir(&e);
    a = open_db(&e, 100);
    b = open_db(&e, 30);
    T_OK(ops->script(a, "CREATE TABLE t (x BIGINT)", &err));
    T_OK(ops->begin(a, &err));
    assert_true(ops->in_tx(a));
    T_ERR(ERR_UNAVAILABLE, "catalog_busy", ops->begin(b, &err));
    T_ERR(ERR_UNAVAILABLE, "catalog_busy", run(b, "INSERT INTO t VALUES (1)", &err));
    T_OK(run(b, "SELECT x FROM t", &err)); /* readers go on */
    assert_true(err_is_transient(ERR_UNAVAILABLE));
    T_OK(ops->commit(a, &err));
    T_OK(ops->begin(b, &err));
    ops->rollback(b);
    ops->rollback(b);
    assert_false(ops->in_tx(b));
    ops->close(a);
    ops->close(b);
    t_rmdir(&e);
}

static void
test_full(void **state)
{
    struct t_env e;
    struct db *db;
    bool has, any;

    t_mkdir(&e);
    db = open_db(&e, 100);
    T_OK(ops->tables(db, "t", &has, &any, &err));
    assert_false(has || any);
    T_OK(ops->script(db, "CREATE TABLE t (x TEXT); PRAGMA max_page_count=4", &err));
    T_OK(ops->tables(db, "t", &has, &any, &err));
    assert_true(has && any);
    T_OK(ops->tables(db, "other", &has, &any, &err));
    assert_true(!has && any);
    T_ERR(ERR_NO_SPACE, "catalog_full",
          ops->script(db, "INSERT INTO t VALUES (randomblob(1000000))", &err));
    ops->close(db);
    t_rmdir(&e);
}

static void
test_open_errors(void **state)
{
    struct t_env e;
    struct db_where w = {.path = e.path, .busy_timeout_ms = 10};
    struct db *db;
    FILE *f;

    t_mkdir(&e);
    T_ERR(ERR_NOT_FOUND, "catalog_missing", ops->open(&w, &db, &err));
    assert_int_equal(access(e.path, F_OK), -1);
    f = fopen(e.path, "w");
    assert_non_null(f);
    for (int i = 0; i < 5000; i++)
        fputs("not a database ", f);
    fclose(f);
    T_ERR(ERR_CORRUPT, "catalog_corrupt", ops->open(&w, &db, &err));
    unlink(e.path);
    assert_int_equal(mkdir(e.path, 0700), 0);
    T_ERR(ERR_IO, "catalog_io", ops->open(&w, &db, &err));
    rmdir(e.path);
    t_rmdir(&e);
}

static void
test_copy_and_damage(void **state)
{
    struct t_env e, to;
    struct db *db;
    struct stat sb;
    char junk[4096 * 3];
    FILE *f;

    t_mkdir(&e);
    db = open_db(&e, 100);
    T_OK(ops->script(
        db,
        "CREATE TABLE t (x TEXT UNIQUE); INSERT INTO t "
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
        "9000) SELECT i || hex(zeroblob(20)) FROM n",
        &err));
    to = e;
    snprintf(to.path, sizeof(to.path), "%s/copy.db", e.dir);
    T_OK(ops->copy_to(db, to.path, &err));
    T_OK(ops->copy_to(db, to.path, &err)); /* replaces the first */
    ops->close(db);
    assert_int_equal(stat(to.path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    db = open_db(&to, 100);
    T_OK(ops->check(db, &err));
    T_ERR(ERR_INTERNAL, "catalog_internal", run(db, "SELECT y FROM t", &err));
    ops->close(db);
    f = fopen(to.path, "r+");
    assert_non_null(f);
    memset(junk, 0x5a, sizeof(junk));
    assert_int_equal(fseek(f, 4096 * 5, SEEK_SET), 0);
    assert_int_equal(fwrite(junk, 1, sizeof(junk), f), sizeof(junk));
    fclose(f);
    db = open_db(&to, 100);
    T_ERR(ERR_CORRUPT, "catalog_corrupt", ops->check(db, &err));
    {
        struct err err = ERR_INIT;

        ops->check(db, &err);
        assert_non_null(strstr(err.msg, "sendense-hub catalog rebuild"));
    }
    ops->close(db);
    t_rmdir(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),      cmocka_unit_test(test_constraints),
        cmocka_unit_test(test_busy),        cmocka_unit_test(test_full),
        cmocka_unit_test(test_open_errors), cmocka_unit_test(test_copy_and_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
