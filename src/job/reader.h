/* job/reader.h - read-only exports of stored layers, for verify and restore.   Layer 3.
 * Blocking.  Each is a qemu-nbd on a private Unix socket, journalled like every other
 * resource. */
#ifndef SENDENSE_JOB_READER_H
#define SENDENSE_JOB_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "job/env.h"
#include "job/joblog.h"
#include "store/export.h"
#include "store/repo.h"

struct reader_export {
    struct export *export;
    int64_t res_export, res_socket;
};

struct reader_spec {
    const char *job_id;
    struct repo *repo;
    const char *locator;
    uint32_t key;
    uint64_t size_bytes; /* true size of the disk */
    bool alone;          /* only what the layer itself holds */
};

int reader_open(const struct job_env *env, const struct reader_spec *spec,
                struct reader_export *ret, struct err *err);
/* Idempotent; what cannot be stopped is logged and stays in the journal. */
void reader_close(const struct job_env *env, const char *job_id, struct joblog *log,
                  struct reader_export *r);

#endif
