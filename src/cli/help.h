/* cli/help.h - help and completion, made from the command table.          Layer 5.  Pure.
 */
#ifndef SENDENSE_CLI_HELP_H
#define SENDENSE_CLI_HELP_H

#include "base/buf.h"
#include "cli/options.h"

#define HELP_CAP (256u * 1024)

/* @cmd, else the commands of @noun, else everything.  ERR_LIMIT. */
int help_render(struct buf *b, const char *noun, const struct cli_cmd *cmd,
                struct err *err);

/* @shell is "bash", "zsh" or "fish".  ERR_INVALID, ERR_LIMIT. */
int completion_render(struct buf *b, const char *shell, struct err *err);

#endif
