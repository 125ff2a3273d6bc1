/* api/vm_json.h - a VM as the API shows it.                                  Layer 4. */
#ifndef SENDENSE_API_VM_JSON_H
#define SENDENSE_API_VM_JSON_H

#include <jansson.h>

#include "api/api.h"
#include "catalog/cat_vm.h"

json_t *vm_to_json(struct api *a, const struct cat_vm *vm);
json_t *vms_to_candidates(const struct cat_vms *list);

#endif
