/* model/naming.h - names, ids, locators, export names.                    Layer 1.  Pure.
 * Names given by people are data: they are checked for length and control characters
 * only, and never become a path or a part of one. */
#ifndef SENDENSE_MODEL_NAMING_H
#define SENDENSE_MODEL_NAMING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

#define NAMING_NAME_MAX 255u
#define NAMING_KEY_MAX 2147483647u
#define NAMING_SEQ_MAX 999999999u

/* 1..255 bytes of UTF-8 without control characters (C0, DEL, C1).  Else ERR_INVALID
 * "invalid_field"; @what names the thing ("VM name"). */
int naming_name_check(const char *name, const char *what, struct err *err);

/* A device key in text: decimal digits, 0..NAMING_KEY_MAX, no leading zero.  0 or -1. */
int naming_key_from_str(const char *s, uint32_t *ret_key);

/* "backup-NAME-EPOCH".  Every byte of NAME outside [A-Za-z0-9._-] becomes '_', 64 bytes
 * at most.  Not unique by itself; never parse it. */
#define NAMING_BACKUP_ID_SIZE 96
void naming_backup_id(const char *vm_name, int64_t epoch_s,
                      char out[NAMING_BACKUP_ID_SIZE]);

/* "000007": at least six digits.  @seq 1..NAMING_SEQ_MAX. */
#define NAMING_SEQ_SIZE 12
void naming_seq(uint32_t seq, char out[NAMING_SEQ_SIZE]);
/* "000007.qcow2" with @suffix ".qcow2": 0 and the number; -1 for any other form (no
 * leading zeros beyond six digits). */
int naming_seq_from_file(const char *file, const char *suffix, uint32_t *ret_seq);

/* "vms/VM_UUID/disks/DISK_UUID/000007", relative to the repository. */
#define NAMING_LOCATOR_SIZE 112
struct naming_locator {
    char vm_uuid[UUID_STR_SIZE];
    char disk_uuid[UUID_STR_SIZE];
    uint32_t seq;
};
void naming_locator_build(const char *vm_uuid, const char *disk_uuid, uint32_t seq,
                          char out[NAMING_LOCATOR_SIZE]);
int naming_locator_parse(const char *s,
                         struct naming_locator *ret); /* 0 or -1; exact form */

/* "sendense-" and 32 random hex digits. */
#define NAMING_EXPORT_SIZE 42
void naming_export_make(char out[NAMING_EXPORT_SIZE]);
bool naming_export_is_valid(const char *s);

/* "sendense JOB_ID KEY", what an export says of itself. */
#define NAMING_DESCRIPTION_SIZE 64
void naming_description(const char *job_id, uint32_t key,
                        char out[NAMING_DESCRIPTION_SIZE]);

/* The size of the image of a disk of @size bytes (<= 2^63). */
static inline uint64_t
naming_round_up_512(uint64_t size)
{
    return (size + 511) & ~(uint64_t)511;
}

#endif
