/* client/vsphere_remove.h - snapshots of a name are removed, and it is made sure that
 * there are none.                                                   Layer 5.  Blocking.
 */
#ifndef SENDENSE_CLIENT_VSPHERE_REMOVE_H
#define SENDENSE_CLIENT_VSPHERE_REMOVE_H

#include "vim/snapshot.h"

/* Removes every snapshot of the VM whose name is exactly @name, no children of it, and
 * waits for the end.  When there is none, one may still be in the making (the client that
 * asked for it died): the VM's other tasks are waited for by a task of our own, and then
 * it is looked for again.  *ret_removed = how many there were. */
int vsphere_remove_named(struct vim_session *s, const struct moref *vm, const char *name,
                         uint32_t *ret_removed, struct err *err);

/* The same of those that are there now; adds to *ret_removed. */
int vsphere_remove_seen(struct vim_session *s, const struct moref *vm, const char *name,
                        uint32_t *ret_removed, struct err *err);

/* Merges what a removal could not.  1 when the server still says that it is needed, and
 * @err then says why, if it failed; never fails. */
int vsphere_consolidate_after(struct vim_session *s, const struct moref *vm,
                              struct err *err);

#endif
