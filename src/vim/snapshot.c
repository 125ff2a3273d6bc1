/* vim/snapshot.c - see snapshot.h. */
#include "vim/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vim/props.h"
#include "vim/task.h"

#define BUSY_MS 120000 /* for what need not be done at all */

/* The words of a failed task stay; what it failed at is named. */
static int
snapshot_failed(struct err *err)
{
    if (strcmp(err->code, "vcenter_task") == 0 || strcmp(err->code, "vcenter_fault") == 0)
        return err_recode(err, "snapshot_failed");
    return err->class;
}

/* ---- create ---- */

struct create {
    const struct moref *vm;
    const char *name, *description;
    bool quiesce;
};

static void
fill_create(struct soap_request *r, const void *arg)
{
    const struct create *c = arg;

    soap_begin(r, "CreateSnapshot_Task", c->vm);
    soap_text(r, "name", c->name);
    soap_text(r, "description", c->description);
    soap_bool(r, "memory", false);
    soap_bool(r, "quiesce", c->quiesce);
}

/* The task was purged before we saw its end: is there a snapshot of that name? */
static int
find_created(struct vim_session *s, const struct create *c, struct moref *ret,
             struct err *err)
{
    static const char *const paths[] = {"snapshot", NULL};
    CLEANUP_XML struct xml_doc *doc = NULL;
    CLEANUP_VIM_VM struct vim_vm vm = {0};
    const struct xml_node *object;

    if (vim_read_object(s, c->vm, paths, &doc, &object, err) < 0 ||
        vim_snapshot_tree_decode(vim_prop(object, "snapshot"), &vm.snapshots,
                                 &vm.n_snapshots, err) < 0)
        return err->class;
    for (size_t i = 0; i < vm.n_snapshots; i++)
        if (strcmp(vm.snapshots[i].name, c->name) == 0) {
            *ret = vm.snapshots[i].ref;
            return 0;
        }
    return err_set(err, ERR_IO, "snapshot_failed",
                   "the server forgot the task, and there is no snapshot '%.64s'",
                   c->name);
}

int
vim_snapshot_create(struct vim_session *s, const struct moref *vm, const char *name,
                    const char *description, bool quiesce, struct moref *ret,
                    struct err *err)
{
    struct create c = {vm, name, description, quiesce};
    struct vim_task t;
    int r = vim_task_run(s, fill_create, &c, BUSY_MS, &t, err);

    if (r == ERR_NOT_FOUND && t.state == VIM_TASK_RUNNING) {
        err_clear(err);
        return find_created(s, &c, ret, err);
    }
    if (r < 0)
        return snapshot_failed(err);
    if (!t.result.value[0])
        return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                       "CreateSnapshot_Task: the task has no result");
    *ret = t.result;
    return 0;
}

/* ---- read ---- */

int
vim_snapshot_read(struct vim_session *s, const struct moref *ref,
                  struct vim_snapshot *ret, struct err *err)
{
    static const char *const paths[] = {"config", NULL};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *object;

    if (vim_read_object(s, ref, paths, &doc, &object, err) < 0)
        return err->class;
    return vim_snapshot_decode(object, ret, err);
}

/* ---- remove ---- */

static void
fill_remove(struct soap_request *r, const void *snapshot)
{
    soap_begin(r, "RemoveSnapshot_Task", snapshot);
    soap_bool(r, "removeChildren", false);
    soap_bool(r, "consolidate", true);
}

/* 1 or 0. */
static int
is_there(struct vim_session *s, const struct moref *ref, struct err *err)
{
    static const char *const paths[] = {"vm", NULL};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *object;
    int r = vim_read_object(s, ref, paths, &doc, &object, err);

    if (r != ERR_NOT_FOUND)
        return r < 0 ? r : 1;
    err_clear(err);
    return 0;
}

int
vim_snapshot_remove(struct vim_session *s, const struct moref *ref, struct err *err)
{
    struct vim_task t;
    int r = vim_task_run(s, fill_remove, ref, UINT64_MAX, &t, err);

    if (r >= 0)
        return 0;
    if (r != ERR_NOT_FOUND)
        return snapshot_failed(err);
    /* The snapshot is gone, or the task that was to remove it. */
    err_clear(err);
    r = is_there(s, ref, err);
    if (r <= 0)
        return r;
    return err_set(err, ERR_IO, "snapshot_failed",
                   "the server forgot the task, and the snapshot is still there");
}

/* ---- consolidate ---- */

static void
fill_consolidate(struct soap_request *r, const void *vm)
{
    soap_begin(r, "ConsolidateVMDisks_Task", vm);
}

static int
consolidation_needed(struct vim_session *s, const struct moref *vm, struct err *err)
{
    static const char *const paths[] = {"runtime.consolidationNeeded", NULL};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *object;

    if (vim_read_object(s, vm, paths, &doc, &object, err) < 0)
        return err->class;
    return vim_prop_bool(object, "runtime.consolidationNeeded");
}

int
vim_consolidate(struct vim_session *s, const struct moref *vm, struct err *err)
{
    struct vim_task t;
    struct err why = ERR_INIT;
    int r = vim_task_run(s, fill_consolidate, vm, BUSY_MS, &t, &why);

    /* A task that failed or was forgotten is judged by what is left to do. */
    if (r < 0 && strcmp(why.code, "vcenter_task") != 0 &&
        !(r == ERR_NOT_FOUND && t.state == VIM_TASK_RUNNING)) {
        *err = why;
        return r;
    }
    if (r < 0)
        log_warn("%s", why.msg);
    return consolidation_needed(s, vm, err);
}
