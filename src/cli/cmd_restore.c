/* cli/cmd_restore.c - restores, and verification: the two jobs that read a backup back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/exitcode.h"
#include "cli/output.h"
#include "cli/wait.h"

static const struct output_col restore_list[] = {
    {"RESTORE", "restore_id"},
    {"BACKUP", "backup_id"},
    {"KEY", "device_key"},
    {"STATUS", "status", OUTPUT_STATUS},
    {"DONE", "percent", OUTPUT_PERCENT},
    {"SIZE", "bytes_total", OUTPUT_SIZE},
    {"CREATED", "created", OUTPUT_TIME},
    {"TARGET", "target_path"},
    {0},
};

static const struct output_col restore_fields[] = {
    {"restore", "restore_id"},
    {"backup", "backup_id"},
    {"disk", "device_key"},
    {"target", "target_path"},
    {"format", "format"},
    {"salvaged", "salvaged"},
    {"status", "status", OUTPUT_STATUS},
    {"phase", "current_phase"},
    {"done", "percent", OUTPUT_PERCENT},
    {"size", "bytes_total", OUTPUT_SIZE},
    {"error", "error.message"},
    {"error code", "error.code"},
    {"created", "created", OUTPUT_TIME},
    {"started", "started", OUTPUT_TIME},
    {"completed", "completed", OUTPUT_TIME},
    {0},
};

static const struct output_col verify_fields[] = {
    {"verification", "verification_id"},
    {"backup", "backup_id"},
    {"status", "status", OUTPUT_STATUS},
    {"phase", "current_phase"},
    {"done", "percent", OUTPUT_PERCENT},
    {"size", "bytes_total", OUTPUT_SIZE},
    {"read back from", "readback"},
    {"error", "error.message"},
    {"error code", "error.code"},
    {"created", "created", OUTPUT_TIME},
    {"started", "started", OUTPUT_TIME},
    {"completed", "completed", OUTPUT_TIME},
    {0},
};

static const struct output_col bad_list[] = {
    {"DAMAGED DISK", "device_key"}, {"LAYER", "layer"},   {"OFFSET", "offset"},
    {"LENGTH", "length"},           {"REASON", "reason"}, {0},
};

static int
show_one(struct cli *c, const json_t *job, const struct output_col *fields,
         struct err *err)
{
    const json_t *bad = json_object_get(job, "bad_ranges");
    int r = 0;

    if (!output_json(c, job)) {
        r = output_fields(c, job, fields, err);
        if (r == 0 && json_array_size(bad) > 0)
            r = output_rows(c, bad, bad_list, err);
    }
    return r < 0 ? r : EXIT_OK;
}

static int
wait_and_show(struct cli *c, const struct wait_job *w, const struct output_col *fields,
              struct err *err)
{
    CLEANUP_JSON json_t *last = NULL;
    int r = wait_for_job(c, w, &last, err);

    if (r == 0)
        r = show_one(c, last, fields, err);
    return r < 0 ? r : wait_report(c, w->what, last);
}

static int
wait_restore(struct cli *c, const char *id, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/restores/", id, "");
    CLEANUP_FREE char *what = xasprintf("restore %s", id);
    CLEANUP_FREE char *watch = xasprintf("sendense restore show --wait %s", id);
    CLEANUP_FREE char *cancel = xasprintf("sendense restore cancel %s", id);
    const struct wait_job w = {path, what, watch, cancel};

    return wait_and_show(c, &w, restore_fields, err);
}

/* The id that a job was given, copied. */
static int
take_id(const json_t *job, const char *key, char **ret, struct err *err)
{
    const char *id = json_string_value(json_object_get(job, key));

    if (!id)
        return err_set(err, ERR_PROTOCOL, "unexpected_answer",
                       "the hub took the job but told no %s", key);
    *ret = xstrdup(id);
    return 0;
}

static bool
wants_to_wait(const struct cli *c)
{
    return c->args.value[OPT_WAIT] || !c->args.value[OPT_NO_WAIT];
}

