/* model/doctor.h - what a look at a hub, a node or a vCenter found.          Layer 1.
 * Pure.  docs/API_REFERENCE.md "Doctor", docs/design/protocol.md 2.3.  Each kind has its
 * severity, an explanation and the mend; the table of doctor.c is the only place that
 * knows them. */
#ifndef SENDENSE_MODEL_DOCTOR_H
#define SENDENSE_MODEL_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "model/jobstate.h"

#define DOCTOR_FINDINGS_MAX 10000u
#define DOCTOR_TEXT_MAX 1000u

#define DOCTOR_SEVERITY_LIST(X)                                                          \
    X(DOCTOR_INFO, "info")       /* shown; nothing is wrong */                           \
    X(DOCTOR_WARNING, "warning") /* does not agree; no backup is at risk */              \
    X(DOCTOR_ERROR, "error")                                                             \
    X(DOCTOR_UNKNOWN, "unknown") /* could not be looked at */
enum doctor_severity { DOCTOR_SEVERITY_LIST(JOBSTATE_ENUM_ITEM) DOCTOR_SEVERITY_COUNT };
const char *doctor_severity_to_str(enum doctor_severity v);
int doctor_severity_from_str(const char *s, enum doctor_severity *ret);

#define DOCTOR_KIND_LIST(X)                                                              \
    X(DOCTOR_HUB_AWAY, "hub_unreachable") /* of the command line alone */                \
    X(DOCTOR_PROCESS_ORPHAN, "process_orphan")                                           \
    X(DOCTOR_PROCESS_UNJOURNALLED, "process_unjournalled")                               \
    X(DOCTOR_PORT_TAKEN, "port_taken")                                                   \
    X(DOCTOR_SOCKET_STALE, "socket_stale")                                               \
    X(DOCTOR_FOLDER_STALE, "folder_stale")                                               \
    X(DOCTOR_RUN_FOREIGN, "run_folder_foreign")                                          \
    X(DOCTOR_SCRATCH_STALE, "scratch_stale")                                             \
    X(DOCTOR_JOURNAL_DEAD, "journal_dead_process")                                       \
    X(DOCTOR_JOURNAL_LEFT, "journal_left")                                               \
    X(DOCTOR_JOB_DEAD, "job_without_thread")                                             \
    X(DOCTOR_REPO_AWAY, "repository_unavailable")                                        \
    X(DOCTOR_REPO_LOCK, "repository_lock")                                               \
    X(DOCTOR_IMAGE_LOCKED, "image_locked")                                               \
    X(DOCTOR_FILE_STRAY, "file_stray")                                                   \
    X(DOCTOR_POINT_WITHOUT_ROW, "point_without_row")                                     \
    X(DOCTOR_ROW_WITHOUT_POINT, "row_without_point")                                     \
    X(DOCTOR_POINT_UNREADABLE, "point_unreadable")                                       \
    X(DOCTOR_LAYER_MISSING, "layer_missing")                                             \
    X(DOCTOR_MANIFEST_MISSING, "manifest_missing")                                       \
    X(DOCTOR_CHAIN_HEADER, "chain_header")                                               \
    X(DOCTOR_NODE_AWAY, "node_unreachable")                                              \
    X(DOCTOR_NODE_STATE, "node_state_stray")                                             \
    X(DOCTOR_LEASE_UNKNOWN, "lease_unknown_job")                                         \
    X(DOCTOR_LEASE_STUCK, "lease_stuck")                                                 \
    X(DOCTOR_VCENTER_AWAY, "vcenter_unreachable")                                        \
    X(DOCTOR_SNAPSHOT_ORPHAN, "snapshot_orphan")                                         \
    X(DOCTOR_SNAPSHOT_GONE, "snapshot_gone")                                             \
    X(DOCTOR_SNAPSHOT_FOREIGN, "snapshot_foreign")                                       \
    X(DOCTOR_CONSOLIDATION, "consolidation_needed")                                      \
    X(DOCTOR_LOOK_FAILED, "look_failed")
enum doctor_kind { DOCTOR_KIND_LIST(JOBSTATE_ENUM_ITEM) DOCTOR_KIND_COUNT };
const char *doctor_kind_to_str(enum doctor_kind v);

/* Words, not enums: a node of another version may know other kinds. */
struct doctor_finding {
    char *kind;
    enum doctor_severity severity;
    char *where;      /* "hub", "node 'local'", "repository 'local'", "vCenter 'vc1'" */
    char *what;       /* what was seen: names the thing */
    const char *why;  /* what that means: of the table, or owned by text */
    const char *mend; /* what to do */
    char *texts[2];   /* owned copies behind why and mend when they came by wire */
    bool fixable;     /* --fix would mend it */
    bool fixed;       /* it was mended, and another look did not find it any more */
    char *problem;    /* why mending failed; NULL = it was not tried, or worked */
};
struct doctor_findings {
    struct doctor_finding *v;
    size_t n;
};
#define CLEANUP_DOCTOR_FINDINGS CLEANUP(doctor_findings_done)
void doctor_findings_done(struct doctor_findings *l);
void doctor_finding_done(struct doctor_finding *f);

/* A finding of the table's severity and texts; the format makes @what.  NULL when there
 * are too many already.  The result is valid until the next call. */
struct doctor_finding *doctor_add(struct doctor_findings *l, enum doctor_kind kind,
                                  const char *where, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same thing, seen again?  What could not be looked at is the same whatever it
 * said. */
bool doctor_same(const struct doctor_finding *a, const struct doctor_finding *b);
const struct doctor_finding *doctor_find(const struct doctor_findings *l,
                                         const struct doctor_finding *like);

/* The worst that is left: what is fixed and what is only shown does not count. */
enum doctor_verdict { DOCTOR_AGREES, DOCTOR_COULD_NOT_LOOK, DOCTOR_DISAGREES };
enum doctor_verdict doctor_judge(const struct doctor_findings *l);
const char *doctor_verdict_to_str(enum doctor_verdict v);

/* The array of findings. */
json_t *doctor_findings_encode(const struct doctor_findings *l);
/* {"v": 1, "findings": […]}: a node's answer. */
json_t *doctor_answer_encode(const struct doctor_findings *l);
/* ERR_INVALID "invalid_field", … */
int doctor_answer_decode(const json_t *j, struct doctor_findings *ret, struct err *err);
/* {"v": 1, "fix": bool}: the question to a node. */
int doctor_request_decode(const json_t *j, bool *ret_fix, struct err *err);
json_t *doctor_request_encode(bool fix);

#endif
