/* cli/files_browse.c - the prompt of `sendense restore files`.  What follows a command is
 * one path, spaces and all: nothing has to be quoted. */
#include "cli/files.h"

#include <histedit.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/escape.h"
#include "cli/exitcode.h"
#include "cli/output.h"
#include "model/guestpath.h"

#define SHOWN_MAX 100u /* names that completion prints */

struct browser {
    struct files_client *f;
    char *fs, *folder; /* where we are; text form, no slash at the end but for "/" */
    char prompt[256];
};

static const char *const commands[] = {"cd",   "exit", "fs", "get", "help",
                                       "info", "lcd",  "ls", "pwd", "quit"};

static const char help_text[] =
    "fs            list the file systems\n"
    "cd PATH       go to a folder; cd FS:PATH to one of another file system\n"
    "ls [PATH]     list a folder\n"
    "info PATH     all about one file\n"
    "get PATH      take a file, or a folder with all that is in it, to this machine\n"
    "lcd PATH      the folder of this machine that `get` writes to\n"
    "pwd           both folders\n"
    "quit          end the session\n"
    "The rest of the line is one path, spaces included.  Tab completes.\n";

/* @base and @text, which may be relative, as an absolute path without ".."; text form. */
static char *
join_path(const char *base, const char *text)
{
    CLEANUP_FREE char *whole =
        text[0] == '/' ? xstrdup(text) : xasprintf("%s/%s", base, text);
    char *out = xcalloc(strlen(whole) + 2, 1), *o = out;

    for (const char *p = whole; *p;) {
        size_t n;

        p += strspn(p, "/");
        n = strcspn(p, "/");
        if (n == 2 && strncmp(p, "..", 2) == 0) {
            while (o > out && *--o != '/')
                ;
            *o = '\0';
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            *o++ = '/';
            memcpy(o, p, n);
            o += n;
            *o = '\0';
        }
        p += n;
    }
    if (o == out)
        *o++ = '/';
    *o = '\0';
    return out;
}

static bool
names_fs(const struct browser *b, const char *text)
{
    const json_t *fs;
    size_t i;

    json_array_foreach(b->f->fs, i, fs)
    {
        const char *name = json_string_value(json_object_get(fs, "fs"));

        if (name && strncmp(text, name, strlen(name)) == 0 && text[strlen(name)] == ':')
            return true;
    }
    return false;
}

static int
place(const struct browser *b, const char *text, char **fs, char **path, struct err *err)
{
    CLEANUP_FREE char *named = NULL;
    int r;

    if (b->fs && !names_fs(b, text)) {
        *fs = xstrdup(b->fs);
        *path = join_path(b->folder, text);
        return 0;
    }
    r = files_client_place(b->f, text, fs, &named, err);
    if (r == 0)
        *path = join_path("/", named);
    return r;
}

/* --- completion --- */

struct found {
    const char *prefix; /* what the name begins with */
    char *common;       /* what all have in common */
    size_t n;
    bool is_folder; /* the only one */
    char *shown[SHOWN_MAX];
};

static void
offer(struct found *m, const char *name, bool is_folder)
{
    size_t same = 0;

    if (strncmp(name, m->prefix, strlen(m->prefix)) != 0)
        return;
    if (!m->common)
        m->common = xstrdup(name);
    while (m->common[same] && m->common[same] == name[same])
        same++;
    /* Not within a character. */
    while (same > 0 && ((unsigned char)m->common[same] & 0xc0) == 0x80)
        same--;
    m->common[same] = '\0';
    if (m->n < SHOWN_MAX)
        m->shown[m->n] = xasprintf("%s%s", name, is_folder ? "/" : "");
    m->n++;
    m->is_folder = is_folder;
}

static int
offer_page(void *arg, json_t *entries)
{
    const json_t *e;
    size_t i;

    json_array_foreach(entries, i, e)
    {
        const char *name = json_string_value(json_object_get(e, "name"));
        const char *type = json_string_value(json_object_get(e, "type"));

        if (name && type)
            offer(arg, name, strcmp(type, "dir") == 0);
    }
    return 0;
}

/* "/dev/sd" may be the beginning of the name of a file system. */
static bool
find_fs(struct browser *b, const char *text, struct found *m)
{
    const json_t *fs;
    size_t i;

    m->prefix = text;
    json_array_foreach(b->f->fs, i, fs)
    {
        const char *name = json_string_value(json_object_get(fs, "fs"));
        CLEANUP_FREE char *place = xasprintf("%s:/", name ? name : "");

        if (name && *text && strlen(text) <= strlen(name))
            offer(m, place, false);
    }
    return m->n > 0;
}

