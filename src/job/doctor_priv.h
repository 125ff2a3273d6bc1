/* job/doctor_priv.h - what the files of the doctor share.                     Layer 3. */
#ifndef SENDENSE_JOB_DOCTOR_PRIV_H
#define SENDENSE_JOB_DOCTOR_PRIV_H

#include "catalog/cat_resource.h"
#include "job/doctor.h"
#include "os/proc_scan.h"

/* In the order in which they are done: what holds a thing open goes before the thing. */
enum doctor_action {
    DOCTOR_LEAVE,
    DOCTOR_END_PROCESS,     /* process */
    DOCTOR_ASK_NODE,        /* id: the node */
    DOCTOR_SETTLE,          /* a round of job/recover.h */
    DOCTOR_UNLINK,          /* name: absolute path */
    DOCTOR_REMOVE_FOLDER,   /* name: absolute path */
    DOCTOR_REMOVE_FILE,     /* id: the repository; name: in it */
    DOCTOR_END_LEASE,       /* id: the node; name: the job */
    DOCTOR_REMOVE_SNAPSHOT, /* id: the credential; name; vm_ref, vm_uuid */
    DOCTOR_ACTIONS
};
struct doctor_fix {
    enum doctor_action action;
    struct child_id process;
    char *id, *name, *vm_ref, *vm_uuid;
};

/* Who has a file or a socket open. */
struct doctor_fd {
    pid_t pid;
    char *target;
};

struct doctor_look {
    struct job_env *env;
    const struct doctor_how *how;
    uint64_t deadline_ns;   /* what would begin later is not looked at, and says so */
    struct proc_list procs; /* read before the journal: what is in both is owned */
    struct doctor_fd *fds;  /* images of repositories, sockets */
    size_t n_fds;
    struct cat_resources journal; /* open entries */
    struct doctor_findings found;
    struct doctor_fix *fixes; /* one for each of found, as far as there is one */
    size_t n_fixes;
};

/* The last finding can be mended so; strings are copied. */
void doctor_fixable(struct doctor_look *l, const struct doctor_fix *how);

/* Nothing that takes long may begin any more. */
bool doctor_out_of_time(const struct doctor_look *l);

bool doctor_is_live(const struct doctor_look *l, const char *job_id);
/* Is there an open entry of @kind (NULL = any) with that key? */
bool doctor_in_journal(const struct doctor_look *l, const char *kind, const char *key);
/* A process that descends from this hub. */
bool doctor_is_own(const struct doctor_look *l, pid_t pid);
/* "qemu-nbd (pid 12), …" of those who have @target open and are not ours; NULL = nobody.
 * *ret_any: somebody, ours or not. */
char *doctor_others(const struct doctor_look *l, const char *target, bool *ret_any);

/* Each part adds its findings; what fails is a finding too. */
void doctor_look_processes(struct doctor_look *l);
void doctor_look_ports(struct doctor_look *l);
void doctor_look_run_folder(struct doctor_look *l);
void doctor_look_scratch(struct doctor_look *l);
void doctor_look_journal(struct doctor_look *l);
void doctor_look_repositories(struct doctor_look *l);
void doctor_look_nodes(struct doctor_look *l);

struct cat_repository;
struct repo;
/* The points of one repository against its files and the catalog. */
void doctor_look_points(struct doctor_look *l, const struct cat_repository *row,
                        struct repo *repo, const char *where);

struct leases;
/* The snapshots at the servers that are reached through node @node_id; its leases. */
void doctor_look_vcenters(struct doctor_look *l, const char *node_id,
                          const struct leases *leases);

int doctor_mend(struct job_env *env, const struct doctor_fix *how, struct err *err);

#endif
