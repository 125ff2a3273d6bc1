/* cli/cmd_backup.c - start, list, show, cancel, delete backups; verify and log are in
 * cmd_verify.c and cmd_log.c. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/cmd_vm.h"
#include "cli/escape.h"
#include "cli/exitcode.h"
#include "cli/output.h"
#include "cli/wait.h"

static const struct output_col backup_list[] = {
    {"BACKUP", "backup_id"},
    {"VM", "vm_name"},
    {"TYPE", "backup_type"},
    {"STATUS", "status", OUTPUT_STATUS},
    {"VERIFICATION", "verification", OUTPUT_STATUS},
    {"DONE", "progress.percent", OUTPUT_PERCENT},
    {"SIZE", "bytes.total", OUTPUT_SIZE},
    {"STORED", "bytes.stored", OUTPUT_SIZE},
    {"CREATED", "created", OUTPUT_TIME},
    {0},
};

static const struct output_col backup_fields[] = {
    {"backup", "backup_id"},
    {"job", "job_id"},
    {"vm", "vm_name"},
    {"vm id", "vm_id"},
    {"repository", "repository_id"},
    {"type", "backup_type"},
    {"status", "status", OUTPUT_STATUS},
    {"phase", "current_phase"},
    {"attempt", "attempt"},
    {"last cut off", "interruption.time", OUTPUT_TIME},
    {"cut off by", "interruption.message"},
    {"done", "progress.percent", OUTPUT_PERCENT},
    {"rate", "progress.rate_bytes_per_s", OUTPUT_RATE},
    {"time left", "progress.eta_s", OUTPUT_SECONDS},
    {"error", "error.message"},
    {"error code", "error.code"},
    {"in phase", "error.phase"},
    {"of disk", "error.device_key"},
    {"verification", "verification", OUTPUT_STATUS},
    {"read back from", "readback"},
    {"verified", "verified", OUTPUT_TIME},
    {"size", "bytes.total", OUTPUT_SIZE},
    {"read", "bytes.read", OUTPUT_SIZE},
    {"sent", "bytes.sent", OUTPUT_SIZE},
    {"zero", "bytes.zero", OUTPUT_SIZE},
    {"skipped", "bytes.skipped", OUTPUT_SIZE},
    {"stored", "bytes.stored", OUTPUT_SIZE},
    {"stored with parents", "chain.stored", OUTPUT_SIZE},
    {"guest quiesced", "quiesced"},
    {"snapshot", "snapshot_name"},
    {"requested by", "requested_by"},
    {"created", "created", OUTPUT_TIME},
    {"started", "started", OUTPUT_TIME},
    {"completed", "completed", OUTPUT_TIME},
    {"client", "client.version"},
    {"nbd targets", "nbd_targets_string"},
    {0},
};

static const struct output_col disk_list[] = {
    {"DISK", "disk_id"},
    {"KEY", "device_key"},
    {"SIZE", "size_bytes", OUTPUT_SIZE},
    {"READ AS", "read_mode"},
    {"REASON", "reason"},
    {"STATUS", "status", OUTPUT_STATUS},
    {"VERIFICATION", "verification", OUTPUT_STATUS},
    {"PORT", "nbd_port"},
    {"FILE", "qcow2_path"},
    {"ERROR", "error_message"},
    {0},
};

static const struct output_col chain_list[] = {
    {"DISK", "disk_id"},
    {"KEY", "device_key"},
    {"TYPE", "backup_type"},
    {"LAYERS", "chain.layers"},
    {"STORED", "bytes.stored", OUTPUT_SIZE},
    {"WITH PARENTS", "chain.stored", OUTPUT_SIZE},
    {"AUDITED", "audit.sampled"},
    {"BAD", "audit.bad"},
    {"10 BAD MISSED", "audit.miss_percent.10", OUTPUT_PERCENT},
    {0},
};

static const struct output_col left_out_list[] = {
    {"NOT IN THE BACKUP", "key"},
    {"LABEL", "label"},
    {"REASON", "reason"},
    {"MESSAGE", "message"},
    {0},
};

static const struct output_col left_over_list[] = {
    {"LEFT OVER", "kind"},
    {"NAME", "key"},
    {"MESSAGE", "message"},
    {0},
};

/* A table that is there only when it has rows. */
static int
rows_if_any(const struct cli *c, const json_t *rows, const struct output_col *cols,
            struct err *err)
{
    return json_array_size(rows) > 0 ? output_rows(c, rows, cols, err) : 0;
}

static int
show_one(struct cli *c, const json_t *backup, struct err *err)
{
    int r = 0;

    if (!output_json(c, backup)) {
        r = output_fields(c, backup, backup_fields, err);
        if (r == 0)
            r = output_rows(c, json_object_get(backup, "disk_results"), disk_list, err);
        if (r == 0)
            r = output_rows(c, json_object_get(backup, "disk_results"), chain_list, err);
        if (r == 0)
            r = rows_if_any(c, json_object_get(backup, "not_protected"), left_out_list,
                            err);
        if (r == 0)
            r = rows_if_any(c,
                            json_object_get(json_object_get(backup, "cleanup"), "left"),
                            left_over_list, err);
    }
    return r < 0 ? r : EXIT_OK;
}

