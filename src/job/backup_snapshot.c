/* The snapshot that a backup of a VM of a vCenter reads from.  The node's client makes it
 * and removes it; the node removes it where the client cannot; the hub keeps its lease
 * alive, writes down what it showed, and knows whether it is still there. */
#include "job/backup_priv.h"

#include <string.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup_update.h"
#include "job/bus.h"
#include "job/credentials.h"
#include "job/journal.h"
#include "job/snapshot_lease.h"

#define TRANSPORT "https"
#define CONNECTIONS 4u
/* A client that warns without end fills the log, not the catalog. */
#define WARNINGS_MAX 100u

int
backup_snapshot_intend(struct backup_job *b, struct err *err)
{
    CLEANUP_FREE char *key = NULL;

    if (!b->vsphere || b->vsphere->res_snapshot)
        return 0;
    key = xasprintf("%s:%s", b->row.node_id, b->row.snapshot_name);
    if (journal_intent(b->env, b->row.job_id, RES_SNAPSHOT, key,
                       &b->vsphere->res_snapshot, err) < 0)
        return err->class;
    FAILPOINT(SNAPSHOT_INTENT);
    return 0;
}

int
backup_snapshot_spec(const struct backup_job *b, struct job_spec *s, struct err *err)
{
    const struct backup_vsphere *v = b->vsphere;

    if (!v)
        return 0;
    free(s->source_type);
    free(s->vm_ref);
    s->source_type = xstrdup("vsphere");
    s->vm_ref = xstrdup(v->vm_ref);
    memset(s->vm_instance_uuid, 0, sizeof s->vm_instance_uuid);
    strncpy(s->vm_instance_uuid, v->instance_uuid, sizeof s->vm_instance_uuid - 1);
    s->vsphere = xcalloc(1, sizeof *s->vsphere);
    s->vsphere->transport = xstrdup(TRANSPORT);
    s->vsphere->quiesce = v->quiesce;
    s->vsphere->connections = CONNECTIONS;
    s->snapshot = xcalloc(1, sizeof *s->snapshot);
    s->snapshot->name = xstrdup(b->row.snapshot_name);
    s->snapshot->description = xasprintf("sendense/1 hub=%s node=%s job=%s",
                                         b->env->hub_uuid, b->row.node_id, b->row.job_id);
    s->snapshot->lease_s = b->env->lease_s;
    s->snapshot->existing_ref = v->snapshot_ref ? xstrdup(v->snapshot_ref) : NULL;
    if (v->snapshot_ref && v->snapshot_chain)
        s->snapshot->existing_chain = xstrdup(v->snapshot_chain);
    return credentials_login_by_id(b->env, v->credential_id, &s->vsphere->login, err);
}

/* A warning is for people: one that cannot be stored fails nothing. */
void
backup_warn(struct backup_job *b, const char *code, const char *message)
{
    struct cat_event e = {.severity = "warning",
                          .type = "backup.warning",
                          .code = code,
                          .message = message,
                          .job_id = b->row.job_id,
                          .backup_id = b->row.backup_id,
                          .vm_id = b->row.vm_id};
    struct err err = ERR_INIT;

    joblog_line(b->log, LOG_LEVEL_WARN, "warning code=%s message='%s'", code, message);
    if (b->n_warnings++ >= WARNINGS_MAX)
        return;
    if (bus_emit(b->env, &e, &err) < 0)
        joblog_line(b->log, LOG_LEVEL_WARN, "store the warning: %s, ignoring", err.msg);
    else
        bus_wake(b->env->bus);
}

void
backup_warn_not_protected(struct backup_job *b)
{
    json_t *d;
    size_t i;

    if (!b->vsphere)
        return;
    json_array_foreach(b->vsphere->not_protected, i, d)
    {
        CLEANUP_FREE char *text =
            xasprintf("disk %lld ('%s') is not in the backup: %s",
                      (long long)json_integer_value(json_object_get(d, "key")),
                      json_string_value(json_object_get(d, "label")),
                      json_string_value(json_object_get(d, "message")));

        backup_warn(b, json_string_value(json_object_get(d, "reason")), text);
    }
}

static bool
is_listed(const json_t *list, uint32_t key)
{
    const json_t *d;
    size_t i;

    json_array_foreach(list, i, d)
    {
        if (json_integer_value(json_object_get(d, "key")) == (json_int_t)key)
            return true;
    }
    return false;
}

/* What the plan did not know yet. */
static void
add_not_protected(struct backup_job *b, const struct event_snapshot *s)
{
    for (size_t i = 0; i < s->n_not_protected; i++) {
        const struct event_not_protected *d = &s->not_protected[i];

        if (is_listed(b->vsphere->not_protected, d->key))
            continue;
        json_array_append_new(b->vsphere->not_protected,
                              json_pack("{s:I, s:s, s:s, s:s}", "key", (json_int_t)d->key,
                                        "label", d->label, "reason", d->reason, "message",
                                        d->message));
        backup_warn(b, d->reason, d->message);
    }
}

