/* vim/session.h - a login at a vCenter or ESXi host.            Layer 2.  Blocking.
 * Thread-safe: calls of several threads are made one after another.
 *
 * Every call logs in again, once, when the server says that the session has ended, and is
 * then repeated.  One session per program: a server has few, and vim_close() gives it
 * back on every path.  Codes that any call may give: those of soap_fault();
 * ERR_UNAVAILABLE "vcenter_unreachable"; ERR_TIMEOUT "vcenter_timeout"; ERR_AUTH
 * "tls_fingerprint", "tls_untrusted"; ERR_PROTOCOL "vcenter_protocol"; ERR_CANCELLED. */
#ifndef SENDENSE_VIM_SESSION_H
#define SENDENSE_VIM_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "os/tls_trust.h"
#include "vim/soap.h"

struct vim_session;
#define CLEANUP_VIM_SESSION CLEANUP(cleanup_vim_session)
void cleanup_vim_session(struct vim_session **s); /* vim_close() */

struct vim_target {
    const char *url; /* "https://host[:port]", without a path */
    const char *user;
    const struct secret *password;
    /* The Cookie header of a session of a program that died: gone on with instead of a
     * login, which is made when that session has ended.  NULL = log in. */
    const struct secret *cookie;
    const struct tls_trust *trust; /* must outlive the session */
    unsigned connect_timeout_ms;   /* 0 = 10 s */
    unsigned timeout_ms;           /* of one call; 0 = 120 s */
    int cancel_fd;                 /* <= 0 = none; readable ends any call but logout */
    /* The value of a Cookie header that the datastore takes, told after each login, and
     * "" once vim_close() has logged out; from the thread whose call did so, which must
     * not use the session in it.  May be NULL. */
    void (*on_cookie)(void *arg, const char *cookie);
    void *on_cookie_arg;
};

struct vim_about {
    char *full_name;     /* "VMware vCenter Server 8.0.2 build-…" */
    char *api_version;   /* "8.0.2.0" */
    char *instance_uuid; /* "" on an ESXi host */
    bool is_vcenter;
};

/* Logs in; strings are copied.  Wrong user or password: ERR_AUTH "vcenter_login".  A
 * login that is under way is not cancelled; one whose answer does not come in time may
 * leave a session that only the server's idle end gives back: nobody knows its cookie. */
int vim_open(const struct vim_target *t, struct vim_session **ret, struct err *err);
/* Logs out, within 10 s whatever happens.  NULL ok. */
void vim_close(struct vim_session *s);

const struct vim_about *vim_about(const struct vim_session *s); /* owned by @s */
const char *vim_url(const struct vim_session *s);               /* owned by @s */

/* A call that costs nothing and keeps the session from its idle end (30 minutes): to be
 * made every few minutes while data moves. */
int vim_keepalive(struct vim_session *s, struct err *err);

/* From now on cancel_fd is not heeded: cleaning up goes on after a cancel. */
void vim_ignore_cancel(struct vim_session *s);

/* ---- for the other files of this folder ---- */

struct vim_content { /* the singletons of the server; morefs are never hard-coded */
    struct moref property_collector, view_manager, root_folder, session_manager,
        search_index;
};
const struct vim_content *vim_content(const struct vim_session *s);

/* One call.  @r: a request that soap_end() closed; stays the caller's.  *ret_response is
 * owned by *ret. */
int vim_call(struct vim_session *s, struct soap_request *r, struct xml_doc **ret,
             const struct xml_node **ret_response, struct err *err);

/* The same without logging in again: ERR_AUTH "vcenter_session".  For steps that belong
 * together and have to start anew in another session; they run in vim_with_session(). */
int vim_call_once(struct vim_session *s, struct soap_request *r, struct xml_doc **ret,
                  const struct xml_node **ret_response, struct err *err);
/* Runs @fn; when it ends with "vcenter_session", logs in and runs it once more. */
int vim_with_session(struct vim_session *s,
                     int (*fn)(struct vim_session *s, void *arg, struct err *err),
                     void *arg, struct err *err);

/* Waits.  ERR_CANCELLED. */
int vim_pause(struct vim_session *s, unsigned ms, struct err *err);

/* GET of a file of a datastore with the session's cookie, at most @max bytes; more is
 * ERR_LIMIT.  @url as vim_ds_url() makes it.  ERR_NOT_FOUND "datastore_file", ERR_IO
 * "datastore_read". */
int vim_get(struct vim_session *s, const char *url, size_t max, struct buf *out,
            struct err *err);

#endif
