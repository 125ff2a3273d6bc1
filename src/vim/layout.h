/* vim/layout.h - the layout of a disk, made of its descriptors; for source.c and its unit
 * tests.  Layer 2.  No I/O. */
#ifndef SENDENSE_VIM_LAYOUT_H
#define SENDENSE_VIM_LAYOUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmdk/vmdk_descriptor.h"

/* What the source plugin takes; vSphere allows 32 snapshots. */
#define VIM_LAYERS_MAX 64

struct xml_node;

/* A datastore as an absolute path names it, "/vmfs/volumes/ID/…", and as the inventory
 * does. */
struct vim_store {
    char *id, *name;
};
/* Of the properties summary.name and summary.url; strings are the caller's. */
void vim_store_decode(const struct xml_node *object, struct vim_store *ret);

struct vim_link { /* one file of the chain */
    struct vmdk_place place;
    struct vmdk_descriptor descriptor;
};

struct vim_chain {
    const char *url;        /* of the server */
    const char *datacenter; /* as struct vim_vm has it */
    uint64_t size_bytes;    /* of the disk */
    struct vim_link *links; /* newest first */
    size_t n_links;
    const struct vim_store *stores; /* those that are known */
    size_t n_stores;
};

/* Does the descriptor name a file that it is a delta on? */
bool vim_layout_has_parent(const struct vim_link *l);
/* Where that is, beside @l or on a store of @c: for a server that names no parent.  The
 * content ids prove later that it is the one.  ERR_INVALID "source_unreadable". */
int vim_layout_parent(const struct vim_chain *c, const struct vim_link *l,
                      struct vmdk_place *ret, struct err *err);

/* The member "layers".  ERR_INVALID, ERR_CORRUPT "source_unreadable": a chain that does
 * not fit together, or what vmdk_descriptor_classify() refuses.  Caller decrefs. */
int vim_layout_layers(const struct vim_chain *c, json_t **ret, struct err *err);

/* The address of a file at the server @url.  Caller frees. */
char *vim_folder_url(const char *url, const char *datacenter, const char *datastore,
                     const char *path);

#endif
