/* Unit tests of os/seal.h and os/signals.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/tmpdir.h"
#include "base/fs.h"
#include "os/seal.h"
#include "os/signals.h"

static char dir[TMPDIR_SIZE];
static struct seal_key *key;

static int
setup(void **state)
{
    struct err err = ERR_INIT;

    tmpdir_make(dir);
    if (chdir(dir) < 0)
        return -1;
    if (seal_key_create("key", &err) < 0 || seal_key_load("key", &key, &err) < 0)
        return -1;
    return 0;
}

static int
teardown(void **state)
{
    seal_key_free(key);
    if (chdir("/") < 0)
        return -1;
    tmpdir_remove(dir);
    return 0;
}

static char *
sealed_of(const char *context, const char *text, size_t n)
{
    CLEANUP_SECRET struct secret *s = secret_new(text, n);
    struct err err = ERR_INIT;
    char *sealed = NULL;

    assert_int_equal(seal_text(key, context, s, &sealed, &err), 0);
    return sealed;
}

static void
assert_refused(const struct seal_key *k, const char *context, const char *sealed)
{
    struct err err = ERR_INIT;
    struct secret *s = NULL;

    assert_int_equal(unseal_text(k, context, sealed, &s, &err), ERR_CORRUPT);
    assert_string_equal(err.code, "unseal_failed");
    assert_null(s);
}

static void
key_files(void **state)
{
    struct err err = ERR_INIT;
    struct seal_key *k = NULL;
    struct stat st;

    assert_int_equal(stat("key", &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(st.st_size, 65);
    assert_int_equal(seal_key_create("key", &err), ERR_EXISTS);
    err_clear(&err);
    assert_int_equal(seal_key_load("missing", &k, &err), ERR_NOT_FOUND);
    err_clear(&err);
    assert_int_equal(fs_write_file_durable("short", "abcd", 4, 0600, &err), 0);
    assert_int_equal(seal_key_load("short", &k, &err), ERR_CORRUPT);
    err_clear(&err);
    assert_int_equal(seal_key_create("open", &err), 0);
    assert_int_equal(chmod("open", 0644), 0);
    assert_int_equal(seal_key_load("open", &k, &err), ERR_AUTH);
    assert_null(k);
    seal_key_free(NULL);
}

static void
round_trip(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 100, 65536};
    char text[65536];

    memset(text, 'p', sizeof(text));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        CLEANUP_FREE char *sealed = sealed_of("t:1", text, sizes[i]);
        CLEANUP_SECRET struct secret *s = NULL;
        struct err err = ERR_INIT;

        assert_int_equal(unseal_text(key, "t:1", sealed, &s, &err), 0);
        assert_int_equal(secret_len(s), sizes[i]);
        assert_memory_equal(secret_reveal(s), text, sizes[i]);
    }
}

static void
sealing_twice_differs_and_hides_the_text(void **state)
{
    CLEANUP_FREE char *a = sealed_of("t:1", "hunter2", 7);
    CLEANUP_FREE char *b = sealed_of("t:1", "hunter2", 7);

    assert_string_not_equal(a, b);
    assert_null(strstr(a, "hunter2"));
}

static void
limits_of_what_is_sealed(void **state)
{
    CLEANUP_FREE char *big = calloc(1, 65537);
    CLEANUP_SECRET struct secret *s = secret_new(big, 65537);
    CLEANUP_SECRET struct secret *ok = secret_new("x", 1);
    char context[300], *sealed = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(seal_text(key, "t:1", s, &sealed, &err), ERR_INVALID);
    assert_int_equal(seal_text(key, "t:1", NULL, &sealed, &err), ERR_INVALID);
    memset(context, 'c', sizeof(context));
    context[sizeof(context) - 1] = '\0';
    assert_int_equal(seal_text(key, context, ok, &sealed, &err), ERR_INVALID);
    assert_null(sealed);
}

static void
other_key_or_context_is_refused(void **state)
{
    CLEANUP_FREE char *sealed = sealed_of("nodes.token:1", "secret", 6);
    struct seal_key *other = NULL;
    struct err err = ERR_INIT;

    assert_refused(key, "nodes.token:2", sealed);
    assert_refused(key, "", sealed);
    assert_int_equal(seal_key_create("other", &err), 0);
    assert_int_equal(seal_key_load("other", &other, &err), 0);
    assert_refused(other, "nodes.token:1", sealed);
    seal_key_free(other);
}

static void
every_damage_is_seen(void **state)
{
    CLEANUP_FREE char *sealed = sealed_of("t:1", "secret", 6);
    CLEANUP_FREE char *huge = malloc(200001);
    size_t n = strlen(sealed);

    for (size_t i = 0; i < n; i++) {
        char before = sealed[i];

        if (before == '=')
            continue;
        sealed[i] = before == 'A' ? 'B' : 'A';
        assert_refused(key, "t:1", sealed);
        sealed[i] = before;
    }
    for (size_t i = 0; i < n; i++) {
        char before = sealed[i];

        sealed[i] = '\0';
        assert_refused(key, "t:1", sealed);
        sealed[i] = before;
    }
    assert_refused(key, "t:1", "not base64!");
    memset(huge, 'A', 200000);
    huge[200000] = '\0';
    assert_refused(key, "t:1", huge);
}

static void
tokens(void **state)
{
    static const char set[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char a[TOKEN_STR_SIZE], b[TOKEN_STR_SIZE], hash[TOKEN_HASH_SIZE];

    token_make(a);
    token_make(b);
    assert_memory_equal(a, "sendense_", 9);
    assert_int_equal(strlen(a), 9 + 43);
    assert_int_equal(strspn(a + 9, set), 43);
    assert_string_not_equal(a, b);
    token_hash("abc", hash); /* FIPS 180-2, appendix B.1 */
    assert_string_equal(
        hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void
signals_become_readable(void **state)
{
    struct err err = ERR_INIT;
    struct sigaction sa;
    int fd;

    signal(SIGTERM, SIG_IGN); /* as inherited from a careless parent */
    signal(SIGCHLD, SIG_IGN);
    fd = signals_setup(&err);
    assert_true(fd >= 0);
    kill(getpid(), SIGTERM);
    assert_int_equal(signals_wait(fd, &err), SIGTERM);
    kill(getpid(), SIGHUP);
    assert_int_equal(signals_wait(fd, &err), SIGHUP);
    kill(getpid(), SIGINT);
    assert_int_equal(signals_wait(fd, &err), SIGINT);
    kill(getpid(), SIGPIPE); /* ignored, or we would be dead */
    assert_int_equal(sigaction(SIGCHLD, NULL, &sa), 0);
    assert_true(sa.sa_handler == SIG_DFL);
    close(fd);
    assert_true(signals_wait(-1, &err) < 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_files),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(sealing_twice_differs_and_hides_the_text),
        cmocka_unit_test(limits_of_what_is_sealed),
        cmocka_unit_test(other_key_or_context_is_refused),
        cmocka_unit_test(every_damage_is_seen),
        cmocka_unit_test(tokens),
        cmocka_unit_test(signals_become_readable),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
