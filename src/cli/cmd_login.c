/* cli/cmd_login.c - `sendense login`: the token comes by file or stdin, never by argv. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/config.h"
#include "cli/exitcode.h"
#include "cli/stdin_secret.h"

static int
check_token(const struct secret *t, struct err *err)
{
    const char *s = secret_reveal(t);
    size_t n = secret_len(t);

    if (n == 0)
        return err_set(err, ERR_INVALID, "usage",
                       "no token: give --token-file FILE, or the token on stdin");
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] >= 0x7f)
            return err_set(err, ERR_INVALID, "invalid_token",
                           "that is no token: it holds a blank or a control character");
    return 0;
}

int
cmd_login(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *path = NULL;
    struct cli_config keep;
    int r;

    r = cli_config_path(&path, err);
    if (r == 0)
        r = hub_open(c, HUB_TOKEN_GIVEN, err);
    if (r < 0)
        return r;
    if (!c->hub.token)
        r = cli_stdin_secret(c, "Token: ", "\r \t", &c->hub.token, err);
    if (r == 0)
        r = check_token(c->hub.token, err);
    if (r == 0)
        r = hub_check_exposed(&c->hub, err);
    /* Any route that needs the scope every token has. */
    if (r == 0)
        r = hub_call(&c->hub, "GET", "/repositories?limit=1", NULL, NULL, err);
    if (r < 0)
        return r;
    keep = (struct cli_config){c->hub.url, c->hub.token, c->hub.insecure_http};
    r = cli_config_save(path, &keep, err);
    if (r < 0)
        return r;
    cli_say(c, "logged in to %s; kept in %s", c->hub.url, path);
    return EXIT_OK;
}
