/* Parser, and that help, man page and completion agree with the table. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "cli/help.h"

static const char *root;

static int
parse(struct cli_args *a, const struct cli_cmd **cmd, struct err *err, const char *line)
{
    static char words[512];
    static char prog[] = "sendense";
    char *argv[300] = {prog}, *save = NULL;
    int argc = 1, r;

    snprintf(words, sizeof(words), "%s", line);
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    *err = (struct err)ERR_INIT;
    *cmd = NULL;
    r = cli_args_parse(argc, argv, a, err);
    return r < 0 ? r : cli_args_resolve(a, cmd, err);
}

static void
test_parse(void **state)
{
    const struct cli_cmd *cmd;
    struct cli_args a;
    struct err err;

    assert_int_equal(parse(&a, &cmd, &err, "-ojson vm add -q x --disk 1=a --disk=2=b"),
                     0);
    assert_string_equal(cmd->verb, "add");
    assert_string_equal(a.value[OPT_OUTPUT], "json");
    assert_string_equal(a.words[0], "x");
    assert_int_equal(a.n_words, 1);
    assert_non_null(a.value[OPT_QUIET]);
    assert_int_equal(a.n_repeated, 2);
    assert_string_equal(a.repeated[1], "2=b");
    assert_int_equal(parse(&a, &cmd, &err, "restore disk b --disk 7 --to -"), 0);
    assert_string_equal(a.value[OPT_DISK_KEY], "7");
    assert_null(a.value[OPT_DISK_URI]);
    assert_int_equal(parse(&a, &cmd, &err, "vm show -- --help"), 0);
    assert_string_equal(a.words[0], "--help");
    assert_int_equal(parse(&a, &cmd, &err, "backup --help"), 0);
    assert_null(cmd);
    assert_int_equal(parse(&a, &cmd, &err, "backup run -h"), 0);
    assert_non_null(cmd);
    assert_int_equal(parse(&a, &cmd, &err, "events -qf"), 0);
    assert_non_null(a.value[OPT_FOLLOW]);
}

static void
test_refused(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"", "no command"},
        {"frobnicate", "no command 'frobnicate'"},
        {"vm", "needs a command"},
        {"vm frob", "has no command 'frob'"},
        {"vm ls --nope", "no option --nope"},
        {"vm ls -Z", "no option -Z"},
        {"vm ls --url", "needs a value"},
        {"vm ls -o", "needs a value"},
        {"vm ls -o xml", "--output is one of"},
        {"vm ls --quiet=1", "takes no value"},
        {"vm ls --wait", "has no option --wait"},
        {"vm ls extra", "usage: sendense vm ls"},
        {"repo add a", "usage: sendense repo add NAME PATH"},
        {"completion tcsh", "bash zsh fish"},
        {"a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a "
         "a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a",
         "too many words"},
    };
    const struct cli_cmd *cmd;
    struct cli_args a;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(parse(&a, &cmd, &err, cases[i].line), ERR_INVALID);
        assert_string_equal(err.code, "usage");
        if (!strstr(err.msg, cases[i].says))
            fail_msg("'%s': %s", cases[i].line, err.msg);
    }
}

static void
test_too_many_disks(void **state)
{
    static char words[][10] = {"sendense", "vm", "add", "x", "--disk", "1=a"};
    char *argv[2 * CLI_REPEAT_MAX + 8] = {words[0], words[1], words[2], words[3]};
    struct err err = ERR_INIT;
    struct cli_args a;
    int argc = 4;

    for (int i = 0; i <= CLI_REPEAT_MAX; i++) {
        argv[argc++] = words[4];
        argv[argc++] = words[5];
    }
    assert_int_equal(cli_args_parse(argc, argv, &a, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(cli_args_parse(argc - 2, argv, &a, &err), 0);
}

static void
test_numbers(void **state)
{
    static const char *const bad[] = {"",        "0",  "-1", "1.5", "K",
                                      "1KB",     "1k", " 1", "1 ",  "9223372036854775808",
                                      "9999999T"};
    struct err err = ERR_INIT;
    uint64_t v;

    assert_int_equal(cli_parse_bytes("1000", "--rate", &v, &err), 0);
    assert_int_equal(v, 1000);
    assert_int_equal(cli_parse_bytes("3M", "--rate", &v, &err), 0);
    assert_int_equal(v, 3 << 20);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(cli_parse_bytes(bad[i], "--rate", &v, &err), ERR_INVALID);
    assert_int_equal(cli_parse_seconds("15m", "--timeout", &v, &err), 0);
    assert_int_equal(v, 900);
    assert_int_equal(cli_parse_seconds("90", "--timeout", &v, &err), 0);
    assert_int_equal(v, 90);
    assert_int_equal(cli_parse_seconds("1y", "--timeout", &v, &err), ERR_INVALID);
}

/* Each option of the table has a name, and those that share one agree on having a value.
 */
static void
test_table(void **state)
{
    for (int i = 0; i < OPT_END; i++) {
        assert_non_null(cli_options[i].name);
        assert_non_null(cli_options[i].help);
        for (int j = 0; j < OPT_END; j++)
            if (strcmp(cli_options[i].name, cli_options[j].name) == 0)
                assert_int_equal(!cli_options[i].arg, !cli_options[j].arg);
            else if (cli_options[i].letter)
                assert_int_not_equal(cli_options[i].letter, cli_options[j].letter);
    }
    for (const struct cli_cmd *c = cli_commands; c->noun; c++) {
        assert_ptr_equal(cli_cmd_find(c->noun, c->verb), c);
        assert_non_null(c->run);
        assert_true(cli_noun_exists(c->noun));
    }
    assert_null(cli_cmd_find("vm", "frob"));
    assert_false(cli_noun_exists("frob"));
}

