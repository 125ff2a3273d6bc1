/* cli/help.c - see help.h. */
#include <string.h>

#include "cli/help.h"

#define TEXT_COLUMN 26
#define LINE_MAX_WIDTH 90

/* "sendense backup run VM" */
static void
put_usage(struct buf *b, const struct cli_cmd *c, struct err *err)
{
    buf_printf(b, err, "sendense %s%s%s%s%s", c->noun, c->verb ? " " : "",
               c->verb ? c->verb : "", *c->args ? " " : "", c->args);
}

/* @text behind @n characters of the line, wrapped at words, each line from TEXT_COLUMN
 * on. */
static void
put_wrapped(struct buf *b, size_t n, const char *text, struct err *err)
{
    if (n >= TEXT_COLUMN - 1) {
        buf_printf(b, err, "\n");
        n = 0;
    }
    buf_printf(b, err, "%*s", (int)(TEXT_COLUMN - n), "");
    n = TEXT_COLUMN;
    while (*text) {
        size_t word = strcspn(text, " ");

        if (n > TEXT_COLUMN && n + 1 + word > LINE_MAX_WIDTH) {
            buf_printf(b, err, "\n%*s", TEXT_COLUMN, "");
            n = TEXT_COLUMN;
        }
        if (n > TEXT_COLUMN) {
            buf_printf(b, err, " ");
            n++;
        }
        buf_append(b, text, word, err);
        n += word;
        text += word + (text[word] == ' ');
    }
    buf_printf(b, err, "\n");
}

static void
put_option(struct buf *b, const struct cli_opt *o, struct err *err)
{
    char head[96];
    int n;

    if (o->letter)
        n = snprintf(head, sizeof(head), "  -%c, --%s%s%s", o->letter, o->name,
                     o->arg ? " " : "", o->arg ? o->arg : "");
    else
        n = snprintf(head, sizeof(head), "      --%s%s%s", o->name, o->arg ? " " : "",
                     o->arg ? o->arg : "");
    buf_printf(b, err, "%s", head);
    if (o->choices) {
        char with[256];

        snprintf(with, sizeof(with), "%s (%s)", o->help, o->choices);
        put_wrapped(b, (size_t)n, with, err);
    } else {
        put_wrapped(b, (size_t)n, o->help, err);
    }
}

static void
put_options(struct buf *b, const struct cli_cmd *c, struct err *err)
{
    bool any = false;

    for (int id = OPT_COMMON_END; c && id < OPT_END; id++) {
        if (!cli_cmd_has_option(c, (enum cli_opt_id)id))
            continue;
        if (!any)
            buf_printf(b, err, "\nOptions:\n");
        any = true;
        put_option(b, &cli_options[id], err);
    }
    buf_printf(b, err, "\nOptions of every command:\n");
    for (int id = 0; id < OPT_COMMON_END; id++)
        put_option(b, &cli_options[id], err);
}

static void
put_command_line(struct buf *b, const struct cli_cmd *c, struct err *err)
{
    char head[64];
    int n = snprintf(head, sizeof(head), "  %s%s%s%s%s", c->noun, c->verb ? " " : "",
                     c->verb ? c->verb : "", *c->args ? " " : "", c->args);

    buf_printf(b, err, "%s", head);
    put_wrapped(b, (size_t)n, c->summary, err);
}

static void
put_commands(struct buf *b, const char *noun, struct err *err)
{
    buf_printf(b, err, "Commands:\n");
    for (const struct cli_cmd *c = cli_commands; c->noun; c++)
        if (!noun || strcmp(noun, c->noun) == 0)
            put_command_line(b, c, err);
}

static void
put_exit_codes(struct buf *b, struct err *err)
{
    buf_printf(
        b, err,
        "\nExit codes: 0 ok, 1 failed, 2 usage, 3 partial, 4 not found, 5 conflict or "
        "locked, 6 not\nallowed, 7 verification failed, 8 hub or node unreachable, 124 "
        "timeout, 130 cancelled.\n");
}

int
help_render(struct buf *b, const char *noun, const struct cli_cmd *cmd, struct err *err)
{
    if (cmd) {
        buf_printf(b, err, "Usage: ");
        put_usage(b, cmd, err);
        buf_printf(b, err, " [OPTION…]\n\n%s.\n", cmd->summary);
        if (cmd->choices)
            buf_printf(b, err, "%s is one of: %s\n", cmd->args, cmd->choices);
        if (cmd->detail)
            buf_printf(b, err, "\n%s\n", cmd->detail);
        put_options(b, cmd, err);
    } else {
        buf_printf(
            b, err,
            "Usage: sendense %s COMMAND [OPTION…]\n\n"
            "Back up virtual machines and restore them, through the API of a Sendense "
            "hub.\n\n",
            noun ? noun : "[NOUN]");
        put_commands(b, noun, err);
        if (!noun) {
            put_options(b, NULL, err);
            put_exit_codes(b, err);
        }
        buf_printf(b, err, "\n`sendense help NOUN VERB` tells more about one command.\n");
    }
    return err->class;
}
