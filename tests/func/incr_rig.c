/* tests/func/incr_rig.c - see incr_rig.h. */
#include <errno.h>
#include <fcntl.h>
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
#include "store/image.h"
#include "store/layer.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_SIZE)

void
incr_check(int r, const struct err *err)
{
    if (r < 0)
        fail_msg("%s (%s)", err->msg, err->code);
}

/* The hub's own handlers; its table asks the catalog for tokens, the job's token is
 * checked by the handlers themselves. */
static const struct http_route routes[] = {
    {"PUT", "/internal/v1/jobs/{job_id}/disks/{key}/manifest", "job", HTTP_BODY_STREAM, 0,
     api_manifest_put, api_manifest_body},
    {"GET", "/internal/v1/jobs/{job_id}/disks/{key}/manifest", "job", HTTP_BODY_NONE, 0,
     api_manifest_get, NULL},
    {"GET", "/internal/v1/jobs/{job_id}/disks/{key}/parent-manifest", "job",
     HTTP_BODY_NONE, 0, api_parent_manifest_get, NULL},
    {.method = NULL},
};

static int
authorize(void *app, const char *token, const char *scope, struct http_call *call,
          struct err *err)
{
    (void)app;
    (void)scope;
    (void)call;
    return token ? 0 : err_set(err, ERR_AUTH, NULL, "no token");
}

void
incr_init(struct incr *w)
{
    struct http_server_options o = {.listen = "127.0.0.1:0",
                                    .routes = routes,
                                    .app = &w->api,
                                    .authorize = authorize};
    char path[RIG_TEXT], catalog[RIG_TEXT];
    struct err err = ERR_INIT;

    *w = (struct incr){.audit_samples = 1024,
                       .limits = {.disks_parallel = 2,
                                  .connections = 2,
                                  .requests = 4,
                                  .request_bytes = 4 * MANIFEST_BLOCK_SIZE}};
    pthread_mutex_init(&w->lock, NULL);
    rig_init(&w->rig);
    uuid_make(w->vm_uuid);
    uuid_make(w->env.hub_uuid);
    rig_path(&w->rig, "repo", path);
    incr_check(repo_create(path, &w->repo, &err), &err);
    incr_check(repo_lock(w->repo, w->env.hub_uuid, 0, &err), &err);
    rig_path(&w->rig, "catalog.db", catalog);
    incr_check(catalog_open(catalog, true, &w->env.catalog, &err), &err);
    rig_path(&w->rig, "jobs", path);
    incr_check(fs_mkdirs(path, 0700, &err), &err);
    w->env.live = live_set_new();
    w->env.run_dir = xstrdup(w->rig.dir);
    w->env.data_dir = xstrdup(w->rig.dir);
    w->env.worker_path = xstrdup(getenv("SENDENSE_WORKER"));
    w->env.deadlines = (struct spec_deadlines){.connect_s = 20, .io_s = 60};
    assert_non_null(w->env.worker_path);
    api_init(&w->api, &w->env);
    incr_check(http_server_start(&o, &w->server, &err), &err);
    w->url = xasprintf("http://%s", http_server_address(w->server));
}

void
incr_done(struct incr *w)
{
    http_server_stop(w->server);
    api_done(&w->api);
    live_set_free(w->env.live);
    catalog_close(w->env.catalog);
    repo_close(w->repo);
    for (size_t i = 0; i < w->n; i++) {
        free(w->disks[i].dirty);
        free(w->disks[i].areas);
    }
    free(w->url);
    free(w->env.run_dir);
    free(w->env.data_dir);
    free(w->env.worker_path);
    rig_done(&w->rig);
    pthread_mutex_destroy(&w->lock);
}

/* --- one backup --- */

static void
serve_source(struct run *r, size_t i)
{
    struct incr *w = r->w;
    static unsigned serial; /* a name is used once: its pid file says that it listens */
    char name[48], path[RIG_TEXT];
    const char *args[24];
    unsigned n = 0;

    incr_raw_path(w, &w->disks[i], path);
    snprintf(name, sizeof(name), "src-%u", ++serial);
    for (; w->filters && w->filters[n]; n++)
        args[n] = w->filters[n];
    args[n++] = "-r";
    args[n++] = "file";
    args[n++] = path;
    args[n] = NULL;
    rig_nbdkit(&w->rig, name, args, &r->source[i]);
}

static void
header_of(const struct point_disk *p, struct manifest_header *ret)
{
    *ret = (struct manifest_header){.disk_size = p->size_bytes};
    manifest_id_from_str(p->layer_id, ret->layer_id);
    manifest_id_from_str(p->parent_layer_id, ret->parent_layer_id);
    manifest_id_from_str(p->disk_uuid, ret->disk_uuid);
}

