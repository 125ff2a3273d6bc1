/* cli/files_client.c - see files.h. */
#include "cli/files.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/output.h"

static const char *
text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static bool
is_open(const json_t *mount)
{
    const char *status = text_of(mount, "status");

    return strcmp(status, "ready") == 0 || strcmp(status, "starting") == 0;
}

/* One that is open already; NULL in *ret when there is none. */
static int
find_open(struct cli *c, const char *backup, char **ret, struct err *err)
{
    CLEANUP_JSON json_t *page = NULL;
    const json_t *mount;
    size_t i;
    int r = hub_call(&c->hub, "GET", "/restore/mounts", NULL, &page, err);

    if (r < 0)
        return r;
    json_array_foreach(json_object_get(page, "mounts"), i, mount)
    {
        if (!*ret && is_open(mount) && strcmp(text_of(mount, "backup_id"), backup) == 0)
            *ret = xstrdup(text_of(mount, "mount_id"));
    }
    return 0;
}

static int
start(struct files_client *f, const char *backup, struct err *err)
{
    CLEANUP_JSON json_t *body = json_pack("{s:s}", "backup_id", backup), *mount = NULL;
    int r;

    if (!body)
        return err_set(err, ERR_INVALID, "usage", "the backup must be UTF-8 text");
    r = hub_call(&f->c->hub, "POST", "/restore/mounts", body, &mount, err);
    if (r < 0)
        return r;
    f->id = xstrdup(text_of(mount, "mount_id"));
    f->ours = true;
    cli_say(f->c, "the appliance that reads the file systems starts; without KVM this "
                  "takes up to a minute");
    return 0;
}

static int
wait_ready(struct files_client *f, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/restore/mounts/", f->id, "");

    for (;;) {
        CLEANUP_JSON json_t *mount = NULL;
        const json_t *error;
        int r = hub_call(&f->c->hub, "GET", path, NULL, &mount, err);

        if (r < 0)
            return r;
        if (strcmp(text_of(mount, "status"), "ready") == 0)
            return 0;
        error = json_object_get(mount, "error");
        if (!is_open(mount))
            return err_set(err, ERR_IO,
                           json_is_object(error) ? text_of(error, "code") : "mount_ended",
                           "the file session has ended (%s): %s",
                           text_of(mount, "reason"),
                           json_is_object(error) ? text_of(error, "message") : "");
        r = cli_pause(f->c, f->c->io->poll_ms, err);
        if (r < 0)
            return r;
    }
}

int
files_client_open(struct cli *c, const char *backup, struct files_client *f,
                  struct err *err)
{
    CLEANUP_JSON json_t *answer = NULL;
    CLEANUP_FREE char *path = NULL;
    int r;

    *f = (struct files_client){.c = c};
    r = find_open(c, backup, &f->id, err);
    if (r == 0 && !f->id)
        r = start(f, backup, err);
    if (r == 0)
        r = wait_ready(f, err);
    if (r < 0)
        return r;
    path = hub_path("/restore/mounts/", f->id, "/filesystems");
    r = hub_call(&c->hub, "GET", path, NULL, &answer, err);
    if (r == 0 && !json_is_array(json_object_get(answer, "filesystems")))
        r = err_set(err, ERR_PROTOCOL, "unexpected_answer",
                    "the hub told no file systems");
    if (r == 0)
        f->fs = json_incref(json_object_get(answer, "filesystems"));
    return r;
}

void
files_client_done(struct files_client *f)
{
    free(f->id);
    json_decref(f->fs);
    *f = (struct files_client){0};
}

int
files_client_end(struct files_client *f, struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/restore/mounts/", f->id, "");
    int r = hub_call(&f->c->hub, "DELETE", path, NULL, NULL, err);

    if (r == 0)
        cli_say(f->c, "the file session is ended");
    return r;
}

static char *
names_of_fs(const struct files_client *f)
{
    char *names = xstrdup("");
    const json_t *fs;
    size_t i;

    json_array_foreach(f->fs, i, fs)
    {
        if (json_is_true(json_object_get(fs, "readable"))) {
            char *longer =
                xasprintf("%s%s%s", names, *names ? ", " : "", text_of(fs, "fs"));

            free(names);
            names = longer;
        }
    }
    return names;
}

