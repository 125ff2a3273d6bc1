/* cli/cmd_vm.h - which VM an argument means.                              Layer 5. */
#ifndef SENDENSE_CLI_CMD_VM_H
#define SENDENSE_CLI_CMD_VM_H

#include "base/err.h"

struct cli;

/* --vm-id as it is, else @word by id or name; caller frees.  An ambiguous name lists its
 * VMs on stderr first.  ERR_INVALID "usage" when neither or both are given. */
int vm_resolve(struct cli *c, const char *word, char **ret_id, struct err *err);

#endif
