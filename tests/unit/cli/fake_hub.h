/* A hub with a script: each request must be the next one of it and gets its canned
 * answer.  Runs in the test process over the real HTTP server, so that answers have its
 * true shape. */
#ifndef SENDENSE_TESTS_FAKE_HUB_H
#define SENDENSE_TESTS_FAKE_HUB_H

#include <pthread.h>

#include "cli/cli.h"
#include "os/http_server.h"

struct canned {
    const char *route; /* "GET /vms/{id}" */
    int err_class;     /* 0 = success */
    const char *text;  /* JSON or stream text on success, else the detail */
    const char *code;  /* of the error */
};

struct fake_hub {
    struct http_server *server;
    char url[64];
    char dir[64]; /* holds the token file "token" and, for login, the home */
    pthread_mutex_t lock;
    const struct canned *script; /* under lock, as what follows; ends with route NULL */
    char log[16384]; /* "POST /backups {"vm_id":"…"}\n", one line a request */
};

extern struct fake_hub hub;

int fake_hub_start(void **state);
int fake_hub_stop(void **state);

/* What one run of the program gave; texts are freed by result_done. */
struct result {
    int code;
    char *out, *err;
};

extern struct cli_io fake_io; /* pauses are short, nothing is a terminal */

/* Runs `sendense` + @line (split at blanks) against @script; all of it must have been
 * asked for. */
struct result run_cli(const struct canned *script, const char *line);
void result_done(struct result *r);

#endif
