#include "job/credentials.h"

#include <ctype.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "job/bus.h"
#include "job/nodes.h"
#include "model/naming.h"
#include "os/seal.h"

#define DEFAULT_NODE "1"
#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"

int
fingerprint_normalize(const char *text, char ret[FINGERPRINT_SIZE], struct err *err)
{
    bool colons = strchr(text, ':') != NULL;
    size_t n = 0;

    for (const char *s = text; *s; s++) {
        if (colons && n > 0 && n % 2 == 0 && *s == ':' && s[1])
            s++;
        else if (colons && n > 0 && n % 2 == 0)
            break;
        if (!isxdigit((unsigned char)*s) || n == FINGERPRINT_SIZE - 1) {
            n = 0;
            break;
        }
        ret[n++] = (char)tolower((unsigned char)*s);
    }
    if (n != FINGERPRINT_SIZE - 1)
        return err_set(err, ERR_INVALID, "invalid_fingerprint",
                       "a fingerprint is the SHA-256 of a certificate: 32 bytes in hex, "
                       "like AA:BB:…; `sendense credential probe` shows it");
    ret[n] = '\0';
    return 0;
}

/* What a sealed password is bound to: in another row, or after somebody changed where it
 * is sent or who is believed to be there, it is worthless. */
static char *
seal_context(const struct cat_credential *row)
{
    CLEANUP_FREE char *text = xasprintf("%s\n%s\n%s\n%s:%s", row->name, row->url,
                                        row->username, row->tls_sha256 ? "sha256" : "ca",
                                        row->tls_sha256   ? row->tls_sha256
                                        : row->tls_ca_pem ? row->tls_ca_pem
                                                          : "");
    char hash[TOKEN_HASH_SIZE];

    token_hash(text, hash);
    return xasprintf("vmware_credentials.password:%s", hash);
}

static int
no_key(struct err *err, const char *what)
{
    return err_set(err, ERR_UNAVAILABLE, "no_sealing_key",
                   "the hub has no sealing key, so it cannot %s; run sendense-hub init",
                   what);
}

static int
check_request(const struct credential_request *req, char sha256[FINGERPRINT_SIZE],
              struct err *err)
{
    size_t password = secret_len(req->password);

    if (naming_name_check(req->name, "credential name", err) < 0 ||
        vsphere_url_check(req->url, err) < 0 ||
        naming_name_check(req->username, "user", err) < 0)
        return err->class;
    if (password > VSPHERE_PASSWORD_MAX)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "the password has %zu bytes, %u are allowed", password,
                       VSPHERE_PASSWORD_MAX);
    if (!req->sha256 == !req->ca_pem)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "say how the server is known: either the fingerprint of its "
                       "certificate (sha256) or a CA (ca_pem)");
    if (req->ca_pem &&
        (strlen(req->ca_pem) > VSPHERE_CA_MAX || !strstr(req->ca_pem, PEM_BEGIN)))
        return err_set(err, ERR_INVALID, "invalid_field",
                       "ca_pem must hold certificates in PEM form, at most %u bytes",
                       VSPHERE_CA_MAX);
    return req->sha256 ? fingerprint_normalize(req->sha256, sha256, err) : 0;
}

static int
emit(struct job_env *env, const char *type, const char *name, const char *actor,
     struct err *err)
{
    struct cat_event e = {
        .severity = "info", .type = type, .message = name, .actor = actor};

    return bus_emit(env, &e, err);
}

