/* cli/output.h - data on stdout: tables for people, JSON for programs.    Layer 5.
 * Tables show human sizes and escape what a terminal would obey; JSON is the API's own
 * object. */
#ifndef SENDENSE_CLI_OUTPUT_H
#define SENDENSE_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct cli;

enum output_kind {
    OUTPUT_TEXT,    /* strings, numbers, true/false as they are */
    OUTPUT_SIZE,    /* bytes as "1.5 GiB"; right-aligned */
    OUTPUT_RATE,    /* "812 MiB/s" */
    OUTPUT_TIME,    /* without microseconds */
    OUTPUT_STATUS,  /* coloured */
    OUTPUT_PERCENT, /* "41.5%" */
    OUTPUT_SECONDS, /* "1:02:03" */
    OUTPUT_COUNT,   /* length of an array */
    OUTPUT_LIST,    /* array of strings with commas; true members of an object */
};

struct output_col {
    const char *title;
    const char *path; /* "last_backup.status" */
    enum output_kind kind;
};

/* The value at @path in @obj as text; "-" for absent, null and ""; caller frees. Escaped.
 */
char *output_value(const json_t *obj, const char *path, enum output_kind kind);

/* An array of objects as a table with a heading; @cols ends with title NULL. */
int output_rows(const struct cli *c, const json_t *rows, const struct output_col *cols,
                struct err *err);
/* One object as "title  value" lines; titles whose value is absent are left out. */
int output_fields(const struct cli *c, const json_t *obj, const struct output_col *cols,
                  struct err *err);

/* In the format that the user asked for: a table of obj[items], that object as JSON, or
 * one line an item. */
int output_list(const struct cli *c, const json_t *page, const char *items,
                const struct output_col *cols, struct err *err);
/* JSON of one object (indented for json, one line for jsonl); false = the format is
 * table. */
bool output_json(const struct cli *c, const json_t *obj);

/* h:mm:ss or m:ss. */
#define OUTPUT_DURATION_SIZE 24
void output_duration(uint64_t seconds, char out[OUTPUT_DURATION_SIZE]);

#endif
