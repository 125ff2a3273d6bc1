/* model/vsphere_codec.h - what the codecs of job specs, questions and leases share.
 * Internal to model. */
#ifndef SENDENSE_MODEL_VSPHERE_CODEC_H
#define SENDENSE_MODEL_VSPHERE_CODEC_H

#include "model/codec.h"
#include "model/vsphere_login.h"

/* Longest text that a server may say of one thing; encoders cut at it. */
#define VSPHERE_TEXT_MAX 1024u
#define VSPHERE_REF_MAX 255u

/* Member "login".  @url_only: nothing else may be set. */
void vsphere_login_get(struct jreader *up, bool url_only, struct vsphere_login *ret);
json_t *vsphere_login_put(const struct vsphere_login *l);

/* A snapshot's name: only names that are ours can be made or removed. */
char *vsphere_snapshot_name_get(struct jreader *r, const char *key);

struct vsphere_answer;
/* The members "vms" of the answer to "snapshots". */
int vsphere_marked_get(struct jreader *r, struct vsphere_answer *a);
void vsphere_marked_put(json_t *o, const struct vsphere_answer *a);

#endif