static void
find_paths(struct browser *b, const char *text, struct found *m)
{
    const char *slash = strrchr(text, '/');
    CLEANUP_FREE char *folder = slash ? xasprintf("%.*s", (int)(slash - text) + 1, text)
                                      : xstrdup(b->fs ? "." : "/");
    CLEANUP_FREE char *fs = NULL, *path = NULL;
    struct err err = ERR_INIT;

    if (find_fs(b, text, m))
        return;
    m->prefix = slash ? slash + 1 : text;
    if (place(b, folder, &fs, &path, &err) == 0)
        files_client_ls(b->f, fs, path, offer_page, m, &err);
}

static unsigned char
complete(EditLine *el, int ch)
{
    struct browser *b = NULL;
    const LineInfo *li = el_line(el);
    CLEANUP_FREE char *line =
        xasprintf("%.*s", (int)(li->cursor - li->buffer), li->buffer);
    char *space = strchr(line, ' ');
    struct found m = {.prefix = line};
    unsigned char r = CC_REFRESH;

    (void)ch;
    el_get(el, EL_CLIENTDATA, &b);
    if (space)
        find_paths(b, space + 1 + strspn(space + 1, " "), &m);
    for (size_t i = 0; !space && i < ARRAY_LEN(commands); i++)
        offer(&m, commands[i], false);
    if (m.n == 0) {
        r = CC_ERROR;
    } else if (strlen(m.common) > strlen(m.prefix) || m.n == 1) {
        const char *end = m.n > 1 ? "" : !space ? " " : m.is_folder ? "/" : "";
        CLEANUP_FREE char *more = xasprintf("%s%s", m.common + strlen(m.prefix), end);

        if (el_insertstr(el, more) < 0)
            r = CC_ERROR;
    } else {
        fputc('\n', b->f->c->io->out);
        for (size_t i = 0; i < m.n && i < SHOWN_MAX; i++) {
            CLEANUP_FREE char *safe = escape_text(m.shown[i], strlen(m.shown[i]), "");

            fprintf(b->f->c->io->out, "%s\n", safe);
        }
        if (m.n > SHOWN_MAX)
            fprintf(b->f->c->io->out, "… %zu in all\n", m.n);
        r = CC_REDISPLAY;
    }
    for (size_t i = 0; i < m.n && i < SHOWN_MAX; i++)
        free(m.shown[i]);
    free(m.common);
    return r;
}

/* --- commands --- */

static int
show_page(void *arg, json_t *entries)
{
    struct err err = ERR_INIT;

    return files_show_page(arg, entries, &err) < 0;
}

static int
keep_nothing(void *arg, json_t *entries)
{
    (void)entries;
    *(bool *)arg = true;
    return 1;
}

static int
do_cd(struct browser *b, const char *text, struct err *err)
{
    CLEANUP_FREE char *fs = NULL, *path = NULL;
    bool there = false;
    int r = place(b, text, &fs, &path, err);

    if (r == 0)
        r = files_client_ls(b->f, fs, path, keep_nothing, &there, err);
    if (r < 0)
        return r;
    free(b->fs);
    free(b->folder);
    b->fs = take_ptr(&fs);
    b->folder = take_ptr(&path);
    return 0;
}

static int
do_get(struct browser *b, const char *text, struct err *err)
{
    struct files_item item = {0};
    int r = place(b, text, &item.fs, &item.path, err);

    if (r == 0)
        r = files_client_info(b->f, item.fs, item.path, &item.info, err);
    if (r == 0)
        r = files_client_get(b->f, &item, 1, ".", err);
    free(item.fs);
    free(item.path);
    json_decref(item.info);
    return r;
}

static int
do_info(struct browser *b, const char *text, struct err *err)
{
    CLEANUP_FREE char *fs = NULL, *path = NULL;
    CLEANUP_JSON json_t *info = NULL;
    CLEANUP_JSON json_t *list = NULL;
    int r = place(b, text, &fs, &path, err);

    if (r == 0)
        r = files_client_info(b->f, fs, path, &info, err);
    if (r < 0)
        return r;
    list = json_pack("[O]", info);
    return files_show_page(b->f->c, list, err);
}

static int
do_ls(struct browser *b, const char *text, struct err *err)
{
    CLEANUP_FREE char *fs = NULL, *path = NULL;
    int r = place(b, *text ? text : b->fs ? "." : "/", &fs, &path, err);

    return r < 0 ? r : files_client_ls(b->f, fs, path, show_page, b->f->c, err);
}