static char *
usage_of(const struct cli_cmd *c)
{
    return xasprintf("%s%s%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
                     *c->args ? " " : "", c->args);
}

static void
test_help(void **state)
{
    CLEANUP_BUF struct buf all = BUF_INIT(HELP_CAP);
    struct err err = ERR_INIT;

    assert_int_equal(help_render(&all, NULL, NULL, &err), 0);
    for (const struct cli_cmd *c = cli_commands; c->noun; c++) {
        CLEANUP_BUF struct buf one = BUF_INIT(HELP_CAP), noun = BUF_INIT(HELP_CAP);
        CLEANUP_FREE char *usage = usage_of(c);

        assert_non_null(strstr(all.data, usage));
        assert_int_equal(help_render(&noun, c->noun, NULL, &err), 0);
        assert_non_null(strstr(noun.data, usage));
        assert_int_equal(help_render(&one, c->noun, c, &err), 0);
        assert_non_null(strstr(one.data, usage));
        assert_non_null(strstr(one.data, c->summary));
        for (int id = 0; id < OPT_END; id++) {
            CLEANUP_FREE char *text = xasprintf(
                "--%s%s%s ", cli_options[id].name, cli_options[id].arg ? " " : "",
                cli_options[id].arg ? cli_options[id].arg : "");

            assert_int_equal(!!strstr(one.data, text),
                             cli_cmd_has_option(c, (enum cli_opt_id)id));
        }
    }
}

static void
read_project_file(const char *name, struct buf *b)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", root, name);
    struct err err = ERR_INIT;

    if (fs_read_file(path, b, &err) < 0)
        fail_msg("%s", err.msg);
}

static bool
takes_option(const struct cli_cmd *c, const char *name, size_t n)
{
    for (int id = 0; id < OPT_END; id++)
        if (cli_cmd_has_option(c, (enum cli_opt_id)id) &&
            strlen(cli_options[id].name) == n &&
            strncmp(cli_options[id].name, name, n) == 0)
            return true;
    return false;
}

/* Both ways: what the table has is described, what is described the table has. */
static void
check_section(const struct cli_cmd *c, const char *section)
{
    for (int id = OPT_COMMON_END; id < OPT_END; id++) {
        CLEANUP_FREE char *text = xasprintf("*--%s*", cli_options[id].name);

        if (cli_cmd_has_option(c, (enum cli_opt_id)id) && !strstr(section, text))
            fail_msg("the man page lacks %s of %s %s", text, c->noun, c->verb);
    }
    for (const char *p = section; (p = strstr(p, "*--")); p += 3)
        if (!takes_option(c, p + 3, strcspn(p + 3, "*")))
            fail_msg("the man page invents %.20s of %s %s", p, c->noun, c->verb);
}

static void
test_man_page(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(HELP_CAP);
    unsigned headings = 0, commands = 0;

    read_project_file("man/sendense.1.scd", &b);
    for (const struct cli_cmd *c = cli_commands; c->noun; c++, commands++) {
        CLEANUP_FREE char *usage = usage_of(c);
        CLEANUP_FREE char *heading = xasprintf("\n## sendense %s\n", usage);
        const char *at = strstr(b.data, heading), *end;
        CLEANUP_FREE char *section = NULL;

        if (!at)
            fail_msg("the man page lacks%s", heading);
        at += strlen(heading);
        end = strstr(at, "\n#");
        section = xasprintf("%.*s", (int)(end - at), at);
        check_section(c, section);
    }
    for (const char *p = b.data; (p = strstr(p, "\n## sendense ")); p++)
        headings++;
    assert_int_equal(headings, commands);
    for (int id = 0; id < OPT_COMMON_END; id++) {
        CLEANUP_FREE char *text = xasprintf("*--%s*", cli_options[id].name);

        assert_non_null(strstr(b.data, text));
    }
}

static void
test_completion(void **state)
{
    static const char *const files[][2] = {{"bash", "contrib/completion/sendense.bash"},
                                           {"zsh", "contrib/completion/_sendense"},
                                           {"fish", "contrib/completion/sendense.fish"}};
    struct err err = ERR_INIT;
    CLEANUP_BUF struct buf none = BUF_INIT(HELP_CAP);

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP_BUF struct buf made = BUF_INIT(HELP_CAP), kept = BUF_INIT(HELP_CAP);

        assert_int_equal(completion_render(&made, files[i][0], &err), 0);
        read_project_file(files[i][1], &kept);
        if (strcmp(made.data, kept.data) != 0)
            fail_msg("%s is out of date: sendense completion %s > it", files[i][1],
                     files[i][0]);
        for (const struct cli_cmd *c = cli_commands; c->noun; c++) {
            assert_non_null(strstr(made.data, c->noun));
            assert_true(!c->verb || strstr(made.data, c->verb));
        }
        for (int id = 0; id < OPT_END; id++)
            assert_non_null(strstr(made.data, cli_options[id].name));
    }
    assert_int_equal(completion_render(&none, "tcsh", &err), ERR_INVALID);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_many_disks), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_table),          cmocka_unit_test(test_help),
        cmocka_unit_test(test_man_page),       cmocka_unit_test(test_completion),
    };

    root = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
