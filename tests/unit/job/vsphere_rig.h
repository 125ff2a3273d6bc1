/* A hub's catalog and key in a folder of their own, and a node that answers questions
 * from a table of VMs; the node runs in the test's process, over real HTTP. */
#ifndef SENDENSE_TESTS_VSPHERE_RIG_H
#define SENDENSE_TESTS_VSPHERE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "catalog/catalog.h"
#include "job/env.h"
#include "model/vsphere.h"

#define T_OK(call)                                                                       \
    do {                                                                                 \
        struct err err = ERR_INIT;                                                       \
        int t_rc = (call);                                                               \
        if (t_rc < 0)                                                                    \
            fail_msg("%s: %s: %s", #call, err.code, err.msg);                            \
    } while (0)

#define T_ERR(cls, word, call)                                                           \
    do {                                                                                 \
        struct err err = ERR_INIT;                                                       \
        assert_int_equal((call), (cls));                                                 \
        assert_string_equal(err.code, (word));                                           \
    } while (0)

struct fake_vm {
    const char *ref, *name, *instance_uuid;
    const char *connection; /* NULL = connected */
    bool is_template;
    uint64_t allocated_bytes;
    struct fake_disk {
        uint32_t key;
        const char *uuid, *file;
        uint64_t size_bytes;
        const char *not_protected;
    } disks[4];
    size_t n_disks;
};

struct vsphere_rig {
    char dir[64], catalog[96], key[96];
    struct job_env env;
    struct http_server *server;
    /* what it answers; set between calls only */
    const struct fake_vm *vms;
    size_t n_vms;
    const char *refuse; /* a code: every question is refused with it */
    const char *lease;  /* job id of the one lease there is; NULL = none */
    /* what it was asked last */
    enum vsphere_question_kind kind;
    char user[256], url[320];
    char *password;
    unsigned n_ended; /* leases that were ended */
    uint32_t renewed_s;
};

int rig_setup(void **state); /* *state = struct vsphere_rig */
int rig_teardown(void **state);

#endif
