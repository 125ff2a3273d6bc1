/* client/source_words.c - what source servers say on stderr: logged, the last of it kept.
 * See source_server_priv.h. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "client/source_server_priv.h"

#define LOGGED_MAX 200u /* lines of a server */
#define LAST_WORDS_NS NS_PER_S

static void
keep_line(struct source_servers *s, struct source_server *v, const char *line)
{
    LOCK_SCOPE(&s->lock);

    snprintf(v->words[v->n_words % SOURCE_WORDS_LINES], SOURCE_WORDS_MAX + 1, "%s", line);
    v->n_words++;
    pthread_cond_broadcast(&s->changed);
}

static void
take_line(struct source_servers *s, struct source_server *v, const char *line, size_t n)
{
    if (n == 0)
        return;
    keep_line(s, v, line);
    if (v->logged++ < LOGGED_MAX)
        log_warn("source of disk %u: %s", v->key, line);
}

static void
set_ended(struct source_servers *s, struct source_server *v)
{
    LOCK_SCOPE(&s->lock);

    v->ended = true;
    pthread_cond_broadcast(&s->changed);
}

static void
read_words(struct source_servers *s, struct source_server *v)
{
    struct err err = ERR_INIT;
    char *line;
    size_t n;
    int r = line_reader_fill(&v->reader, child_stderr_fd(v->child), &err);

    while (line_reader_next(&v->reader, &line, &n, &err) > 0)
        take_line(s, v, line, n);
    if (err.class != 0 || r == LINE_FILL_EOF)
        while (line_reader_rest(&v->reader, &line, &n))
            take_line(s, v, line, n);
    if (r < 0 || r == LINE_FILL_EOF)
        set_ended(s, v);
}

static void *
read_all(void *arg)
{
    struct source_servers *s = arg;
    CLEANUP_FREE struct pollfd *fds = xcalloc(s->n + 1, sizeof(*fds));

    for (;;) {
        fds[s->n] = (struct pollfd){.fd = s->done_fd, .events = POLLIN};
        for (size_t i = 0; i < s->n; i++)
            fds[i] = (struct pollfd){
                .fd = s->v[i].ended ? -1 : child_stderr_fd(s->v[i].child),
                .events = POLLIN,
            };
        if (poll(fds, s->n + 1, -1) < 0 && errno != EINTR)
            return NULL;
        for (size_t i = 0; i < s->n; i++)
            if (fds[i].revents)
                read_words(s, &s->v[i]);
        if (fds[s->n].revents)
            return NULL;
    }
}

int
source_words_start(struct source_servers *s, struct err *err)
{
    int r;

    for (size_t i = 0; i < s->n; i++) {
        line_reader_init(&s->v[i].reader, SOURCE_WORDS_MAX);
        if (pipe_set_nonblock(child_stderr_fd(s->v[i].child), err) < 0)
            return err->class;
    }
    r = pthread_create(&s->thread, NULL, read_all, s);
    if (r != 0)
        return err_errno(err, r, NULL, "start a thread for the sources");
    s->reading = true;
    return 0;
}

void
source_words_stop(struct source_servers *s)
{
    if (s->reading) {
        (void)eventfd_write(s->done_fd, 1);
        pthread_join(s->thread, NULL);
    }
    s->reading = false;
    for (size_t i = 0; i < s->n; i++)
        line_reader_done(&s->v[i].reader);
}

static bool
is_dead(const struct source_server *v)
{
    struct pollfd p = {.fd = child_pidfd(v->child), .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

char *
source_words_get(struct source_servers *s, struct source_server *v)
{
    uint64_t until = time_mono_ns() + LAST_WORDS_NS;
    struct timespec ts = {.tv_sec = (time_t)(until / NS_PER_S),
                          .tv_nsec = (long)(until % NS_PER_S)};
    char *text = NULL;
    LOCK_SCOPE(&s->lock);

    /* The error is known here sooner than the words about it. */
    while (!v->ended && (is_dead(v) || v->n_words == 0))
        if (pthread_cond_timedwait(&s->changed, &s->lock, &ts) == ETIMEDOUT)
            break;
    for (unsigned i = v->n_words > SOURCE_WORDS_LINES ? v->n_words - SOURCE_WORDS_LINES
                                                      : 0;
         i < v->n_words; i++) {
        CLEANUP_FREE char *before = text;

        text = xasprintf("%s%s%s", before ? before : "", before ? " / " : "",
                         v->words[i % SOURCE_WORDS_LINES]);
    }
    return text;
}
