/* cli/cmd_discover.c - VMs of a vCenter or ESXi host: what is there, and taking them in.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/cmd_vm.h"
#include "cli/exitcode.h"
#include "cli/output.h"

/* So many in one request: each is a question or two to the server. */
#define BATCH 8

static const struct output_col there_list[] = {
    {"REF", "ref"},
    {"NAME", "name"},
    {"POWER", "power"},
    {"CONNECTION", "connection"},
    {"TEMPLATE", "is_template"},
    {"IN INVENTORY", "in_inventory"},
    {"VM ID", "vm_id"},
    {0},
};

struct discovery {
    struct cli *c;
    const char *credential_id;
    json_t *refs;         /* what to take in */
    json_t *vms, *failed; /* of all requests */
    json_int_t added, refreshed;
};

static int
post(const struct discovery *d, json_t *refs_take, json_t **ret, struct err *err)
{
    CLEANUP_JSON json_t *body = json_pack("{s:s}", "credential_id", d->credential_id);

    if (refs_take)
        json_object_set_new(body, "vm_refs", refs_take);
    return hub_call(&d->c->hub, "POST", "/vms/discover", body, ret, err);
}

static const char *
text_at(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

/* A reference, or a name that only one VM of the server has. */
static int
resolve(struct discovery *d, const json_t *there, const char *word, struct err *err)
{
    const json_t *vm, *found = NULL;
    size_t i, n = 0;

    json_array_foreach(there, i, vm)
    {
        if (strcmp(text_at(vm, "ref"), word) == 0) {
            json_array_append_new(d->refs, json_string(word));
            return 0;
        }
        if (strcmp(text_at(vm, "name"), word) == 0) {
            found = vm;
            n++;
        }
    }
    if (n == 0)
        return err_set(err, ERR_NOT_FOUND, "vcenter_vm_not_found",
                       "the server has no VM with the name or reference '%.300s'", word);
    if (n == 1) {
        json_array_append(d->refs, json_object_get(found, "ref"));
        return 0;
    }
    json_array_foreach(there, i, vm)
    {
        if (strcmp(text_at(vm, "name"), word) == 0)
            cli_complain(d->c, "candidate: %s, %s, %s", text_at(vm, "ref"),
                         text_at(vm, "power"), text_at(vm, "instance_uuid"));
    }
    return err_set(
        err, ERR_EXISTS, "vm_ambiguous",
        "%zu VMs of the server are named '%.300s'; choose one by its reference", n, word);
}

/* What a request of one VM was refused with is that VM's failure. */
static int
take_error(struct discovery *d, const char *ref, size_t n_asked, struct err *err)
{
    if (n_asked != 1 || json_array_size(d->refs) == 1 || err->class == ERR_CANCELLED ||
        err->class == ERR_AUTH)
        return err->class;
    json_array_append_new(d->failed,
                          json_pack("{s:s, s:s, s:s, s:s}", "ref", ref, "name", "",
                                    "code", err->code, "message", err->msg));
    err_clear(err);
    return 0;
}

static int
take_batch(struct discovery *d, size_t from, size_t n, struct err *err)
{
    json_t *refs = json_array();
    CLEANUP_JSON json_t *answer = NULL;

    for (size_t i = 0; i < n; i++)
        json_array_append(refs, json_array_get(d->refs, from + i));
    if (post(d, refs, &answer, err) < 0)
        return take_error(d, json_string_value(json_array_get(d->refs, from)), n, err);
    json_array_extend(d->vms, json_object_get(answer, "vms"));
    json_array_extend(d->failed, json_object_get(answer, "failed"));
    d->added += json_integer_value(json_object_get(answer, "added"));
    d->refreshed += json_integer_value(json_object_get(answer, "refreshed"));
    return 0;
}

static int
report(struct discovery *d, struct err *err)
{
    CLEANUP_JSON json_t *all =
        json_pack("{s:O, s:O, s:I, s:I}", "vms", d->vms, "failed", d->failed, "added",
                  d->added, "refreshed", d->refreshed);
    const json_t *f;
    size_t i;
    int r = vm_list_show(d->c, all, err);

    json_array_foreach(d->failed, i, f)
    {
        cli_complain(d->c, "not taken in: %s %s: %s", text_at(f, "ref"),
                     text_at(f, "name"), text_at(f, "message"));
    }
    cli_say(d->c, "%lld added, %lld refreshed, %zu not taken in", (long long)d->added,
            (long long)d->refreshed, json_array_size(d->failed));
    if (r < 0)
        return r;
    return json_array_size(d->failed) > 0 ? EXIT_PARTIAL : EXIT_OK;
}

static int
take_in(struct discovery *d, const json_t *there, struct err *err)
{
    const struct cli_args *a = &d->c->args;
    const json_t *vm;
    size_t i;
    int r = 0;

    for (unsigned w = 1; w < a->n_words && r == 0; w++)
        r = resolve(d, there, a->words[w], err);
    if (a->value[OPT_ALL])
        json_array_foreach(there, i, vm)
        {
            json_array_append(d->refs, json_object_get(vm, "ref"));
        }
    for (i = 0; r == 0 && i < json_array_size(d->refs); i += BATCH) {
        size_t left = json_array_size(d->refs) - i;

        r = take_batch(d, i, left < BATCH ? left : BATCH, err);
    }
    return r < 0 ? r : report(d, err);
}

int
cmd_vm_discover(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *credential = NULL;
    CLEANUP_JSON json_t *list = NULL, *refs = json_array(), *vms = json_array();
    CLEANUP_JSON json_t *failed = json_array();
    struct discovery d = {.c = c, .refs = refs, .vms = vms, .failed = failed};
    bool only_list = c->args.n_words == 1 && !c->args.value[OPT_ALL];
    int r = 0;

    if (c->args.value[OPT_ALL] && c->args.n_words > 1)
        return err_set(err, ERR_INVALID, "usage", "either --all or VMs");
    r = hub_find(&c->hub, "credential", "credentials", c->args.words[0], &credential,
                 err);
    d.credential_id = credential;
    if (r == 0)
        r = post(&d, NULL, &list, err);
    if (r == 0 && only_list)
        r = output_list(c, list, "vms", there_list, err);
    else if (r == 0)
        return take_in(&d, json_object_get(list, "vms"), err);
    return r < 0 ? r : EXIT_OK;
}
