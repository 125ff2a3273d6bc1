/* cli/cmd_misc.c - version, completion, help. */
#include <string.h>

#include "base/json.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/exitcode.h"
#include "cli/help.h"
#include "cli/output.h"

static json_t *
own_version(void)
{
    return json_pack("{s:s, s:s, s:s}", "version", version_string, "commit",
                     version_commit, "build_id", version_build_id());
}

static void
add_row(json_t *rows, const char *program, const json_t *v)
{
    json_t *row = json_is_object(v) ? json_copy((json_t *)v) : json_object();

    if (json_is_string(v))
        json_object_set(row, "version", (json_t *)v);
    json_object_set_new(row, "program", json_string(program));
    json_array_append_new(rows, row);
}

/* The hub's answer has one member per program; one that is not there is null. */
static void
add_hub_rows(json_t *rows, json_t *answer)
{
    const char *key;
    json_t *v;

    json_object_foreach(answer, key, v) if (json_is_object(v) || json_is_string(v))
        add_row(rows, key, v);
}

int
cmd_version(struct cli *c, struct err *err)
{
    static const struct output_col cols[] = {{"PROGRAM", "program"},
                                             {"VERSION", "version"},
                                             {"COMMIT", "commit"},
                                             {"BUILD ID", "build_id"},
                                             {0}};
    CLEANUP_JSON json_t *own = own_version(), *answer = NULL, *rows = json_array();
    int reached, r;

    r = hub_open(c, HUB_TOKEN_NONE, err);
    if (r < 0)
        return r;
    reached = hub_call(&c->hub, "GET", "/version", NULL, &answer, err);
    if (c->format != FORMAT_TABLE) {
        CLEANUP_JSON json_t *all = answer ? json_copy(answer) : json_object();

        json_object_set(all, "cli", own);
        output_json(c, all);
    } else {
        struct err print_err = ERR_INIT;

        add_row(rows, "cli", own);
        if (answer)
            add_hub_rows(rows, answer);
        if (output_rows(c, rows, cols, &print_err) < 0)
            return (*err = print_err).class;
    }
    return reached < 0 ? reached : EXIT_OK;
}

int
cmd_completion(struct cli *c, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(HELP_CAP);
    int r = completion_render(&b, c->args.words[0], err);

    if (r < 0)
        return r;
    fputs(b.data, c->io->out);
    return EXIT_OK;
}

int
cmd_help(struct cli *c, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(HELP_CAP);
    const char *noun = c->args.n_words > 0 ? c->args.words[0] : NULL;
    const char *verb = c->args.n_words > 1 ? c->args.words[1] : NULL;
    const struct cli_cmd *cmd = noun ? cli_cmd_find(noun, verb) : NULL;
    int r;

    if (noun && !cmd && (verb || !cli_noun_exists(noun)))
        return err_set(err, ERR_INVALID, "usage",
                       "there is no command '%.64s%s%.64s'; `sendense help` lists them",
                       noun, verb ? " " : "", verb ? verb : "");
    r = help_render(&b, noun, cmd, err);
    if (r < 0)
        return r;
    fputs(b.data, c->io->out);
    return EXIT_OK;
}
