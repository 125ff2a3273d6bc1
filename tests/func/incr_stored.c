/* tests/func/incr_stored.c - what of the backups is stored: restored, verified, damaged;
 * see incr_rig.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/handlers.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/catalog.h"
#include "incr_rig_priv.h"
#include "job/joblog.h"
#include "job/manifest_in.h"
#include "job/point_files.h"
#include "job/verify_run.h"
#include "job/worker_run.h"
#include "os/pipe_io.h"
#include "store/image.h"

static void
compare_files(const char *a, const char *b)
{
    const char *argv[] = {"cmp", a, b, NULL};
    struct buf out = BUF_INIT(4096);
    struct err err = ERR_INIT;

    incr_check(child_run(argv, NULL, 0, INCR_STEP_S * 1000, &out, &err), &err);
    buf_done(&out);
}

static void
load_point(struct incr *w, uint32_t seq, struct point *p)
{
    CLEANUP_FREE char *name = point_files_name(w->vm_uuid, seq);
    struct err err = ERR_INIT;

    incr_check(point_files_read(w->repo, name, p, &err), &err);
}

static void
fill(struct incr *w, const struct point_disk *p, struct chain *below,
     struct verify_disk *d)
{
    struct err err = ERR_INIT;

    incr_check(chain_load_below(w->repo, p->locator, below, &err), &err);
    *d = (struct verify_disk){.key = p->key,
                              .disk_uuid = p->disk_uuid,
                              .size_bytes = p->size_bytes,
                              .locator = p->locator,
                              .layer_id = p->layer_id,
                              .below = below,
                              .has_content_root = true};
    memcpy(d->layer_root, p->layer_root, MANIFEST_HASH_SIZE);
    memcpy(d->content_root, p->content_root, MANIFEST_HASH_SIZE);
}

/* Runs a task of the worker over disks that are filled in. */
static int
run_worker(struct incr *w, enum worker_task task, struct verify_disk *disks, size_t n,
           bool chains, struct err *err)
{
    char job_id[UUID_STR_SIZE];
    struct live_disk live[INCR_DISKS];
    struct verify_run v = {.env = &w->env,
                           .job_id = job_id,
                           .attempt = 1,
                           .task = task,
                           .repo = w->repo,
                           .disks = disks,
                           .n = n,
                           .limits = &w->limits};
    int r;

    uuid_make(job_id);
    for (size_t i = 0; i < n; i++)
        live[i] =
            (struct live_disk){.key = disks[i].key, .size_bytes = disks[i].size_bytes};
    incr_check(live_start(w->env.live, LIVE_VERIFY, job_id, live, n, &v.live, err), err);
    v.log = joblog_open(&w->env, job_id);
    r = chains ? verify_run_chains(&v, err) : verify_run(&v, err);
    joblog_close(v.log);
    live_end(v.live);
    return r;
}

static void
restore_by_worker(struct incr *w, const struct point_disk *p, const char *to)
{
    char sock[RIG_TEXT], name[NAMING_EXPORT_SIZE];
    struct export_spec e = {.path = to,
                            .format = "raw",
                            .name = name,
                            .socket = sock,
                            .size_bytes = naming_round_up_512(p->size_bytes)};
    CLEANUP_CHAIN struct chain below = {.n = 0};
    struct verify_disk d;
    struct export *export = NULL;
    struct err err = ERR_INIT;

    naming_export_make(name);
    rig_path(&w->rig, name, sock);
    incr_check(image_create(to, image_format_find("raw"), p->size_bytes, &err), &err);
    incr_check(export_start(&e, &export, &err), &err);
    fill(w, p, &below, &d);
    d.target = export_uri(export);
    incr_check(run_worker(w, WORKER_RESTORE, &d, 1, false, &err), &err);
    incr_check(export_stop(export, NULL, &err), &err);
    export_free(export);
    incr_check(image_finish(to, to, image_format_find("raw"), p->size_bytes, &err), &err);
}

static void
restore_by_qemu(struct incr *w, const struct point_disk *p, const char *to)
{
    CLEANUP_FREE char *name = xasprintf("%s.qcow2", p->locator);
    char from[REPO_PATH_SIZE];
    const char *argv[] = {"qemu-img", "convert", "-f", "qcow2", "-O",
                          "raw",      from,      to,   NULL};
    struct err err = ERR_INIT;

    incr_check(repo_path(w->repo, name, from, &err), &err);
    incr_check(child_run(argv, NULL, 0, INCR_STEP_S * 1000, NULL, &err), &err);
    incr_check(image_finish(to, to, image_format_find("raw"), p->size_bytes, &err), &err);
}

void
incr_check_restore(struct incr *w, uint32_t seq, size_t i)
{
    CLEANUP_POINT struct point p = {.seq = 0};
    char want[RIG_TEXT], got[RIG_TEXT];

    load_point(w, seq, &p);
    incr_copy_path(w, p.disks[i].key, seq, want);
    rig_path(&w->rig, "restored", got);
    restore_by_worker(w, &p.disks[i], got);
    compare_files(want, got);
    unlink(got);
    restore_by_qemu(w, &p.disks[i], got);
    compare_files(want, got);
    unlink(got);
}

void
incr_check_image(struct incr *w, uint32_t seq, size_t i)
{
    CLEANUP_POINT struct point p = {.seq = 0};
    CLEANUP_FREE char *name = NULL;
    char want[RIG_TEXT], image[REPO_PATH_SIZE];
    const char *argv[] = {"qemu-img", "compare", "-q",  "-f", "qcow2",
                          "-F",       "raw",     image, want, NULL};
    struct err err = ERR_INIT;

    load_point(w, seq, &p);
    incr_copy_path(w, p.disks[i].key, seq, want);
    name = xasprintf("%s.qcow2", p.disks[i].locator);
    incr_check(repo_path(w->repo, name, image, &err), &err);
    incr_check(child_run(argv, NULL, 0, INCR_STEP_S * 1000, NULL, &err), &err);
}

int
incr_verify(struct incr *w, bool chains, struct err *err)
{
    CLEANUP_POINT struct point p = {.seq = 0};
    struct verify_disk disks[INCR_DISKS];
    struct chain below[INCR_DISKS] = {{.n = 0}};
    int r;

    load_point(w, w->seq, &p);
    for (size_t i = 0; i < p.n_disks; i++)
        fill(w, &p.disks[i], &below[i], &disks[i]);
    r = run_worker(w, WORKER_VERIFY, disks, p.n_disks, chains, err);
    for (size_t i = 0; i < p.n_disks; i++)
        chain_done(&below[i]);
    return r;
}

void
incr_check_chains(struct incr *w)
{
    struct err err = ERR_INIT;

    incr_check(incr_verify(w, true, &err), &err);
}

void
incr_damage(struct incr *w, const char *locator, uint64_t off)
{
    CLEANUP_FREE char *name = xasprintf("%s.qcow2", locator);
    CLEANUP_FREE char *command =
        xasprintf("write -P 0x77 %llu 512", (unsigned long long)off);
    char path[REPO_PATH_SIZE];
    const char *argv[] = {"qemu-io", "-f", "qcow2", "-c", command, path, NULL};
    struct err err = ERR_INIT;

    incr_check(repo_path(w->repo, name, path, &err), &err);
    incr_check(child_run(argv, NULL, 0, INCR_STEP_S * 1000, NULL, &err), &err);
}
