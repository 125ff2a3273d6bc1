/* Opening, transactions, texts, threads. */
#include "t_catalog.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "catalog/cat_event.h"
#include "catalog/cat_meta.h"
#include "catalog/migrate.h"

static void
test_open(void **state)
{
    struct t_env e;
    struct stat sb;
    FILE *f;

    t_mkdir(&e);
    T_ERR(ERR_NOT_FOUND, "catalog_missing", catalog_open(e.path, false, &e.c, &err));
    T_OK(catalog_open(e.path, true, &e.c, &err));
    assert_int_equal(catalog_schema_version(e.c), catalog_n_migrations);
    T_OK(cat_meta_set(e.c, "a", "1", &err));
    catalog_close(e.c);
    catalog_close(NULL);
    chmod(e.path, 0644);
    T_OK(catalog_open(e.path, false, &e.c, &err));
    assert_int_equal(stat(e.path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    T_OK(catalog_check(e.c, &err));
    catalog_close(e.c);
    /* An empty file was a catalog once: only init may fill it. */
    f = fopen(e.path, "w");
    fclose(f);
    T_ERR(ERR_CORRUPT, "catalog_corrupt", catalog_open(e.path, false, &e.c, &err));
    T_OK(catalog_open(e.path, true, &e.c, &err));
    catalog_close(e.c);
    t_rmdir(&e);
}

static bool
has(struct catalog *c, const char *name)
{
    CLEANUP_FREE char *v = NULL;
    struct err err = ERR_INIT;

    return cat_meta_get(c, name, &v, &err) == 0;
}

static void
scope(struct catalog *c, const char *name, bool commit)
{
    CLEANUP_TX struct catalog_tx tx = {0};

    T_OK(catalog_tx_begin(c, &tx, &err));
    T_OK(cat_meta_set(c, name, "1", &err));
    if (commit)
        T_OK(catalog_tx_commit(&tx, &err));
}

static void
test_tx(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct catalog_tx tx = {0}, inner[CATALOG_TX_DEPTH] = {0};

    scope(c, "kept", true);
    scope(c, "dropped", false);
    assert_true(has(c, "kept"));
    assert_false(has(c, "dropped"));
    T_OK(catalog_tx_begin(c, &tx, &err));
    scope(c, "in_kept", true);
    scope(c, "in_dropped", false);
    T_OK(cat_meta_set(c, "outer", "1", &err));
    T_OK(catalog_tx_commit(&tx, &err));
    assert_true(has(c, "in_kept") && has(c, "outer"));
    assert_false(has(c, "in_dropped"));
    T_ERR(ERR_INTERNAL, "catalog_internal", catalog_tx_commit(&tx, &err)); /* not open */
    catalog_tx_rollback(&tx);                                              /* harmless */

    for (int i = 0; i < CATALOG_TX_DEPTH; i++)
        T_OK(catalog_tx_begin(c, &inner[i], &err));
    T_ERR(ERR_INTERNAL, "catalog_internal", catalog_tx_begin(c, &tx, &err));
    T_ERR(ERR_INTERNAL, "catalog_internal",
          catalog_tx_commit(&inner[2], &err)); /* not last */
    for (int i = CATALOG_TX_DEPTH; i-- > 0;)
        catalog_tx_rollback(&inner[i]);
    scope(c, "after", true);
    assert_true(has(c, "after"));
}

/* Text that looks like SQL is data; text that the contract forbids is refused. */
static void
test_texts(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    static const char *const odd[] = {
        "'; DROP TABLE meta; --", "o'x/\"", "../../x", "a%_?b",
        "\xc3\xbc\xe2\x82\xac",   ""};
    CLEANUP_FREE char *big = xcalloc(1, CATALOG_TEXT_MAX + 2);

    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        CLEANUP_FREE char *v = NULL;

        T_OK(cat_meta_set(c, odd[i], odd[i], &err));
        T_OK(cat_meta_get(c, odd[i], &v, &err));
        assert_string_equal(v, odd[i]);
    }
    memset(big, 'x', CATALOG_TEXT_MAX + 1);
    T_ERR(ERR_LIMIT, "text_too_long", cat_meta_set(c, "big", big, &err));
    big[CATALOG_TEXT_MAX] = '\0';
    T_OK(cat_meta_set(c, "big", big, &err));
    T_ERR(ERR_INVALID, "invalid_text", cat_meta_set(c, "bad", "\xff", &err));
    T_ERR(ERR_INVALID, "catalog_constraint", cat_meta_set(c, "null", NULL, &err));
    assert_false(has(c, "bad"));
}

static void
test_meta(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    char a[UUID_STR_SIZE], b[UUID_STR_SIZE];
    CLEANUP_FREE char *v = NULL;

    T_OK(cat_meta_hub_uuid(c, a, &err));
    T_OK(cat_meta_hub_uuid(c, b, &err));
    assert_true(uuid_is_valid(a));
    assert_string_equal(a, b);
    T_ERR(ERR_NOT_FOUND, "setting_not_found", cat_meta_get(c, "x", &v, &err));
    T_OK(cat_meta_set(c, "x", "1", &err));
    T_OK(cat_meta_set(c, "x", "2", &err));
    T_OK(cat_meta_get(c, "x", &v, &err));
    assert_string_equal(v, "2");
    T_OK(cat_meta_remove(c, "x", &err));
    T_OK(cat_meta_remove(c, "x", &err));
    assert_false(has(c, "x"));
    T_OK(cat_meta_set(c, "hub_uuid", "nonsense", &err));
    T_ERR(ERR_CORRUPT, "catalog_corrupt", cat_meta_hub_uuid(c, a, &err));
}

/* The database drops a transaction by itself when the disk is full: nothing of it may be
 * taken for done, and nothing after it may slip in outside of a transaction. */
static int
set_limit(sqlite3 *h, char **msg, const sqlite3_api_routines *api)
{
    return sqlite3_exec(h, "PRAGMA max_page_count=100", NULL, NULL, NULL);
}

static void
test_tx_lost(void **state)
{
    struct t_env e;
    CLEANUP_FREE char *big = xcalloc(1, CATALOG_TEXT_MAX);
    struct catalog_tx tx = {0}, inner = {0};
    struct err full = ERR_INIT;

    t_mkdir(&e);
    T_OK(catalog_open(e.path, true, &e.c, &err));
    catalog_close(e.c);
    sqlite3_auto_extension((void (*)(void))set_limit);
    T_OK(catalog_open(e.path, false, &e.c, &err));
    sqlite3_reset_auto_extension();
    memset(big, 'x', CATALOG_TEXT_MAX - 1);
    T_OK(catalog_tx_begin(e.c, &tx, &err));
    T_OK(cat_meta_set(e.c, "before", "1", &err));
    assert_int_equal(cat_meta_set(e.c, "big", big, &full), ERR_NO_SPACE);
    assert_string_equal(full.code, "catalog_full");
    full = (struct err)ERR_INIT;
    T_ERR(ERR_IO, "catalog_tx_lost", cat_meta_set(e.c, "later", "1", &err));
    T_ERR(ERR_IO, "catalog_tx_lost", catalog_tx_begin(e.c, &inner, &err));
    T_ERR(ERR_IO, "catalog_tx_lost", catalog_tx_commit(&tx, &err));
    assert_false(has(e.c, "before"));
    assert_false(has(e.c, "later"));
    scope(e.c, "after", true);
    assert_true(has(e.c, "after"));
    catalog_close(e.c);
    t_rmdir(&e);
}

#define THREADS 4
#define ROUNDS 25

/* Returns NULL, or anything else when a call failed. */
static void *
worker(void *arg)
{
    struct catalog *c = arg;

    for (int i = 0; i < ROUNDS; i++) {
        struct err err = ERR_INIT;
        struct cat_event ev = {.severity = "info", .type = "t", .message = "m"};
        struct cat_events l = {0};
        struct catalog_tx tx = {0};
        CLEANUP_FREE char *v = NULL;
        char next[32];
        int64_t id;
        uint64_t n = 0;

        /* read, add one, write: lost updates would show */
        if (catalog_tx_begin(c, &tx, &err) < 0)
            return (void *)"begin";
        if (cat_meta_get(c, "n", &v, &err) < 0 || text_to_u64(v, &n) < 0)
            return (void *)"get";
        snprintf(next, sizeof(next), "%llu", (unsigned long long)n + 1);
        if (cat_meta_set(c, "n", next, &err) < 0 || catalog_tx_commit(&tx, &err) < 0)
            return (void *)"set";
        if (cat_event_add(c, &ev, &id, &err) < 0 ||
            cat_event_list(c, 0, 10, NULL, &l, &err) < 0)
            return (void *)"event";
        cat_events_done(&l);
    }
    return NULL;
}

static void
test_threads(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    pthread_t t[THREADS];
    CLEANUP_FREE char *v = NULL;
    int64_t last;

    T_OK(cat_meta_set(c, "n", "0", &err));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, worker, c), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;

        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    T_OK(cat_meta_get(c, "n", &v, &err));
    assert_int_equal(atoi(v), THREADS * ROUNDS);
    T_OK(cat_event_last_id(c, &last, &err));
    assert_int_equal(last, THREADS * ROUNDS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        T_CASE(test_tx),
        T_CASE(test_texts),
        T_CASE(test_meta),
        cmocka_unit_test(test_tx_lost),
        T_CASE(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
