/* catalog/job_rows.h - what the tables of jobs share: a page of their list, changes that
 * depend on the state.  Private to src/catalog.                              Layer 2. */
#ifndef SENDENSE_CATALOG_JOB_ROWS_H
#define SENDENSE_CATALOG_JOB_ROWS_H

#include "catalog/cat_backup_update.h"
#include "catalog/stmt.h"

/* Newest first; @filter is the column that the list may be narrowed by.  For
 * job_rows_page(). */
#define JOB_ROWS_PAGE(columns, table, filter)                                            \
    "SELECT " columns " FROM " table " WHERE (? IS NULL OR " filter " = ?) "             \
    "AND (? IS NULL OR created_us < ? OR (created_us = ? AND id < ?)) "                  \
    "ORDER BY created_us DESC, id DESC LIMIT ?"
int job_rows_page(struct stmt *s, const struct row_map *m, const char *filter,
                  const struct cat_page *page, void **ret_v, size_t *ret_n,
                  bool *ret_more);

/* A cancel that was asked for is remembered to the end of the job, whatever step its
 * thread comes to meanwhile: a start of the hub goes by it. */
#define PHASE_UNLESS_CANCELLING                                                          \
    "CASE current_phase WHEN 'cancelling' THEN current_phase ELSE ? END"
/* For job_rows_set_state() and job_rows_finish(). */
#define JOB_ROWS_SET_STATE(table, id)                                                    \
    "UPDATE " table " SET state = ?, current_phase = " PHASE_UNLESS_CANCELLING ", "      \
    "started_us = COALESCE(started_us, ?) WHERE " id " = ? AND state = ? "               \
    "AND state IN ('pending', 'running') AND ? IN ('pending', 'running')"
#define JOB_ROWS_FINISH(table, id)                                                       \
    "UPDATE " table " SET state = ?, current_phase = ?, completed_us = ?, "              \
    "error_code = ?, error_phase = ?, error_message = ? WHERE " id " = ? "               \
    "AND state IN ('pending', 'running') AND (? IS NULL OR state = ?) "                  \
    "AND ? IN ('completed', 'failed', 'cancelled')"

/* Whose rows: to tell apart a change that matched nothing. */
struct job_rows {
    const char *state_sql; /* JOB_ROWS_STATE() */
    const char *code;      /* of an unknown id: "restore_not_found" */
    const char *what;      /* "restore" */
};
#define JOB_ROWS_STATE(table, id) "SELECT state FROM " table " WHERE " id " = ?"

/* Runs @s, which is bound.  0, or when it matched no row: ERR_NOT_FOUND, or
 * ERR_EXISTS "state_conflict" naming the state. */
int job_rows_change(struct stmt *s, const struct job_rows *rows, struct catalog *c,
                    const char *id);
int job_rows_set_state(struct stmt *s, const struct job_rows *rows, struct catalog *c,
                       const char *id, const struct cat_transition *t);
int job_rows_finish(struct stmt *s, const struct job_rows *rows, struct catalog *c,
                    const char *id, const struct cat_finish *f);

#endif
