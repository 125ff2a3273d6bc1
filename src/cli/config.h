/* cli/config.h - what `sendense login` keeps, and where a hub may be.     Layer 5.
 * The file holds a token: mode 0600 in a folder of mode 0700, and it is refused when
 * others can read it. */
#ifndef SENDENSE_CLI_CONFIG_H
#define SENDENSE_CLI_CONFIG_H

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"

#define CONFIG_DEFAULT_URL "http://127.0.0.1:8082"

struct cli_config {
    char *url;            /* normal form; NULL = no file */
    struct secret *token; /* NULL = none */
    bool insecure_http;   /* the user accepted it for this url */
};

#define CLEANUP_CONFIG CLEANUP(cli_config_done)
void cli_config_done(struct cli_config *c);

/* $XDG_CONFIG_HOME/sendense/cli.json, else ~/.config/…; caller frees.  ERR_NOT_FOUND when
 * neither variable names an absolute path. */
int cli_config_path(char **ret, struct err *err);

/* A missing file is no failure: *ret is empty.  ERR_AUTH when others may read it,
 * ERR_INVALID. */
int cli_config_load(const char *path, struct cli_config *ret, struct err *err);
int cli_config_save(const char *path, const struct cli_config *c, struct err *err);

/* "scheme://host[:port][/prefix]", lower-case scheme and host, no slash at the end, no
 * "/api/v1"; caller frees.  ERR_INVALID "invalid_url": other schemes, a user name, a
 * query. */
int cli_url_normal(const char *url, char **ret, struct err *err);

/* True when what is sent to @url (normal form) can be read by others on the way. */
bool cli_url_is_exposed(const char *url);

#endif