static int
take_disks(struct backup_job *b, const struct event_snapshot *s, struct err *err)
{
    for (size_t i = 0; i < s->n_disks; i++) {
        const struct event_snapshot_disk *e = &s->disks[i];
        struct bdisk *d = backup_disk(b, e->key);

        if (!d)
            continue;
        joblog_line(b->log, LOG_LEVEL_INFO,
                    "disk device_key=%u snapshot change_id=%s file='%s'", e->key,
                    e->change_id ? e->change_id : "-", e->file);
        if (e->size_bytes != d->row->size_bytes) {
            b->bad_disk = d->row->disk_index;
            return err_set(err, ERR_EXISTS, "vm_changed",
                           "disk %u has %llu bytes in the snapshot, %llu when the backup "
                           "was started: start it again",
                           e->key, (unsigned long long)e->size_bytes,
                           (unsigned long long)d->row->size_bytes);
        }
        d->in_snapshot = true;
        free(d->change_id);
        d->change_id = e->change_id ? xstrdup(e->change_id) : NULL;
        free(d->frozen_file);
        d->frozen_file = e->file[0] ? xstrdup(e->file) : NULL;
        free(d->frozen_on);
        d->frozen_on = s->stands_on[0] ? xstrdup(s->stands_on) : NULL;
    }
    for (size_t i = 0; i < b->n; i++)
        if (!b->disks[i].in_snapshot) {
            b->bad_disk = b->disks[i].row->disk_index;
            return err_set(err, ERR_PROTOCOL, "client_protocol",
                           "the client's snapshot lacks disk %lld",
                           (long long)b->disks[i].row->device_key);
        }
    return 0;
}

static int
on_snapshot(struct backup_job *b, const struct job_event *e, struct err *err)
{
    const struct event_snapshot *s = e->snapshot;
    struct backup_vsphere *v = b->vsphere;
    struct cat_snapshot row = {.ref = s->ref, .chain = s->chain, .quiesced = s->quiesced};
    CLEANUP_FREE char *list = NULL;

    FAILPOINT(SNAPSHOT_EVENT);
    joblog_line(b->log, LOG_LEVEL_INFO, "snapshot ref=%s name='%s' quiesced=%s", s->ref,
                s->name, s->quiesced ? "yes" : "no");
    if (take_disks(b, s, err) < 0)
        return err->class;
    add_not_protected(b, s);
    list = json_line(v->not_protected);
    row.not_protected = list;
    /* A snapshot that an earlier attempt made keeps its moment. */
    if (!v->snapshot_ref && backup_set_moment(b, e->time_us, err) < 0)
        return err->class;
    if (cat_backup_set_snapshot(b->env->catalog, b->row.job_id, &row, err) < 0)
        return err->class;
    free(v->snapshot_ref);
    v->snapshot_ref = xstrdup(s->ref);
    free(v->snapshot_chain);
    v->snapshot_chain = s->chain ? xstrdup(s->chain) : NULL;
    return journal_held(b->env, b->row.job_id, b->vsphere->res_snapshot, NULL, err);
}

void
backup_snapshot_forget(struct backup_job *b)
{
    struct err err = ERR_INIT;

    free(b->vsphere->snapshot_ref);
    b->vsphere->snapshot_ref = NULL;
    free(b->vsphere->snapshot_chain);
    b->vsphere->snapshot_chain = NULL;
    /* A row that still has it costs another attempt that finds it gone. */
    if (cat_backup_forget_snapshot(b->env->catalog, b->row.job_id, &err) < 0)
        joblog_line(b->log, LOG_LEVEL_WARN, "%s, ignoring", err.msg);
}

int
backup_snapshot_event(struct backup_job *b, const struct job_event *e, struct err *err)
{
    struct backup_vsphere *v = b->vsphere;

    if (!v)
        return err_set(
            err, ERR_PROTOCOL, "client_protocol",
            "the client speaks of a snapshot, which this source does not have");
    switch (e->type) {
    case EVENT_SNAPSHOT:
        return on_snapshot(b, e, err);
    case EVENT_VM_CONFIG:
        json_decref(v->configuration);
        v->configuration = json_deep_copy(e->configuration);
        free(v->nvram);
        v->nvram = e->nvram ? xstrdup(e->nvram) : NULL;
        joblog_line(b->log, LOG_LEVEL_INFO, "configuration of the VM kept, nvram=%s",
                    v->nvram ? "yes" : "no");
        return 0;
    default:
        joblog_line(b->log, LOG_LEVEL_INFO, "snapshot removed ref=%s", e->ref);
        journal_released(b->env, b->row.job_id, &v->res_snapshot);
        backup_snapshot_forget(b);
        if (e->consolidation_needed)
            backup_warn(b, "consolidation_needed",
                        "the snapshot is removed, but the server says that the disks of "
                        "the VM need consolidation");
        return 0;
    }
}

/* Every third of its time, so that two renewals may be lost. */
void
backup_snapshot_renew(struct backup_job *b)
{
    struct backup_vsphere *v = b->vsphere;
    struct err err = ERR_INIT;

    if (!v || !v->res_snapshot ||
        time_mono_ns() - v->renewed_ns < b->env->lease_s / 3 * NS_PER_S)
        return;
    if (node_client_lease_renew(b->node, b->row.job_id, b->env->lease_s, &err) < 0 &&
        err.class != ERR_NOT_FOUND) {
        joblog_line(b->log, LOG_LEVEL_WARN, "renew the lease of the snapshot: %s",
                    err.msg);
        if (err.class != ERR_EXISTS)
            return; /* again with the next page of events */
    }
    v->renewed_ns = time_mono_ns();
}

void
backup_snapshot_settle(struct backup_job *b)
{
    struct err err = ERR_INIT;

    if (!b->vsphere || !b->vsphere->res_snapshot)
        return;
    if (snapshot_lease_settle(b->node, b->row.job_id, &err) >= 0)
        journal_released(b->env, b->row.job_id, &b->vsphere->res_snapshot);
    else
        backup_warn(b, err.code, err.msg);
}
