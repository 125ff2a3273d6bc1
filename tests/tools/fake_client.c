/* tests/tools/fake_client.c - stands in for sendense-backup-client in tests of the node.
 *
 * Reads a job spec as the real one does and then behaves, or misbehaves, as the VM's name
 * says. Without our model on purpose: what it writes is spelt out, right or wrong. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define T "2026-01-02T03:04:05.678901Z"

extern char **environ;

static uint64_t seq;
static const char *job_id;
static int attempt;

static void
event(const char *type, json_t *more)
{
    json_t *j = json_pack("{s:i, s:I, s:s, s:s}", "v", 1, "seq", (json_int_t)++seq, "t",
                          T, "type", type);
    char *line;

    json_object_update(j, more);
    line = json_dumps(j, JSON_COMPACT);
    puts(line);
    fflush(stdout);
    free(line);
    json_decref(more);
    json_decref(j);
}

static void
hello(void)
{
    event("hello",
          json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i}", "program", "fake-client",
                    "version", "9.9.9", "commit", "0123456789ab", "build_id", "abcdef01",
                    "job_id", job_id, "attempt", attempt, "pid", (int)getpid()));
}

static void
phase(const char *name)
{
    event("phase", json_pack("{s:s}", "phase", name));
}

static void
progress(int disk, int done)
{
    event("progress", json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "disk", disk,
                                "bytes_total", 1048576, "bytes_done", done, "bytes_read",
                                done, "bytes_sent", done, "bytes_zero", 0,
                                "bytes_skipped", 0, "bytes_audit", 0));
}

static void
warning(const char *message)
{
    event("warning", json_pack("{s:s, s:s}", "code", "told", "message", message));
}

static void
result(const char *status)
{
    int ok = strcmp(status, "ok") == 0;

    event("result", json_pack("{s:s, s:s?, s:s, s:s, s:b}", "status", status, "code",
                              ok ? NULL : status, "phase", "transferring", "message",
                              "said", "retryable", 0));
}

/* Blocks until the parent says cancel (1) or is gone (0). */
static int
await_cancel(void)
{
    char *line = NULL;
    size_t room = 0;
    int said =
        getline(&line, &room, stdin) > 0 && strcmp(line, "{\"type\":\"cancel\"}\n") == 0;

    free(line);
    return said;
}

static void
hang(void)
{
    for (;;)
        pause();
}

static int
good(void)
{
    hello();
    phase("connecting");
    phase("transferring");
    for (int i = 1; i <= 4; i++) {
        progress(2000, i * 1000);
        progress(2001, i * 2000);
    }
    warning("all is well");
    progress(2000, 1048576);
    result("ok");
    return 0;
}

static int
silent(void)
{
    hello();
    if (!await_cancel())
        return 3;
    result("cancelled");
    return 130;
}

static int
wrong_version(void)
{
    printf("{\"v\":2,\"seq\":1,\"t\":\"" T
           "\",\"type\":\"phase\",\"phase\":\"connecting\"}\n");
    fflush(stdout);
    hang();
    return 0;
}

static int
other_job(void)
{
    job_id = "01890000-0000-7000-8000-000000000000";
    hello();
    hang();
    return 0;
}

static int
seq_gap(void)
{
    hello();
    seq++;
    phase("connecting");
    hang();
    return 0;
}

static int
seq_repeat(void)
{
    hello();
    seq--;
    phase("connecting");
    hang();
    return 0;
}

static int
no_hello(void)
{
    phase("connecting");
    hang();
    return 0;
}

static int
garbage(void)
{
    hello();
    printf("this is no JSON \"\\\n");
    fflush(stdout);
    hang();
    return 0;
}

static int
oversized(void)
{
    const size_t n = 4 * 1024 * 1024 + 1;
    char *big = malloc(n + 1);

    memset(big, 'x', n);
    big[n] = '\0';
    hello();
    printf("%s\n", big);
    fflush(stdout);
    free(big);
    hang();
    return 0;
}

/* Without a newline: the node must not wait for one, nor keep what comes. */
static int
endless(void)
{
    char block[65536];

    memset(block, 'x', sizeof(block));
    hello();
    while (fwrite(block, 1, sizeof(block), stdout) == sizeof(block))
        ;
    return 0;
}

static int
unknown_field(void)
{
    hello();
    event("phase", json_pack("{s:s, s:i}", "phase", "connecting", "surprise", 1));
    hang();
    return 0;
}

static int
two_results(void)
{
    hello();
    result("ok");
    result("ok");
    return 0;
}

static int
no_result(void)
{
    hello();
    phase("transferring");
    return 0;
}

