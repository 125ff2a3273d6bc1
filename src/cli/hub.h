/* cli/hub.h - the REST API of one hub, as the commands use it.            Layer 5.
 * Blocking. Errors carry the code of the API; a hub that cannot be reached is
 * ERR_UNAVAILABLE "hub_unreachable" with advice. */
#ifndef SENDENSE_CLI_HUB_H
#define SENDENSE_CLI_HUB_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "os/http_client.h"

struct cli;

struct hub {
    char *url;            /* normal form of config.h */
    struct secret *token; /* NULL = none, only for routes without one */
    struct http_client *http;
    int cancel_fd; /* <= 0 = none */
    bool insecure_http;
};

enum hub_token {
    HUB_TOKEN_NONE,  /* the command sends none */
    HUB_TOKEN_GIVEN, /* of --token-file or environment, if any: not checked for the way it
                        takes */
    HUB_TOKEN_NEEDED, /* given or stored, else ERR_AUTH "not_logged_in" */
};

/* Finds url and token: option, then environment, then the stored login.  The stored token
 * goes to the stored url only.  HUB_TOKEN_NEEDED: ERR_AUTH "insecure_http" as
 * hub_check_exposed(). */
int hub_open(struct cli *c, enum hub_token which, struct err *err);
void hub_done(struct hub *h);

/* ERR_AUTH "insecure_http" when the token would go in clear to another machine. */
int hub_check_exposed(const struct hub *h, struct err *err);

/* @path starts behind /api/v1.  @body may be NULL; *ret (may be NULL) is NULL for an
 * empty answer. */
int hub_call(struct hub *h, const char *method, const char *path, const json_t *body,
             json_t **ret, struct err *err);

/* The same for what may take long. */
int hub_call_for(struct hub *h, unsigned timeout_ms, const char *method, const char *path,
                 const json_t *body, json_t **ret, struct err *err);

/* Follows `next` to the end: *ret is one page object with all items under @items. */
int hub_list(struct hub *h, const char *path, const char *items, json_t **ret,
             struct err *err);

/* A GET (or POST) whose 2xx body is given to @on_data piece by piece.  ERR_CANCELLED when
 * @cancel_fd becomes readable or @on_data returns non-zero. */
struct hub_stream {
    const char *path;
    const char *accept;
    const json_t *body; /* NULL = GET, else POST it */
    int cancel_fd;
    int (*on_data)(void *arg, const char *p, size_t n);
    void *arg;
};
int hub_stream(struct hub *h, const struct hub_stream *s, struct err *err);

/* "/backups/" + @id as one percent-encoded segment + @rest; caller frees. */
char *hub_path(const char *collection, const char *id, const char *rest);
/* Appends "?name=value" or "&name=value", encoded, to the malloc'ed *path; NULL value =
 * nothing. */
void hub_query(char **path, const char *name, const char *value);

/* The id of the repository, node, … that @word names by id or else by name; caller frees.
 * ERR_NOT_FOUND "KIND_not_found". */
int hub_find(struct hub *h, const char *kind, const char *items, const char *word,
             char **ret_id, struct err *err);

/* The id of a VM by id or name; caller frees.  ERR_EXISTS "vm_ambiguous": *ret_candidates
 * (owned by caller, may be given as NULL) is the array of VMs of that name. */
int hub_find_vm(struct hub *h, const char *word, char **ret_id, json_t **ret_candidates,
                struct err *err);

#endif
