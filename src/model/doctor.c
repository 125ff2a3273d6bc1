/* model/doctor.c - the kinds of findings, what they mean, what mends them.  See doctor.h.
 */
#include "model/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/words.h"

WORDS_DEFINE(doctor_severity, DOCTOR_SEVERITY_LIST)

static const char *const kind_words[] = {DOCTOR_KIND_LIST(WORDS_ITEM)};

const char *
doctor_kind_to_str(enum doctor_kind v)
{
    return words_get(kind_words, ARRAY_LEN(kind_words), (unsigned)v);
}

#define FIX "`sendense doctor --fix`"

static const struct {
    enum doctor_severity severity;
    const char *why, *mend;
} about[DOCTOR_KIND_COUNT] = {
    [DOCTOR_HUB_AWAY] = {DOCTOR_UNKNOWN,
                         "the hub does not answer: nothing is backed up or restored, and "
                         "only this machine was looked at",
                         "start it (`sendense-hub run`); its log says why it ended. At "
                         "its start it cleans up what it left; then run this command "
                         "again"},
    [DOCTOR_PROCESS_ORPHAN] =
        {DOCTOR_ERROR,
         "a process that this hub or node started runs without it: it may keep an image, "
         "a port or a snapshot busy",
         FIX " ends it (TERM, then KILL), or end it by its pid"},
    [DOCTOR_PROCESS_UNJOURNALLED] =
        {DOCTOR_ERROR,
         "a process of the running hub has no entry in its journal, so a crash of the "
         "hub would not be cleaned up",
         "when no job runs, restart the hub: what it started ends with it"},
    [DOCTOR_PORT_TAKEN] =
        {DOCTOR_WARNING,
         "somebody else listens on a port of the range for exports; the hub goes around "
         "it, but has one port less",
         "stop that program or give the hub another range (--nbd-ports)"},
    [DOCTOR_SOCKET_STALE] = {DOCTOR_WARNING,
                             "a socket in the run folder belongs to no job",
                             FIX " removes it"},
    [DOCTOR_FOLDER_STALE] = {DOCTOR_WARNING,
                             "a folder in the run folder belongs to no session",
                             FIX " removes it with what is in it"},
    [DOCTOR_RUN_FOREIGN] = {DOCTOR_WARNING,
                            "something that Sendense did not make lies in its run folder",
                            "see what put it there and remove it by hand"},
    [DOCTOR_SCRATCH_STALE] =
        {DOCTOR_WARNING,
         "a throw-away overlay of an instant access belongs to no open export; it takes "
         "space, no backup needs it",
         FIX " removes it"},
    [DOCTOR_JOURNAL_DEAD] =
        {DOCTOR_ERROR,
         "the journal says that a process of a job is there, but it is gone: the job "
         "works without a part of itself",
         "wait for the job to notice, or cancel it; " FIX
         " settles it when its job has ended"},
    [DOCTOR_JOURNAL_LEFT] = {DOCTOR_WARNING,
                             "a job that is over still has something in the journal: it "
                             "could not be removed yet",
                             "the hub tries again by itself; its log says what is in the "
                             "way; " FIX " tries now"},
    [DOCTOR_JOB_DEAD] = {DOCTOR_ERROR,
                         "the catalog calls a job running, but nothing runs it: it will "
                         "not end by itself while what it needs is away",
                         "bring its repository back; " FIX " then gives it its end"},
    [DOCTOR_REPO_AWAY] = {DOCTOR_UNKNOWN,
                          "the repository cannot be used, so nothing in it was looked at",
                          "mount it, or end whoever holds its lock; `sendense repo ls` "
                          "shows it again"},
    [DOCTOR_REPO_LOCK] =
        {DOCTOR_ERROR,
         "the owner that the repository's lock file names is not this "
         "hub, which holds the lock: another hub may have written there",
         "make sure that no other hub uses the folder, then restart this "
         "one, which writes the record anew"},
    [DOCTOR_IMAGE_LOCKED] = {DOCTOR_ERROR,
                             "a qemu program that no job of this hub owns has the image "
                             "open; a writer changes a finished backup",
                             "end that program; when it is an orphan of ours " FIX
                             " does, and then verify the backup"},
    [DOCTOR_FILE_STRAY] = {DOCTOR_WARNING,
                           "a file of the repository belongs to no restore point, no job "
                           "and no backup of the catalog: a failed backup left it",
                           FIX " removes it, as the hub does at its start"},
    [DOCTOR_POINT_WITHOUT_ROW] = {DOCTOR_WARNING,
                                  "a restore point is in the repository, but the catalog "
                                  "does not know it, so nobody can restore it",
                                  "`sendense repo import REPOSITORY` takes it in"},
    [DOCTOR_ROW_WITHOUT_POINT] =
        {DOCTOR_ERROR,
         "the catalog lists a completed backup whose restore point is not in the "
         "repository",
         "bring the file back from a copy, or delete the backup: `sendense backup rm`"},
    [DOCTOR_POINT_UNREADABLE] =
        {DOCTOR_ERROR, "a restore point cannot be read",
         "bring the file back from a copy; the log of the hub says more"},
    [DOCTOR_LAYER_MISSING] =
        {DOCTOR_ERROR,
         "the image of a disk of a restore point is not there: this backup, and those on "
         "top of it, cannot be restored",
         "bring the file back from a copy; the next backup of that disk will be a full"},
    [DOCTOR_MANIFEST_MISSING] =
        {DOCTOR_ERROR,
         "the manifest of a disk of a restore point is not there: the backup cannot be "
         "verified or restored by Sendense; qemu still opens the image",
         "bring the file back from a copy; the next backup of that disk will be a full"},
    [DOCTOR_CHAIN_HEADER] =
        {DOCTOR_ERROR,
         "what the image's header says it stands on and what its restore point says "
         "differ: something rewrote or exchanged it",
         "bring the file back from a copy; see `sendense backup verify --chain`"},
    [DOCTOR_NODE_AWAY] = {DOCTOR_UNKNOWN,
                          "the node could not be asked, so neither its processes nor its "
                          "leases were looked at",
                          "start the node or its tunnel; `sendense node ls` shows it"},
    [DOCTOR_NODE_STATE] =
        {DOCTOR_WARNING,
         "a file in the node's folder of leases is no lease that it "
         "knows: one that cannot be read may stand for a snapshot that "
         "nobody removes",
         "look for snapshots of ours at the vCenter (this command does), "
         "then remove the file; " FIX " removes unfinished writes"},
    [DOCTOR_LEASE_UNKNOWN] = {DOCTOR_WARNING,
                              "the node keeps a snapshot for a job that does not run",
                              "the node removes the snapshot when the lease expires; " FIX
                              " ends the lease now, if the job was one of this hub"},
    [DOCTOR_LEASE_STUCK] =
        {DOCTOR_ERROR, "the node tries to remove a snapshot and cannot",
         "see the reason; the node goes on trying. Remove the snapshot "
         "in the vSphere client if the vCenter refuses"},
    [DOCTOR_VCENTER_AWAY] = {DOCTOR_UNKNOWN,
                             "the vCenter could not be asked, so its snapshots were not "
                             "looked at",
                             "`sendense credential test NAME` shows whether the login "
                             "works"},
    [DOCTOR_SNAPSHOT_ORPHAN] =
        {DOCTOR_ERROR,
         "a snapshot with the mark of this hub exists, but no job runs and no lease "
         "removes it: it grows and slows the VM down",
         FIX " removes it, and only it, through the node"},
    [DOCTOR_SNAPSHOT_GONE] =
        {DOCTOR_ERROR,
         "a running backup reads from a snapshot that is no longer at the vCenter: "
         "somebody removed it and the backup will fail, or it is failing just now",
         "find who removes snapshots; start the backup again when it has failed"},
    [DOCTOR_SNAPSHOT_FOREIGN] =
        {DOCTOR_INFO,
         "a snapshot has a name like ours, but was not made by this hub and node; it is "
         "never touched",
         "ask the hub that its description names; remove it in the vSphere client if "
         "nobody needs it"},
    [DOCTOR_CONSOLIDATION] =
        {DOCTOR_WARNING,
         "the vCenter says that disks of the VM need consolidation: files of removed "
         "snapshots are still in use and grow",
         "consolidate in the vSphere client (Snapshots, Consolidate); if that fails, "
         "find what keeps a disk open"},
    [DOCTOR_LOOK_FAILED] = {DOCTOR_UNKNOWN, "a part of the look failed",
                            "see the reason; the log of the hub may say more"},
};

