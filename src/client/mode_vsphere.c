/* client/mode_vsphere.c - one question to a vCenter: docs/design/protocol.md 2.1. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "client/modes.h"
#include "client/question.h"
#include "client/vcenter.h"
#include "client/vsphere_remove.h"
#include "client/vsphere_vm.h"

static void
put_server(const struct vim_session *s, struct vsphere_answer *a)
{
    const struct vim_about *about = vim_about(s);

    a->full_name = xstrdup(about->full_name);
    a->api_version = xstrdup(about->api_version);
    a->server_uuid = xstrdup(about->instance_uuid);
}

static int
list(struct vim_session *s, struct vsphere_answer *a, struct err *err)
{
    CLEANUP_VIM_VM_ITEMS struct vim_vm_items items = {0};

    if (vim_list_vms(s, &items, err) < 0)
        return err->class;
    a->vms = xcalloc(items.n + 1, sizeof(*a->vms));
    for (; a->n_vms < items.n; a->n_vms++)
        vsphere_vm_of_item(&items.v[a->n_vms], &a->vms[a->n_vms]);
    return 0;
}

static void
put_marked(const struct vim_vm_snapshots *vm, struct vsphere_marked_vm *ret)
{
    *ret = (struct vsphere_marked_vm){
        .ref = xstrdup(vm->item.ref.value),
        .name = xstrdup(vm->item.name),
        .instance_uuid = xstrdup(vm->item.instance_uuid),
        .consolidation_needed = vm->consolidation_needed,
        .snapshots = xcalloc(vm->n_snapshots + 1, sizeof(*ret->snapshots)),
    };
    for (; ret->n_snapshots < vm->n_snapshots; ret->n_snapshots++) {
        const struct vim_snapshot_item *s = &vm->snapshots[ret->n_snapshots];

        ret->snapshots[ret->n_snapshots] = (struct vsphere_marked_snapshot){
            .name = xstrdup(s->name), .description = xstrdup(s->description)};
    }
}

static int
marked_snapshots(struct vim_session *s, struct vsphere_answer *a, struct err *err)
{
    CLEANUP_VIM_VM_SNAPSHOTS struct vim_vm_snapshots_list l = {0};

    if (vim_list_snapshots(s, VSPHERE_SNAPSHOT_PREFIX, &l, err) < 0)
        return err->class;
    a->marked = xcalloc(l.n + 1, sizeof(*a->marked));
    for (; a->n_marked < l.n; a->n_marked++)
        put_marked(&l.v[a->n_marked], &a->marked[a->n_marked]);
    return 0;
}

static int
one_vm(struct vim_session *s, const struct vsphere_question *q, struct vsphere_answer *a,
       struct err *err)
{
    CLEANUP_VIM_VM struct vim_vm vm = {0};
    struct moref ref;

    if (vim_find_vm(s, q->vm_ref, q->vm_instance_uuid, &ref, err) < 0 ||
        vim_read_vm(s, &ref, &vm, err) < 0)
        return err->class;
    a->vms = xcalloc(1, sizeof(*a->vms));
    if (vsphere_vm_of_vim(&vm, &a->vms[0], err) < 0)
        return err->class;
    a->n_vms = 1;
    return 0;
}

static int
remove_snapshot(struct vim_session *s, const struct vsphere_question *q,
                struct vsphere_answer *a, struct err *err)
{
    struct err why = ERR_INIT;
    struct moref ref;

    if (vim_find_vm(s, q->vm_ref, q->vm_instance_uuid, &ref, err) < 0 ||
        vsphere_remove_named(s, &ref, q->snapshot_name, &a->removed, err) < 0)
        return err->class;
    a->consolidation_needed = vsphere_consolidate_after(s, &ref, &why) != 0;
    if (a->consolidation_needed)
        log_warn("the disks need consolidation: %s",
                 why.class ? why.msg : "something keeps a disk open");
    return 0;
}

static void
note_cookie(void *arg, const char *cookie)
{
    bool *has_session = arg;

    *has_session = cookie[0] != '\0';
}

static int
ask(const struct vsphere_question *q, int cancel_fd, bool *has_session,
    struct vsphere_answer *a, struct err *err)
{
    CLEANUP_VCENTER struct vcenter vc = {0};
    char fingerprint[TLS_FINGERPRINT_STR];

    if (q->kind == VSPHERE_FINGERPRINT) {
        if (vcenter_fingerprint(q->login.url, &q->deadlines, cancel_fd, fingerprint,
                                err) < 0)
            return err->class;
        a->sha256 = xstrdup(fingerprint);
        return 0;
    }
    if (vcenter_open(&vc, &q->login, &q->deadlines, cancel_fd, q->stale_session,
                     note_cookie, has_session, err) < 0)
        return err->class;
    put_server(vc.session, a);
    switch (q->kind) {
    case VSPHERE_LIST:
        return list(vc.session, a, err);
    case VSPHERE_VM:
        return one_vm(vc.session, q, a, err);
    case VSPHERE_SNAPSHOTS:
        return marked_snapshots(vc.session, a, err);
    case VSPHERE_REMOVE_SNAPSHOT:
        return remove_snapshot(vc.session, q, a, err);
    case VSPHERE_TEST:
    case VSPHERE_FINGERPRINT:
    case VSPHERE_QUESTION_COUNT:
        return 0;
    }
    return 0;
}

/* What went wrong is an answer too. */
static void
ask_and_tell(const struct vsphere_question *q, int cancel_fd, struct vsphere_answer *ret)
{
    bool has_session = q->stale_session != NULL;
    struct err err = ERR_INIT;

    ret->kind = q->kind;
    if (ask(q, cancel_fd, &has_session, ret, &err) == 0 && has_session &&
        q->stale_session)
        err_set(&err, ERR_UNAVAILABLE, "session_left",
                "the session of a client that died could not be ended");
    ret->ok = err.class == 0;
    if (ret->ok)
        return;
    ret->code = xstrdup(err.code);
    ret->message = xstrdup(err.msg);
}

static int
answer(const json_t *question, struct control *c, json_t **ret, struct err *err)
{
    CLEANUP_VSPHERE_QUESTION struct vsphere_question q = {0};
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};

    if (vsphere_question_decode(question, &q, err) < 0)
        return err->class;
    ask_and_tell(&q, copy_stop_fd(c->stop), &a);
    *ret = vsphere_answer_encode(&a);
    return 0;
}

int
mode_vsphere(int signal_fd)
{
    return question_run(signal_fd, "question", answer);
}
