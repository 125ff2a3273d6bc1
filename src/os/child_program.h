/* os/child_program.h - private to os/child.c.                              Layer 1.
 *
 * Both results are the caller's to free. */
#ifndef SENDENSE_OS_CHILD_PROGRAM_H
#define SENDENSE_OS_CHILD_PROGRAM_H

/* The file to execute: @name itself when it has a slash, else the first of PATH that is
 * an executable file.  NULL when there is none. */
char *child_find_program(const char *name);

/* A minimal environment and @extra ("NAME=VALUE"; NULL ok) on top of it. */
char **child_make_env(const char *const *extra);

#endif
