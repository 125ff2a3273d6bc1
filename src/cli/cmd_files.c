/* cli/cmd_files.c - `sendense restore files`: the files of a backup. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/exitcode.h"
#include "cli/files.h"
#include "cli/output.h"

static int
keep_page(void *arg, json_t *entries)
{
    struct err err = ERR_INIT;

    return files_show_page(arg, entries, &err) < 0;
}

static int
keep_json(void *arg, json_t *entries)
{
    json_array_extend(arg, entries);
    return 0;
}

static int
do_ls(struct files_client *f, const char *text, struct err *err)
{
    CLEANUP_FREE char *fs = NULL, *path = NULL;
    CLEANUP_JSON json_t *all = NULL, *page = NULL;
    int r = files_client_place(f, text, &fs, &path, err);

    if (r < 0)
        return r;
    if (f->c->format == FORMAT_TABLE)
        return files_client_ls(f, fs, path, keep_page, f->c, err);
    all = json_array();
    r = files_client_ls(f, fs, path, keep_json, all, err);
    page = json_pack("{s:O}", "entries", all);
    return r < 0 ? r : output_list(f->c, page, "entries", NULL, err);
}

static const struct output_col info_fields[] = {
    {"path", "path"},
    {"type", "type"},
    {"mode", "mode_text"},
    {"owner", "uid"},
    {"group", "gid"},
    {"size", "size_bytes", OUTPUT_SIZE},
    {"bytes", "size_bytes"},
    {"modified", "mtime", OUTPUT_TIME},
    {"links", "nlink"},
    {"target", "target"},
    {0},
};

static int
do_info(struct files_client *f, const char *text, struct err *err)
{
    CLEANUP_FREE char *fs = NULL, *path = NULL;
    CLEANUP_JSON json_t *info = NULL;
    int r = files_client_place(f, text, &fs, &path, err);

    if (r == 0)
        r = files_client_info(f, fs, path, &info, err);
    if (r < 0 || output_json(f->c, info))
        return r;
    return output_fields(f->c, info, info_fields, err);
}

static int
do_get(struct files_client *f, const char *const *words, unsigned n, struct err *err)
{
    const char *to = f->c->args.value[OPT_TO_FOLDER];
    struct files_item *items;
    int r = 0;

    if (n == 0 || !to)
        return err_set(err, ERR_INVALID, "usage", "give the paths and --to FOLDER");
    items = xcalloc(n, sizeof *items);
    for (unsigned i = 0; i < n && r == 0; i++) {
        r = files_client_place(f, words[i], &items[i].fs, &items[i].path, err);
        if (r == 0 && strcmp(items[i].fs, items[0].fs) != 0)
            r = err_set(err, ERR_INVALID, "usage",
                        "the paths are in several file systems: one command for each");
        if (r == 0)
            r = files_client_info(f, items[i].fs, items[i].path, &items[i].info, err);
    }
    if (r == 0)
        r = files_client_get(f, items, n, to, err);
    for (unsigned i = 0; i < n; i++) {
        free(items[i].fs);
        free(items[i].path);
        json_decref(items[i].info);
    }
    free(items);
    return r;
}

static int
run_one(struct files_client *f, const char *verb, struct err *err)
{
    const struct cli_args *a = &f->c->args;
    unsigned n = a->n_words - 2;

    if (strcmp(verb, "get") == 0)
        return do_get(f, a->words + 2, n, err);
    if (strcmp(verb, "fs") == 0 && n == 0)
        return files_show_fs(f, err);
    if (strcmp(verb, "ls") == 0 && n <= 1)
        return do_ls(f, n == 1 ? a->words[2] : "/", err);
    if (strcmp(verb, "info") == 0 && n == 1)
        return do_info(f, a->words[2], err);
    if (strcmp(verb, "close") == 0 && n == 0)
        return files_client_end(f, err);
    return err_set(err, ERR_INVALID, "usage",
                   "usage: sendense restore files BACKUP [fs | ls [PATH] | info PATH | "
                   "get PATH... --to FOLDER | close]");
}

static bool
is_verb(const char *word)
{
    static const char *const verbs[] = {"get", "fs", "ls", "info", "close"};

    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i], word) == 0)
            return true;
    return false;
}

int
cmd_restore_files(struct cli *c, struct err *err)
{
    const char *verb = c->args.n_words > 1 ? c->args.words[1] : NULL;
    struct files_client f = {0};
    int r;

    if (verb && !is_verb(verb))
        return err_set(err, ERR_INVALID, "usage",
                       "after the backup comes fs, ls, info, get or close, not '%.40s'",
                       verb);
    r = files_client_open(c, c->args.words[0], &f, err);
    if (r == 0 && verb)
        r = run_one(&f, verb, err);
    else if (r == 0)
        r = files_browse(&f, err);
    if (r >= 0 && verb && f.ours && strcmp(verb, "close") != 0)
        cli_say(c,
                "the file session stays open while it is used; `sendense restore files "
                "%s close` ends it",
                c->args.words[0]);
    files_client_done(&f);
    return r < 0 ? r : r > 0 ? r : EXIT_OK;
}