int
files_client_place(const struct files_client *f, const char *text, char **ret_fs,
                   char **ret_path, struct err *err)
{
    const char *only = NULL;
    CLEANUP_FREE char *names = NULL;
    const json_t *fs;
    size_t i, n = 0;

    json_array_foreach(f->fs, i, fs)
    {
        const char *name = text_of(fs, "fs");
        size_t len = strlen(name);

        if (strncmp(text, name, len) == 0 && text[len] == ':') {
            *ret_fs = xstrdup(name);
            *ret_path = xstrdup(text[len + 1] ? text + len + 1 : "/");
            return 0;
        }
        if (json_is_true(json_object_get(fs, "readable"))) {
            only = name;
            n++;
        }
    }
    if (n == 1) {
        *ret_fs = xstrdup(only);
        *ret_path = xstrdup(text);
        return 0;
    }
    names = names_of_fs(f);
    return err_set(err, ERR_INVALID, "fs_required",
                   n == 0 ? "the backup has no file system that can be read%s"
                          : "write FS:PATH, where FS is one of: %.600s",
                   names);
}

int
files_client_ls(struct files_client *f, const char *fs, const char *path,
                int (*page)(void *arg, json_t *entries), void *arg, struct err *err)
{
    CLEANUP_FREE char *after = NULL;

    for (;;) {
        CLEANUP_FREE char *query = hub_path("/restore/mounts/", f->id, "/files");
        CLEANUP_JSON json_t *answer = NULL;
        const char *next;
        int r;

        hub_query(&query, "fs", fs);
        hub_query(&query, "path", path);
        hub_query(&query, "limit", "500");
        hub_query(&query, "after", after);
        r = hub_call(&f->c->hub, "GET", query, NULL, &answer, err);
        if (r < 0)
            return r;
        if (page(arg, json_object_get(answer, "entries")) != 0)
            return 0;
        next = json_string_value(json_object_get(answer, "next"));
        if (!next || (after && strcmp(after, next) == 0))
            return 0;
        free(after);
        after = xstrdup(next);
    }
}

/* "rwxr-xr-x", as `ls -l` writes it. */
static void
add_mode_text(json_t *entry)
{
    static const char letters[] = "rwxrwxrwx";
    json_int_t mode = json_integer_value(json_object_get(entry, "mode"));
    char text[10];

    for (int i = 0; i < 9; i++)
        text[i] = mode & (0400 >> i) ? letters[i] : '-';
    text[9] = '\0';
    if (mode & 04000)
        text[2] = mode & 0100 ? 's' : 'S';
    if (mode & 02000)
        text[5] = mode & 0010 ? 's' : 'S';
    if (mode & 01000)
        text[8] = mode & 0001 ? 't' : 'T';
    json_object_set_new(entry, "mode_text", json_string(text));
}

int
files_client_info(struct files_client *f, const char *fs, const char *path, json_t **ret,
                  struct err *err)
{
    CLEANUP_FREE char *query = hub_path("/restore/mounts/", f->id, "/file-info");
    int r;

    hub_query(&query, "fs", fs);
    hub_query(&query, "path", path);
    r = hub_call(&f->c->hub, "GET", query, NULL, ret, err);
    if (r == 0 && f->c->format == FORMAT_TABLE)
        add_mode_text(*ret);
    return r;
}

int
files_show_page(struct cli *c, json_t *entries, struct err *err)
{
    static const struct output_col cols[] = {
        {"TYPE", "type"},
        {"MODE", "mode_text"},
        {"OWNER", "uid"},
        {"GROUP", "gid"},
        {"SIZE", "size_bytes", OUTPUT_SIZE},
        {"MODIFIED", "mtime", OUTPUT_TIME},
        {"NAME", "name"},
        {"TARGET", "target"},
        {0},
    };
    json_t *entry;
    size_t i;

    json_array_foreach(entries, i, entry) add_mode_text(entry);
    return output_rows(c, entries, cols, err);
}

int
files_show_fs(const struct files_client *f, struct err *err)
{
    static const struct output_col cols[] = {
        {"FS", "fs"},
        {"TYPE", "type"},
        {"LABEL", "label"},
        {"SIZE", "size_bytes", OUTPUT_SIZE},
        {"DISK", "device_key"},
        {"READABLE", "readable"},
        {0},
    };
    CLEANUP_JSON json_t *page = json_pack("{s:O}", "filesystems", f->fs);

    return output_list(f->c, page, "filesystems", cols, err);
}
