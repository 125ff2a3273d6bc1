/* hub/hub.h - the hub's commands.                                            Layer 5. */
#ifndef SENDENSE_HUB_HUB_H
#define SENDENSE_HUB_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"

#define HUB_PROG "sendense-hub"
#define HUB_DATA_DEFAULT "/var/lib/sendense"

struct hub_options {
    const char *data;       /* data folder */
    const char *repository; /* init, rebuild: NULL = DATA/repository */
    const char *node_url;   /* init */
    const char *node_token_file;
    const char *listen; /* run */
    bool allow_remote;
    const char *hub_url; /* NULL = http://ADDRESS of listen */
    const char *nbd_ports;
    const char *worker;    /* NULL = beside this program */
    const char *run_dir;   /* NULL = DATA/run */
    const char *files;     /* NULL = beside this program */
    const char *appliance; /* NULL = libguestfs makes one */
    uint64_t file_sessions, appliance_mib;
    uint64_t max_connections, connect_s, io_s, audit_samples, disks_per_host, lease_s;
    bool allow_remote_exports;
    uint64_t export_ttl_max_s;
    const char *name, *scope; /* token create */
    bool force;               /* rebuild */
    enum log_level level;
};

/* Each returns the exit status of the program. */
int hub_init(const struct hub_options *o);
int hub_run(const struct hub_options *o, int signal_fd);
int hub_rebuild(const struct hub_options *o);
int hub_token_create(const struct hub_options *o);

#endif
