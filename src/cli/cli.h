/* cli/cli.h - one run of the program `sendense`.                          Layer 5.
 *
 * cli_run() is the whole program but for main(): parse, find the command in the table,
 * run it, report.  Everything it touches outside of itself is in struct cli_io, so that
 * tests run real commands in their own process.  Data goes to io->out, words for humans
 * to io->err. */
#ifndef SENDENSE_CLI_CLI_H
#define SENDENSE_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "cli/hub.h"
#include "cli/options.h"

struct cli_io {
    FILE *out, *err;
    int in_fd;         /* where `login` reads the token and `backup rm` its answer */
    int signal_fd;     /* readable once the user pressed Ctrl-C; <= 0 = none */
    bool out_tty;      /* stdout is a terminal: colour and width are allowed */
    bool err_tty;      /* stderr is a terminal: progress may be redrawn */
    unsigned poll_ms;  /* pause between two questions about a running job */
    unsigned plain_ms; /* pause between two plain progress lines */
    unsigned retry_ms; /* how long a wait bears a hub that does not answer */
    unsigned idle_ms;  /* `events` without -f ends after that much silence */
};

enum cli_format { FORMAT_TABLE, FORMAT_JSON, FORMAT_JSONL };

struct cli {
    const struct cli_io *io;
    const struct cli_cmd *cmd;
    struct cli_args args;
    enum cli_format format;
    bool quiet; /* no words but errors */
    bool color; /* of tables */
    struct hub hub;
};

/* Returns the exit code of the program. */
int cli_run(int argc, char *const *argv, const struct cli_io *io);

/* One line for humans on stderr, unless --quiet.  What a server said is escaped. */
void cli_say(const struct cli *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, with --quiet too: a failure that is not the err of the command. */
void cli_complain(const struct cli *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Waits up to @ms, or until the user pressed Ctrl-C: ERR_CANCELLED. */
int cli_pause(const struct cli *c, unsigned ms, struct err *err);

/* What the functions of the command table return: < 0 with err set, else an exit code. */
int cmd_login(struct cli *c, struct err *err);
int cmd_repo_add(struct cli *c, struct err *err);
int cmd_repo_ls(struct cli *c, struct err *err);
int cmd_repo_show(struct cli *c, struct err *err);
int cmd_repo_import(struct cli *c, struct err *err);
int cmd_node_ls(struct cli *c, struct err *err);
int cmd_credential_add(struct cli *c, struct err *err);
int cmd_credential_set(struct cli *c, struct err *err);
int cmd_credential_ls(struct cli *c, struct err *err);
int cmd_credential_show(struct cli *c, struct err *err);
int cmd_credential_test(struct cli *c, struct err *err);
int cmd_credential_rm(struct cli *c, struct err *err);
int cmd_credential_probe(struct cli *c, struct err *err);
int cmd_vm_discover(struct cli *c, struct err *err);
int cmd_vm_add(struct cli *c, struct err *err);
int cmd_vm_ls(struct cli *c, struct err *err);
int cmd_vm_show(struct cli *c, struct err *err);
int cmd_vm_rm(struct cli *c, struct err *err);
int cmd_backup_run(struct cli *c, struct err *err);
int cmd_backup_ls(struct cli *c, struct err *err);
int cmd_backup_explain(struct cli *c, struct err *err);
int cmd_backup_show(struct cli *c, struct err *err);
int cmd_backup_log(struct cli *c, struct err *err);
int cmd_backup_verify(struct cli *c, struct err *err);
int cmd_backup_rm(struct cli *c, struct err *err);
int cmd_backup_cancel(struct cli *c, struct err *err);
int cmd_restore_disk(struct cli *c, struct err *err);
int cmd_restore_files(struct cli *c, struct err *err);
int cmd_restore_ls(struct cli *c, struct err *err);
int cmd_restore_show(struct cli *c, struct err *err);
int cmd_restore_cancel(struct cli *c, struct err *err);
int cmd_restore_open(struct cli *c, struct err *err);
int cmd_restore_exports(struct cli *c, struct err *err);
int cmd_restore_close(struct cli *c, struct err *err);
int cmd_token_create(struct cli *c, struct err *err);
int cmd_token_ls(struct cli *c, struct err *err);
int cmd_token_revoke(struct cli *c, struct err *err);
int cmd_doctor(struct cli *c, struct err *err);
int cmd_events(struct cli *c, struct err *err);
int cmd_version(struct cli *c, struct err *err);
int cmd_completion(struct cli *c, struct err *err);
int cmd_help(struct cli *c, struct err *err);

#endif
