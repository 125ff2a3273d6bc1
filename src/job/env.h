/* job/env.h - what jobs work with: set up once by the hub's main(), then shared. Layer 3.
 * All members are fixed after start; each object has its own locking. */
#ifndef SENDENSE_JOB_ENV_H
#define SENDENSE_JOB_ENV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "model/jobspec.h"

struct catalog;
struct repo_set;
struct port_pool;
struct seal_key;
struct live_set;
struct bus;
struct files_set;

struct job_env {
    struct catalog *catalog;
    struct repo_set *repos;
    struct port_pool *ports;
    struct seal_key *key; /* NULL: no secret can be stored or read */
    struct live_set *live;
    struct bus *bus;
    struct files_set *files; /* job/files_session.h */
    char hub_uuid[UUID_STR_SIZE];
    char *data_dir;    /* job logs are in DATA/jobs */
    char *run_dir;     /* private folder of sockets */
    char *worker_path; /* sendense-worker */
    char *files_path;  /* sendense-files */
    char *appliance;   /* folder of a fixed appliance; NULL = libguestfs makes one */
    unsigned files_max, files_memory_mib; /* file sessions; memory of each appliance */
    char *hub_url;                        /* where a client reaches this hub */
    struct spec_limits limits;
    struct spec_deadlines deadlines;
    uint32_t audit_samples;
    uint32_t disks_per_host; /* of an ESXi host, read at a time; 0 = unlimited */
    uint32_t lease_s;        /* of snapshots: how long one outlives a hub that is gone */
    bool remote_exports;     /* disks may be opened on addresses that are not loopback */
    uint64_t export_ttl_max_s;
};

#endif
