/* model/vsphere.h - what hub, node and client say about a vCenter.        Layer 1.  Pure.
 * docs/design/protocol.md sections 2 and 3.  Decoding is strict, codes as in jobspec.h.
 */
#ifndef SENDENSE_MODEL_VSPHERE_H
#define SENDENSE_MODEL_VSPHERE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/jobspec.h"
#include "model/vsphere_login.h"

#define VSPHERE_ANSWER_MAX (32u << 20) /* a line: some 50,000 VMs */
#define VSPHERE_VMS_MAX 50000u
#define VSPHERE_DISKS_MAX 512u
#define VSPHERE_SNAPSHOT_PREFIX "sendense-" /* no other is made or removed */
#define VSPHERE_COOKIE_MAX 4088u            /* what os/cookie_box.h holds */
#define VSPHERE_LEASE_MIN_S 30u
#define VSPHERE_LEASE_MAX_S 86400u
#define VSPHERE_LEASE_S 600u

/* ---- questions (node API, and the client's --vsphere) ---- */

#define VSPHERE_QUESTION_LIST(X)                                                         \
    X(VSPHERE_FINGERPRINT, "fingerprint") /* of the certificate; nobody logs in */       \
    X(VSPHERE_TEST, "test")               /* logs in and out */                          \
    X(VSPHERE_LIST, "list")               /* all VMs, light */                           \
    X(VSPHERE_VM, "vm")                   /* one VM with its disks */                    \
    X(VSPHERE_SNAPSHOTS, "snapshots")     /* of all VMs those named like ours */         \
    X(VSPHERE_REMOVE_SNAPSHOT, "remove_snapshot") /* by name, of one VM; none is fine */
enum vsphere_question_kind {
    VSPHERE_QUESTION_LIST(JOBSTATE_ENUM_ITEM) VSPHERE_QUESTION_COUNT
};
const char *vsphere_question_to_str(enum vsphere_question_kind v);
int vsphere_question_from_str(const char *s, enum vsphere_question_kind *ret);

struct vsphere_question {
    enum vsphere_question_kind kind;
    struct vsphere_login login; /* fingerprint: url only */
    char *vm_ref;               /* vm, remove_snapshot; else NULL */
    char *vm_instance_uuid;     /* the same; may be "" */
    char *snapshot_name;        /* remove_snapshot; else NULL */
    /* remove_snapshot: a Cookie header; the session of a client that died, to be ended
     * too; NULL = none */
    struct secret *stale_session;
    struct spec_deadlines deadlines;
};
#define CLEANUP_VSPHERE_QUESTION CLEANUP(vsphere_question_done)
int vsphere_question_decode(const json_t *j, struct vsphere_question *ret,
                            struct err *err);
json_t *vsphere_question_encode(const struct vsphere_question *q);
void vsphere_question_done(struct vsphere_question *q);

struct vsphere_disk {
    uint32_t key; /* the server's own */
    char *label, *bus /* "scsi", "sata", "nvme", "ide", "other" */;
    uint32_t bus_number, unit;
    uint64_t size_bytes;
    char *uuid; /* backing.uuid; "" when the server gives none */
    char *backing, *file, *base_file, *datastore, *mode;
    bool thin, encrypted;
    char *not_protected; /* word, NULL = it is */
    char *advice;        /* a sentence; NULL = protected */
};

struct vsphere_vm {
    char *ref, *name, *instance_uuid, *power, *connection;
    bool is_template;
    /* only of the question "vm", else NULL, 0, false */
    bool has_details;
    char *datacenter, *host, *guest_id, *version, *firmware;
    bool cbt_supported, cbt_enabled, consolidation_needed, tools_running, encrypted;
    uint32_t n_snapshots;
    uint64_t
        allocated_bytes; /* what the datastores hold of it, at most the disks' size */
    struct vsphere_disk *disks;
    size_t n_disks;
};

/* A VM with snapshots whose names are like ours, or one that needs consolidation. */
#define VSPHERE_MARKED_MAX 1024u /* snapshots of a VM */
struct vsphere_marked_snapshot {
    char *name, *description;
};
struct vsphere_marked_vm {
    char *ref, *name, *instance_uuid;
    bool consolidation_needed;
    struct vsphere_marked_snapshot *snapshots; /* parents first */
    size_t n_snapshots;
};
void vsphere_marked_vm_done(struct vsphere_marked_vm *vm);

/* What a snapshot of ours says of itself: "sendense/1 hub=UUID node=ID job=UUID".  False
 * for every other text. */
#define VSPHERE_MARK_NODE_SIZE 64
struct vsphere_mark {
    char hub[UUID_STR_SIZE], node[VSPHERE_MARK_NODE_SIZE], job[UUID_STR_SIZE];
};
bool vsphere_mark_parse(const char *description, struct vsphere_mark *ret);

struct vsphere_answer {
    bool ok;
    char *code, *message; /* not ok */
    enum vsphere_question_kind kind;
    char *sha256;                                /* fingerprint: "AA:BB:…" */
    char *full_name, *api_version, *server_uuid; /* test, list, vm, snapshots: of the
                                                    server */
    struct vsphere_vm *vms;                      /* list: any number; vm: one */
    size_t n_vms;
    struct vsphere_marked_vm *marked; /* snapshots */
    size_t n_marked;
    uint32_t removed; /* remove_snapshot: how many there were */
    bool consolidation_needed;
};
#define CLEANUP_VSPHERE_ANSWER CLEANUP(vsphere_answer_done)
int vsphere_answer_decode(const json_t *j, struct vsphere_answer *ret, struct err *err);
json_t *vsphere_answer_encode(const struct vsphere_answer *a);
void vsphere_answer_done(struct vsphere_answer *a);

/* ---- leases of snapshots (node API) ---- */

#define LEASE_STATE_LIST(X)                                                              \
    X(LEASE_LIVE, "live")         /* its client runs, or it has not ended */             \
    X(LEASE_REMOVING, "removing") /* the node removes the snapshot */
enum lease_state { LEASE_STATE_LIST(JOBSTATE_ENUM_ITEM) LEASE_STATE_COUNT };
const char *lease_state_to_str(enum lease_state v);
int lease_state_from_str(const char *s, enum lease_state *ret);

struct lease {
    char job_id[UUID_STR_SIZE];
    char *snapshot_name, *vm_ref, *vm_name;
    enum lease_state state;
    int64_t expires_us;
    uint32_t attempts; /* removals that failed */
    char *last_error;  /* of the last of them; NULL = none */
};
struct leases { /* {"leases": […]} */
    struct lease *v;
    size_t n;
};
#define LEASES_MAX 4096u
#define CLEANUP_LEASES CLEANUP(leases_done)
int leases_decode(const json_t *j, struct leases *ret, struct err *err);
json_t *leases_encode(const struct leases *l);
void leases_done(struct leases *l);

/* {"v": 1, "lease_s": 600}: the body of a renewal. */
int lease_renewal_decode(const json_t *j, uint32_t *ret_lease_s, struct err *err);
json_t *lease_renewal_encode(uint32_t lease_s);

#endif
