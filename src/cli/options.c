/* cli/options.c - the parser over the table of commands.c; see options.h. */
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/options.h"

/* Options of one name agree on having a value, so the first is as good as any for
 * reading. */
static int
find_option(const char *name, size_t n, char letter)
{
    for (int id = 0; id < OPT_END; id++) {
        const struct cli_opt *o = &cli_options[id];

        if (name ? strlen(o->name) == n && strncmp(o->name, name, n) == 0
                 : o->letter != 0 && o->letter == letter)
            return id;
    }
    return -1;
}

/* The value is kept under every id of that name: the command decides which one it meant.
 */
static int
keep(struct cli_args *a, int first, const char *value, struct err *err)
{
    const struct cli_opt *o = &cli_options[first];

    for (int id = 0; id < OPT_END; id++)
        if (strcmp(cli_options[id].name, o->name) == 0)
            a->value[id] = value;
    if (!o->repeats)
        return 0;
    if (a->n_repeated == CLI_REPEAT_MAX)
        return err_set(err, ERR_INVALID, "usage", "--%s may be given %d times at most",
                       o->name, CLI_REPEAT_MAX);
    a->repeated[a->n_repeated++] = value;
    return 0;
}

static int
parse_long(const char *text, int argc, char *const *argv, int *i, struct cli_args *a,
           struct err *err)
{
    size_t n = strcspn(text, "=");
    const char *value = text[n] == '=' ? text + n + 1 : NULL;
    int id = find_option(text, n, 0);

    if (id < 0)
        return err_set(err, ERR_INVALID, "usage", "there is no option --%.*s",
                       n > 64 ? 64 : (int)n, text);
    if (!cli_options[id].arg && value)
        return err_set(err, ERR_INVALID, "usage", "--%s takes no value",
                       cli_options[id].name);
    if (!cli_options[id].arg)
        value = "";
    if (!value && *i + 1 >= argc)
        return err_set(err, ERR_INVALID, "usage", "--%s needs a value",
                       cli_options[id].name);
    if (!value)
        value = argv[++*i];
    return keep(a, id, value, err);
}

static int
parse_letters(const char *text, int argc, char *const *argv, int *i, struct cli_args *a,
              struct err *err)
{
    for (; *text; text++) {
        const char *value = "";
        int r, id = find_option(NULL, 0, *text);

        if (id < 0)
            return err_set(err, ERR_INVALID, "usage", "there is no option -%c", *text);
        if (cli_options[id].arg && !text[1] && *i + 1 >= argc)
            return err_set(err, ERR_INVALID, "usage", "-%c needs a value", *text);
        if (cli_options[id].arg)
            value = text[1] ? text + 1 : argv[++*i];
        r = keep(a, id, value, err);
        if (r < 0 || cli_options[id].arg)
            return r;
    }
    return 0;
}

int
cli_args_parse(int argc, char *const *argv, struct cli_args *ret, struct err *err)
{
    bool only_words = false;
    int r = 0;

    *ret = (struct cli_args){0};
    for (int i = 1; i < argc && r == 0; i++) {
        const char *s = argv[i];

        if (!only_words && strcmp(s, "--") == 0)
            only_words = true;
        else if (!only_words && strncmp(s, "--", 2) == 0)
            r = parse_long(s + 2, argc, argv, &i, ret, err);
        else if (!only_words && s[0] == '-' && s[1])
            r = parse_letters(s + 1, argc, argv, &i, ret, err);
        else if (ret->n_words == CLI_POSITIONAL_MAX)
            r = err_set(err, ERR_INVALID, "usage", "too many words at '%.64s'", s);
        else
            ret->words[ret->n_words++] = s;
    }
    return r;
}

const struct cli_cmd *
cli_cmd_find(const char *noun, const char *verb)
{
    for (const struct cli_cmd *c = cli_commands; c->noun; c++)
        if (strcmp(c->noun, noun) == 0 &&
            (c->verb ? verb && strcmp(c->verb, verb) == 0 : true))
            return c;
    return NULL;
}

bool
cli_noun_exists(const char *noun)
{
    for (const struct cli_cmd *c = cli_commands; c->noun; c++)
        if (strcmp(c->noun, noun) == 0)
            return true;
    return false;
}

bool
cli_cmd_has_option(const struct cli_cmd *cmd, enum cli_opt_id id)
{
    return id < OPT_COMMON_END || (cmd->options >> id & 1);
}

static bool
is_choice(const char *choices, const char *value)
{
    size_t n = strlen(value);

    for (const char *p = choices; *p;) {
        size_t len = strcspn(p, " ");

        if (len == n && strncmp(p, value, n) == 0)
            return true;
        p += len + (p[len] == ' ');
    }
    return false;
}

/* True when @cmd takes another option of the same name. */
static bool
has_namesake(const struct cli_cmd *cmd, int id)
{
    for (int other = 0; other < OPT_END; other++)
        if (other != id && strcmp(cli_options[other].name, cli_options[id].name) == 0 &&
            cli_cmd_has_option(cmd, (enum cli_opt_id)other))
            return true;
    return false;
}

