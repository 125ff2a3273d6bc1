/* os/proc_text.h - what the files of /proc say.  Pure: for proc_scan.c and its tests.
 *                                                                             Layer 1. */
#ifndef SENDENSE_OS_PROC_TEXT_H
#define SENDENSE_OS_PROC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Of /proc/PID/stat (@text ends with NUL).  The name in brackets may hold anything.  0 or
 * -1. */
struct proc_stat {
    char state; /* 'R', 'S', 'Z', … */
    pid_t ppid;
    uint64_t start_ticks;
};
int proc_stat_parse(const char *text, struct proc_stat *ret);

/* Of /proc/PID/cmdline: NUL-terminated words in a row; the last NUL may be missing.  The
 * array ends with NULL and is freed by proc_args_free().  Never NULL. */
char **proc_args_split(const char *p, size_t n, size_t *ret_n);
void proc_args_free(char **args); /* NULL ok */

/* The value of @name in /proc/PID/environ, or NULL; caller frees. */
char *proc_env_get(const char *p, size_t n, const char *name);

/* One line of /proc/net/tcp or tcp6 (no newline).  1 = a socket that listens, 0 = another
 * one, or the heading; -1 = not such a line. */
struct proc_listener {
    uint16_t port;
    uint64_t inode;
};
int proc_listener_parse(const char *line, struct proc_listener *ret);

/* "socket:[12345]", as a descriptor's link says it.  0 or -1. */
int proc_socket_inode(const char *target, uint64_t *ret);

#endif
