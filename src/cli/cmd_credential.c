/* cli/cmd_credential.c - logins of vCenters and ESXi hosts.  A password comes by file or
 * stdin and goes into one request. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/exitcode.h"
#include "cli/output.h"
#include "cli/stdin_secret.h"

#define PASSWORD_MAX 4096
#define CA_MAX 65536

static const struct output_col credential_list[] = {
    {"ID", "id"},
    {"NAME", "name"},
    {"SERVER", "url"},
    {"USER", "username"},
    {"NODE", "node_id"},
    {"CREATED", "created", OUTPUT_TIME},
    {0},
};

static const struct output_col credential_fields[] = {
    {"id", "id"},
    {"name", "name"},
    {"server", "url"},
    {"user", "username"},
    {"certificate sha256", "tls.sha256"},
    {"trusted", "trusted"},
    {"node", "node_id"},
    {"created", "created", OUTPUT_TIME},
    {0},
};

static const struct output_col server_fields[] = {
    {"server", "server.full_name"},
    {"API version", "server.api_version"},
    {"server uuid", "server.uuid"},
    {0},
};

static const struct output_col probe_fields[] = {
    {"server", "url"},
    {"certificate sha256", "sha256"},
    {0},
};

static int
show_fields(struct cli *c, const json_t *o, const struct output_col *cols,
            struct err *err)
{
    int r = output_json(c, o) ? 0 : output_fields(c, o, cols, err);

    return r < 0 ? r : EXIT_OK;
}

static int
show_credential(struct cli *c, const json_t *o, struct err *err)
{
    CLEANUP_JSON json_t *shown = json_deep_copy(o);
    bool by_ca = json_is_string(json_object_get(json_object_get(o, "tls"), "ca_pem"));

    if (output_json(c, o))
        return EXIT_OK;
    json_object_set_new(
        shown, "trusted",
        json_string(by_ca ? "what its CAs signed" : "this certificate only"));
    return show_fields(c, shown, credential_fields, err);
}

static int
read_password(struct cli *c, struct secret **ret, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(PASSWORD_MAX);
    const char *path = c->args.value[OPT_PASSWORD_FILE];
    int r;

    if (!path)
        return err_set(err, ERR_INVALID, "usage",
                       "--password-file FILE is needed; - reads the password from stdin");
    if (strcmp(path, "-") == 0)
        return cli_stdin_secret(c, "Password: ", "\r", ret, err);
    r = fs_read_secret_file(path, &b, err);
    if (r == 0)
        *ret = secret_new(b.data ? b.data : "", b.len);
    if (b.data)
        explicit_bzero(b.data, b.alloc);
    return r < 0 ? err_prefix(err, "the password") : 0;
}

/* Exactly one way to know the server. */
static int
put_trust(struct cli *c, json_t *body, struct err *err)
{
    const char *fingerprint = c->args.value[OPT_FINGERPRINT];
    const char *path = c->args.value[OPT_CA_FILE];
    CLEANUP_BUF struct buf b = BUF_INIT(CA_MAX);
    json_t *text;

    if (!fingerprint == !path)
        return err_set(
            err, ERR_INVALID, "usage",
            "give --fingerprint SHA256 (`sendense credential probe HOST` shows "
            "it) or --ca-file PEM");
    if (fingerprint) {
        text = json_string(fingerprint);
    } else {
        if (fs_read_file(path, &b, err) < 0)
            return err_prefix(err, "the CA file");
        text = json_string(b.data ? b.data : "");
    }
    if (!text)
        return err_set(err, ERR_INVALID, "usage",
                       "the fingerprint or CA file is not UTF-8 text");
    json_object_set_new(body, fingerprint ? "sha256" : "ca_pem", text);
    return 0;
}

static int
put_node(struct cli *c, json_t *body, struct err *err)
{
    CLEANUP_FREE char *node = NULL;

    if (!c->args.value[OPT_NODE])
        return 0;
    if (hub_find(&c->hub, "node", "nodes", c->args.value[OPT_NODE], &node, err) < 0)
        return err->class;
    json_object_set_new(body, "node_id", json_string(node));
    return 0;
}

int
cmd_credential_add(struct cli *c, struct err *err)
{
    CLEANUP_SECRET struct secret *password = NULL;
    CLEANUP_JSON json_t *body = NULL, *made = NULL;
    int r;

    if (!c->args.value[OPT_HOST] || !c->args.value[OPT_USER])
        return err_set(err, ERR_INVALID, "usage",
                       "--host HOST[:PORT] and --user USER are needed");
    body = json_pack("{s:s, s:s, s:s}", "name", c->args.words[0], "host",
                     c->args.value[OPT_HOST], "username", c->args.value[OPT_USER]);
    if (!body)
        return err_set(err, ERR_INVALID, "usage",
                       "name, host and user must be UTF-8 text");
    r = put_trust(c, body, err);
    if (r == 0)
        r = put_node(c, body, err);
    if (r == 0)
        r = read_password(c, &password, err);
    if (r < 0)
        return r;
    if (json_object_set_new(body, "password", json_string(secret_reveal(password))) < 0)
        return err_set(err, ERR_INVALID, "usage", "the password is not UTF-8 text");
    r = hub_call(&c->hub, "POST", "/credentials", body, &made, err);
    return r < 0 ? r : show_credential(c, made, err);
}

