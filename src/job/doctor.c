/* job/doctor.c - the round: look, look again, mend, look.  See doctor.h. */
#include "job/doctor.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "job/bus.h"
#include "job/doctor_priv.h"
#include "job/live.h"

#define AGAIN_MS 1500   /* longer than a job needs from one act to its entry */
#define SETTLE_TRIES 8u /* what is mended by a node or a vCenter takes some time */
#define LOOK_S 100u     /* of all looks and mends; a question that runs may add to it */

static void
fix_done(struct doctor_fix *f)
{
    free(f->id);
    free(f->name);
    free(f->vm_ref);
    free(f->vm_uuid);
}

static void
look_done(struct doctor_look *l)
{
    proc_list_done(&l->procs);
    for (size_t i = 0; i < l->n_fds; i++)
        free(l->fds[i].target);
    free(l->fds);
    cat_resources_done(&l->journal);
    doctor_findings_done(&l->found);
    for (size_t i = 0; i < l->n_fixes; i++)
        fix_done(&l->fixes[i]);
    free(l->fixes);
    *l =
        (struct doctor_look){.env = l->env, .how = l->how, .deadline_ns = l->deadline_ns};
}

/* One for each finding. */
static void
fill_up_fixes(struct doctor_look *l)
{
    if (l->n_fixes == l->found.n)
        return;
    l->fixes = xreallocarray(l->fixes, l->found.n, sizeof *l->fixes);
    while (l->n_fixes < l->found.n)
        l->fixes[l->n_fixes++] = (struct doctor_fix){.action = DOCTOR_LEAVE};
}

void
doctor_fixable(struct doctor_look *l, const struct doctor_fix *how)
{
    struct doctor_fix *f;

    if (l->found.n == l->n_fixes)
        return; /* there were too many to add this one */
    fill_up_fixes(l);
    f = &l->fixes[l->n_fixes - 1];
    *f = *how;
    f->id = xstrdup(how->id);
    f->name = xstrdup(how->name);
    f->vm_ref = xstrdup(how->vm_ref);
    f->vm_uuid = xstrdup(how->vm_uuid);
    l->found.v[l->found.n - 1].fixable = true;
}

bool
doctor_is_live(const struct doctor_look *l, const char *job_id)
{
    CLEANUP_LIVE struct live_job *live = live_find(l->env->live, job_id);

    return live != NULL;
}

bool
doctor_in_journal(const struct doctor_look *l, const char *kind, const char *key)
{
    for (size_t i = 0; i < l->journal.n; i++)
        if ((!kind || strcmp(l->journal.v[i].kind, kind) == 0) &&
            strcmp(l->journal.v[i].res_key, key) == 0)
            return true;
    return false;
}

bool
doctor_is_own(const struct doctor_look *l, pid_t pid)
{
    const struct proc *p = proc_find(&l->procs, pid);

    return pid == getpid() || (p && proc_descends(&l->procs, p, getpid()));
}

char *
doctor_others(const struct doctor_look *l, const char *target, bool *ret_any)
{
    char *text = NULL;
    pid_t last = 0;

    *ret_any = false;
    for (size_t i = 0; i < l->n_fds; i++) {
        const struct proc *p;
        CLEANUP_FREE char *before = NULL, *who = NULL;

        if (strcmp(l->fds[i].target, target) != 0)
            continue;
        *ret_any = true;
        if (l->fds[i].pid == last || doctor_is_own(l, l->fds[i].pid))
            continue;
        last = l->fds[i].pid;
        p = proc_find(&l->procs, last);
        who = p ? proc_describe(p, false) : xasprintf("pid %d", (int)last);
        before = text;
        text = before ? xasprintf("%s, %s", before, who) : xstrdup(who);
    }
    return text;
}

/* ---- a look ---- */

static bool
is_stopping(const struct doctor_look *l)
{
    return l->how->stop && l->how->stop(l->how->arg);
}

bool
doctor_out_of_time(const struct doctor_look *l)
{
    return is_stopping(l) || time_mono_ns() >= l->deadline_ns;
}

static void
take_fd_seen(void *arg, pid_t pid, const char *target)
{
    struct doctor_look *l = arg;
    size_t n = strlen(target);
    bool image = n > 6 && strcmp(target + n - 6, ".qcow2") == 0;

    if (!image && strncmp(target, "socket:[", 8) != 0)
        return;
    l->fds = xreallocarray(l->fds, l->n_fds + 1, sizeof *l->fds);
    l->fds[l->n_fds++] = (struct doctor_fd){.pid = pid, .target = xstrdup(target)};
}

static int
look_outside(struct doctor_look *l, struct err *err)
{
    if (proc_list_read(&l->procs, err) < 0 || proc_each_fd(take_fd_seen, l, err) < 0 ||
        cat_resource_list_open(l->env->catalog, &l->journal, err) < 0)
        return err->class;
    return 0;
}

static int
look(struct doctor_look *l, struct err *err)
{
    look_done(l);
    if (is_stopping(l))
        return err_set(err, ERR_UNAVAILABLE, "shutting_down", "the hub stops");
    if (look_outside(l, err) < 0)
        return err_prefix(err, "look");
    doctor_look_processes(l);
    doctor_look_ports(l);
    doctor_look_run_folder(l);
    doctor_look_scratch(l);
    doctor_look_journal(l);
    doctor_look_repositories(l);
    doctor_look_nodes(l);
    return 0;
}

