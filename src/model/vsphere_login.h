/* model/vsphere_login.h - where to log in at a vCenter, and how.          Layer 1.  Pure.
 * A part of job specs and of questions (model/vsphere.h). */
#ifndef SENDENSE_MODEL_VSPHERE_LOGIN_H
#define SENDENSE_MODEL_VSPHERE_LOGIN_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"

#define VSPHERE_URL_MAX 300u
#define VSPHERE_USER_MAX 255u
#define VSPHERE_PASSWORD_MAX 1023u
#define VSPHERE_CA_MAX 65536u

struct vsphere_login {
    char *url; /* "https://host[:port]"; no path, no user */
    char *user;
    struct secret *password;
    char *ca_pem; /* exactly one of the two is set */
    char *sha256; /* 64 lower-case hex digits */
};
#define CLEANUP_VSPHERE_LOGIN CLEANUP(vsphere_login_done)
void vsphere_login_done(struct vsphere_login *l);
/* ERR_INVALID "invalid_url". */
int vsphere_url_check(const char *url, struct err *err);

#endif