static int
put_option(struct cli *c, json_t *body, enum cli_opt_id option, const char *member,
           struct err *err)
{
    const char *value = c->args.value[option];

    if (value && json_object_set_new(body, member, json_string(value)) < 0)
        return err_set(err, ERR_INVALID, "usage", "%s must be UTF-8 text", member);
    return 0;
}

static int
put_changes(struct cli *c, json_t *body, struct err *err)
{
    CLEANUP_SECRET struct secret *password = NULL;

    if (put_option(c, body, OPT_HOST, "host", err) < 0 ||
        put_option(c, body, OPT_USER, "username", err) < 0)
        return err->class;
    if ((c->args.value[OPT_FINGERPRINT] || c->args.value[OPT_CA_FILE]) &&
        put_trust(c, body, err) < 0)
        return err->class;
    if (c->args.value[OPT_PASSWORD_FILE]) {
        if (read_password(c, &password, err) < 0)
            return err->class;
        if (json_object_set_new(body, "password", json_string(secret_reveal(password))) <
            0)
            return err_set(err, ERR_INVALID, "usage", "the password is not UTF-8 text");
    }
    if (json_object_size(body) == 0)
        return err_set(err, ERR_INVALID, "usage",
                       "say what changes: --password-file, --fingerprint, --ca-file, "
                       "--user or --host");
    return 0;
}

int
cmd_credential_set(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *body = json_object(), *o = NULL;
    CLEANUP_FREE char *id = NULL, *path = NULL;
    int r = put_changes(c, body, err);

    if (r == 0)
        r = hub_find(&c->hub, "credential", "credentials", c->args.words[0], &id, err);
    if (r < 0)
        return r;
    path = hub_path("/credentials/", id, "");
    r = hub_call(&c->hub, "PATCH", path, body, &o, err);
    return r < 0 ? r : show_credential(c, o, err);
}

int
cmd_credential_ls(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *page = NULL;
    int r = hub_list(&c->hub, "/credentials", "credentials", &page, err);

    if (r == 0)
        r = output_list(c, page, "credentials", credential_list, err);
    return r < 0 ? r : EXIT_OK;
}

/* A call about the credential that the command names. */
static int
call_one(struct cli *c, const char *method, const char *rest, json_t **ret,
         struct err *err)
{
    CLEANUP_FREE char *id = NULL, *path = NULL;
    int r = hub_find(&c->hub, "credential", "credentials", c->args.words[0], &id, err);

    if (r < 0)
        return r;
    path = hub_path("/credentials/", id, rest);
    return hub_call(&c->hub, method, path, NULL, ret, err);
}

int
cmd_credential_show(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *o = NULL;
    int r = call_one(c, "GET", "", &o, err);

    return r < 0 ? r : show_credential(c, o, err);
}

int
cmd_credential_test(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *o = NULL;
    int r = call_one(c, "POST", "/test", &o, err);

    if (r < 0)
        return r;
    cli_say(c, "the login works");
    return show_fields(c, o, server_fields, err);
}

int
cmd_credential_rm(struct cli *c, struct err *err)
{
    int r = call_one(c, "DELETE", "", NULL, err);

    if (r < 0)
        return r;
    cli_say(c, "credential %s is removed", c->args.words[0]);
    return EXIT_OK;
}

int
cmd_credential_probe(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *body = json_pack("{s:s}", "host", c->args.words[0]);
    CLEANUP_JSON json_t *o = NULL;
    const char *sha256;
    int r;

    if (!body)
        return err_set(err, ERR_INVALID, "usage", "the host must be UTF-8 text");
    r = put_node(c, body, err);
    if (r == 0)
        r = hub_call(&c->hub, "POST", "/credentials/probe", body, &o, err);
    if (r == 0)
        r = show_fields(c, o, probe_fields, err);
    if (r != EXIT_OK)
        return r;
    sha256 = json_string_value(json_object_get(o, "sha256"));
    cli_say(
        c,
        "compare it with what the server itself shows; if it is the same: sendense "
        "credential add NAME --host %s --user USER --password-file FILE --fingerprint "
        "%s",
        c->args.words[0], sha256 ? sha256 : "");
    return EXIT_OK;
}