static void
give_parent(struct run *r, size_t i)
{
    struct chain c = {.n = 0};
    struct err err = ERR_INIT;

    if (r->w->disks[i].read == READ_ALL)
        return;
    incr_check(chain_load_below(r->w->repo, r->point.disks[i].locator, &c, &err), &err);
    incr_check(manifest_in_set_parent(r->manifests, r->w->disks[i].key, &c, &err), &err);
}

static void
make_layer(struct run *r, size_t i)
{
    struct incr *w = r->w;
    struct incr_disk *d = &w->disks[i];
    struct point_disk *p = &r->point.disks[i];
    bool on_parent = d->read != READ_ALL;
    struct repo_layer_spec l = {.locator = p->locator,
                                .parent = on_parent ? d->tip : NULL,
                                .size_bytes = d->size};
    struct manifest_header h;
    CLEANUP_FREE char *name = NULL;
    char path[REPO_PATH_SIZE];
    struct err err = ERR_INIT;

    p->key = d->key;
    p->index = (uint32_t)i;
    p->size_bytes = d->size;
    snprintf(p->disk_uuid, UUID_STR_SIZE, "%s", d->uuid);
    naming_locator_build(w->vm_uuid, d->uuid, w->seq + 1, p->locator);
    uuid_make(p->layer_id);
    if (on_parent)
        snprintf(p->parent_layer_id, UUID_STR_SIZE, "%s", d->tip_layer_id);
    header_of(p, &h);
    incr_check(layer_create(w->repo, &l, &err), &err);
    name = xasprintf("%s.manifest", p->locator);
    incr_check(repo_path(w->repo, name, path, &err), &err);
    incr_check(manifest_in_add(r->manifests, d->key, path, &h, &err), &err);
    incr_check(chain_load_below(w->repo, p->locator, &r->below[i], &err), &err);
    give_parent(r, i);
}

static void
open_target(struct run *r, size_t i)
{
    struct incr *w = r->w;
    char name[NAMING_EXPORT_SIZE], description[NAMING_DESCRIPTION_SIZE], sock[RIG_TEXT];
    struct export_spec e = {.name = name,
                            .description = description,
                            .socket = sock,
                            .size_bytes = w->disks[i].size};
    struct job_spec_disk *s = &r->spec.disks[i];
    const struct point_disk *p = &r->point.disks[i];
    struct err err = ERR_INIT;

    naming_export_make(name);
    naming_description(r->job_id, w->disks[i].key, description);
    rig_path(&w->rig, name, sock);
    incr_check(layer_export_rw(w->repo, p->locator, &e, &r->export[i], &err), &err);
    *s = (struct job_spec_disk){.key = p->key,
                                .size_bytes = p->size_bytes,
                                .source_url = xstrdup(r->source[i].uri),
                                .target = xstrdup(export_uri(r->export[i])),
                                .target_description = xstrdup(description),
                                .read = w->disks[i].read,
                                .reason = w->disks[i].reason};
    memcpy(s->disk_uuid, p->disk_uuid, UUID_STR_SIZE);
    memcpy(s->layer_id, p->layer_id, UUID_STR_SIZE);
    memcpy(s->parent_layer_id, p->parent_layer_id, UUID_STR_SIZE);
}

static void
set_up(struct run *r, struct incr *w)
{
    struct live_disk live[INCR_DISKS];
    char hash[TOKEN_HASH_SIZE];
    struct err err = ERR_INIT;

    *r = (struct run){.w = w};
    uuid_make(r->job_id);
    token_make(r->token);
    token_hash(r->token, hash);
    r->manifests = manifest_in_new(hash);
    r->point.disks = xcalloc(w->n, sizeof(*r->point.disks));
    r->point.n_disks = w->n;
    r->spec = (struct job_spec){.attempt = 1,
                                .vm_ref = xstrdup(""),
                                .vm_name = xstrdup("vm"),
                                .source_type = xstrdup("nbd"),
                                .n_disks = w->n,
                                .disks = xcalloc(w->n, sizeof(*r->spec.disks)),
                                .limits = w->limits,
                                .audit_samples = w->audit_samples,
                                .audit_seed = w->seq + 1,
                                .hub_url = xstrdup(w->url),
                                .job_token = secret_new(r->token, strlen(r->token)),
                                .deadlines = w->env.deadlines};
    memcpy(r->spec.job_id, r->job_id, UUID_STR_SIZE);
    memcpy(r->spec.vm_instance_uuid, w->vm_uuid, UUID_STR_SIZE);
    for (size_t i = 0; i < w->n; i++) {
        struct incr_disk *d = &w->disks[i];

        d->sampled = d->bad = d->warnings = 0;
        d->told_mode = d->read; /* a disk may be cut before its turn came */
        d->told_reason = d->reason;
        d->warning[0] = '\0';
        live[i] = (struct live_disk){.key = d->key, .size_bytes = d->size};
        serve_source(r, i);
        make_layer(r, i);
        open_target(r, i);
    }
    incr_check(
        live_start(w->env.live, LIVE_BACKUP, r->job_id, live, w->n, &r->live, &err),
        &err);
    live_set_manifests(r->live, r->manifests);
}

