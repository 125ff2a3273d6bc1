/* cli/cmd_repo.c - repositories and nodes. */
#include <stdlib.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/exitcode.h"
#include "cli/output.h"

static const struct output_col repo_list[] = {
    {"ID", "id"},
    {"NAME", "name"},
    {"STATUS", "status", OUTPUT_STATUS},
    {"FREE", "free_bytes", OUTPUT_SIZE},
    {"TOTAL", "total_bytes", OUTPUT_SIZE},
    {"PATH", "path"},
    {0},
};

static const struct output_col repo_fields[] = {
    {"id", "id"},
    {"name", "name"},
    {"kind", "kind"},
    {"path", "path"},
    {"repository uuid", "repository_uuid"},
    {"status", "status", OUTPUT_STATUS},
    {"message", "message"},
    {"free", "free_bytes", OUTPUT_SIZE},
    {"total", "total_bytes", OUTPUT_SIZE},
    {"file system has", "probe", OUTPUT_LIST},
    {"created", "created", OUTPUT_TIME},
    {0},
};

static const struct output_col node_list[] = {
    {"ID", "id"},
    {"NAME", "name"},
    {"STATUS", "status", OUTPUT_STATUS},
    {"VERSION", "version"},
    {"CLIENT", "client_version"},
    {"URL", "url"},
    {"MESSAGE", "message"},
    {0},
};

static int
show_one(struct cli *c, const json_t *repo, struct err *err)
{
    int r = output_json(c, repo) ? 0 : output_fields(c, repo, repo_fields, err);

    return r < 0 ? r : EXIT_OK;
}

int
cmd_repo_add(struct cli *c, struct err *err)
{
    CLEANUP_JSON json_t *body =
        json_pack("{s:s, s:s}", "name", c->args.words[0], "path", c->args.words[1]);
    CLEANUP_JSON json_t *repo = NULL;
    int r;

    if (!body)
        return err_set(err, ERR_INVALID, "usage", "name and path must be UTF-8 text");
    r = hub_call(&c->hub, "POST", "/repositories", body, &repo, err);
    return r < 0 ? r : show_one(c, repo, err);
}

static int
list(struct cli *c, const char *path, const char *items, const struct output_col *cols,
     struct err *err)
{
    CLEANUP_JSON json_t *page = NULL;
    int r = hub_list(&c->hub, path, items, &page, err);

    if (r == 0)
        r = output_list(c, page, items, cols, err);
    return r < 0 ? r : EXIT_OK;
}

int
cmd_repo_ls(struct cli *c, struct err *err)
{
    return list(c, "/repositories", "repositories", repo_list, err);
}

int
cmd_node_ls(struct cli *c, struct err *err)
{
    return list(c, "/nodes", "nodes", node_list, err);
}

int
cmd_repo_show(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *id = NULL, *path = NULL;
    CLEANUP_JSON json_t *repo = NULL;
    int r = hub_find(&c->hub, "repository", "repositories", c->args.words[0], &id, err);

    if (r < 0)
        return r;
    path = hub_path("/repositories/", id, "");
    r = hub_call(&c->hub, "GET", path, NULL, &repo, err);
    return r < 0 ? r : show_one(c, repo, err);
}

int
cmd_repo_import(struct cli *c, struct err *err)
{
    static const struct output_col fields[] = {
        {"points found", "points_found"},
        {"imported", "imported"},
        {"already known", "already_known"},
        {"refused", "refused", OUTPUT_COUNT},
        {0},
    };
    static const struct output_col refused[] = {
        {"REFUSED FILE", "file"}, {"REASON", "message"}, {0}};
    CLEANUP_FREE char *id = NULL, *path = NULL;
    CLEANUP_JSON json_t *res = NULL;
    const json_t *bad;
    int r = hub_find(&c->hub, "repository", "repositories", c->args.words[0], &id, err);

    if (r < 0)
        return r;
    path = hub_path("/repositories/", id, "/import");
    r = hub_call(&c->hub, "POST", path, NULL, &res, err);
    if (r < 0)
        return r;
    bad = json_object_get(res, "refused");
    if (!output_json(c, res)) {
        r = output_fields(c, res, fields, err);
        if (r == 0 && json_array_size(bad) > 0)
            r = output_rows(c, bad, refused, err);
    }
    if (r < 0)
        return r;
    return json_array_size(bad) > 0 ? EXIT_PARTIAL : EXIT_OK;
}
