/* vim/snapshot_decode.c - what the server says about a snapshot; see decode.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "vim/decode.h"

void
vim_snapshot_done(struct vim_snapshot *s)
{
    vim_devices_done(&s->devices);
    free(s->config_xml);
    free(s->name);
    free(s->guest_id);
    free(s->version);
    free(s->firmware);
    free(s->uuid);
    free(s->annotation);
    *s = (struct vim_snapshot){0};
}

int
vim_snapshot_decode(const struct xml_node *object, struct vim_snapshot *ret,
                    struct err *err)
{
    const struct xml_node *config = vim_prop(object, "config");
    const struct xml_node *hardware = xml_child(config, "hardware");
    CLEANUP_VIM_SNAPSHOT struct vim_snapshot s = {0};
    CLEANUP_BUF struct buf source = BUF_INIT(VIM_CONFIG_MAX);
    CLEANUP_FREE char *name = xml_text(xml_child(config, "name"));
    struct err why = ERR_INIT;

    if (!config)
        return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                       "the server gives no config of the snapshot");
    /* "device" stands beside other members here; the decoder takes what is a device by
     * its type. */
    if (vim_devices_decode(hardware, &s.devices, err) < 0)
        return err->class;
    /* Only for the record: a VM is backed up without. */
    if (xml_source(&source, config, &why) == 0)
        s.config_xml = buf_take(&source);
    else if (why.class != ERR_LIMIT)
        return err_set(err, why.class, why.code, "%s", why.msg);
    s.name = vim_name_decode(name);
    s.guest_id = xml_text(xml_child(config, "guestId"));
    s.version = xml_text(xml_child(config, "version"));
    s.firmware = xml_text(xml_child(config, "firmware"));
    s.uuid = xml_text(xml_child(config, "uuid"));
    s.annotation = xml_text(xml_child(config, "annotation"));
    if (!xml_u64(xml_child(hardware, "numCPU"), &s.num_cpus))
        s.num_cpus = 0;
    if (!xml_u64(xml_child(hardware, "memoryMB"), &s.memory_mib))
        s.memory_mib = 0;
    *ret = s;
    s = (struct vim_snapshot){0};
    return 0;
}