/* Closes what writes; the files stay. */
static void
close_all(struct run *r)
{
    struct err err = ERR_INIT;

    live_set_manifests(r->live, NULL);
    for (size_t i = 0; i < r->w->n; i++) {
        incr_check(export_stop(r->export[i], NULL, &err), &err);
        export_free(r->export[i]);
        rig_stop(&r->source[i]);
    }
}

static void
tear_down(struct run *r)
{
    live_end(r->live);
    manifest_in_free(r->manifests);
    for (size_t i = 0; i < r->w->n; i++)
        chain_done(&r->below[i]);
    job_spec_done(&r->spec);
    point_done(&r->point);
}

/* --- the end --- */

static void
verify(struct run *r)
{
    struct incr *w = r->w;
    struct verify_disk disks[INCR_DISKS];
    struct verify_run v = {.env = &w->env,
                           .job_id = r->job_id,
                           .attempt = 1,
                           .task = WORKER_VERIFY,
                           .repo = w->repo,
                           .live = r->live,
                           .log = joblog_open(&w->env, r->job_id),
                           .disks = disks,
                           .n = w->n,
                           .limits = &w->limits};
    struct err err = ERR_INIT;

    for (size_t i = 0; i < w->n; i++) {
        struct point_disk *p = &r->point.disks[i];

        disks[i] = (struct verify_disk){.key = p->key,
                                        .disk_uuid = p->disk_uuid,
                                        .size_bytes = p->size_bytes,
                                        .locator = p->locator,
                                        .layer_id = p->layer_id,
                                        .below = &r->below[i]};
        memcpy(disks[i].layer_root, p->layer_root, MANIFEST_HASH_SIZE);
    }
    incr_check(verify_run(&v, &err), &err);
    for (size_t i = 0; i < w->n; i++)
        memcpy(r->point.disks[i].content_root, disks[i].content_root, MANIFEST_HASH_SIZE);
    joblog_close(v.log);
}

static void
write_point(struct run *r)
{
    struct incr *w = r->w;
    struct point *p = &r->point;
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_FREE char *text = NULL;
    CLEANUP_FREE char *name = NULL;
    struct err err = ERR_INIT;

    uuid_make(p->point_id);
    p->seq = w->seq;
    p->time_us = p->created_us = p->started_us = p->completed_us = time_utc_us();
    p->backup_id = xasprintf("backup-%u", w->seq);
    memcpy(p->job_id, r->job_id, UUID_STR_SIZE);
    p->type = BACKUP_INCREMENTAL;
    p->verification = VERIFICATION_VERIFIED;
    p->readback = READBACK_MEDIA;
    memcpy(p->vm_uuid, w->vm_uuid, UUID_STR_SIZE);
    p->vm_name = xstrdup("vm");
    p->source_type = xstrdup("nbd");
    for (size_t i = 0; i < w->n; i++) {
        p->disks[i].read_mode = w->disks[i].told_mode;
        p->disks[i].reason = w->disks[i].told_reason;
    }
    j = point_encode(p);
    text = json_line(j);
    name = point_files_name(w->vm_uuid, w->seq);
    incr_check(repo_put(w->repo, name, text, strlen(text), &err), &err);
}

static void
keep_copy(struct incr *w, struct incr_disk *d)
{
    char from[RIG_TEXT], to[RIG_TEXT];
    const char *argv[] = {"cp", "--sparse=always", from, to, NULL};
    struct err err = ERR_INIT;

    incr_raw_path(w, d, from);
    incr_copy_path(w, d->key, w->seq, to);
    incr_check(child_run(argv, NULL, 0, INCR_STEP_S * 1000, NULL, &err), &err);
}

