/* vim/props.h - properties of objects.                            Layer 2.  Blocking.
 * For the other files of this folder. */
#ifndef SENDENSE_VIM_PROPS_H
#define SENDENSE_VIM_PROPS_H

#include "vim/decode.h"

/* The properties @paths (ended by NULL) of @ref.  *ret_object is owned by *ret.
 * ERR_NOT_FOUND "vcenter_object_gone"; what vim_object_check() gives. */
int vim_read_object(struct vim_session *s, const struct moref *ref,
                    const char *const *paths, struct xml_doc **ret,
                    const struct xml_node **ret_object, struct err *err);

/* Properties of all VMs, page by page: @each for every object, < 0 ends it.  Objects that
 * vanished are left out.  It may start anew (@restart, before each first page). */
struct vim_walk {
    const char *const *paths;
    void (*restart)(void *arg);
    int (*each)(void *arg, const struct xml_node *object, struct err *err);
    void *arg;
};
int vim_walk_vms(struct vim_session *s, struct vim_walk *w, struct err *err);

#endif
