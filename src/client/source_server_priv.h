/* client/source_server_priv.h - shared by source_server.c and source_words.c only. */
#ifndef SENDENSE_CLIENT_SOURCE_SERVER_PRIV_H
#define SENDENSE_CLIENT_SOURCE_SERVER_PRIV_H

#include <pthread.h>

#include "client/source_server.h"
#include "os/child.h"
#include "os/pipe_io.h"

#define SOURCE_WORDS_MAX 500u /* bytes of a line that are kept */
#define SOURCE_WORDS_LINES 3u

struct source_server {
    uint32_t key;
    struct child *child;
    int socket_fd; /* O_PATH: of the socket, which has no name any more */
    char *uri;

    /* the reading thread's */
    struct line_reader reader;
    unsigned logged;

    /* under lock */
    bool ended;                                           /* nothing more will be said */
    char words[SOURCE_WORDS_LINES][SOURCE_WORDS_MAX + 1]; /* the last lines, in a ring */
    unsigned n_words;
};

struct source_servers {
    /* fixed after start */
    struct source_server *v;
    size_t n;
    pthread_t thread;
    bool reading;
    int done_fd;

    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* One thread reads what all servers say. */
int source_words_start(struct source_servers *s, struct err *err);
void source_words_stop(struct source_servers *s); /* harmless when it does not run */
/* The last lines, joined by " / "; waits up to 1 s for the first of them, or for the last
 * of a server that has ended.  Caller frees; NULL when nothing was said. */
char *source_words_get(struct source_servers *s, struct source_server *v);

#endif