static void
commit(struct run *r)
{
    struct incr *w = r->w;
    struct err err = ERR_INIT;

    for (size_t i = 0; i < w->n; i++) {
        struct point_disk *p = &r->point.disks[i];

        incr_check(
            manifest_in_seal(r->manifests, p->key, p->layer_root, &p->records, &err),
            &err);
        assert_int_equal(p->records, w->disks[i].records);
        incr_check(layer_sync(w->repo, p->locator, &err), &err);
    }
    verify(r);
    w->seq++;
    write_point(r);
    for (size_t i = 0; i < w->n; i++) {
        struct incr_disk *d = &w->disks[i];

        memcpy(d->tip, r->point.disks[i].locator, sizeof(d->tip));
        memcpy(d->tip_layer_id, r->point.disks[i].layer_id, sizeof(d->tip_layer_id));
        memset(d->dirty, 0, d->blocks * sizeof(*d->dirty));
        keep_copy(w, d);
    }
}

static void
remove_files(struct run *r)
{
    struct err err = ERR_INIT;

    for (size_t i = 0; i < r->w->n; i++) {
        CLEANUP_FREE char *name =
            xasprintf("%s.manifest.part", r->point.disks[i].locator);

        incr_check(repo_remove(r->w->repo, name, true, &err), &err);
        incr_check(layer_remove(r->w->repo, r->point.disks[i].locator, &err), &err);
    }
}

/* --- another attempt --- */

/* As a hub that was started again: two numbers and the files are all it has. */
static void
take_up_manifest(struct run *r, size_t i, const struct resume_checkpoint *from)
{
    const struct point_disk *p = &r->point.disks[i];
    CLEANUP_FREE char *name = xasprintf("%s.manifest", p->locator);
    struct manifest_header h;
    char path[REPO_PATH_SIZE];
    struct err err = ERR_INIT;

    header_of(p, &h);
    incr_check(repo_path(r->w->repo, name, path, &err), &err);
    incr_check(manifest_in_reopen(r->manifests, p->key, path, &h, from->records,
                                  from->block, &err),
               &err);
    give_parent(r, i);
}

static void
take_up_disk(struct run *r, size_t i)
{
    struct incr_disk *d = &r->w->disks[i];
    struct job_spec_disk *s = &r->spec.disks[i];
    const struct resume_checkpoint *from = &r->w->cut.from[i];

    d->bytes = (struct byte_counters){0};
    serve_source(r, i);
    free(s->source_url);
    free(s->target);
    free(s->target_description);
    open_target(r, i);
    s->resume = *from;
    s->read = d->told_mode;
    s->reason = d->told_reason;
}

static void
go_on(struct run *r)
{
    struct incr *w = r->w;
    char hash[TOKEN_HASH_SIZE];
    struct err err = ERR_INIT;

    for (size_t i = 0; i < w->n; i++)
        incr_check(manifest_in_checkpoint(r->manifests, w->disks[i].key,
                                          &w->cut.from[i].block, &w->cut.from[i].records,
                                          &err),
                   &err);
    manifest_in_free(r->manifests);
    token_make(r->token);
    token_hash(r->token, hash);
    r->manifests = manifest_in_new(hash);
    secret_free(r->spec.job_token);
    r->spec.job_token = secret_new(r->token, strlen(r->token));
    r->spec.attempt++;
    for (size_t i = 0; i < w->n; i++) {
        take_up_manifest(r, i, &w->cut.from[i]);
        take_up_disk(r, i);
    }
    live_set_manifests(r->live, r->manifests);
    r->ended = r->ok = false;
    w->cut.why = w->err;
    err_clear(&w->err);
}

static void
copy_disks(struct run *r, bool in_process)
{
    if (in_process)
        incr_copy_here(r);
    else
        incr_copy_by_client(r);
    r->w->cut.attempts = r->spec.attempt;
    assert_true(r->ended);
    for (size_t i = 0; i < r->w->n; i++)
        r->w->cut.read[i] = r->w->disks[i].bytes.read;
    close_all(r);
}

int
incr_backup(struct incr *w, bool in_process)
{
    struct run r;
    int class = 0;

    err_clear(&w->err);
    set_up(&r, w);
    copy_disks(&r, in_process);
    if (!r.ok && r.cut) {
        assert_true(r.retryable);
        go_on(&r);
        copy_disks(&r, in_process);
    }
    if (r.ok)
        commit(&r);
    else
        class = w->err.class;
    if (!r.ok)
        remove_files(&r);
    tear_down(&r);
    return class;
}

void
incr_backup_ok(struct incr *w, bool in_process)
{
    if (incr_backup(w, in_process) < 0)
        fail_msg("%s (%s)", w->err.msg, w->err.code);
    for (size_t i = 0; i < w->n; i++) {
        const struct byte_counters *b = &w->disks[i].bytes;

        assert_int_equal(b->done, w->disks[i].size);
        if (w->cut.attempts == 1)
            assert_int_equal(b->read - b->audit + b->skipped, w->disks[i].size);
    }
}