static int
do_lcd(const char *text, struct err *err)
{
    if (chdir(text) < 0)
        return err_set(err, ERR_INVALID, "usage", "'%.300s' cannot be entered", text);
    return 0;
}

static void
do_pwd(const struct browser *b)
{
    CLEANUP_FREE char *here = getcwd(NULL, 0);

    fprintf(b->f->c->io->out, "%s:%s\nget writes to %s\n",
            b->fs ? b->fs : "(no file system)", b->folder, here ? here : "?");
}

/* 1 = the prompt is over. */
static int
run_line(struct browser *b, char *line, struct err *err)
{
    char *rest = line + strcspn(line, " ");

    if (*rest)
        *rest++ = '\0';
    rest += strspn(rest, " ");
    if (strcmp(line, "quit") == 0 || strcmp(line, "exit") == 0)
        return 1;
    if (strcmp(line, "ls") == 0)
        return do_ls(b, rest, err);
    if (strcmp(line, "fs") == 0)
        return files_show_fs(b->f, err);
    if (strcmp(line, "cd") == 0)
        return do_cd(b, *rest ? rest : "/", err);
    if (strcmp(line, "get") == 0 && *rest)
        return do_get(b, rest, err);
    if (strcmp(line, "info") == 0 && *rest)
        return do_info(b, rest, err);
    if (strcmp(line, "lcd") == 0 && *rest)
        return do_lcd(rest, err);
    if (strcmp(line, "pwd") == 0) {
        do_pwd(b);
        return 0;
    }
    fputs(help_text, b->f->c->io->out);
    return 0;
}

static char *
prompt(EditLine *el)
{
    struct browser *b = NULL;

    el_get(el, EL_CLIENTDATA, &b);
    snprintf(b->prompt, sizeof b->prompt, "%.200s%s%.40s> ", b->fs ? b->fs : "",
             b->fs ? ":" : "", b->fs ? b->folder : "files");
    return b->prompt;
}

static void
strip(char *line)
{
    size_t n = strcspn(line, "\r\n");

    while (n > 0 && line[n - 1] == ' ')
        n--;
    line[n] = '\0';
}

/* A single readable file system is where we are from the start. */
static void
start_place(struct browser *b)
{
    CLEANUP_FREE char *path = NULL;
    struct err err = ERR_INIT;

    b->folder = xstrdup("/");
    if (files_client_place(b->f, "/", &b->fs, &path, &err) < 0)
        b->fs = NULL;
}

static int
lines(struct browser *b, EditLine *el, History *past, struct err *err)
{
    HistEvent ev;
    const char *got;
    int n, r = 0;

    while (r == 0 && (got = el_gets(el, &n)) && n > 0) {
        CLEANUP_FREE char *line = xasprintf("%s", got);
        char *start = line + strspn(line, " ");

        strip(start);
        if (!*start)
            continue;
        history(past, &ev, H_ENTER, start);
        r = run_line(b, start, err);
        fflush(b->f->c->io->out);
        /* At a prompt a mistake is not the end, but of a script's it is. */
        if (r < 0 && err->class != ERR_CANCELLED && b->f->c->io->out_tty) {
            cli_complain(b->f->c, "%s", err->msg);
            err_clear(err);
            r = 0;
        }
    }
    return r < 0 ? r : 0;
}

int
files_browse(struct files_client *f, struct err *err)
{
    struct browser b = {.f = f};
    EditLine *el = el_init("sendense", stdin, f->c->io->out, f->c->io->err);
    History *h = history_init();
    HistEvent ev;
    struct err end = ERR_INIT;

    if (!el || !h)
        return err_set(err, ERR_IO, NULL, "the prompt cannot be shown");
    history(h, &ev, H_SETSIZE, 500);
    el_set(el, EL_CLIENTDATA, &b);
    el_set(el, EL_PROMPT, prompt);
    el_set(el, EL_HIST, history, h);
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_SIGNAL, 0);
    el_set(el, EL_ADDFN, "sendense-complete", "complete a path", complete);
    el_set(el, EL_BIND, "^I", "sendense-complete", NULL);
    start_place(&b);
    lines(&b, el, h, err);
    el_end(el);
    history_end(h);
    free(b.fs);
    free(b.folder);
    if (f->ours && files_client_end(f, &end) < 0 && err->class == 0)
        *err = end;
    return err->class;
}
