/* api/backup_json.h - a backup as the API shows it: the row, and what runs now. Layer 4.
 */
#ifndef SENDENSE_API_BACKUP_JSON_H
#define SENDENSE_API_BACKUP_JSON_H

#include <jansson.h>

#include "api/api.h"
#include "catalog/cat_backup.h"
#include "job/live.h"

json_t *backup_to_json(struct api *a, const struct cat_backup *b);
/* {percent, rate_bytes_per_s, eta_s, phase} of a live job. */
json_t *progress_to_json(struct live_job *live);
/* How each disk was read and why, in words. */
json_t *backup_explain_to_json(const struct cat_backup *b);

#endif
