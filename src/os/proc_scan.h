/* os/proc_scan.h - the processes of this machine, seen from outside, in /proc.  Layer 1.
 * Blocking, but short.  What another user's process keeps to itself (its program file,
 * environment, descriptors) is absent, never an error; one that ends meanwhile is left
 * out.
 *
 * A Sendense daemon marks what it starts: CHILD_OWNER_ENV in its environment, inherited
 * by what that starts in turn (os/child.h).  So a process that outlived its daemon still
 * says whose it is. */
#ifndef SENDENSE_OS_PROC_SCAN_H
#define SENDENSE_OS_PROC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "os/child.h"
#include "os/proc_text.h"

#define PROC_LIST_MAX 65536u
#define PROC_CMDLINE_MAX (256u * 1024)
#define PROC_ENVIRON_MAX (256u * 1024)

struct proc {
    struct child_id id;
    pid_t ppid;
    char *exe;   /* path of the program's file; NULL = may not be seen */
    char **argv; /* ends with NULL; empty for kernel threads */
    size_t argc;
    char *owner; /* the mark; NULL = none, or may not be seen */
};
struct proc_list {
    struct proc *v; /* no zombies */
    size_t n;
};
#define CLEANUP_PROC_LIST CLEANUP(proc_list_done)
void proc_list_done(struct proc_list *l);

/* ERR_IO when /proc cannot be read. */
int proc_list_read(struct proc_list *ret, struct err *err);

const struct proc *proc_find(const struct proc_list *l, pid_t pid); /* NULL = none */
/* Is @ancestor the parent of @p, or its parent's, …? */
bool proc_descends(const struct proc_list *l, const struct proc *p, pid_t ancestor);
/* The base name of argv[0], else of the program's file; never NULL. */
const char *proc_program(const struct proc *p);
/* "qemu-nbd (pid 123)", and with @words ": its first words", at most 300 bytes; caller
 * frees.  Words of programs that are not ours may be secrets. */
char *proc_describe(const struct proc *p, bool words);
/* The value of "--NAME=VALUE" in argv; NULL = absent.  @option with its dashes. */
const char *proc_option(const struct proc *p, const char *option);

/* Calls @fn with what each descriptor of each visible process is.  @fn must not block. */
int proc_each_fd(void (*fn)(void *arg, pid_t pid, const char *target), void *arg,
                 struct err *err);

struct proc_listeners {
    struct proc_listener *v;
    size_t n;
};
#define CLEANUP_PROC_LISTENERS CLEANUP(proc_listeners_done)
void proc_listeners_done(struct proc_listeners *l);
/* TCP sockets of both families that listen on a port of @first..@last. */
int proc_listeners_read(uint16_t first, uint16_t last, struct proc_listeners *ret,
                        struct err *err);

#endif
