/* files/main.c - sendense-files: the file systems of one backup, for the hub. */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/version.h"
#include "files/appliance.h"
#include "files/limits.h"
#include "files/ops.h"
#include "files/tree.h"
#include "files/wire.h"

#define PROG "sendense-files"
#define EXIT_USAGE 2

static const char help_text[] =
    "Usage: " PROG " [OPTION...]\n"
    "\n"
    "Reads files out of the disks of one backup in an appliance of libguestfs.  It is "
    "run\n"
    "by sendense-hub: requests as frames on stdin, answers on stdout\n"
    "(docs/design/protocol.md 7); the end of stdin ends it.\n"
    "\n"
    "  --log-level LEVEL  error, warn, info or debug; to stderr\n"
    "  --version          version, commit and build id\n"
    "  --help             this text\n"
    "\n"
    "Exit status: 0 ended by the hub, 1 failed, 2 wrong usage.\n";

struct session {
    struct appliance *a;
    char *folder;
};

static int
open_session(struct session *s, const json_t *request, json_t **ret, struct err *err)
{
    if (s->a)
        return err_set(err, ERR_PROTOCOL, "files_protocol", "open comes once");
    if (appliance_open(request, &s->a, err) < 0)
        return err->class;
    s->folder = xstrdup(json_string_value(json_object_get(request, "folder")));
    *ret = appliance_describe(s->a);
    return 0;
}

static int
dispatch(struct session *s, const json_t *request, json_t **ret, struct err *err)
{
    const char *op = json_string_value(json_object_get(request, "op"));

    if (op && strcmp(op, "open") == 0)
        return open_session(s, request, ret, err);
    if (op && s->a && strcmp(op, "ls") == 0)
        return ops_ls(s->a, request, ret, err);
    if (op && s->a && strcmp(op, "stat") == 0)
        return ops_info(s->a, request, ret, err);
    if (op && s->a && strcmp(op, "read") == 0)
        return ops_read(s->a, request, ret, err);
    if (op && s->a && strcmp(op, "archive") == 0)
        return tree_archive(s->a, s->folder, request, ret, err);
    return err_set(err, ERR_PROTOCOL, "files_protocol", "no such request now");
}

/* 1 = go on, 0 = the input has ended. */
static int
one(struct session *s, struct err *err)
{
    CLEANUP_JSON json_t *request = NULL, *answer = NULL, *problem = NULL;
    struct err why = ERR_INIT;
    int r = wire_request(&request, err);

    if (r <= 0)
        return r;
    if (dispatch(s, request, &answer, &why) >= 0)
        return wire_send_json(FILES_ANSWER, answer, err) < 0 ? err->class : 1;
    problem = files_error_encode(&why);
    if (wire_send_json(FILES_ERROR, problem, err) < 0)
        return err->class;
    /* Nothing works without it: the hub then ends the session. */
    if (!s->a || strcmp(why.code, "appliance_died") == 0) {
        *err = why;
        return err->class;
    }
    return 1;
}

static int
serve(void)
{
    struct session s = {0};
    struct err err = ERR_INIT;
    int r = wire_open(&err);

    if (r >= 0) {
        limits_all();
        do
            r = one(&s, &err);
        while (r > 0);
    }
    if (r < 0)
        log_error("%s", err.msg);
    appliance_close(s.a);
    free(s.folder);
    return r < 0;
}

enum { OPT_LOG_LEVEL = 1, OPT_VERSION, OPT_HELP };

static const struct option options[] = {
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {0}};

static int
usage(const char *why)
{
    fprintf(stderr, PROG ": %s; try --help\n", why);
    return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
    enum log_level level = LOG_LEVEL_INFO;
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (opt) {
        case OPT_LOG_LEVEL:
            if (log_level_from_str(optarg, &level) < 0)
                return usage("unknown log level");
            break;
        case OPT_VERSION:
            version_print(PROG);
            return fflush(stdout) != 0;
        case OPT_HELP:
            return fputs(help_text, stdout) < 0 || fflush(stdout) != 0;
        default:
            return usage("wrong usage");
        }
    if (optind < argc)
        return usage("there are no arguments, only options");
    log_setup(PROG, level);
    version_log(PROG);
    /* Names of files are UTF-8 for libarchive, or bytes. */
    setlocale(LC_ALL, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    return serve();
}
