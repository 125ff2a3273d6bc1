/* job/access_priv.h - between the files of an open session only.            Layer 3. */
#ifndef SENDENSE_JOB_ACCESS_PRIV_H
#define SENDENSE_JOB_ACCESS_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "job/access.h"
#include "job/joblog.h"
#include "job/live.h"
#include "job/stored.h"
#include "model/naming.h"
#include "store/export.h"

/* What the overlays may not take of the data folder's file system. */
#define ACCESS_RESERVE_BYTES (64ull << 20)

struct access_disk {
    const struct point_disk *point;
    char name[NAMING_EXPORT_SIZE];
    uint16_t port;
    char *scratch; /* path of the overlay, or NULL */
    struct export *export;
    int64_t res_port, res_export, res_scratch;
};

/* Belongs to the thread that opens it, then to its own; but @closed_by, see access.c. */
struct access {
    struct job_env *env;
    char id[UUID_STR_SIZE];
    struct stored stored;
    struct access_disk *disks;
    size_t n;
    bool scratch;
    bool tls;
    char *listen;
    char *psk_dir; /* NULL = no TLS */
    int64_t res_psk;
    int64_t expires_us;
    uint64_t deadline_ns;
    struct live_job *live;
    struct joblog *log;
    const char *reason; /* of the end */
    char *closed_by;    /* under the lock of the list */
    struct access *next;
};

/* access_disks.c.  Opens every disk of @a->disks; what was opened when it fails is for
 * access_close_disks(), which is idempotent and logs what would not go. */
int access_open_disks(struct access *a, struct secret **ret_psk, struct err *err);
void access_close_disks(struct access *a);
/* Free bytes where overlays are. */
int access_scratch_free(const struct job_env *env, uint64_t *ret, struct err *err);

#endif
