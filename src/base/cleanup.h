/* base/cleanup.h - scope cleanup.                                         Layer 0.
 * A variable marked CLEANUP_x must be initialised (NULL, -1, {0}) where it is declared.
 * Give the value away with take_ptr() or take_fd(). */
#ifndef SENDENSE_BASE_CLEANUP_H
#define SENDENSE_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>

#define CLEANUP(fn) __attribute__((cleanup(fn), unused))

/* Each ignores NULL / -1. */
void cleanup_free(void *p); /* p is a pointer to a malloc'ed pointer */
void cleanup_fd(int *fd);
void cleanup_file(FILE **f);
void cleanup_unlock(pthread_mutex_t **m);

#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FD CLEANUP(cleanup_fd)
#define CLEANUP_FILE CLEANUP(cleanup_file)

/* Holds @m until the end of the enclosing scope. */
#define LOCK_SCOPE(m) LOCK_SCOPE_(m, __COUNTER__)
#define LOCK_SCOPE_(m, n) LOCK_SCOPE__(m, n)
#define LOCK_SCOPE__(m, n)                                                               \
    CLEANUP(cleanup_unlock) pthread_mutex_t *lock_scope_##n = (m);                       \
    pthread_mutex_lock(lock_scope_##n)

#define take_ptr(pp)                                                                     \
    __extension__({                                                                      \
        __typeof__(*(pp)) take_ptr_v = *(pp);                                            \
        *(pp) = NULL;                                                                    \
        take_ptr_v;                                                                      \
    })

static inline int
take_fd(int *fd)
{
    int v = *fd;

    *fd = -1;
    return v;
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
