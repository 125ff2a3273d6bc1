/* client/vsphere_report.c - see vsphere_report.h. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "client/vsphere_report.h"
#include "vim/source.h"

#define CONFIG_FORMAT "vsphere/1"

void
vsphere_report_snapshot(struct vsphere_job *job, bool quiesced, char *chain)
{
    const struct vim_devices *devices = &job->content.devices;
    CLEANUP_FREE struct event_snapshot_disk *disks =
        xcalloc(devices->n_disks + 1, sizeof(*disks));
    CLEANUP_FREE struct event_not_protected *others =
        xcalloc(devices->n_disks + 1, sizeof(*others));
    struct event_snapshot s = {.ref = job->snapshot.value,
                               .name = job->spec->snapshot->name,
                               .stands_on = (char *)vsphere_stands_on(job),
                               .chain = chain,
                               .quiesced = quiesced,
                               .disks = disks,
                               .not_protected = others};
    struct job_event ev = {.type = EVENT_SNAPSHOT, .snapshot = &s};

    for (size_t i = 0; i < devices->n_disks; i++) {
        const struct vim_disk *d = &devices->disks[i];

        if (d->unprotected != VIM_PROTECTED)
            others[s.n_not_protected++] = (struct event_not_protected){
                .key = d->key,
                .label = d->label,
                .reason = (char *)vim_unprotected_to_str(d->unprotected),
                .message = (char *)vim_unprotected_advice(d->unprotected),
            };
        else
            disks[s.n_disks++] = (struct event_snapshot_disk){
                .key = d->key,
                .uuid = d->uuid,
                .size_bytes = d->capacity_bytes,
                .change_id = d->change_id[0] ? d->change_id : NULL,
                .file = d->file,
            };
    }
    output_emit(job->control->output, &ev);
}

static char *
read_nvram(struct vsphere_job *job)
{
    struct err err = ERR_INIT;
    char *nvram = NULL;

    if (vim_read_nvram(job->vc.session, &job->vm, &nvram, &err) < 0)
        vsphere_warn(job, -1, "nvram_unreadable",
                     "the VM's NVRAM is not in the backup: %s", err.msg);
    return nvram;
}

static void
put(json_t *o, const char *key, const char *text)
{
    json_object_set_new(o, key, text ? json_string(text) : json_null());
}

static json_t *
configuration(const struct vim_snapshot *c)
{
    json_t *o = json_object();

    put(o, "format", CONFIG_FORMAT);
    put(o, "name", c->name);
    put(o, "uuid", c->uuid);
    put(o, "guest_id", c->guest_id);
    put(o, "version", c->version);
    put(o, "firmware", c->firmware);
    json_object_set_new(o, "num_cpus", json_integer((json_int_t)c->num_cpus));
    json_object_set_new(o, "memory_mib", json_integer((json_int_t)c->memory_mib));
    put(o, "annotation", c->annotation);
    put(o, "xml", c->config_xml);
    return o;
}

/* As it will be written; some bytes are kept for what the output adds. */
static bool
fits(const struct job_event *ev)
{
    CLEANUP_JSON json_t *j = job_event_encode(ev);
    CLEANUP_FREE char *line = json_line(j);

    return strlen(line) <= EVENT_LINE_MAX - 64;
}

void
vsphere_report_config(struct vsphere_job *job)
{
    CLEANUP_FREE char *nvram = read_nvram(job);
    CLEANUP_JSON json_t *config = configuration(&job->content);
    struct job_event ev = {
        .type = EVENT_VM_CONFIG, .configuration = config, .nvram = nvram};

    if (!job->content.config_xml || !fits(&ev)) {
        json_object_set_new(config, "xml", json_null());
        vsphere_warn(job, -1, "config_too_large",
                     "the VM's whole configuration is too long for the backup; only its "
                     "main points are kept");
    }
    output_emit(job->control->output, &ev);
}

void
vsphere_report_held(struct vsphere_job *job)
{
    struct job_event ev = {.type = EVENT_SNAPSHOT_HELD, .ref = job->snapshot.value};

    output_emit(job->control->output, &ev);
}
