#include "job/reader.h"

#include <string.h>

#include "base/mem.h"
#include "job/journal.h"
#include "model/naming.h"
#include "store/layer.h"

int
reader_open(const struct job_env *env, const struct reader_spec *s,
            struct reader_export *ret, struct err *err)
{
    char name[NAMING_EXPORT_SIZE], description[NAMING_DESCRIPTION_SIZE];
    CLEANUP_FREE char *socket = NULL;
    struct export_spec spec = {.name = name,
                               .description = description,
                               .size_bytes = naming_round_up_512(s->size_bytes),
                               .allocation_depth = true,
                               .alone = s->alone};

    naming_export_make(name);
    naming_description(s->job_id, s->key, description);
    socket = xasprintf("%s/%s", env->run_dir, name);
    spec.socket = socket;
    if (journal_intent(env, s->job_id, RES_SOCKET, socket, &ret->res_socket, err) < 0 ||
        journal_intent(env, s->job_id, RES_EXPORT, name, &ret->res_export, err) < 0 ||
        layer_export_ro(s->repo, s->locator, &spec, &ret->export, err) < 0)
        return err_prefix(err, "open layer '%s' for reading", s->locator);
    return journal_held(env, s->job_id, ret->res_export, export_identity(ret->export),
                        err);
}

void
reader_close(const struct job_env *env, const char *job_id, struct joblog *log,
             struct reader_export *r)
{
    struct export_stop_result res = {0};
    char cost[CHILD_COST_SIZE];
    struct err err = ERR_INIT;

    if (r->export && export_stop(r->export, &res, &err) < 0) {
        joblog_line(log, LOG_LEVEL_ERROR, "stop the export of '%s': %s",
                    export_path(r->export), err.msg);
        return;
    }
    if (r->export)
        joblog_line(log, LOG_LEVEL_INFO, "export of '%s' on a socket stopped (%s)",
                    export_path(r->export), child_cost_to_str(&res.exit, cost));
    export_free(r->export);
    r->export = NULL;
    journal_released(env, job_id, &r->res_export);
    journal_released(env, job_id, &r->res_socket);
}
