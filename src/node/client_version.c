/* node/client_version.c - see client_version.h. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node/client_version.h"
#include "os/child.h"

#define RUN_TIMEOUT_MS 5000
#define RETRY_NS (10 * NS_PER_S)
#define WORD_MAX 128 /* bytes of a version, commit or build id */

/* What tells one build of the file from the next. */
struct file_mark {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

struct client_version {
    const char *client;

    pthread_mutex_t lock;
    struct file_mark mark;
    bool known;
    struct program_version version; /* when known */
    uint64_t retry_ns;              /* when not known: not before */
};

struct client_version *
client_version_new(const char *client)
{
    struct client_version *v = xcalloc(1, sizeof(*v));

    v->client = client;
    pthread_mutex_init(&v->lock, NULL);
    return v;
}

void
program_version_done(struct program_version *v)
{
    free(v->version);
    free(v->commit);
    free(v->build_id);
    *v = (struct program_version){0};
}

void
client_version_free(struct client_version *v)
{
    if (!v)
        return;
    program_version_done(&v->version);
    pthread_mutex_destroy(&v->lock);
    free(v);
}

/* Steps over @prefix and the word behind it, which ends before one of @stop; NULL when it
 * is not so.  *ret_word is the caller's. */
static const char *
take_word(const char *s, const char *prefix, const char *stop, char **ret_word)
{
    size_t n = strlen(prefix);

    if (strncmp(s, prefix, n) != 0)
        return NULL;
    s += n;
    n = strcspn(s, stop);
    if (n == 0 || n > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return NULL;
    *ret_word = xasprintf("%.*s", (int)n, s);
    return s + n;
}

int
client_version_parse(const char *text, struct program_version *ret, struct err *err)
{
    struct program_version v = {0};
    CLEANUP_FREE char *prog = NULL;
    const char *s = take_word(text, "", " ", &prog);

    if (s)
        s = take_word(s, " ", " ", &v.version);
    if (s)
        s = take_word(s, " (commit ", ",", &v.commit);
    if (s)
        s = take_word(s, ", build ", ")", &v.build_id);
    if (!s || (strcmp(s, ")") != 0 && strcmp(s, ")\n") != 0)) {
        program_version_done(&v);
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the answer to --version is not in the agreed form");
    }
    *ret = v;
    return 0;
}

static int
ask_client(struct client_version *v, struct err *err)
{
    const char *const argv[] = {v->client, "--version", NULL};
    CLEANUP_BUF struct buf out = BUF_INIT(4096);

    program_version_done(&v->version);
    if (child_run(argv, NULL, 0, RUN_TIMEOUT_MS, &out, err) < 0)
        return err->class;
    return client_version_parse(out.data ? out.data : "", &v->version, err);
}

void
client_version_get(struct client_version *v, struct program_version *ret)
{
    struct err err = ERR_INIT;
    struct file_mark mark;
    struct stat st;
    LOCK_SCOPE(&v->lock);

    memset(&mark, 0, sizeof(mark)); /* compared with its padding */
    if (stat(v->client, &st) == 0) {
        mark.dev = st.st_dev;
        mark.ino = st.st_ino;
        mark.size = st.st_size;
        mark.mtime = st.st_mtim;
    }
    if (memcmp(&mark, &v->mark, sizeof(mark)) != 0 ||
        (!v->known && time_mono_ns() >= v->retry_ns)) {
        v->mark = mark;
        v->known = ask_client(v, &err) == 0;
        v->retry_ns = time_mono_ns() + RETRY_NS;
        if (!v->known)
            log_error("the client '%s' does not tell its version: %s", v->client,
                      err.msg);
    }
    ret->version = xstrdup(v->known ? v->version.version : "unknown");
    ret->commit = xstrdup(v->known ? v->version.commit : "unknown");
    ret->build_id = xstrdup(v->known ? v->version.build_id : "unknown");
}
