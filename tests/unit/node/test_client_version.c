/* Unit tests of node/client_version.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "node/client_version.h"

static void
test_parse(void **state)
{
    struct program_version v = {0};
    struct err err = ERR_INIT;

    assert_int_equal(
        client_version_parse("sendense-backup-client 0.1.0 (commit 12ab, build cd34)\n",
                             &v, &err),
        0);
    assert_string_equal(v.version, "0.1.0");
    assert_string_equal(v.commit, "12ab");
    assert_string_equal(v.build_id, "cd34");
    program_version_done(&v);
    assert_null(v.version);
}

static void
test_parse_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "prog",
        "prog 1",
        "prog 1 (commit a)",
        "prog 1 (commit a, build )",
        "prog 1 (commit , build b)",
        "prog 1 (commit a, build b",
        "prog 1 (commit a, build b) more",
        "prog 1 (commit a, build b)\nprog 1 (commit a, build b)\n",
        "prog 1 (commit a\nb, build b)",
        " 1 (commit a, build b)",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct program_version v = {0};
        struct err err = ERR_INIT;

        assert_int_equal(client_version_parse(bad[i], &v, &err), ERR_PROTOCOL);
        assert_string_equal(err.code, "client_protocol");
        assert_null(v.version);
    }
}

static void
install(const char *file, const char *version)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *text = xasprintf(
        "#!/bin/sh\necho 'fake %s (commit c, build b)'\necho x >>\"$0.runs\"\n", version);

    assert_int_equal(fs_write_file_durable(file, text, strlen(text), 0700, &err), 0);
}

static void
expect(struct client_version *v, const char *version)
{
    struct program_version got = {0};

    client_version_get(v, &got);
    assert_string_equal(got.version, version);
    program_version_done(&got);
}

static void
test_asked_once_for_each_build(void **state)
{
    char dir[] = "/tmp/sendense-node-XXXXXX";
    CLEANUP_FREE char *file = NULL;
    CLEANUP_FREE char *runs = NULL;
    CLEANUP_BUF struct buf b = BUF_INIT(4096);
    struct client_version *v;
    struct err err = ERR_INIT;

    assert_non_null(mkdtemp(dir));
    file = xasprintf("%s/client", dir);
    runs = xasprintf("%s.runs", file);
    v = client_version_new(file);
    expect(v, "unknown");
    install(file, "1.0");
    expect(v, "1.0");
    expect(v, "1.0");
    install(file, "1.1");
    expect(v, "1.1");
    expect(v, "1.1");
    assert_int_equal(fs_read_file(runs, &b, &err), 0);
    assert_string_equal(b.data, "x\nx\n");
    assert_int_equal(fs_unlink(file, false, &err), 0);
    expect(v, "unknown");
    client_version_free(v);
    client_version_free(NULL);
    assert_int_equal(fs_unlink(runs, false, &err), 0);
    rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_asked_once_for_each_build),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