static int
wait_and_show(struct cli *c, const char *id, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/backups/", id, "");
    CLEANUP_FREE char *what = xasprintf("backup %s", id);
    CLEANUP_FREE char *watch = xasprintf("sendense backup show --wait %s", id);
    CLEANUP_FREE char *cancel = xasprintf("sendense backup cancel %s", id);
    const struct wait_job w = {path, what, watch, cancel};
    CLEANUP_JSON json_t *last = NULL;
    int r = wait_for_job(c, &w, &last, err);

    if (r == 0)
        r = show_one(c, last, err);
    return r < 0 ? r : wait_report(c, what, last);
}

/* How a transfer that is cut off is gone on with. */
static int
put_retries(struct cli *c, json_t *body, struct err *err)
{
    const char *retries = c->args.value[OPT_RETRIES];
    const char *delay = c->args.value[OPT_RETRY_DELAY];
    uint64_t n, seconds = 0;

    if (retries) {
        if (text_to_u64(retries, &n) < 0 || n > INT64_MAX)
            return err_set(err, ERR_INVALID, "usage", "--retries '%s' is no number",
                           retries);
        json_object_set_new(body, "retries", json_integer((json_int_t)n));
    }
    if (!delay)
        return 0;
    if (strcmp(delay, "0") != 0 &&
        cli_parse_seconds(delay, "--retry-delay", &seconds, err) < 0)
        return err->class;
    json_object_set_new(body, "retry_delay_s", json_integer((json_int_t)seconds));
    return 0;
}

/* The body of POST /backups. */
static int
make_request(struct cli *c, json_t *body, struct err *err)
{
    CLEANUP_FREE char *vm = NULL, *repo = NULL;
    uint64_t rate = 0;
    int r = 0;

    if (c->args.value[OPT_RATE])
        r = cli_parse_bytes(c->args.value[OPT_RATE], "--rate", &rate, err);
    if (r == 0)
        r = put_retries(c, body, err);
    if (r == 0)
        r = vm_resolve(c, c->args.words[0], &vm, err);
    if (r == 0 && c->args.value[OPT_REPO])
        r = hub_find(&c->hub, "repository", "repositories", c->args.value[OPT_REPO],
                     &repo, err);
    if (r < 0)
        return r;
    json_object_set_new(body, "vm_id", json_string(vm));
    json_object_set_new(
        body, "backup_type",
        json_string(c->args.value[OPT_TYPE] ? c->args.value[OPT_TYPE] : "auto"));
    if (repo)
        json_object_set_new(body, "repository_id", json_string(repo));
    if (c->args.value[OPT_QUIESCE])
        json_object_set_new(body, "quiesce", json_string(c->args.value[OPT_QUIESCE]));
    if (rate)
        json_object_set_new(body, "limits",
                            json_pack("{s:I}", "rate_bytes_per_s", (json_int_t)rate));
    return 0;
}

int
cmd_backup_run(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *body = json_object(), *backup = NULL;
    const char *id;
    int r = make_request(c, body, err);

    if (r == 0)
        r = hub_call(&c->hub, "POST", "/backups", body, &backup, err);
    if (r < 0)
        return r;
    id = json_string_value(json_object_get(backup, "backup_id"));
    if (!id)
        return err_set(err, ERR_PROTOCOL, "unexpected_answer",
                       "the hub took the backup but told no backup_id");
    cli_say(c, "backup %s has started", id);
    return c->args.value[OPT_WAIT] ? wait_and_show(c, id, err) : show_one(c, backup, err);
}

int
cmd_backup_ls(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *path = xstrdup("/backups"), *vm = NULL, *repo = NULL;
    CLEANUP_JSON json_t *page = NULL;
    int r = 0;

    if (c->args.value[OPT_VM] || c->args.value[OPT_VM_ID])
        r = vm_resolve(c, c->args.value[OPT_VM], &vm, err);
    if (r == 0 && c->args.value[OPT_REPO])
        r = hub_find(&c->hub, "repository", "repositories", c->args.value[OPT_REPO],
                     &repo, err);
    if (r < 0)
        return r;
    hub_query(&path, "vm_id", vm);
    hub_query(&path, "repository_id", repo);
    hub_query(&path, "status", c->args.value[OPT_STATUS]);
    r = hub_list(&c->hub, path, "backups", &page, err);
    if (r == 0)
        r = output_list(c, page, "backups", backup_list, err);
    return r < 0 ? r : EXIT_OK;
}