static int
half_line(void)
{
    hello();
    printf("{\"v\":1,\"seq\":2,\"t\":\"");
    fflush(stdout);
    return 7;
}

static int
killed(void)
{
    hello();
    kill(getpid(), SIGKILL);
    return 0;
}

static int
mute(void)
{
    return 5;
}

static int
stubborn(void)
{
    signal(SIGTERM, SIG_IGN);
    hello();
    hang();
    return 0;
}

/* Gives its result and stays. */
static int
lingering(void)
{
    hello();
    result("ok");
    hang();
    return 0;
}

static int
closes_stdout(void)
{
    hello();
    close(STDOUT_FILENO);
    hang();
    return 0;
}

/* Leaves a process behind that holds all pipes. */
static int
grandchild(void)
{
    char text[32];
    pid_t pid;

    hello();
    pid = fork();
    if (pid == 0)
        hang();
    snprintf(text, sizeof(text), "%d", (int)pid);
    warning(text);
    result("ok");
    return 0;
}

static int
many_events(void)
{
    hello();
    for (int i = 0; i < 1200; i++)
        warning("one of many");
    result("ok");
    return 0;
}

static int
environment(void)
{
    hello();
    for (char **e = environ; *e; e++)
        warning(*e);
    result("ok");
    return 0;
}

static int
flood(void)
{
    hello();
    for (int i = 0; i < 20000; i++)
        fprintf(stderr, "line %d of a flood\n", i);
    result("ok");
    return 0;
}

static int
fails(void)
{
    hello();
    result("failed");
    return 1;
}

static void
snapshot(void)
{
    phase("snapshotting");
    event("snapshot",
          json_pack("{s:s, s:s, s:s, s:b, s:[{s:i, s:s, s:i, s:n, s:s}], s:[]}", "ref",
                    "snapshot-1", "name", "sendense-1", "stands_on", "", "quiesced", 1,
                    "disks", "key", 2000, "uuid", "", "size_bytes", 1048576, "change_id",
                    "file", "[ds] a.vmdk", "not_protected"));
}

static int
snapshot_good(void)
{
    hello();
    phase("connecting");
    snapshot();
    event("vm_config",
          json_pack("{s:{s:s}, s:n}", "configuration", "format", "vsphere/1", "nvram"));
    phase("removing_snapshot");
    event("snapshot_removed",
          json_pack("{s:s, s:b}", "ref", "snapshot-1", "consolidation_needed", 0));
    result("ok");
    return 0;
}

static int
snapshot_never(void)
{
    hello();
    phase("connecting");
    result("failed");
    return 1;
}

static int
snapshot_died(void)
{
    hello();
    snapshot();
    kill(getpid(), SIGKILL);
    return 0;
}

static int
snapshot_held(void)
{
    hello();
    snapshot();
    if (!await_cancel())
        return 3;
    result("cancelled");
    return 130;
}

/* Removes what was never announced. */
static int
snapshot_stray(void)
{
    hello();
    event("snapshot_removed",
          json_pack("{s:s, s:b}", "ref", "snapshot-1", "consolidation_needed", 0));
    hang();
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} modes[] = {
    {"good", good},
    {"silent", silent},
    {"wrong-version", wrong_version},
    {"other-job", other_job},
    {"seq-gap", seq_gap},
    {"seq-repeat", seq_repeat},
    {"no-hello", no_hello},
    {"garbage", garbage},
    {"oversized", oversized},
    {"endless", endless},
    {"unknown-field", unknown_field},
    {"two-results", two_results},
    {"no-result", no_result},
    {"half-line", half_line},
    {"killed", killed},
    {"mute", mute},
    {"stubborn", stubborn},
    {"lingering", lingering},
    {"closes-stdout", closes_stdout},
    {"grandchild", grandchild},
    {"many-events", many_events},
    {"environment", environment},
    {"flood", flood},
    {"fails", fails},
    {"snapshot-good", snapshot_good},
    {"snapshot-never", snapshot_never},
    {"snapshot-died", snapshot_died},
    {"snapshot-held", snapshot_held},
    {"snapshot-stray", snapshot_stray},
};

