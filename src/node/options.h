/* node/options.h - the command line of sendense-node.                        Layer 5. */
#ifndef SENDENSE_NODE_OPTIONS_H
#define SENDENSE_NODE_OPTIONS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"

enum node_action { NODE_RUN, NODE_HELP, NODE_VERSION };

struct node_options {
    enum node_action action;
    const char *listen; /* loopback unless allow_remote */
    bool allow_remote;
    const char *token_file;
    const char *client; /* NULL = node_find_client() */
    unsigned max_jobs;
    unsigned stop_timeout_s;
    const char *state; /* folder */
    enum log_level log_level;
};

/* Strings stay those of @argv.  ERR_INVALID "usage". */
int node_options_parse(int argc, char *const argv[], struct node_options *ret,
                       struct err *err);
extern const char node_usage[];

/* "127.x.y.z:PORT", "[::1]:PORT"; a name is refused, because it may change its meaning.
 */
bool node_listen_is_loopback(const char *listen);

/* sendense-backup-client in the folder of this program, else in PATH; caller frees.
 * ERR_NOT_FOUND. */
int node_find_client(char **ret, struct err *err);

#endif