int
cmd_backup_show(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/backups/", c->args.words[0], "");
    CLEANUP_JSON json_t *backup = NULL;
    int r;

    if (c->args.value[OPT_WAIT])
        return wait_and_show(c, c->args.words[0], err);
    r = hub_call(&c->hub, "GET", path, NULL, &backup, err);
    return r < 0 ? r : show_one(c, backup, err);
}

static void
put_words(struct cli *c, const json_t *d, const char *before, const char *member)
{
    const char *text = json_string_value(json_object_get(d, member));
    CLEANUP_FREE char *e = text ? escape_text(text, strlen(text), "") : NULL;

    if (e && *e)
        fprintf(c->io->out, "%s%s", before, e);
}

/* Words, so no table: one paragraph a disk. */
static void
explain_disk(struct cli *c, const json_t *d)
{
    fprintf(c->io->out, "disk %lld",
            (long long)json_integer_value(json_object_get(d, "device_key")));
    put_words(c, d, " ", "label");
    put_words(c, d, ": read as ", "read_mode");
    put_words(c, d, ", reason ", "reason");
    put_words(c, d, "\n  ", "what");
    put_words(c, d, "\n  ", "why");
    put_words(c, d, "\n  ", "next");
    fputc('\n', c->io->out);
}

int
cmd_backup_explain(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/backups/", c->args.words[0], "/explain");
    CLEANUP_JSON json_t *answer = NULL;
    const json_t *disk;
    size_t i;
    int r = hub_call(&c->hub, "GET", path, NULL, &answer, err);

    if (r < 0 || output_json(c, answer))
        return r < 0 ? r : EXIT_OK;
    json_array_foreach(json_object_get(answer, "disks"), i, disk) explain_disk(c, disk);
    return EXIT_OK;
}

int
cmd_backup_cancel(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/backups/", c->args.words[0], "/cancel");
    CLEANUP_JSON json_t *res = NULL;
    int r = hub_call(&c->hub, "POST", path, NULL, &res, err);

    if (r < 0)
        return r;
    if (res && c->format != FORMAT_TABLE)
        output_json(c, res);
    cli_say(c, "backup %s is being cancelled; what it made is removed", c->args.words[0]);
    return EXIT_OK;
}

/* Only a plain "y" or "yes" deletes. */
static int
confirm(struct cli *c, const char *id, struct err *err)
{
    char answer[16];
    ssize_t n;
    struct pollfd p[2] = {
        {.fd = c->io->in_fd, .events = POLLIN},
        {.fd = c->io->signal_fd > 0 ? c->io->signal_fd : -1, .events = POLLIN}};

    if (c->args.value[OPT_YES])
        return 0;
    if (!isatty(c->io->in_fd))
        return err_set(err, ERR_INVALID, "usage",
                       "nobody is there to ask; give --yes to delete backup %s", id);
    cli_complain(c, "delete backup %s and its files? They cannot be brought back. [y/N]",
                 id);
    while (poll(p, 2, -1) < 0)
        if (errno != EINTR)
            return err_errno(err, errno, NULL, "wait for the answer");
    n = p[1].revents ? 0 : read(c->io->in_fd, answer, sizeof(answer) - 1);
    answer[n > 0 ? n : 0] = '\0';
    if (strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0)
        return 0;
    return err_set(err, ERR_CANCELLED, "cancelled", "nothing was deleted");
}

/* A merge ends with the backup's disappearance, or, given up, with a completed one. */
static int
wait_for_merge(struct cli *c, const char *id, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/backups/", id, "");
    CLEANUP_FREE char *what = xasprintf("merge of backup %s", id);
    CLEANUP_FREE char *watch = xasprintf("sendense backup show %s", id);
    const struct wait_job w = {path, what, watch, NULL};
    CLEANUP_JSON json_t *last = NULL;

    if (wait_for_job(c, &w, &last, err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
        cli_say(c, "backup %s is deleted", id);
        return EXIT_OK;
    }
    cli_complain(c,
                 "backup %s is not deleted, and nothing of it was changed; the reason is "
                 "at the end of: sendense backup log %s",
                 id, id);
    return EXIT_FAILED;
}

int
cmd_backup_rm(struct cli *c, struct err *err)
{
    bool merge = c->args.value[OPT_MERGE] != NULL;
    CLEANUP_FREE char *path =
        hub_path("/backups/", c->args.words[0], merge ? "?merge=true" : "");
    CLEANUP_JSON json_t *running = NULL;
    int r = confirm(c, c->args.words[0], err);

    if (r == 0)
        r = hub_call(&c->hub, "DELETE", path, NULL, &running, err);
    if (r < 0)
        return r;
    if (running && c->args.value[OPT_WAIT])
        return wait_for_merge(c, c->args.words[0], err);
    if (running) {
        output_json(c, running);
        cli_say(c,
                "backup %s is being merged into those that stand on it; watch it with: "
                "sendense backup show %s",
                c->args.words[0], c->args.words[0]);
        return EXIT_OK;
    }
    cli_say(c, "backup %s is deleted", c->args.words[0]);
    return EXIT_OK;
}
