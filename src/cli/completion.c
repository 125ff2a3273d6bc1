/* cli/completion.c - completion scripts, see help.h.
 *
 * The words of the table hold letters, digits and dashes only and need no quoting;
 * sentences go into single quotes. */
#include <string.h>

#include "cli/help.h"

/* Inside '…' of a shell. */
static void
put_quoted(struct buf *b, const char *s, struct err *err)
{
    buf_printf(b, err, "'");
    for (; *s; s++)
        if (*s == '\'')
            buf_printf(b, err, "'\\''");
        else
            buf_append(b, s, 1, err);
    buf_printf(b, err, "'");
}

static bool
is_first_of_noun(const struct cli_cmd *c)
{
    for (const struct cli_cmd *p = cli_commands; p != c; p++)
        if (strcmp(p->noun, c->noun) == 0)
            return false;
    return true;
}

static void
put_nouns(struct buf *b, struct err *err)
{
    const char *sep = "";

    for (const struct cli_cmd *c = cli_commands; c->noun; c++)
        if (is_first_of_noun(c)) {
            buf_printf(b, err, "%s%s", sep, c->noun);
            sep = " ";
        }
}

static void
put_verbs(struct buf *b, const char *noun, struct err *err)
{
    const char *sep = "";

    for (const struct cli_cmd *c = cli_commands; c->noun; c++)
        if (strcmp(c->noun, noun) == 0 && c->verb) {
            buf_printf(b, err, "%s%s", sep, c->verb);
            sep = " ";
        }
}

/* What may stand after the noun: verbs, or the choices of a command without verbs. */
static void
put_second_words(struct buf *b, const struct cli_cmd *c, struct err *err)
{
    if (c->verb)
        put_verbs(b, c->noun, err);
    else if (c->choices)
        buf_printf(b, err, "%s", c->choices);
    else if (strcmp(c->noun, "help") == 0)
        put_nouns(b, err);
}

static void
put_option_words(struct buf *b, const struct cli_cmd *c, struct err *err)
{
    const char *sep = "";

    for (int id = 0; id < OPT_END; id++) {
        if (!cli_cmd_has_option(c, (enum cli_opt_id)id))
            continue;
        if (cli_options[id].letter) {
            buf_printf(b, err, "%s-%c", sep, cli_options[id].letter);
            sep = " ";
        }
        buf_printf(b, err, "%s--%s", sep, cli_options[id].name);
        sep = " ";
    }
}

/* Two options named alike complete alike: the first speaks for both. */
static bool
is_named_before(int id)
{
    for (int i = 0; i < id; i++)
        if (strcmp(cli_options[i].name, cli_options[id].name) == 0)
            return true;
    return false;
}

/* One case of `case $prev in` per option with a value; bash and zsh (bashcompinit-free)
 * share it. */
static void
put_value_cases(struct buf *b, struct err *err)
{
    for (int id = 0; id < OPT_END; id++) {
        const struct cli_opt *o = &cli_options[id];

        if (!o->arg || is_named_before(id))
            continue;
        buf_printf(b, err, "    --%s", o->name);
        if (o->letter)
            buf_printf(b, err, " | -%c", o->letter);
        buf_printf(b, err, ")\n");
        if (o->choices)
            buf_printf(b, err,
                       "        mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")\n",
                       o->choices);
        else if (o->is_file)
            buf_printf(b, err,
                       "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n");
        buf_printf(b, err, "        return\n        ;;\n");
    }
}

static void
put_takes_value(struct buf *b, const char *sep, struct err *err)
{
    const char *between = "";

    for (int id = 0; id < OPT_END; id++) {
        const struct cli_opt *o = &cli_options[id];

        if (!o->arg || is_named_before(id))
            continue;
        buf_printf(b, err, "%s--%s", between, o->name);
        between = sep;
        if (o->letter)
            buf_printf(b, err, "%s-%c", between, o->letter);
    }
}