void
doctor_finding_done(struct doctor_finding *f)
{
    free(f->kind);
    free(f->where);
    free(f->what);
    free(f->texts[0]);
    free(f->texts[1]);
    free(f->problem);
    *f = (struct doctor_finding){0};
}

void
doctor_findings_done(struct doctor_findings *l)
{
    for (size_t i = 0; i < l->n; i++)
        doctor_finding_done(&l->v[i]);
    free(l->v);
    *l = (struct doctor_findings){0};
}

struct doctor_finding *
doctor_add(struct doctor_findings *l, enum doctor_kind kind, const char *where,
           const char *fmt, ...)
{
    char what[DOCTOR_TEXT_MAX + 1];
    struct doctor_finding *f;
    va_list ap;

    if (l->n >= DOCTOR_FINDINGS_MAX)
        return NULL;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
    f = &l->v[l->n++];
    *f = (struct doctor_finding){.kind = xstrdup(doctor_kind_to_str(kind)),
                                 .severity = about[kind].severity,
                                 .where = xstrdup(where),
                                 .what = xstrdup(what),
                                 .why = about[kind].why,
                                 .mend = about[kind].mend};
    return f;
}

bool
doctor_same(const struct doctor_finding *a, const struct doctor_finding *b)
{
    return strcmp(a->kind, b->kind) == 0 && strcmp(a->where, b->where) == 0 &&
           (a->severity == DOCTOR_UNKNOWN || strcmp(a->what, b->what) == 0);
}

const struct doctor_finding *
doctor_find(const struct doctor_findings *l, const struct doctor_finding *like)
{
    for (size_t i = 0; i < l->n; i++)
        if (doctor_same(&l->v[i], like))
            return &l->v[i];
    return NULL;
}

enum doctor_verdict
doctor_judge(const struct doctor_findings *l)
{
    enum doctor_verdict worst = DOCTOR_AGREES;

    for (size_t i = 0; i < l->n; i++) {
        const struct doctor_finding *f = &l->v[i];

        if (f->fixed || f->severity == DOCTOR_INFO)
            continue;
        if (f->severity != DOCTOR_UNKNOWN)
            return DOCTOR_DISAGREES;
        worst = DOCTOR_COULD_NOT_LOOK;
    }
    return worst;
}

const char *
doctor_verdict_to_str(enum doctor_verdict v)
{
    switch (v) {
    case DOCTOR_AGREES:
        return "agrees";
    case DOCTOR_COULD_NOT_LOOK:
        return "could_not_look";
    case DOCTOR_DISAGREES:
        break;
    }
    return "disagrees";
}