static int
absolute(const char *path, char **ret, struct err *err)
{
    CLEANUP_FREE char *cwd = NULL;

    if (*path == '\0')
        return err_set(err, ERR_INVALID, "usage", "--to is empty");
    if (*path == '/') {
        *ret = xstrdup(path);
        return 0;
    }
    cwd = getcwd(NULL, 0);
    if (!cwd)
        return err_errno(err, errno, NULL, "find the current folder");
    *ret = xasprintf("%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path);
    return 0;
}

static void
put_flag(const struct cli *c, enum cli_opt_id id, const char *name, json_t *body)
{
    if (c->args.value[id])
        json_object_set_new(body, name, json_true());
}

static int
make_request(struct cli *c, json_t **ret, struct err *err)
{
    const char *key_text = c->args.value[OPT_DISK_KEY], *to = c->args.value[OPT_TO];
    const char *format = c->args.value[OPT_FORMAT] ? c->args.value[OPT_FORMAT] : "raw";
    CLEANUP_FREE char *path = NULL;
    uint64_t key;
    int r;

    if (!key_text || !to || c->args.n_repeated > 1)
        return err_set(err, ERR_INVALID, "usage", "give one --disk KEY and --to PATH");
    if (text_to_u64(key_text, &key) < 0 || key > INT64_MAX)
        return err_set(
            err, ERR_INVALID, "usage",
            "--disk is the device key of a disk, such as 2000; `sendense backup "
            "show` lists them");
    r = absolute(to, &path, err);
    if (r < 0)
        return r;
    *ret = json_pack("{s:s, s:I, s:s, s:s}", "backup_id", c->args.words[0], "device_key",
                     (json_int_t)key, "target_path", path, "format", format);
    if (!*ret)
        return err_set(err, ERR_INVALID, "usage", "backup and path must be UTF-8 text");
    put_flag(c, OPT_FORCE, "force", *ret);
    put_flag(c, OPT_RESUME, "resume", *ret);
    put_flag(c, OPT_SALVAGE, "salvage", *ret);
    return 0;
}

int
cmd_restore_disk(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *body = NULL, *job = NULL;
    CLEANUP_FREE char *id = NULL;
    int r = make_request(c, &body, err);

    if (r == 0)
        r = hub_call(&c->hub, "POST", "/restores", body, &job, err);
    if (r == 0)
        r = take_id(job, "restore_id", &id, err);
    if (r < 0)
        return r;
    cli_say(c, "restore %s has started, to %s on the hub", id,
            json_string_value(json_object_get(body, "target_path")));
    return wants_to_wait(c) ? wait_restore(c, id, err)
                            : show_one(c, job, restore_fields, err);
}

int
cmd_restore_ls(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *page = NULL;
    int r = hub_list(&c->hub, "/restores", "restores", &page, err);

    if (r == 0)
        r = output_list(c, page, "restores", restore_list, err);
    return r < 0 ? r : EXIT_OK;
}

int
cmd_restore_show(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/restores/", c->args.words[0], "");
    CLEANUP_JSON json_t *job = NULL;
    int r;

    if (c->args.value[OPT_WAIT])
        return wait_restore(c, c->args.words[0], err);
    r = hub_call(&c->hub, "GET", path, NULL, &job, err);
    return r < 0 ? r : show_one(c, job, restore_fields, err);
}

int
cmd_restore_cancel(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/restores/", c->args.words[0], "/cancel");
    int r = hub_call(&c->hub, "POST", path, NULL, NULL, err);

    if (r < 0)
        return r;
    cli_say(c, "restore %s is being cancelled; its target is removed", c->args.words[0]);
    return EXIT_OK;
}

int
cmd_backup_verify(struct cli *c, struct err *err)
{
    const char *backup = c->args.words[0];
    CLEANUP_FREE char *start = hub_path("/backups/", backup, "/verify");
    CLEANUP_FREE char *id = NULL, *path = NULL;
    CLEANUP_FREE char *what = xasprintf("verification of %s", backup);
    CLEANUP_FREE char *watch = xasprintf("sendense backup show %s", backup);
    CLEANUP_JSON json_t *job = NULL, *body = NULL;
    struct wait_job w = {NULL, what, watch, NULL};
    int r;

    if (c->args.value[OPT_CHAIN])
        body = json_pack("{s:b}", "chain", 1);
    r = hub_call(&c->hub, "POST", start, body, &job, err);

    if (r == 0)
        r = take_id(job, "verification_id", &id, err);
    if (r < 0)
        return r;
    if (!wants_to_wait(c))
        return show_one(c, job, verify_fields, err);
    w.path = path = hub_path("/verifications/", id, "");
    return wait_and_show(c, &w, verify_fields, err);
}
