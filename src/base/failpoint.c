/* base/failpoint.c - see failpoint.h. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"

static const char *const names[FP_COUNT] = {
#define FP(id, name) [FP_##id] = (name),
#include "base/failpoints.def"
#undef FP
};

const char *
failpoint_name(enum failpoint fp)
{
    return (unsigned)fp < FP_COUNT ? names[fp] : "unknown";
}

#ifdef SENDENSE_FAILPOINTS

enum action { ACTION_ABORT, ACTION_HANG, ACTION_ERROR };

/* Written once by parse_env(). */
static struct {
    int fp; /* -1 = none asked for */
    uint64_t pass;
    enum action action;
} wanted = {.fp = -1};

static atomic_uint_fast64_t passes;

/* A misspelt request would make a test of a crash pass without a crash.  SIGABRT, because
 * the tests take SIGKILL for a hit. */
static void
misuse(const char *text)
{
    log_error(
        "SENDENSE_FAILPOINT='%s' is not name[:N][=abort|hang|error] of a known place",
        text);
    abort();
}

static int
find_name(const char *name)
{
    for (int i = 0; i < FP_COUNT; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

static void
parse_env(void)
{
    static const char *const actions[] = {"abort", "hang", "error"};
    const char *text = getenv("SENDENSE_FAILPOINT");
    char copy[128], *act, *pass;
    unsigned a = ACTION_ABORT;

    if (!text || *text == '\0')
        return;
    if (strlen(text) >= sizeof(copy))
        misuse(text);
    snprintf(copy, sizeof(copy), "%s", text);
    act = strchr(copy, '=');
    if (act) {
        *act++ = '\0';
        while (a < ARRAY_LEN(actions) && strcmp(act, actions[a]) != 0)
            a++;
        if (a == ARRAY_LEN(actions))
            misuse(text);
    }
    wanted.action = (enum action)a;
    wanted.pass = 1;
    pass = strchr(copy, ':');
    if (pass) {
        *pass++ = '\0';
        if (text_to_u64(pass, &wanted.pass) < 0 || wanted.pass == 0)
            misuse(text);
    }
    wanted.fp = find_name(copy);
    if (wanted.fp < 0)
        misuse(text);
}

int
failpoint_hit(enum failpoint fp, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, parse_env);
    if ((int)fp != wanted.fp || atomic_fetch_add(&passes, 1) + 1 != wanted.pass)
        return 0;
    switch (wanted.action) {
    case ACTION_HANG:
        log_warn("failpoint '%s': hanging", names[fp]);
        for (;;)
            pause();
    case ACTION_ERROR:
        if (!err)
            misuse(names[fp]); /* this place cannot fail */
        return err_set(err, ERR_IO, "failpoint", "failpoint '%s'", names[fp]);
    case ACTION_ABORT:
        break;
    }
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

#endif