/* The first disk's URL says how. */
static int
probe(const json_t *q)
{
    const json_t *disks = json_object_get(q, "disks");
    const char *url =
        json_string_value(json_object_get(json_array_get(disks, 0), "source_url"));
    json_t *out, *answer;
    size_t i;
    json_t *d;
    char *line;

    if (strstr(url, "die"))
        return 9;
    if (strstr(url, "hang"))
        hang();
    if (strstr(url, "garbage")) {
        puts("what?");
        return 0;
    }
    out = json_array();
    json_array_foreach(disks, i, d)
    {
        json_int_t key = json_integer_value(json_object_get(d, "key"));

        url = json_string_value(json_object_get(d, "source_url"));
        if (strstr(url, "other"))
            key += 100;
        if (strstr(url, "bad"))
            json_array_append_new(out, json_pack("{s:I, s:b, s:s, s:s}", "key", key, "ok",
                                                 0, "code", "source_unreachable",
                                                 "message", "nobody there"));
        else
            json_array_append_new(out, json_pack("{s:I, s:b, s:I, s:I}", "key", key, "ok",
                                                 1, "size_bytes", (json_int_t)1048576,
                                                 "allocated_bytes", (json_int_t)65536));
    }
    answer = json_pack("{s:i, s:o}", "v", 1, "disks", out);
    line = json_dumps(answer, JSON_COMPACT);
    puts(line);
    free(line);
    json_decref(answer);
    return 0;
}

/* A task that takes long. */
static void
wait_while_there(const char *path)
{
    const struct timespec pause = {.tv_nsec = 20000000};

    while (access(path, F_OK) == 0)
        nanosleep(&pause, NULL);
}

/* A removal is written into the file that the VM's reference names; while FILE.busy is
 * there, it fails, while FILE.hang is, it has no end. */
static json_t *
remove_snapshot(const json_t *q)
{
    const char *path =
        json_string_value(json_object_get(json_object_get(q, "vm"), "ref"));
    char busy[512], hang[512];
    FILE *f;

    snprintf(busy, sizeof(busy), "%s.busy", path);
    f = fopen(path, "a");
    if (f) {
        fprintf(f, "%s\n", json_string_value(json_object_get(q, "snapshot_name")));
        fclose(f);
    }
    snprintf(hang, sizeof(hang), "%s.hang", path);
    wait_while_there(hang);
    if (access(busy, F_OK) == 0)
        return json_pack("{s:b, s:s, s:s}", "ok", 0, "code", "vcenter_busy", "message",
                         "another task is at it");
    return json_pack("{s:b, s:i, s:b}", "ok", 1, "removed", 1, "consolidation_needed", 0);
}

static json_t *
answer_of_test(void)
{
    return json_pack("{s:b, s:{s:s, s:s, s:s}}", "ok", 1, "server", "full_name",
                     "VMware vCenter Server 8.0.2 build-1", "api_version", "8.0.2.0",
                     "uuid", "e1f2");
}

/* The user says how. */
static int
vsphere(const json_t *q)
{
    const char *user =
        json_string_value(json_object_get(json_object_get(q, "login"), "user"));
    const char *kind = json_string_value(json_object_get(q, "question"));
    json_t *answer;
    char *line;

    if (strcmp(user, "die") == 0)
        return 9;
    if (strcmp(user, "hang") == 0)
        hang();
    if (strcmp(user, "garbage") == 0) {
        puts("what?");
        return 0;
    }
    if (strcmp(user, "refused") == 0)
        answer = json_pack("{s:b, s:s, s:s}", "ok", 0, "code", "vcenter_login", "message",
                           "the user or the password is wrong");
    else if (strcmp(kind, "remove_snapshot") == 0)
        answer = remove_snapshot(q);
    else
        answer = answer_of_test();
    json_object_set_new(answer, "v", json_integer(1));
    json_object_set_new(answer, "question",
                        json_string(strcmp(user, "other") == 0 ? "list" : kind));
    line = json_dumps(answer, JSON_COMPACT);
    puts(line);
    free(line);
    json_decref(answer);
    return 0;
}

int
main(int argc, char **argv)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    json_t *spec;
    const char *name;
    int r = 64;

    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        puts("fake-client 9.9.9 (commit 0123456789ab, build abcdef01)");
        return 0;
    }
    n = getline(&line, &room, stdin);
    spec = n > 0 ? json_loadb(line, (size_t)n, 0, NULL) : NULL;
    if (!spec)
        return r;
    if (argc > 1 && strcmp(argv[1], "--probe") == 0) {
        r = probe(spec);
    } else if (argc > 1 && strcmp(argv[1], "--vsphere") == 0) {
        r = vsphere(spec);
    } else {
        job_id = json_string_value(json_object_get(spec, "job_id"));
        attempt = (int)json_integer_value(json_object_get(spec, "attempt"));
        name = json_string_value(json_object_get(json_object_get(spec, "vm"), "name"));
        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
            if (strcmp(modes[i].name, name) == 0)
                r = modes[i].run();
    }
    json_decref(spec);
    free(line);
    return r;
}
