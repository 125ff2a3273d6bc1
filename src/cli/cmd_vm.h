/* cli/cmd_vm.h - which VM an argument means.                              Layer 5. */
#ifndef SENDENSE_CLI_CMD_VM_H
#define SENDENSE_CLI_CMD_VM_H

#include <jansson.h>

#include "base/err.h"

struct cli;

/* The table of `vm ls`, with what a discovery said in short. */
int vm_list_show(struct cli *c, const json_t *page, struct err *err);

/* --vm-id as it is, else @word by id or name; caller frees.  An ambiguous name lists its
 * VMs on stderr first.  ERR_INVALID "usage" when neither or both are given. */
int vm_resolve(struct cli *c, const char *word, char **ret_id, struct err *err);

#endif
