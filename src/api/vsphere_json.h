/* api/vsphere_json.h - what a vCenter answered, as the API shows it.         Layer 4. */
#ifndef SENDENSE_API_VSPHERE_JSON_H
#define SENDENSE_API_VSPHERE_JSON_H

#include <jansson.h>

#include "model/vsphere.h"

json_t *server_to_json(const struct vsphere_answer *a); /* {full_name, …} */
/* A VM of a list: {ref, name, instance_uuid, power, connection, is_template}. */
json_t *listed_to_json(const struct vsphere_vm *v);

#endif
