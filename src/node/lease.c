/* node/lease.c - see lease.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node/lease.h"

#define BACKOFF_MIN_S 5u
#define BACKOFF_MAX_S 300u
#define SEALED_MAX (256u * 1024)
#define VM_GONE_ATTEMPTS 14u
#define CONTEXT_SIZE (UUID_STR_SIZE + 8)

void
node_lease_free(struct node_lease *l)
{
    if (!l)
        return;
    free(l->vm_ref);
    free(l->vm_instance_uuid);
    free(l->vm_name);
    free(l->snapshot_name);
    vsphere_login_done(&l->login);
    secret_free(l->session);
    free(l->last_error);
    free(l);
}

void
cleanup_node_lease(struct node_lease **l)
{
    node_lease_free(take_ptr(l));
}

static void
copy_login(const struct vsphere_login *from, struct vsphere_login *to)
{
    to->url = xstrdup(from->url);
    to->user = xstrdup(from->user);
    to->password = secret_new(secret_reveal(from->password), secret_len(from->password));
    to->ca_pem = xstrdup(from->ca_pem);
    to->sha256 = xstrdup(from->sha256);
}

struct node_lease *
node_lease_of_spec(const struct job_spec *spec, int64_t now_us)
{
    struct node_lease *l = xcalloc(1, sizeof(*l));

    memcpy(l->job_id, spec->job_id, sizeof(l->job_id));
    l->vm_ref = xstrdup(spec->vm_ref);
    l->vm_instance_uuid = xstrdup(spec->vm_instance_uuid);
    l->vm_name = xstrdup(spec->vm_name);
    l->snapshot_name = xstrdup(spec->snapshot->name);
    copy_login(&spec->vsphere->login, &l->login);
    l->deadlines = spec->deadlines;
    l->expires_us = now_us + (int64_t)spec->snapshot->lease_s * 1000000;
    return l;
}

bool
node_lease_set_session(struct node_lease *l, const char *cookie)
{
    const char *old = l->session ? secret_reveal(l->session) : "";

    if (strcmp(old, cookie) == 0)
        return false;
    secret_free(l->session);
    l->session = cookie[0] ? secret_new(cookie, strlen(cookie)) : NULL;
    return true;
}

struct vsphere_question
node_lease_question(const struct node_lease *l)
{
    return (struct vsphere_question){
        .kind = VSPHERE_REMOVE_SNAPSHOT,
        .login = l->login,
        .vm_ref = l->vm_ref,
        .vm_instance_uuid = l->vm_instance_uuid,
        .snapshot_name = l->snapshot_name,
        .stale_session = l->session,
        .deadlines = l->deadlines,
    };
}

/* A sealed login cannot be moved to the lease of another job. */
static void
context_of(const char *job_id, char out[CONTEXT_SIZE])
{
    snprintf(out, CONTEXT_SIZE, "lease:%s", job_id);
}

/* The question itself is what is sealed: it holds all that a removal takes, and has a
 * codec. */
static int
seal_question(const struct node_lease *l, const struct seal_key *key, char **ret,
              struct err *err)
{
    struct vsphere_question q = node_lease_question(l);
    CLEANUP_JSON json_t *j = vsphere_question_encode(&q);
    CLEANUP_FREE char *line = json_line(j);
    CLEANUP_SECRET struct secret *plain = secret_new(line, strlen(line));
    char context[CONTEXT_SIZE];

    explicit_bzero(line, strlen(line));
    context_of(l->job_id, context);
    return seal_text(key, context, plain, ret, err);
}

int
node_lease_encode(const struct node_lease *l, const struct seal_key *key, json_t **ret,
                  struct err *err)
{
    CLEANUP_FREE char *sealed = NULL;
    char expires[TIME_STR_SIZE];

    if (seal_question(l, key, &sealed, err) < 0)
        return err->class;
    time_utc_to_str(l->expires_us, expires);
    *ret = json_pack("{s:i, s:s, s:s, s:s, s:b, s:s}", "v", 1, "job_id", l->job_id,
                     "vm_name", l->vm_name, "expires", expires, "removing", l->removing,
                     "question", sealed);
    return *ret ? 0 : err_set(err, ERR_INTERNAL, NULL, "the lease cannot be written");
}

