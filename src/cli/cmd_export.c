/* cli/cmd_export.c - disks of a backup as NBD addresses, for a while. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/exitcode.h"
#include "cli/output.h"

static const struct output_col export_list[] = {
    {"EXPORT", "export_id"},
    {"BACKUP", "backup_id"},
    {"STATUS", "status", OUTPUT_STATUS},
    {"ACCESS", "access"},
    {"DISKS", "disks", OUTPUT_COUNT},
    {"CREATED", "created", OUTPUT_TIME},
    {"EXPIRES", "expires", OUTPUT_TIME},
    {"CLOSED", "close_reason"},
    {0},
};

static const struct output_col export_fields[] = {
    {"export", "export_id"},
    {"backup", "backup_id"},
    {"status", "status", OUTPUT_STATUS},
    {"access", "access"},
    {"expires", "expires", OUTPUT_TIME},
    {"closed", "closed", OUTPUT_TIME},
    {"reason", "close_reason"},
    {"error", "error.message"},
    {"user of TLS", "tls.user"},
    {"key of TLS", "tls.psk"},
    {0},
};

static const struct output_col disk_list[] = {
    {"DISK", "device_key"},
    {"SIZE", "size_bytes", OUTPUT_SIZE},
    {"ADDRESS", "uri"},
    {0},
};

static int
show_one(struct cli *c, const json_t *e, struct err *err)
{
    int r;

    if (output_json(c, e))
        return EXIT_OK;
    r = output_fields(c, e, export_fields, err);
    if (r == 0)
        r = output_rows(c, json_object_get(e, "disks"), disk_list, err);
    return r < 0 ? r : EXIT_OK;
}

static int
put_seconds(const struct cli *c, json_t *body, struct err *err)
{
    uint64_t s;

    if (!c->args.value[OPT_TTL])
        return 0;
    if (cli_parse_seconds(c->args.value[OPT_TTL], "--ttl", &s, err) < 0)
        return err->class;
    json_object_set_new(body, "ttl_s", json_integer((json_int_t)s));
    return 0;
}

static int
make_request(const struct cli *c, json_t **ret, struct err *err)
{
    CLEANUP_JSON json_t *body = json_pack("{s:s}", "backup_id", c->args.words[0]);
    const char *key_text = c->args.value[OPT_DISK_KEY];
    uint64_t key;

    if (!body)
        return err_set(err, ERR_INVALID, "usage", "the backup must be UTF-8 text");
    if (c->args.n_repeated > 1)
        return err_set(err, ERR_INVALID, "usage", "give --disk once, or not for all");
    if (key_text && (text_to_u64(key_text, &key) < 0 || key > INT64_MAX))
        return err_set(err, ERR_INVALID, "usage",
                       "--disk is the device key of a disk, such as 2000");
    if (key_text)
        json_object_set_new(body, "device_key", json_integer((json_int_t)key));
    if (c->args.value[OPT_SCRATCH])
        json_object_set_new(body, "writable_scratch", json_true());
    if (c->args.value[OPT_TLS])
        json_object_set_new(body, "tls", json_true());
    if (c->args.value[OPT_LISTEN])
        json_object_set_new(body, "listen", json_string(c->args.value[OPT_LISTEN]));
    if (put_seconds(c, body, err) < 0)
        return err->class;
    *ret = take_ptr(&body);
    return 0;
}

/* In the form that gnutls, and so qemu and libnbd, read: USER:HEX. */
static int
write_psk(const char *path, const json_t *e, struct err *err)
{
    const json_t *tls = json_object_get(e, "tls");
    const char *user = json_string_value(json_object_get(tls, "user"));
    const char *psk = json_string_value(json_object_get(tls, "psk"));
    CLEANUP_FREE char *line = NULL;
    CLEANUP_FD int fd = -1;

    if (!user || !psk)
        return err_set(err, ERR_INVALID, "usage",
                       "--psk-file: there is no key, as this "
                       "export has no TLS; add --tls");
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, NULL, "create '%s'", path);
    line = xasprintf("%s:%s\n", user, psk);
    return fs_write_full(fd, line, strlen(line), err);
}

static int
close_one(struct cli *c, const char *id, json_t **ret, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/restore/exports/", id, "");

    return hub_call(&c->hub, "DELETE", path, NULL, ret, err);
}

static bool
is_open(const json_t *e)
{
    const char *s = json_string_value(json_object_get(e, "status"));

    return s && strcmp(s, "open") == 0;
}

/* Until it is closed by itself or by somebody; Ctrl-C closes it here. */
static int
stay(struct cli *c, const char *id, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/restore/exports/", id, "");
    int r = 0;

    cli_say(c, "open until Ctrl-C, or until it expires");
    for (;;) {
        CLEANUP_JSON json_t *e = NULL;

        r = hub_call(&c->hub, "GET", path, NULL, &e, err);
        if (r < 0 || !is_open(e))
            break;
        r = cli_pause(c, c->io->poll_ms, err);
        if (r < 0)
            break;
    }
    if (r == ERR_CANCELLED) {
        err_clear(err);
        /* The signal has been seen: this call must not be cut by it. */
        c->hub.cancel_fd = 0;
        r = close_one(c, id, NULL, err);
    }
    if (r == 0)
        cli_say(c, "export %s is closed", id);
    return r < 0 ? r : EXIT_OK;
}

int
cmd_restore_open(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *body = NULL, *e = NULL;
    const char *id;
    int r = make_request(c, &body, err);

    if (r == 0)
        r = hub_call(&c->hub, "POST", "/restore/exports", body, &e, err);
    if (r < 0)
        return r;
    id = json_string_value(json_object_get(e, "export_id"));
    if (!id)
        return err_set(err, ERR_PROTOCOL, "unexpected_answer",
                       "the hub opened the disks but told no export_id");
    if (c->args.value[OPT_PSK_FILE]) {
        if (write_psk(c->args.value[OPT_PSK_FILE], e, err) < 0) {
            struct err ignored = ERR_INIT;

            close_one(c, id, NULL, &ignored);
            return err->class;
        }
        json_object_del(json_object_get(e, "tls"), "psk");
    }
    r = show_one(c, e, err);
    fflush(c->io->out);
    return r == EXIT_OK && c->args.value[OPT_WAIT] ? stay(c, id, err) : r;
}

int
cmd_restore_exports(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *page = NULL;
    int r = hub_list(&c->hub, "/restore/exports", "exports", &page, err);

    if (r == 0)
        r = output_list(c, page, "exports", export_list, err);
    return r < 0 ? r : EXIT_OK;
}

int
cmd_restore_close(struct cli *c, struct err *err)
{
    int r = close_one(c, c->args.words[0], NULL, err);

    if (r < 0)
        return r;
    cli_say(c, "export %s is closed", c->args.words[0]);
    return EXIT_OK;
}
