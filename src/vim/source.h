/* vim/source.h - where the bytes of a frozen disk are: the layout that the source plugin
 * reads (docs/design/protocol.md).                               Layer 2.  Blocking. */
#ifndef SENDENSE_VIM_SOURCE_H
#define SENDENSE_VIM_SOURCE_H

#include <jansson.h>

#include "vim/inventory.h"

/* The plugin tries a range again that fails, for the member "retry_s"; an attempt that is
 * under way then may go on for so long. */
#define VIM_LAYOUT_RETRY_MAX_S 3600u
#define VIM_LAYOUT_ATTEMPT_S 120u

/* "[ds1] dir/x.vmdk" -> "ds1", "dir/x.vmdk"; false when it is none.  Caller frees both.
 */
bool vim_ds_split(const char *file, char **ret_datastore, char **ret_path);
/* The address of a datastore's file, percent-encoded; caller frees.  @datacenter as
 * struct vim_vm has it. */
char *vim_ds_url(const struct vim_session *s, const char *datacenter,
                 const char *datastore, const char *path);

/* Reads the descriptors of @disk (of a snapshot) and of its parents; the member
 * "allocated" is null: the caller puts it in.  What cannot be read rightly is refused,
 * never read as something else: ERR_INVALID "source_unreadable" (vSAN, encrypted, a raw
 * device, a format that we do not know) says why and what to do; ERR_CORRUPT
 * "source_unreadable": a file that is no descriptor.  @connections: 1-16; @retry_s: cut
 * at VIM_LAYOUT_RETRY_MAX_S.  *ret: caller decrefs. */
int vim_disk_layout(struct vim_session *s, const char *datacenter,
                    const struct vim_disk *disk, const struct tls_trust *trust,
                    unsigned connections, unsigned retry_s, json_t **ret,
                    struct err *err);

/* The VM's NVRAM file as base64, of which at most 1 MiB (more: ERR_LIMIT
 * "datastore_read"); NULL when it has none.  Caller frees. */
int vim_read_nvram(struct vim_session *s, const struct vim_vm *vm, char **ret,
                   struct err *err);

#endif
