/* cli/cmd_token.c - tokens. */
#include <string.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/exitcode.h"
#include "cli/output.h"

static const struct output_col token_list[] = {
    {"ID", "id"},
    {"NAME", "name"},
    {"SCOPES", "scopes", OUTPUT_LIST},
    {"CREATED", "created", OUTPUT_TIME},
    {"EXPIRES", "expires", OUTPUT_TIME},
    {"LAST USED", "last_used", OUTPUT_TIME},
    {"REVOKED", "revoked", OUTPUT_TIME},
    {0},
};

static int
make_request(struct cli *c, json_t **ret, struct err *err)
{
    json_t *scopes = json_array();
    CLEANUP_JSON json_t *body =
        json_pack("{s:s, s:o}", "name", c->args.words[0], "scopes", scopes);
    uint64_t seconds = 0;
    int r = 0;

    if (!body)
        return err_set(err, ERR_INVALID, "usage", "the name must be UTF-8 text");
    if (c->args.value[OPT_EXPIRES_IN])
        r = cli_parse_seconds(c->args.value[OPT_EXPIRES_IN], "--expires-in", &seconds,
                              err);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < c->args.n_repeated; i++)
        json_array_append_new(scopes, json_string(c->args.repeated[i]));
    if (c->args.n_repeated == 0)
        json_array_append_new(scopes, json_string("read"));
    if (seconds)
        json_object_set_new(body, "expires_in_s", json_integer((json_int_t)seconds));
    *ret = take_ptr(&body);
    return 0;
}

int
cmd_token_create(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *body = NULL, *token = NULL;
    CLEANUP_FREE char *text = NULL;
    int r = make_request(c, &body, err);

    if (r == 0)
        r = hub_call(&c->hub, "POST", "/tokens", body, &token, err);
    if (r < 0)
        return r;
    if (output_json(c, token))
        return EXIT_OK;
    if (!json_is_string(json_object_get(token, "token")))
        return err_set(err, ERR_PROTOCOL, "unexpected_answer",
                       "the hub made a token and did not tell it");
    text = output_value(token, "token", OUTPUT_TEXT);
    cli_say(c, "this token is shown once; keep it in a file of mode 0600");
    fprintf(c->io->out, "%s\n", text);
    return EXIT_OK;
}

int
cmd_token_ls(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *page = NULL;
    int r = hub_list(&c->hub, "/tokens", "tokens", &page, err);

    if (r == 0)
        r = output_list(c, page, "tokens", token_list, err);
    return r < 0 ? r : EXIT_OK;
}

int
cmd_token_revoke(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/tokens/", c->args.words[0], "");
    int r = hub_call(&c->hub, "DELETE", path, NULL, NULL, err);

    if (r < 0)
        return r;
    cli_say(c, "token %s is revoked", c->args.words[0]);
    return EXIT_OK;
}
