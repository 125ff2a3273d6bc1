/* The stored login: modes, refusals, addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "cli/config.h"

static void
normal(const char *in, const char *want)
{
    CLEANUP_FREE char *out = NULL;
    struct err err = ERR_INIT;

    if (cli_url_normal(in, &out, &err) < 0)
        fail_msg("%s: %s", in, err.msg);
    assert_string_equal(out, want);
}

static void
test_urls(void **state)
{
    static const char *const bad[] = {
        "",           "127.0.0.1:8082",      "ftp://h",
        "http://",    "http://h/?q",         "http://h/#f",
        "http://u@h", "http://u:secretpw@h", "http://h:99999"};
    struct err err = ERR_INIT;
    char *out = NULL;

    normal("http://127.0.0.1:8082", "http://127.0.0.1:8082");
    normal("HTTPS://Hub.Example/", "https://hub.example");
    normal("https://h/pre/api/v1/", "https://h/pre");
    normal("http://[::1]:1", "http://[::1]:1");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(cli_url_normal(bad[i], &out, &err), ERR_INVALID);
        assert_string_equal(err.code, "invalid_url");
        assert_null(strstr(err.msg, "secretpw"));
    }
    assert_null(out);
}

static void
test_exposed(void **state)
{
    assert_false(cli_url_is_exposed("https://hub.example"));
    assert_false(cli_url_is_exposed("http://127.0.0.1:8082"));
    assert_false(cli_url_is_exposed("http://127.9.9.9"));
    assert_false(cli_url_is_exposed("http://localhost:1"));
    assert_false(cli_url_is_exposed("http://[::1]:1"));
    assert_true(cli_url_is_exposed("http://hub.example"));
    assert_true(cli_url_is_exposed("http://127.0.0.1.evil.example"));
    assert_true(cli_url_is_exposed("http://localhost.evil.example"));
    assert_true(cli_url_is_exposed("http://192.0.2.1"));
    assert_true(cli_url_is_exposed("http://[2001:db8::1]"));
}

static void
test_path(void **state)
{
    CLEANUP_FREE char *a = NULL, *b = NULL;
    struct err err = ERR_INIT;
    char *none = NULL;

    setenv("XDG_CONFIG_HOME", "/x", 1);
    setenv("HOME", "/h", 1);
    assert_int_equal(cli_config_path(&a, &err), 0);
    assert_string_equal(a, "/x/sendense/cli.json");
    setenv("XDG_CONFIG_HOME", "relative", 1);
    assert_int_equal(cli_config_path(&b, &err), 0);
    assert_string_equal(b, "/h/.config/sendense/cli.json");
    unsetenv("HOME");
    assert_int_equal(cli_config_path(&none, &err), ERR_NOT_FOUND);
}

static void
write_mode(const char *path, const char *text, mode_t mode)
{
    struct err err = ERR_INIT;

    assert_int_equal(fs_write_file_durable(path, text, strlen(text), 0600, &err), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void
test_save_and_load(void **state)
{
    char dir[] = "/tmp/sendense-config-XXXXXX";
    CLEANUP_CONFIG struct cli_config back = {0};
    char url[] = "https://h";
    struct cli_config none, out = {.url = url, .insecure_http = true};
    struct err err = ERR_INIT;
    CLEANUP_FREE char *folder = NULL, *path = NULL;
    struct stat st;

    assert_non_null(mkdtemp(dir));
    folder = xasprintf("%s/sendense", dir);
    path = xasprintf("%s/cli.json", folder);
    assert_int_equal(cli_config_load(path, &none, &err), 0);
    assert_null(none.url);
    out.token = secret_new("sendense_t\"q", 12);
    umask(0);
    assert_int_equal(cli_config_save(path, &out, &err), 0);
    assert_int_equal(cli_config_save(path, &out, &err), 0);
    secret_free(out.token);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(cli_config_load(path, &back, &err), 0);
    assert_string_equal(back.url, "https://h");
    assert_string_equal(secret_reveal(back.token), "sendense_t\"q");
    assert_true(back.insecure_http);
    write_mode(path, "{\"url\":\"x\",\"token\":\"hidden1\"}", 0640);
    assert_int_equal(cli_config_load(path, &none, &err), ERR_AUTH);
    write_mode(path, "{\"url\":\"x\",\"token\":\"hidden1\"", 0600);
    err_clear(&err);
    assert_int_equal(cli_config_load(path, &none, &err), ERR_INVALID);
    assert_null(strstr(err.msg, "hidden1"));
    write_mode(path, "{\"url\":1}", 0600);
    err_clear(&err);
    assert_int_equal(cli_config_load(path, &none, &err), ERR_INVALID);
    unlink(path);
    rmdir(folder);
    assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_exposed),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_save_and_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
