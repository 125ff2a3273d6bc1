/* vim/decode.h - what the answers of a server say; for the files of this folder, their
 * unit tests and the fuzzer.  Layer 2.  No I/O.
 *
 * A @response is what soap_answer() gives, an object one of its objects.  What a server
 * leaves out is "", 0 or false; what makes no sense is ERR_PROTOCOL. */
#ifndef SENDENSE_VIM_DECODE_H
#define SENDENSE_VIM_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vim/inventory.h"
#include "vim/session.h"
#include "vim/snapshot.h"

/* ---- the server ---- */

#define VIM_API_FALLBACK "6.5"   /* of a server that names none */
#define VIM_API_NEWEST "8.0.2.0" /* the newest that this library was written for */
#define VIM_API_VERSION_SIZE 32

/* Of vimServiceVersions.xml: the server's version, at most VIM_API_NEWEST. */
void vim_version_choose(const char *text, size_t n, char ret[VIM_API_VERSION_SIZE]);
/* "8.0.2.0" is at least "8.0.1"; false when @version is none. */
bool vim_version_at_least(const char *version, const char *least);

/* Of RetrieveServiceContent.  @ret_about: vim_about_done(). */
int vim_content_decode(const struct xml_node *response, struct vim_content *ret,
                       struct vim_about *ret_about, struct err *err);
void vim_about_done(struct vim_about *a);

/* ---- pages of the property collector ---- */

/* Of RetrievePropertiesEx and its continuation.  A server without our session answers
 * without a fault: ERR_AUTH "vcenter_session".  *ret_token: NULL on the last page; caller
 * frees. */
int vim_page_decode(const struct xml_node *response, char **ret_token, struct err *err);
/* The objects of a page, one after another; @last NULL = the first. */
const struct xml_node *vim_page_object(const struct xml_node *response,
                                       const struct xml_node *last);
/* The value of a property; NULL when the server gave none. */
const struct xml_node *vim_prop(const struct xml_node *object, const char *path);
char *vim_prop_text(const struct xml_node *object, const char *path); /* caller frees */
bool vim_prop_bool(const struct xml_node *object, const char *path);
/* 0, or the error of a property that could not be given: the object vanished, or the
 * account may not see it.  Properties that the server does not know are none. */
int vim_object_check(const struct xml_node *object, struct err *err);

/* %2f, %5c and %25 of a name undone.  Caller frees. */
char *vim_name_decode(const char *name);

/* ---- objects ---- */

int vim_item_decode(const struct xml_node *object, struct vim_vm_item *ret,
                    struct err *err);
void vim_item_done(struct vim_vm_item *item);
/* All but the datacenter. */
int vim_vm_decode(const struct xml_node *object, struct vim_vm *ret, struct err *err);
/* @val: of the property snapshot; NULL = none.  Each is freed by
 * vim_snapshot_item_done(), the array by free(). */
int vim_snapshot_tree_decode(const struct xml_node *val, struct vim_snapshot_item **ret,
                             size_t *ret_n, struct err *err);
void vim_snapshot_item_done(struct vim_snapshot_item *item);
int vim_snapshot_decode(const struct xml_node *object, struct vim_snapshot *ret,
                        struct err *err);

enum vim_task_state { VIM_TASK_RUNNING, VIM_TASK_OK, VIM_TASK_FAILED };
struct vim_task {
    enum vim_task_state state; /* a queued one is running */
    unsigned percent;
    struct moref result; /* value "" = none */
    struct err error;    /* of VIM_TASK_FAILED */
};
int vim_task_decode(const struct xml_node *object, struct vim_task *ret, struct err *err);

/* ---- changed areas ---- */

/* Joins areas that touch and gives them on.  Start with .capacity and .next; after the
 * last page vim_areas_end(). */
struct vim_areas {
    uint64_t capacity;
    uint64_t next;       /* where the next page has to start */
    uint64_t start, end; /* seen, not yet given on; equal = none */
    vim_area_fn *fn;
    void *arg;
};
/* Of QueryChangedDiskAreas that was asked from a->next on.  What it gives on is in order,
 * disjoint and inside the disk. */
int vim_areas_page(struct vim_areas *a, const struct xml_node *response, struct err *err);
int vim_areas_end(struct vim_areas *a, struct err *err);

#endif
