/* catalog/backup_rows.h - what cat_backup*.c share about disks of a job.  Private to
 * src/catalog. */
#ifndef SENDENSE_CATALOG_BACKUP_ROWS_H
#define SENDENSE_CATALOG_BACKUP_ROWS_H

#include "catalog/cat_backup_disk.h"
#include "catalog/stmt.h"

extern const struct row_map cat_backup_disk_map;

int backup_disk_insert(struct catalog *c, const struct cat_backup_disk *d,
                       struct err *err);
/* Sorted by disk_index; free with row_free_all. */
int backup_disks_read(struct catalog *c, const char *job_id,
                      struct cat_backup_disk **ret_v, size_t *ret_n, struct err *err);
int backup_disks_delete(struct catalog *c, const char *job_id, struct err *err);

#endif