static void
bash(struct buf *b, struct err *err)
{
    buf_printf(
        b, err,
        "# bash completion of sendense; made by `sendense completion bash`.\n"
        "# shellcheck shell=bash\n"
        "_sendense() {\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "    local noun='' verb='' words='' i\n"
        "    COMPREPLY=()\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case ${COMP_WORDS[i]} in\n"
        "        ");
    put_takes_value(b, " | ", err);
    buf_printf(b, err,
               ") ((i++)) ;;\n"
               "        -*) ;;\n"
               "        *) if [[ -z $noun ]]; then noun=${COMP_WORDS[i]};"
               " elif [[ -z $verb ]]; then verb=${COMP_WORDS[i]}; fi ;;\n"
               "        esac\n"
               "    done\n"
               "    case $prev in\n");
    put_value_cases(b, err);
    buf_printf(b, err, "    esac\n    case $noun,$verb in\n    ,) words='");
    put_nouns(b, err);
    buf_printf(b, err, " --help --version' ;;\n");
    for (const struct cli_cmd *c = cli_commands; c->noun; c++) {
        if (is_first_of_noun(c)) {
            buf_printf(b, err, "    %s,) words='", c->noun);
            put_second_words(b, c, err);
            buf_printf(b, err, "'");
            if (!c->verb) {
                buf_printf(b, err, "\" ");
                put_option_words(b, c, err);
                buf_printf(b, err, "\"");
            }
            buf_printf(b, err, " ;;\n");
        }
        if (c->verb) {
            buf_printf(b, err, "    %s,%s) words='", c->noun, c->verb);
            put_option_words(b, c, err);
            buf_printf(b, err, "' ;;\n");
        }
    }
    buf_printf(b, err,
               "    esac\n"
               "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
               "}\n"
               "complete -F _sendense sendense\n");
}

/* zsh's _arguments takes '(-q --quiet)'{-q,--quiet}'[help]:ARG:action'. */
static void
put_zsh_option(struct buf *b, const struct cli_opt *o, struct err *err)
{
    char tail[512];

    if (o->letter)
        buf_printf(b, err, " \\\n            {-%c,--%s}", o->letter, o->name);
    else
        buf_printf(b, err, " \\\n            %s--%s", o->repeats ? "\\*" : "", o->name);
    if (!o->arg)
        snprintf(tail, sizeof(tail), "[%s]", o->help);
    else if (o->choices)
        snprintf(tail, sizeof(tail), "[%s]:%s:(%s)", o->help, o->arg, o->choices);
    else
        snprintf(tail, sizeof(tail), "[%s]:%s:%s", o->help, o->arg,
                 o->is_file ? "_files" : "");
    put_quoted(b, tail, err);
}

static void
put_zsh_command(struct buf *b, const struct cli_cmd *c, struct err *err)
{
    buf_printf(b, err, "    %s,%s)\n        _arguments -s $common", c->noun,
               c->verb ? c->verb : "*");
    for (int id = OPT_COMMON_END; id < OPT_END; id++)
        if (cli_cmd_has_option(c, (enum cli_opt_id)id))
            put_zsh_option(b, &cli_options[id], err);
    buf_printf(b, err, " \\\n            '*: :(");
    if (!c->verb)
        put_second_words(b, c, err);
    buf_printf(b, err, ")'\n        ;;\n");
}

