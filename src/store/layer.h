/* store/layer.h - layers (qcow2 files) of a repository.                   Layer 2.
 * Blocking. qemu-img and qemu-nbd see a layer only after our own header parser accepted
 * it and everything below it (store/qcow2_header.h). */
#ifndef SENDENSE_STORE_LAYER_H
#define SENDENSE_STORE_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/naming.h"
#include "os/child.h"
#include "store/repo.h"

#define LAYER_CHAIN_MAX 4096

/* A new empty layer, durable when it returns; nothing is left when it fails.  On a parent
 * it may be larger than that, never smaller.  ERR_EXISTS
 * "layer_exists", ERR_NOT_FOUND (no parent), ERR_CORRUPT "layer_header" (the parent's
 * chain is refused), ERR_NO_SPACE "repo_full", ERR_INVALID, ERR_IO. */
int layer_create(struct repo *r, const struct repo_layer_spec *spec, struct err *err);
int layer_remove(struct repo *r, const char *locator,
                 struct err *err); /* missing is fine; durable */
/* Of a layer whose writer was killed: gives back clusters that nothing refers to, and
 * looks whether its tables are whole.  ERR_CORRUPT "layer_damaged" (write it anew),
 * "layer_header"; ERR_NOT_FOUND, ERR_UNAVAILABLE, ERR_IO. */
int layer_repair(struct repo *r, const char *locator, struct err *err);
/* Looks whether the tables of the layer's own file are whole, and changes nothing; what
 * leaks is no damage.  ERR_CANCELLED once @cancel_fd (0 = none) is readable; ERR_CORRUPT
 * "layer_damaged", "layer_header"; ERR_TIMEOUT "merge_hung"; ERR_NOT_FOUND,
 * ERR_UNAVAILABLE, ERR_IO. */
int layer_check(struct repo *r, const char *locator, int cancel_fd, struct err *err);
/* Bytes that the file takes on disk. */
int layer_stored_bytes(struct repo *r, const char *locator, uint64_t *ret,
                       struct err *err);
/* fsync, then drops its cached pages, so that a read-back comes from the medium. */
int layer_sync(struct repo *r, const char *locator, struct err *err);

/* Checks the headers of @locator and of all layers below it, none of which may be larger
 * than the one above.  @size_bytes (rounded up to
 * 512) must be the virtual size of the top one; 0 = any.  ERR_CORRUPT "layer_header",
 * ERR_NOT_FOUND. */
int layer_check_chain(struct repo *r, const char *locator, uint64_t size_bytes,
                      struct err *err);

/* The locator of the layer that @locator stands on, from its header; "" for a full.
 * Errors as layer_check_chain(). */
int layer_parent(struct repo *r, const char *locator, char ret[NAMING_LOCATOR_SIZE],
                 struct err *err);

/* Makes an empty overlay at @path (absolute, outside of the repository, must not exist,
 * mode 0600) that stands on @locator, by its absolute path.  Nothing is left when it
 * fails.  Errors as layer_check_chain(); ERR_EXISTS, ERR_IO. */
int layer_overlay(struct repo *r, const char *locator, uint64_t size_bytes,
                  const char *path, struct err *err);

/* Copies the file of @locator as it is, holes included, to @to (absolute), which must not
 * exist and is durable then.  Its backing name stays: relative.  ERR_CANCELLED once
 * @cancel_fd is readable, ERR_NO_SPACE "target_full"; a part of @to is left by failures.
 */
int layer_copy(struct repo *r, const char *locator, const char *to, int cancel_fd,
               struct err *err);

/* Exports through the engine.  The spec's path, format, read_only and lock_fd are filled
 * in.  Errors as export_start(); of a layer that no qemu can open ERR_CORRUPT
 * "layer_unreadable" (read-only exports). */
int layer_export_rw(struct repo *r, const char *locator, const struct export_spec *spec,
                    struct export **ret, struct err *err);
int layer_export_ro(struct repo *r, const char *locator, const struct export_spec *spec,
                    struct export **ret, struct err *err);

struct layer_merge {
    const char *parent, *child; /* locators; the child stands on the parent */
    uint64_t size_bytes;        /* of the child's disk */
    int cancel_fd;              /* readable = stop; 0 = none */
    /* Called once for each program that is started, and with the progress of the first;
     * either may be NULL. */
    int (*started)(void *arg, const struct child_id *id, struct err *err);
    void (*progress)(void *arg, unsigned percent);
    void *arg;
};

/* Writes what the child has into the parent's file, which is durable and free of leaks
 * then and has the child's size; the child's file is only read.  May be done again after
 * any failure.  ERR_CANCELLED, ERR_NO_SPACE "repo_full", ERR_TIMEOUT "merge_hung",
 * ERR_CORRUPT "layer_header", "chain_broken"; ERR_IO "program_failed": also when somebody
 * has one of them open. */
int layer_merge(struct repo *r, struct layer_merge *m, struct err *err);

/* One more than the highest number in any name below vms/VM_UUID (layers, manifests,
 * points, and their .part and .tmp); 1 for an unknown VM. */
int layer_next_seq(struct repo *r, const char *vm_uuid, uint32_t *ret, struct err *err);

#endif
