/* Schema steps: applied once, in order, whole or not at all. */
#include "t_catalog.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "catalog/db.h"
#include "catalog/migrate.h"

static const struct db_ops *const ops = &db_sqlite_ops;

static const struct migration steps[] = {
    {1, "first", "aaaa", "CREATE TABLE t (x BIGINT); INSERT INTO t VALUES (7)"},
    {2, "second", "bbbb",
     "ALTER TABLE t ADD COLUMN y BIGINT; INSERT INTO t VALUES (8, 9)"},
};
static const struct migration broken[] = {
    {1, "first", "aaaa", "CREATE TABLE t (x BIGINT); INSERT INTO t VALUES (7)"},
    {2, "second", "bbbb",
     "CREATE TABLE u (x BIGINT); DELETE FROM t; INSERT INTO nowhere VALUES (1)"},
};
static const struct migration deadly[] = {
    {1, "first", "aaaa", "CREATE TABLE t (x BIGINT); INSERT INTO t VALUES (7)"},
    {2, "second", "bbbb", "CREATE TABLE u (x BIGINT); DELETE FROM t; SELECT test_die()"},
};
static const struct migration changed[] = {
    {1, "first", "cccc", "CREATE TABLE t (x BIGINT)"},
};

static int
migrate(struct t_env *e, const struct migration *v, size_t n, bool create,
        struct err *err)
{
    struct db_where w = {.path = e->path, .create = true, .busy_timeout_ms = 1000};
    struct migrate_plan p = {.v = v, .n = n, .path = e->path, .create = create};
    struct db *db;
    int version = -1, rc;

    if (ops->open(&w, &db, err) < 0)
        return err->class;
    rc = migrate_run(ops, db, &p, &version, err);
    ops->close(db);
    return rc < 0 ? rc : version;
}

static int64_t
ask(const char *path, const char *sql)
{
    sqlite3 *h;
    sqlite3_stmt *st;
    int64_t v = -1;

    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &st, NULL), SQLITE_OK);
    if (sqlite3_step(st) == SQLITE_ROW)
        v = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(h);
    return v;
}

static void
test_steps(void **state)
{
    struct t_env e;
    struct err err = ERR_INIT;
    char copy[160];

    t_mkdir(&e);
    snprintf(copy, sizeof(copy), "%s.before-0002", e.path);
    assert_int_equal(migrate(&e, steps, 1, true, &err), 1);
    assert_int_equal(access(copy, F_OK), -1); /* a new file needs no copy */
    assert_int_equal(migrate(&e, steps, 2, false, &err), 2);
    assert_int_equal(access(copy, F_OK), 0);
    assert_int_equal(ask(copy, "SELECT COUNT(*) FROM t"), 1);
    assert_int_equal(ask(copy, "SELECT MAX(version) FROM schema_migrations"), 1);
    assert_int_equal(ask(e.path, "SELECT COUNT(*) FROM t"), 2);
    assert_int_equal(migrate(&e, steps, 2, false, &err), 2); /* nothing to do */
    assert_int_equal(ask(e.path, "SELECT COUNT(*) FROM t"), 2);
    T_ERR(ERR_INVALID, "catalog_too_new", migrate(&e, steps, 1, true, &err));
    ask(e.path, "DELETE FROM schema_migrations WHERE version = 2");
    T_ERR(ERR_CORRUPT, "catalog_migration_changed", migrate(&e, changed, 1, true, &err));
    ask(e.path, "UPDATE schema_migrations SET version = 2");
    T_ERR(ERR_CORRUPT, "catalog_migration_changed", migrate(&e, steps, 2, true, &err));
    t_rmdir(&e);
}

static void
test_failed_step(void **state)
{
    struct t_env e;
    struct err err = ERR_INIT;

    t_mkdir(&e);
    assert_int_equal(migrate(&e, steps, 1, true, &err), 1);
    T_ERR(ERR_INTERNAL, "catalog_internal", migrate(&e, broken, 2, false, &err));
    assert_int_equal(ask(e.path, "SELECT x FROM t"), 7);
    assert_int_equal(ask(e.path, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'u'"),
                     0);
    assert_int_equal(migrate(&e, steps, 1, false, &err), 1); /* the old program starts */
    assert_int_equal(migrate(&e, steps, 2, false, &err), 2); /* the repaired one too */
    t_rmdir(&e);
}

static void
die(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    kill(getpid(), SIGKILL);
}

static int
add_die(sqlite3 *h, char **msg, const sqlite3_api_routines *api)
{
    return sqlite3_create_function(h, "test_die", 0, SQLITE_UTF8, NULL, die, NULL, NULL);
}

/* The process is killed when the step is half-way: its table was made, rows were deleted.
 */
static void
test_killed_step(void **state)
{
    struct t_env e;
    struct err err = ERR_INIT;
    int status;
    pid_t pid;

    t_mkdir(&e);
    assert_int_equal(migrate(&e, steps, 1, true, &err), 1);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sqlite3_auto_extension((void (*)(void))add_die);
        migrate(&e, deadly, 2, false, &err);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(migrate(&e, steps, 1, false, &err), 1); /* the old schema works */
    assert_int_equal(ask(e.path, "SELECT x FROM t"), 7);
    assert_int_equal(ask(e.path, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'u'"),
                     0);
    assert_int_equal(migrate(&e, steps, 2, false, &err), 2);
    t_rmdir(&e);
}

static void
test_foreign_and_empty(void **state)
{
    struct t_env e;

    t_mkdir(&e);
    T_ERR(ERR_CORRUPT, "catalog_corrupt", migrate(&e, steps, 2, false, &err)); /* empty */
    ask(e.path, "CREATE TABLE other (x)");
    T_ERR(ERR_CORRUPT, "catalog_corrupt", migrate(&e, steps, 2, true, &err));
    t_rmdir(&e);
}

static void
test_embedded(void **state)
{
    assert_true(catalog_n_migrations >= 1);
    for (size_t i = 0; i < catalog_n_migrations; i++) {
        assert_int_equal(catalog_migrations[i].version, i + 1);
        assert_int_equal(strlen(catalog_migrations[i].checksum), 64);
        assert_true(strlen(catalog_migrations[i].sql) > 10);
    }
    assert_string_equal(catalog_migrations[0].name, "initial");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),       cmocka_unit_test(test_failed_step),
        cmocka_unit_test(test_killed_step), cmocka_unit_test(test_foreign_and_empty),
        cmocka_unit_test(test_embedded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
