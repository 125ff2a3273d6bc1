/* base/cleanup.c - see cleanup.h. */
#include <unistd.h>

#include "base/cleanup.h"

void
cleanup_free(void *p)
{
    free(*(void **)p);
}

void
cleanup_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

void
cleanup_file(FILE **f)
{
    if (*f)
        fclose(*f);
}

void
cleanup_unlock(pthread_mutex_t **m)
{
    if (*m)
        pthread_mutex_unlock(*m);
}