static int
store(struct job_env *env, const struct cat_credential *row, const char *actor,
      char ret_id[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};

    if (catalog_tx_begin(env->catalog, &tx, err) < 0 ||
        cat_credential_add(env->catalog, row, ret_id, err) < 0 ||
        emit(env, "credential.added", row->name, actor, err) < 0 ||
        catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(env->bus);
    return 0;
}

static int
seal_row(struct job_env *env, const struct cat_credential *row,
         const struct secret *password, char **ret, struct err *err)
{
    CLEANUP_FREE char *context = seal_context(row);

    if (!env->key)
        return no_key(err, "store a password");
    return seal_text(env->key, context, password, ret, err);
}

int
credentials_add(struct job_env *env, const struct credential_request *req,
                char ret_id[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_FREE char *sealed = NULL;
    char sha256[FINGERPRINT_SIZE];
    struct cat_credential row;

    if (check_request(req, sha256, err) < 0)
        return err->class;
    row = (struct cat_credential){.name = req->name,
                                  .url = req->url,
                                  .username = req->username,
                                  .tls_sha256 = req->sha256 ? sha256 : NULL,
                                  .tls_ca_pem = req->ca_pem,
                                  .node_id = req->node_id ? req->node_id : DEFAULT_NODE,
                                  .created_us = time_utc_us()};
    if (seal_row(env, &row, req->password, &sealed, err) < 0)
        return err->class;
    row.sealed_password = sealed;
    return store(env, &row, req->actor, ret_id, err);
}

int
credentials_remove(struct job_env *env, const char *id, const char *actor,
                   struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_credential row = {0};
    int r;

    if (catalog_tx_begin(env->catalog, &tx, err) < 0 ||
        cat_credential_get(env->catalog, id, &row, err) < 0)
        return err->class;
    r = cat_credential_remove(env->catalog, id, err);
    if (r >= 0)
        r = emit(env, "credential.deleted", row.name, actor, err);
    cat_credential_done(&row);
    if (r < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(env->bus);
    return 0;
}

static char *
copy_or_null(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

int
credentials_login(struct job_env *env, const struct cat_credential *row,
                  struct vsphere_login *ret, struct err *err)
{
    CLEANUP_FREE char *context = seal_context(row);
    struct secret *password = NULL;

    if (!env->key)
        return no_key(err, "read a password");
    if (unseal_text(env->key, context, row->sealed_password, &password, err) < 0) {
        /* Our own state, but for its owner to repair: the message must reach him. */
        if (err->class == ERR_CORRUPT)
            err->class = ERR_UNAVAILABLE;
        return err_prefix(err, "credential '%s'", row->name);
    }
    *ret = (struct vsphere_login){.url = xstrdup(row->url),
                                  .user = xstrdup(row->username),
                                  .password = password,
                                  .ca_pem = copy_or_null(row->tls_ca_pem),
                                  .sha256 = copy_or_null(row->tls_sha256)};
    return 0;
}

int
credentials_login_by_id(struct job_env *env, const char *id, struct vsphere_login *ret,
                        struct err *err)
{
    struct cat_credential row = {0};

    if (cat_credential_get(env->catalog, id, &row, err) < 0)
        return err->class;
    credentials_login(env, &row, ret, err);
    cat_credential_done(&row);
    return err->class;
}

int
vsphere_door_open(struct job_env *env, const char *credential_id,
                  struct vsphere_door *ret, struct err *err)
{
    CLEANUP_VSPHERE_DOOR struct vsphere_door d = {.env = env};

    if (cat_credential_get(env->catalog, credential_id, &d.row, err) < 0 ||
        credentials_login(env, &d.row, &d.login, err) < 0 ||
        nodes_connect(env, d.row.node_id, &d.node, err) < 0)
        return err->class;
    *ret = d;
    d = (struct vsphere_door){0};
    return 0;
}

void
vsphere_door_done(struct vsphere_door *d)
{
    cat_credential_done(&d->row);
    vsphere_login_done(&d->login);
    node_client_free(d->node);
    *d = (struct vsphere_door){0};
}

/* What a server refused is no fault of our caller's: only the words of absence and
 * conflict keep their class. */
static int
refusal(const struct vsphere_answer *a, const char *url, struct err *err)
{
    static const struct {
        const char *code;
        int class;
    } classes[] = {
        {"vcenter_vm_not_found", ERR_NOT_FOUND},
        {"vcenter_unreachable", ERR_UNAVAILABLE},
        {"vcenter_timeout", ERR_UNAVAILABLE},
        {"vm_not_connected", ERR_UNAVAILABLE},
        {"vm_changed", ERR_EXISTS},
    };
    int class = ERR_IO;

    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (strcmp(a->code, classes[i].code) == 0)
            class = classes[i].class;
    return err_set(err, class, a->code, "%s: %s", url, a->message);
}

static int
ask(struct node_client *node, const struct vsphere_question *q, unsigned limit_s,
    struct vsphere_answer *ret, struct err *err)
{
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};

    if (node_client_vsphere(node, q, limit_s, &a, err) < 0)
        return err->class;
    if (!a.ok)
        return refusal(&a, q->login.url, err);
    *ret = a;
    a = (struct vsphere_answer){0};
    return 0;
}

/* A connection and one call fit into @limit_s, so that the server's own words come. */
static void
shorten(struct spec_deadlines *d, unsigned limit_s)
{
    unsigned connect_s = limit_s / 5 ? limit_s / 5 : 1;

    if (d->connect_s > connect_s)
        d->connect_s = connect_s;
    if (d->io_s > limit_s - connect_s)
        d->io_s = limit_s > connect_s ? limit_s - connect_s : 1;
}

int
vsphere_ask(struct vsphere_door *d, struct vsphere_question *q,
            struct vsphere_answer *ret, struct err *err)
{
    struct vsphere_question full = *q;

    /* Lent for the call: both stay their owners'. */
    full.login = d->login;
    full.deadlines = d->env->deadlines;
    if (d->limit_s)
        shorten(&full.deadlines, d->limit_s);
    return ask(d->node, &full, d->limit_s, ret, err);
}

int
credentials_test(struct job_env *env, const char *id, struct vsphere_answer *ret,
                 struct err *err)
{
    CLEANUP_VSPHERE_DOOR struct vsphere_door d = {0};
    struct vsphere_question q = {.kind = VSPHERE_TEST};

    if (vsphere_door_open(env, id, &d, err) < 0)
        return err->class;
    return vsphere_ask(&d, &q, ret, err);
}

int
credentials_fingerprint(struct job_env *env, const char *node_id, const char *url,
                        struct vsphere_answer *ret, struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    CLEANUP_VSPHERE_QUESTION struct vsphere_question q = {.kind = VSPHERE_FINGERPRINT,
                                                          .deadlines = env->deadlines};

    if (vsphere_url_check(url, err) < 0 ||
        nodes_connect(env, node_id ? node_id : DEFAULT_NODE, &node, err) < 0)
        return err->class;
    q.login.url = xstrdup(url);
    return ask(node, &q, 0, ret, err);
}

/* --- change --- */

static pthread_mutex_t change_lock = PTHREAD_MUTEX_INITIALIZER;

static int
check_same_server(struct job_env *env, const char *node_id,
                  const struct vsphere_login *old, const struct vsphere_login *new,
                  struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer before = {0}, after = {0};
    struct vsphere_question q = {
        .kind = VSPHERE_TEST, .deadlines = env->deadlines, .login = *new};

    if (nodes_connect(env, node_id, &node, err) < 0 || ask(node, &q, 0, &after, err) < 0)
        return err->class;
    q.login = *old;
    if (ask(node, &q, 0, &before, err) < 0)
        return err_prefix(err, "compare with the server as it was known");
    if (before.server_uuid && *before.server_uuid && after.server_uuid &&
        strcmp(before.server_uuid, after.server_uuid) == 0)
        return 0;
    return err_set(err, ERR_EXISTS, "credential_other_server",
                   "%s is not the server that %s is: add another credential for it",
                   new->url, old->url);
}

static int
store_change(struct job_env *env, const struct cat_credential *row, const char *actor,
             struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};

    if (catalog_tx_begin(env->catalog, &tx, err) < 0 ||
        cat_credential_change(env->catalog, row, err) < 0 ||
        emit(env, "credential.changed", row->name, actor, err) < 0 ||
        catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(env->bus);
    return 0;
}

/* @req: the login as it shall be, its password NULL = the old one. */
static int
change_row(struct job_env *env, const struct cat_credential *old,
           struct credential_request *req, bool is_complete, struct err *err)
{
    CLEANUP_VSPHERE_LOGIN struct vsphere_login login = {0};
    CLEANUP_FREE char *sealed = NULL;
    char sha256[FINGERPRINT_SIZE];
    struct cat_credential row = *old;

    if (check_request(req, sha256, err) < 0 ||
        (!is_complete && credentials_login(env, old, &login, err) < 0))
        return err->class;
    if (!req->password)
        req->password = login.password;
    row.url = req->url;
    row.username = req->username;
    row.tls_sha256 = req->sha256 ? sha256 : NULL;
    row.tls_ca_pem = req->ca_pem;
    if (strcmp(old->url, req->url) != 0) {
        /* Lent for the call. */
        struct vsphere_login new = {.url = (char *)row.url,
                                    .user = (char *)row.username,
                                    .password = (struct secret *)req->password,
                                    .ca_pem = (char *)row.tls_ca_pem,
                                    .sha256 = (char *)row.tls_sha256};

        if (check_same_server(env, old->node_id, &login, &new, err) < 0)
            return err->class;
    }
    if (seal_row(env, &row, req->password, &sealed, err) < 0)
        return err->class;
    row.sealed_password = sealed;
    return store_change(env, &row, req->actor, err);
}

int
credentials_change(struct job_env *env, const struct credential_change *ch,
                   struct err *err)
{
    bool trust = ch->sha256 || ch->ca_pem, complete;
    struct credential_request req;
    struct cat_credential old = {0};

    LOCK_SCOPE(&change_lock);
    if (cat_credential_get(env->catalog, ch->id, &old, err) < 0)
        return err->class;
    req = (struct credential_request){.name = old.name,
                                      .url = ch->url ? ch->url : old.url,
                                      .username =
                                          ch->username ? ch->username : old.username,
                                      .password = ch->password,
                                      .sha256 = trust ? ch->sha256 : old.tls_sha256,
                                      .ca_pem = trust ? ch->ca_pem : old.tls_ca_pem,
                                      .actor = ch->actor};
    complete =
        trust && ch->password && ch->username && ch->url && strcmp(ch->url, old.url) == 0;
    change_row(env, &old, &req, complete, err);
    cat_credential_done(&old);
    return err->class;
}
