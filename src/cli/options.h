/* cli/options.h - the table of commands and options, and the parser over it.   Layer 5.
 *
 * The table is the one place that knows what can be typed: help, completion and the check
 * of the man page are made from it. */
#ifndef SENDENSE_CLI_OPTIONS_H
#define SENDENSE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum cli_opt_id {
    /* Every command has these. */
    OPT_HELP,
    OPT_VERSION,
    OPT_OUTPUT,
    OPT_QUIET,
    OPT_NO_COLOR,
    OPT_URL,
    OPT_TOKEN_FILE,
    OPT_INSECURE_HTTP,
    OPT_COMMON_END,
    /* Each of these belongs to the commands that name it. */
    OPT_DISK_URI = OPT_COMMON_END,
    OPT_DISK_KEY,
    OPT_NODE,
    OPT_VM_ID,
    OPT_HOST,
    OPT_USER,
    OPT_PASSWORD_FILE,
    OPT_FINGERPRINT,
    OPT_CA_FILE,
    OPT_ALL,
    OPT_QUIESCE,
    OPT_TYPE,
    OPT_CHAIN,
    OPT_REPO,
    OPT_RATE,
    OPT_RETRIES,
    OPT_RETRY_DELAY,
    OPT_WAIT,
    OPT_NO_WAIT,
    OPT_TIMEOUT,
    OPT_VM,
    OPT_STATUS,
    OPT_FOLLOW,
    OPT_YES,
    OPT_MERGE,
    OPT_TO,
    OPT_TO_FOLDER,
    OPT_FORMAT,
    OPT_SCOPE,
    OPT_EXPIRES_IN,
    OPT_AFTER,
    OPT_PROGRESS,
    /* restores and exports */
    OPT_FORCE,
    OPT_RESUME,
    OPT_SALVAGE,
    OPT_SCRATCH,
    OPT_TTL,
    OPT_LISTEN,
    OPT_TLS,
    OPT_PSK_FILE,
    OPT_FIX,
    OPT_END,
};

struct cli_opt {
    const char *name;    /* without dashes */
    char letter;         /* 0 = none */
    const char *arg;     /* name of its value in help; NULL = a flag */
    const char *choices; /* "a b c": the only values; NULL = any */
    bool is_file;        /* completion offers files */
    bool repeats;
    const char *help; /* one sentence without full stop */
};

struct cli;

struct cli_cmd {
    const char *noun;
    const char *verb; /* NULL: the noun alone is the command */
    const char *args; /* "VM", "[NOUN [VERB]]", "" */
    unsigned min_args, max_args;
    const char *summary; /* one line */
    const char *detail;  /* more for its own help; NULL = nothing more */
    const char *choices; /* of its argument; NULL = any */
    uint64_t options;    /* bit per cli_opt_id, without the common ones */
    bool needs_hub;      /* url and token are loaded before it runs */
    int (*run)(struct cli *c, struct err *err);
};

extern const struct cli_opt cli_options[OPT_END];
extern const struct cli_cmd cli_commands[]; /* ends with noun NULL */

#define CLI_POSITIONAL_MAX 66 /* noun, verb, and VMs of a discovery */
#define CLI_REPEAT_MAX 256

struct cli_args {
    const char *value[OPT_END]; /* last value; "" for a flag; NULL = absent */
    const char
        *repeated[CLI_REPEAT_MAX]; /* the one repeating option of a command, in order */
    unsigned n_repeated;
    const char *words[CLI_POSITIONAL_MAX]; /* without noun and verb once resolved */
    unsigned n_words;
};

/* Reads argv[1..]; values point into argv.  ERR_INVALID "usage". */
int cli_args_parse(int argc, char *const *argv, struct cli_args *ret, struct err *err);

/* Takes noun and verb off @a->words and checks options and number of words against the
 * command. *ret_cmd is NULL, and nothing is checked, when --help is given and no command
 * is named in full. ERR_INVALID "usage". */
int cli_args_resolve(struct cli_args *a, const struct cli_cmd **ret_cmd, struct err *err);

bool cli_cmd_has_option(const struct cli_cmd *cmd, enum cli_opt_id id);
const struct cli_cmd *cli_cmd_find(const char *noun, const char *verb); /* NULL = none */
bool cli_noun_exists(const char *noun);

/* "100", "64K", "10M", "2G", "1T" (powers of 1024).  ERR_INVALID "usage" naming @what. */
int cli_parse_bytes(const char *s, const char *what, uint64_t *ret, struct err *err);
/* "90", "90s", "15m", "12h", "30d" in seconds, above 0.  ERR_INVALID "usage" naming
 * @what. */
int cli_parse_seconds(const char *s, const char *what, uint64_t *ret, struct err *err);

#endif