static int
check_options(struct cli_args *a, const struct cli_cmd *cmd, struct err *err)
{
    for (int id = 0; id < OPT_END; id++) {
        const struct cli_opt *o = &cli_options[id];

        if (!a->value[id])
            continue;
        if (!cli_cmd_has_option(cmd, (enum cli_opt_id)id)) {
            if (has_namesake(cmd, id)) {
                a->value[id] = NULL;
                continue;
            }
            return err_set(err, ERR_INVALID, "usage", "'%s%s%s' has no option --%s",
                           cmd->noun, cmd->verb ? " " : "", cmd->verb ? cmd->verb : "",
                           o->name);
        }
        if (o->choices && !o->repeats && !is_choice(o->choices, a->value[id]))
            return err_set(err, ERR_INVALID, "usage", "--%s is one of: %s", o->name,
                           o->choices);
        for (unsigned i = 0; o->choices && o->repeats && i < a->n_repeated; i++)
            if (!is_choice(o->choices, a->repeated[i]))
                return err_set(err, ERR_INVALID, "usage", "--%s is one of: %s", o->name,
                               o->choices);
    }
    return 0;
}

static int
find_command(const struct cli_args *a, const struct cli_cmd **ret_cmd, struct err *err)
{
    const char *verb = a->n_words > 1 ? a->words[1] : NULL;

    *ret_cmd = a->n_words > 0 ? cli_cmd_find(a->words[0], verb) : NULL;
    if (*ret_cmd)
        return 0;
    if (a->n_words > 0 && !cli_noun_exists(a->words[0]))
        return err_set(err, ERR_INVALID, "usage",
                       "there is no command '%.64s'; `sendense help` lists them",
                       a->words[0]);
    if (verb)
        return err_set(err, ERR_INVALID, "usage",
                       "'%s' has no command '%.64s'; `sendense help %s` lists them",
                       a->words[0], verb, a->words[0]);
    if (a->value[OPT_HELP])
        return 0;
    if (a->n_words > 0)
        return err_set(err, ERR_INVALID, "usage",
                       "'%s' needs a command after it; `sendense help %s` lists them",
                       a->words[0], a->words[0]);
    return err_set(err, ERR_INVALID, "usage", "no command; `sendense help` lists them");
}

int
cli_args_resolve(struct cli_args *a, const struct cli_cmd **ret_cmd, struct err *err)
{
    const struct cli_cmd *cmd;
    unsigned n_taken;
    int r = find_command(a, &cmd, err);

    if (r < 0)
        return r;
    *ret_cmd = cmd;
    if (!cmd || a->value[OPT_HELP])
        return 0;
    n_taken = cmd->verb ? 2 : 1;
    a->n_words -= n_taken;
    memmove(a->words, a->words + n_taken, a->n_words * sizeof(a->words[0]));
    for (unsigned i = a->n_words; i < CLI_POSITIONAL_MAX; i++)
        a->words[i] = NULL; /* a missing word reads as NULL, not as the verb */
    if (a->n_words < cmd->min_args || a->n_words > cmd->max_args)
        return err_set(err, ERR_INVALID, "usage", "usage: sendense %s%s%s%s%s", cmd->noun,
                       cmd->verb ? " " : "", cmd->verb ? cmd->verb : "",
                       *cmd->args ? " " : "", cmd->args);
    if (cmd->choices && a->n_words > 0 && !is_choice(cmd->choices, a->words[0]))
        return err_set(err, ERR_INVALID, "usage", "%s is one of: %s", cmd->args,
                       cmd->choices);
    return check_options(a, cmd, err);
}

/* A number and at most one letter of @units, which multiplies by the factor of its place.
 */
static int
parse_scaled(const char *s, const char *units, const uint64_t *factors, uint64_t *ret)
{
    size_t n = strspn(s, "0123456789");
    const char *unit = s[n] ? strchr(units, s[n]) : NULL;
    uint64_t v, factor = unit ? factors[unit - units] : 1;
    char digits[24];

    if (n == 0 || n >= sizeof(digits) || (s[n] && (!unit || s[n + 1])))
        return -1;
    memcpy(digits, s, n);
    digits[n] = '\0';
    if (text_to_u64(digits, &v) < 0 || v == 0 || v > (uint64_t)INT64_MAX / factor)
        return -1;
    *ret = v * factor;
    return 0;
}

int
cli_parse_bytes(const char *s, const char *what, uint64_t *ret, struct err *err)
{
    static const uint64_t factors[] = {1ull << 10, 1ull << 20, 1ull << 30, 1ull << 40};

    if (parse_scaled(s, "KMGT", factors, ret) < 0)
        return err_set(
            err, ERR_INVALID, "usage",
            "%s is a number of bytes above 0, such as 1000000, 64K, 100M or 2G", what);
    return 0;
}

int
cli_parse_seconds(const char *s, const char *what, uint64_t *ret, struct err *err)
{
    static const uint64_t factors[] = {1, 60, 3600, 86400};

    if (parse_scaled(s, "smhd", factors, ret) < 0)
        return err_set(err, ERR_INVALID, "usage",
                       "%s is a time above 0, such as 90, 90s, 15m, 12h or 30d", what);
    return 0;
}