static void
take_question(struct node_lease *l, struct vsphere_question *q)
{
    l->vm_ref = take_ptr(&q->vm_ref);
    l->vm_instance_uuid = take_ptr(&q->vm_instance_uuid);
    l->snapshot_name = take_ptr(&q->snapshot_name);
    l->login = q->login;
    q->login = (struct vsphere_login){0};
    l->session = take_ptr(&q->stale_session);
    l->deadlines = q->deadlines;
}

static int
unseal_question(struct node_lease *l, const char *sealed, const struct seal_key *key,
                struct err *err)
{
    CLEANUP_VSPHERE_QUESTION struct vsphere_question q = {0};
    CLEANUP_SECRET struct secret *plain = NULL;
    CLEANUP_JSON json_t *j = NULL;
    char context[CONTEXT_SIZE];

    context_of(l->job_id, context);
    if (unseal_text(key, context, sealed, &plain, err) < 0 ||
        json_parse(secret_reveal(plain), secret_len(plain), &j, err) < 0 ||
        vsphere_question_decode(j, &q, err) < 0)
        return err->class;
    if (q.kind != VSPHERE_REMOVE_SNAPSHOT)
        return err_set(err, ERR_CORRUPT, NULL, "the lease holds another question");
    take_question(l, &q);
    return 0;
}

int
node_lease_decode(const json_t *j, const struct seal_key *key, struct node_lease **ret,
                  struct err *err)
{
    CLEANUP_NODE_LEASE struct node_lease *l = xcalloc(1, sizeof(*l));
    const char *id, *expires, *sealed;
    struct jreader r;

    jreader_init(&r, j, "lease", err);
    if (jget_u64(&r, "v") != 1 && err->class == 0)
        return err_set(err, ERR_INVALID, "unsupported_version",
                       "a lease of another version");
    id = jget_str(&r, "job_id");
    l->vm_name = xstrdup(jget_str(&r, "vm_name"));
    expires = jget_str(&r, "expires");
    l->removing = jget_bool(&r, "removing");
    sealed = jget_str(&r, "question");
    if (jreader_end(&r) < 0)
        return err->class;
    if (!uuid_is_valid(id) || time_utc_from_str(expires, &l->expires_us) < 0 ||
        strlen(sealed) > SEALED_MAX)
        return err_set(err, ERR_INVALID, "invalid_field", "a lease that makes no sense");
    memcpy(l->job_id, id, UUID_STR_SIZE);
    if (unseal_question(l, sealed, key, err) < 0)
        return err->class;
    l->dirty = true;
    *ret = take_ptr(&l);
    return 0;
}

bool
node_lease_same_vm(const struct node_lease *a, const struct node_lease *b)
{
    return strcmp(a->login.url, b->login.url) == 0 && strcmp(a->vm_ref, b->vm_ref) == 0;
}

void
node_lease_view(const struct node_lease *l, struct lease *ret)
{
    *ret = (struct lease){
        .snapshot_name = xstrdup(l->snapshot_name),
        .vm_ref = xstrdup(l->vm_ref),
        .vm_name = xstrdup(l->vm_name),
        .state = l->removing ? LEASE_REMOVING : LEASE_LIVE,
        .expires_us = l->expires_us,
        .attempts = l->attempts,
        .last_error = xstrdup(l->last_error),
    };
    memcpy(ret->job_id, l->job_id, sizeof(ret->job_id));
}

bool
node_lease_failed(struct node_lease *l, const char *code)
{
    l->attempts++;
    l->not_found = strcmp(code, "vcenter_vm_not_found") == 0 ? l->not_found + 1 : 0;
    return l->not_found >= VM_GONE_ATTEMPTS;
}

unsigned
node_lease_backoff_s(uint32_t attempts)
{
    unsigned s = BACKOFF_MIN_S;

    for (; attempts > 1 && s < BACKOFF_MAX_S; attempts--)
        s *= 2;
    return s < BACKOFF_MAX_S ? s : BACKOFF_MAX_S;
}
