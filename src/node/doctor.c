/* node/doctor.c - see doctor.h. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node/doctor.h"
#include "os/proc_owned.h"

#define HERE "node" /* the hub knows our name */
#define SUFFIX ".json"
#define UNFINISHED ".json.tmp"
#define WRITE_MAX_S 10 /* a file that is being written is younger */

struct look {
    const char *state;
    const struct leases *leases;
    bool fix;
    struct doctor_findings found;
};

/* Mends, and says whether that worked; what worked is no finding any more. */
static bool
mended(const struct look *l, int r, const char *what, const struct err *err)
{
    if (r >= 0) {
        log_warn("doctor: mended: %s", what);
        return true;
    }
    log_error("doctor: %s: %s", what, err->msg);
    return false;
}

static int
look_at_processes(struct look *l, struct err *err)
{
    CLEANUP_FREE char *mark = proc_mark_node(l->state);
    CLEANUP_PROC_LIST struct proc_list procs = {0};

    if (proc_list_read(&procs, err) < 0)
        return err->class;
    for (size_t i = 0; i < procs.n; i++) {
        const struct proc *p = &procs.v[i];
        CLEANUP_FREE char *what = NULL;
        struct doctor_finding *f;
        struct err why = ERR_INIT;

        if (!proc_is_orphan(&procs, p, mark, getpid()))
            continue;
        what = proc_describe(p, proc_is_ours_to_end(p));
        if (l->fix && proc_is_ours_to_end(p) &&
            mended(l, proc_end(&p->id, &why), what, &why))
            continue;
        f = doctor_add(&l->found, DOCTOR_PROCESS_ORPHAN, HERE, "%s", what);
        if (f)
            f->fixable = proc_is_ours_to_end(p);
    }
    return 0;
}

static bool
ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);

    return n > k && strcmp(s + n - k, suffix) == 0;
}

static bool
is_lease(const struct look *l, const char *name)
{
    for (size_t i = 0; i < l->leases->n; i++) {
        const char *id = l->leases->v[i].job_id;

        if (strncmp(name, id, strlen(id)) == 0 && strcmp(name + strlen(id), SUFFIX) == 0)
            return true;
    }
    return false;
}

static bool
is_young(const char *path)
{
    struct stat st;

    return lstat(path, &st) < 0 ||
           time_utc_us() / 1000000 - (int64_t)st.st_mtime < WRITE_MAX_S;
}

static void
judge_file(struct look *l, const char *dir, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
    bool unfinished = ends_with(name, UNFINISHED);
    struct doctor_finding *f;
    struct err why = ERR_INIT;

    if (name[0] == '.' || is_lease(l, name) || is_young(path))
        return;
    if (l->fix && unfinished && mended(l, fs_unlink(path, true, &why), path, &why))
        return;
    f = doctor_add(&l->found, DOCTOR_NODE_STATE, HERE, "%s", path);
    if (f)
        f->fixable = unfinished;
}

static int
look_at_state(struct look *l, struct err *err)
{
    CLEANUP_FREE char *dir = xasprintf("%s/leases", l->state);
    DIR *d = opendir(dir);
    struct dirent *e;

    if (!d) /* a node without snapshots has none */
        return errno == ENOENT ? 0 : err_errno(err, errno, NULL, "read '%s'", dir);
    while ((e = readdir(d)) != NULL)
        judge_file(l, dir, e->d_name);
    closedir(d);
    return 0;
}

int
node_doctor(struct lease_keeper *leases, const char *state, bool fix,
            struct doctor_findings *ret, struct err *err)
{
    CLEANUP_LEASES struct leases known = {0};
    struct look l = {.state = state, .leases = &known, .fix = fix};

    /* The leases first: one that is written after this is young. */
    lease_keeper_list(leases, &known);
    if (look_at_processes(&l, err) < 0 || look_at_state(&l, err) < 0) {
        doctor_findings_done(&l.found);
        return err->class;
    }
    *ret = l.found;
    return 0;
}
