/* client/minder.h - keeps a vCenter session alive while others use its cookie.  Layer 5.
 * Source servers read the cookie from shared memory and ask for another one by a byte in
 * a pipe; one thread answers them and asks the server for a sign of life every minute.  A
 * renewal that fails is tried again after 1, 2, 4 … 30 s; after a refused login, which
 * may lock the account, only with the next sign of life. */
#ifndef SENDENSE_CLIENT_MINDER_H
#define SENDENSE_CLIENT_MINDER_H

#include "base/cleanup.h"
#include "base/err.h"
#include "vim/session.h"

struct minder;
#define CLEANUP_MINDER CLEANUP(cleanup_minder)
void cleanup_minder(struct minder **m); /* minder_free() */

/* @box_fd: the memory (os/cookie_box.h) that the cookie is put in, taken; < 0 = memory of
 * its own. */
int minder_new(int box_fd, struct minder **ret, struct err *err);
void minder_free(struct minder *m); /* stops; NULL ok */

/* What is in the memory now; NULL = no cookie. */
int minder_cookie(const struct minder *m, struct secret **ret, struct err *err);
/* For vim_target.on_cookie, @minder as its argument. */
void minder_on_cookie(void *minder, const char *cookie);
int minder_cookie_fd(const struct minder *m); /* for the source servers; owned by @m */
int minder_renew_fd(const struct minder *m);  /* the same */

int minder_start(struct minder *m, struct vim_session *s, struct err *err);
void minder_stop(struct minder *m); /* harmless when it does not run */

/* Why the server last refused the session, or a new one; 0 when it did not. */
int minder_trouble(struct minder *m, struct err *ret);

#endif