static void
zsh(struct buf *b, struct err *err)
{
    buf_printf(b, err,
               "#compdef sendense\n"
               "# zsh completion of sendense; made by `sendense completion zsh`.\n"
               "_sendense() {\n"
               "    local -a nouns verbs common\n"
               "    common=(");
    for (int id = 0; id < OPT_COMMON_END; id++)
        put_zsh_option(b, &cli_options[id], err);
    buf_printf(b, err, "\n    )\n    if ((CURRENT == 2)); then\n        nouns=(");
    put_nouns(b, err);
    buf_printf(b, err,
               ")\n        compadd -a nouns\n        return\n    fi\n"
               "    if ((CURRENT == 3)); then\n        verbs=()\n"
               "        case $words[2] in\n");
    for (const struct cli_cmd *c = cli_commands; c->noun; c++)
        if (is_first_of_noun(c) && c->verb) {
            buf_printf(b, err, "        %s) verbs=(", c->noun);
            put_verbs(b, c->noun, err);
            buf_printf(b, err, ") ;;\n");
        }
    buf_printf(b, err,
               "        esac\n"
               "        (($#verbs)) && { compadd -a verbs; return; }\n    fi\n"
               "    case $words[2],$words[3] in\n");
    for (const struct cli_cmd *c = cli_commands; c->noun; c++)
        put_zsh_command(b, c, err);
    buf_printf(b, err, "    esac\n}\n_sendense \"$@\"\n");
}

static void
put_fish_option(struct buf *b, const struct cli_cmd *c, const struct cli_opt *o,
                struct err *err)
{
    buf_printf(b, err, "complete -c sendense");
    if (c && c->verb)
        buf_printf(
            b, err,
            " -n '__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s'",
            c->noun, c->verb);
    else if (c)
        buf_printf(b, err, " -n '__fish_seen_subcommand_from %s'", c->noun);
    if (o->letter)
        buf_printf(b, err, " -s %c", o->letter);
    buf_printf(b, err, " -l %s", o->name);
    if (o->arg)
        buf_printf(b, err, " -r%s", o->is_file ? " -F" : "");
    if (o->choices)
        buf_printf(b, err, " -f -a '%s'", o->choices);
    buf_printf(b, err, " -d ");
    put_quoted(b, o->help, err);
    buf_printf(b, err, "\n");
}

static void
put_fish_verb(struct buf *b, const struct cli_cmd *c, struct err *err)
{
    buf_printf(b, err,
               "complete -c sendense -n '__fish_seen_subcommand_from %s; and not "
               "__fish_seen_subcommand_from ",
               c->noun);
    put_verbs(b, c->noun, err);
    buf_printf(b, err, "' -a %s -d ", c->verb);
    put_quoted(b, c->summary, err);
    buf_printf(b, err, "\n");
}

static void
fish(struct buf *b, struct err *err)
{
    buf_printf(b, err,
               "# fish completion of sendense; made by `sendense completion fish`.\n"
               "complete -c sendense -f\n");
    for (const struct cli_cmd *c = cli_commands; c->noun; c++) {
        if (is_first_of_noun(c)) {
            buf_printf(b, err, "complete -c sendense -n __fish_use_subcommand -a %s",
                       c->noun);
            if (!c->verb) {
                buf_printf(b, err, " -d ");
                put_quoted(b, c->summary, err);
            }
            buf_printf(b, err, "\n");
        }
        if (c->verb)
            put_fish_verb(b, c, err);
        else if (c->choices || strcmp(c->noun, "help") == 0) {
            buf_printf(b, err,
                       "complete -c sendense -n '__fish_seen_subcommand_from %s' -a '",
                       c->noun);
            put_second_words(b, c, err);
            buf_printf(b, err, "'\n");
        }
        for (int id = OPT_COMMON_END; id < OPT_END; id++)
            if (cli_cmd_has_option(c, (enum cli_opt_id)id))
                put_fish_option(b, c, &cli_options[id], err);
    }
    for (int id = 0; id < OPT_COMMON_END; id++)
        put_fish_option(b, NULL, &cli_options[id], err);
}

int
completion_render(struct buf *b, const char *shell, struct err *err)
{
    if (strcmp(shell, "bash") == 0)
        bash(b, err);
    else if (strcmp(shell, "zsh") == 0)
        zsh(b, err);
    else if (strcmp(shell, "fish") == 0)
        fish(b, err);
    else
        return err_set(err, ERR_INVALID, "usage", "there is no completion for '%.32s'",
                       shell);
    return err->class;
}
