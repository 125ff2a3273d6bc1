/* client/vcenter.h - a session at the vCenter that a spec or a question names.  Layer 5.
 * Blocking. */
#ifndef SENDENSE_CLIENT_VCENTER_H
#define SENDENSE_CLIENT_VCENTER_H

#include "model/vsphere.h"
#include "vim/session.h"

struct vcenter {
    struct tls_trust trust;
    struct vim_session *session; /* NULL until vcenter_open() worked */
};
void vcenter_close(struct vcenter *v); /* logs out; harmless when it is closed */
#define CLEANUP_VCENTER CLEANUP(vcenter_close)

/* Logs in, or goes on with the session of @cookie (as in vim_target; NULL = log in).  @v
 * must stay where it is.  @on_cookie as in vim_target, may be NULL. */
int vcenter_open(struct vcenter *v, const struct vsphere_login *login,
                 const struct spec_deadlines *deadlines, int cancel_fd,
                 const struct secret *cookie,
                 void (*on_cookie)(void *arg, const char *cookie), void *on_cookie_arg,
                 struct err *err);

/* The certificate of a server that nobody trusts yet, as "AA:BB:…". */
int vcenter_fingerprint(const char *url, const struct spec_deadlines *deadlines,
                        int cancel_fd, char out[TLS_FINGERPRINT_STR], struct err *err);

#endif