/* What only one of two looks saw was on its way. */
static void
keep_seen_twice(struct doctor_look *l, const struct doctor_findings *before)
{
    size_t kept = 0;

    fill_up_fixes(l);
    for (size_t i = 0; i < l->found.n; i++) {
        if (!doctor_find(before, &l->found.v[i])) {
            doctor_finding_done(&l->found.v[i]);
            fix_done(&l->fixes[i]);
            continue;
        }
        l->found.v[kept] = l->found.v[i];
        l->fixes[kept++] = l->fixes[i];
    }
    l->found.n = kept;
    l->n_fixes = kept;
}

static int
look_twice(struct doctor_look *l, struct err *err)
{
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings before = {0};

    if (look(l, err) < 0)
        return err->class;
    if (l->found.n == 0)
        return 0;
    before = l->found;
    l->found = (struct doctor_findings){0};
    poll(NULL, 0, AGAIN_MS);
    if (look(l, err) < 0)
        return err->class;
    keep_seen_twice(l, &before);
    return 0;
}

/* ---- mending ---- */

static void
tell(struct job_env *env, const struct doctor_finding *f, const char *actor,
     const char *problem)
{
    CLEANUP_FREE char *message = xasprintf("%s, %s: %s%s%s", f->where, f->kind, f->what,
                                           problem ? ": " : "", problem ? problem : "");
    struct cat_event e = {.severity = problem ? "warning" : "info",
                          .type = problem ? "doctor.fix_failed" : "doctor.fixed",
                          .message = message,
                          .actor = actor};
    struct err err = ERR_INIT;

    log_info("doctor: %s %s", problem ? "could not mend" : "mended", message);
    if (bus_emit(env, &e, &err) < 0)
        log_error("doctor: store an event: %s", err.msg);
    bus_wake(env->bus);
}

/* True when something was tried. */
static bool
mend_all(struct doctor_look *l)
{
    bool tried = false, settled = false;

    for (unsigned action = DOCTOR_LEAVE + 1; action < DOCTOR_ACTIONS; action++)
        for (size_t i = 0; i < l->n_fixes && i < l->found.n; i++) {
            struct err err = ERR_INIT;

            if (l->fixes[i].action != (enum doctor_action)action ||
                (action == DOCTOR_SETTLE && settled))
                continue;
            settled = settled || action == DOCTOR_SETTLE; /* one round is for all */
            tried = true;
            if (doctor_mend(l->env, &l->fixes[i], &err) < 0)
                l->found.v[i].problem = xstrdup(err.msg);
        }
    return tried;
}

static bool
all_gone(const struct doctor_findings *fixable, const struct doctor_findings *now)
{
    for (size_t i = 0; i < fixable->n; i++)
        if (fixable->v[i].fixable && !fixable->v[i].problem &&
            doctor_find(now, &fixable->v[i]))
            return false;
    return true;
}

/* What is not seen any more was mended, also what hung on something else. */
static int
look_after(struct doctor_look *l, struct doctor_findings *found, struct err *err)
{
    for (unsigned i = 0; i < SETTLE_TRIES; i++) {
        if (i > 0)
            poll(NULL, 0, AGAIN_MS);
        if (look(l, err) < 0)
            return err->class;
        if (all_gone(found, &l->found) || doctor_out_of_time(l))
            break;
    }
    for (size_t i = 0; i < found->n; i++) {
        struct doctor_finding *f = &found->v[i];

        if (f->severity == DOCTOR_INFO || f->severity == DOCTOR_UNKNOWN)
            continue;
        f->fixed = !doctor_find(&l->found, f);
        if (f->fixable && !f->fixed && !f->problem)
            f->problem = xstrdup("it is still there");
        if (f->fixable)
            tell(l->env, f, l->how->actor, f->fixed ? NULL : f->problem);
    }
    return 0;
}

static int
run(struct job_env *env, const struct doctor_how *how, struct doctor_findings *ret,
    struct err *err)
{
    struct doctor_look l = {
        .env = env, .how = how, .deadline_ns = time_mono_ns() + LOOK_S * NS_PER_S};
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings found = {0};
    bool tried = false;
    int r = look_twice(&l, err);

    if (r == 0 && how->fix)
        tried = mend_all(&l);
    found = l.found;
    l.found = (struct doctor_findings){0};
    if (r == 0 && tried)
        r = look_after(&l, &found, err);
    look_done(&l);
    if (r < 0)
        return r;
    *ret = found;
    found = (struct doctor_findings){0};
    return 0;
}

int
doctor_run(struct job_env *env, const struct doctor_how *how, struct doctor_findings *ret,
           struct err *err)
{
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    int r;

    if (pthread_mutex_trylock(&one) != 0)
        return err_set(err, ERR_EXISTS, "doctor_running",
                       "somebody else's doctor is just looking; try again in a moment");
    r = run(env, how, ret, err);
    pthread_mutex_unlock(&one);
    return r;
}
