/* job/files_io.h - requests to the program of a file session.              Layer 3.
 *
 * One request at a time: files_begin() waits for its turn, files_end() gives it up.  What
 * breaks the contract, or is silent for too long, ends the session.  A caller that stops
 * before the answer came says so with files_end(), which makes the program stop too. */
#ifndef SENDENSE_JOB_FILES_IO_H
#define SENDENSE_JOB_FILES_IO_H

#include "job/files_session.h"
#include "model/filesproto.h"

/* Waits for a session that starts, and for the request of somebody else.  ERR_UNAVAILABLE
 * "mount_not_ready", "mount_busy"; ERR_EXISTS "mount_ended". */
int files_begin(struct files_session *s, unsigned wait_ms, struct err *err);
int files_send(struct files_session *s, const json_t *request, struct err *err);

struct files_reply {
    enum files_frame type; /* FILES_DATA, FILES_ALIVE or FILES_ANSWER */
    char *data;            /* the payload, malloc'ed; files_reply_done() */
    size_t n;
};
void files_reply_done(struct files_reply *r);
/* 1 and the next frame, or 0 when none came within @wait_ms.  What the program answers as
 * its error is returned as one; then, and after FILES_ANSWER, nothing more comes. */
int files_recv(struct files_session *s, unsigned wait_ms, struct files_reply *ret,
               struct err *err);
void files_end(struct files_session *s);

/* One request whose answer is JSON. */
int files_ask(struct files_session *s, const json_t *request, json_t **ret,
              struct err *err);

/* An event for the audit: who took what. */
void files_audit(struct files_session *s, const char *type, const char *actor,
                 const char *message);

#endif
