/* store/export_priv.h - between the files of an export only.              Layer 2. */
#ifndef SENDENSE_STORE_EXPORT_PRIV_H
#define SENDENSE_STORE_EXPORT_PRIV_H

#include <stdbool.h>

#include "base/err.h"
#include "store/export.h"

/* --- export_stderr.c: a thread keeps the pipe empty, so that qemu-nbd never blocks on it
 * --- */
struct stderr_tail;
/* @fd stays the caller's and must stay open until the free. */
int stderr_tail_new(int fd, struct stderr_tail **ret, struct err *err);
/* Takes what is in the pipe now and ends the thread; idempotent. */
void stderr_tail_finish(struct stderr_tail *t);
char *stderr_tail_text(struct stderr_tail *t); /* malloc'ed */
void stderr_tail_free(struct stderr_tail *t);  /* NULL ok */

/* --- export_argv.c --- */
#define EXPORT_ARGS_MAX 20
struct export_args {
    char *items[EXPORT_ARGS_MAX + 1]; /* NULL-terminated; owned */
    unsigned n;
};
#define CLEANUP_EXPORT_ARGS CLEANUP(export_args_done)
void export_args_done(struct export_args *a);
void export_args_build(const struct export_spec *spec, const char *program, bool direct,
                       struct export_args *a);
const char *const *export_env(bool read_only);
int export_spec_check(const struct export_spec *spec, struct err *err);
char *export_uri_build(const struct export_spec *spec); /* caller frees */

#endif
