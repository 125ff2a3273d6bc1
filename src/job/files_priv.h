/* job/files_priv.h - what the files of the file sessions share.  Layer 3, private to
 * files_*.c. */
#ifndef SENDENSE_JOB_FILES_PRIV_H
#define SENDENSE_JOB_FILES_PRIV_H

#include <pthread.h>

#include "base/buf.h"
#include "job/files_io.h"
#include "job/joblog.h"
#include "job/live.h"
#include "job/reader.h"
#include "job/stored.h"
#include "os/child.h"

enum files_state { FILES_STARTING, FILES_READY, FILES_ENDING, FILES_ENDED };

struct files_session {
    /* fixed after files_open() */
    struct job_env *env;
    char id[UUID_STR_SIZE];
    char *backup_id, *vm_id, *requested_by;
    unsigned idle_s;
    int64_t created_us;
    uint32_t *keys;
    size_t n_keys;
    int wake_fd; /* readable: the thread has something to look at */
    /* of the session's thread */
    struct stored stored;
    struct live_job *live;
    struct joblog *log;
    struct reader_export *readers;
    size_t n_readers;
    char *folder;
    int64_t res_folder, res_program;
    /* under the set's lock */
    struct files_session *next;
    unsigned refs;
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum files_state state;
    bool stop;          /* somebody wants it to end */
    const char *reason; /* of the end: "closed", "idle", "failed", "interrupted" */
    struct err why;     /* reason "failed" */
    bool busy;          /* a request runs */
    uint64_t used_ns;   /* when it was last used */
    json_t *opened;     /* the answer to `open` */
    /* under io_lock, which is taken alone: the descriptors of the program */
    pthread_mutex_t io_lock;
    struct child *child; /* NULL before and after */
    struct buf in;       /* what has come and is no whole frame yet */
    bool answered;       /* the request that runs has its answer */
    uint64_t frame_ns;   /* when the last frame came, or the request went out */
    unsigned silence_s;  /* what may pass until the next one */
};

struct files_set {
    pthread_mutex_t lock;
    struct files_session *head; /* newest first */
};

/* The session cannot go on; the first reason counts. */
void files_fail(struct files_session *s, const struct err *why);
void files_touch(struct files_session *s);
/* The thread: makes everything, waits, removes everything. */
void *files_thread(void *arg);

#endif
