/* client/vsphere_vm.h - VMs of a server in the words of our messages.   Layer 5.  Pure.
 */
#ifndef SENDENSE_CLIENT_VSPHERE_VM_H
#define SENDENSE_CLIENT_VSPHERE_VM_H

#include "model/vsphere.h"
#include "vim/inventory.h"

/* Copies; the members of *ret are freed by vsphere_answer_done() of what holds it. */
void vsphere_vm_of_item(const struct vim_vm_item *item, struct vsphere_vm *ret);
/* With its details; key and size are checked: ERR_LIMIT "vm_disks". */
int vsphere_vm_of_vim(const struct vim_vm *vm, struct vsphere_vm *ret, struct err *err);

#endif
