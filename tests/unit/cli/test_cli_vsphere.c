/* Commands about vCenters against a scripted hub. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "fake_hub.h"

#define CREDENTIAL                                                                       \
    "{\"id\":\"3\",\"name\":\"vc1\",\"url\":\"https://vc\",\"username\":\"u\","          \
    "\"tls\":{\"sha256\":\"aabb\",\"ca_pem\":null},\"node_id\":\"1\",\"created\":null}"
#define CREDENTIALS "{\"credentials\":[" CREDENTIAL "],\"next\":null}"
#define THERE(ref, name)                                                                 \
    "{\"ref\":\"" ref "\",\"name\":\"" name                                              \
    "\",\"instance_uuid\":\"u\",\"power\":\"poweredOn\","                                \
    "\"connection\":\"connected\",\"is_template\":false,\"in_inventory\":false,"         \
    "\"vm_id\":null}"
#define LIST                                                                             \
    "{\"server\":{},\"vms\":[" THERE("vm-1", "web") "," THERE("vm-2", "db") "," THERE(   \
        "vm-3", "web") "]}"
#define VM                                                                               \
    "{\"id\":\"v\",\"name\":\"db\",\"source_type\":\"vsphere\","                         \
    "\"credential\":{\"id\":\"3\",\"name\":\"vc1\"},\"ref\":\"vm-2\","                   \
    "\"platform\":{\"is_template\":false,\"power\":\"poweredOn\"},\"disks\":["           \
    "{\"disk_id\":0,\"key\":2000,\"disk_uuid\":\"d0\",\"label\":\"Hard disk 1\","        \
    "\"source\":\"[ds1] db/db.vmdk\",\"size_bytes\":1048576,\"bus\":\"scsi\","           \
    "\"bus_number\":0,\"unit\":1,\"protected\":true,\"not_protected\":null},"            \
    "{\"disk_id\":1,\"key\":2017,\"disk_uuid\":\"d1\",\"label\":\"Hard disk 2\","        \
    "\"source\":\"[ds1] db/db_1.vmdk\",\"size_bytes\":1048576,\"bus\":\"scsi\","         \
    "\"bus_number\":1,\"unit\":2,\"protected\":false,\"not_protected\":"                 \
    "{\"reason\":\"independent\",\"message\":\"it takes no part\"}}],"                   \
    "\"last_backup\":null}"

static void
expect(struct result r, int code, const char *in_out, const char *in_err)
{
    if (r.code != code || (in_out && !strstr(r.out, in_out)) ||
        (in_err && !strstr(r.err, in_err)))
        fail_msg("exit %d, not %d\nwanted: %s / %s\nout: %s\nerr: %s\nasked: %s", r.code,
                 code, in_out ? in_out : "", in_err ? in_err : "", r.out, r.err, hub.log);
    result_done(&r);
}

static void
asked(const char *text)
{
    if (!strstr(hub.log, text))
        fail_msg("not asked: %s\nbut: %s", text, hub.log);
}

static char *
write_file(const char *name, const char *text, mode_t mode)
{
    char *path = xasprintf("%s/%s", hub.dir, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void
test_add(void **state)
{
    const struct canned add[] = {{"POST /credentials", 0, CREDENTIAL}, {0}};
    const struct canned with_node[] = {
        {"GET /nodes", 0, "{\"nodes\":[{\"id\":\"9\",\"name\":\"n1\"}],\"next\":null}"},
        {"POST /credentials", 0, CREDENTIAL},
        {0}};
    const struct canned no_key[] = {{"POST /credentials", ERR_UNAVAILABLE,
                                     "the hub has no sealing key", "no_sealing_key"},
                                    {0}};
    CLEANUP_FREE char *password = write_file("pw", "<&\"'\n", 0600);
    CLEANUP_FREE char *empty = write_file("empty", "", 0600);
    CLEANUP_FREE char *open = write_file("open", "x", 0644);
    CLEANUP_FREE char *ca = write_file("ca", "-----BEGIN CERTIFICATE-----\n", 0644);
    CLEANUP_FREE char *good = xasprintf("credential add vc1 --host vc:8443 --user u "
                                        "--password-file %s --fingerprint aa:bb",
                                        password);
    CLEANUP_FREE char *by_ca = xasprintf("credential add vc1 --host vc --user u "
                                         "--password-file %s --ca-file %s --node n1",
                                         empty, ca);
    CLEANUP_FREE char *both = xasprintf("%s --ca-file %s", good, ca);
    CLEANUP_FREE char *exposed = xasprintf("credential add vc1 --host vc --user u "
                                           "--password-file %s --fingerprint aa",
                                           open);
    CLEANUP_FREE char *neither =
        xasprintf("credential add vc1 --host vc --user u --password-file %s", password);
    int keep = fake_io.in_fd, in[2];

    (void)state;
    expect(run_cli(add, good), 0, "this certificate only", "");
    asked("POST /credentials {\"name\":\"vc1\",\"host\":\"vc:8443\",\"username\":\"u\","
          "\"sha256\":\"aa:bb\",\"password\":\"<&\\\"'\"}");
    expect(run_cli(with_node, by_ca), 0, "vc1", NULL);
    asked("\"ca_pem\":\"-----BEGIN CERTIFICATE-----\\n\",\"node_id\":\"9\","
          "\"password\":\"\"}");
    expect(run_cli(no_key, good), 1, NULL, "no_sealing_key");
    expect(run_cli(NULL, both), 2, NULL, "--ca-file");
    expect(run_cli(NULL, neither), 2, NULL, "--fingerprint");
    expect(run_cli(NULL, exposed), 6, NULL, "the password");
    expect(run_cli(NULL, "credential add vc1 --host vc --user u --fingerprint aa"), 2,
           NULL, "--password-file");
    expect(run_cli(NULL, "credential add vc1 --user u --fingerprint aa"), 2, NULL,
           "--host");
    assert_int_equal(pipe(in), 0);
    assert_int_equal(write(in[1], "pass word\nrest", 14), 14);
    fake_io.in_fd = in[0];
    expect(run_cli(add, "credential add vc1 --host vc --user u --password-file - "
                        "--fingerprint aa"),
           0, "vc1", NULL);
    asked("\"password\":\"pass word\"}");
    fake_io.in_fd = keep;
    close(in[0]);
    close(in[1]);
    unlink(password);
    unlink(empty);
    unlink(open);
    unlink(ca);
}

static void
test_set(void **state)
{
    const struct canned set[] = {{"GET /credentials", 0, CREDENTIALS},
                                 {"PATCH /credentials/{id}", 0, CREDENTIAL},
                                 {0}};
    const struct canned other[] = {{"GET /credentials", 0, CREDENTIALS},
                                   {"PATCH /credentials/{id}", ERR_EXISTS,
                                    "another server", "credential_other_server"},
                                   {0}};
    CLEANUP_FREE char *password = write_file("pw", "<&\"'\n", 0600);
    CLEANUP_FREE char *ca = write_file("ca", "-----BEGIN CERTIFICATE-----\n", 0644);
    CLEANUP_FREE char *renew =
        xasprintf("credential set vc1 --password-file %s", password);
    CLEANUP_FREE char *all =
        xasprintf("credential set 3 --host vc2 --user v --ca-file %s", ca);
    CLEANUP_FREE char *both = xasprintf("%s --fingerprint aa", all);

    (void)state;
    expect(run_cli(set, renew), 0, "vc1", "");
    asked("PATCH /credentials/{id} id=3 {\"password\":\"<&\\\"'\"}");
    expect(run_cli(set, "credential set vc1 --fingerprint aa"), 0, "vc1", "");
    asked("PATCH /credentials/{id} id=3 {\"sha256\":\"aa\"}");
    expect(run_cli(set, all), 0, "vc1", "");
    asked("{\"host\":\"vc2\",\"username\":\"v\",\"ca_pem\":\"-----BEGIN");
    expect(run_cli(other, "credential set vc1 --host vc3"), 5, NULL,
           "credential_other_server");
    expect(run_cli(NULL, both), 2, NULL, "--ca-file");
    expect(run_cli(NULL, "credential set vc1"), 2, NULL, "say what changes");
    unlink(password);
    unlink(ca);
}

static void
test_use(void **state)
{
    const struct canned ls[] = {{"GET /credentials", 0, CREDENTIALS}, {0}};
    const struct canned show[] = {{"GET /credentials", 0, CREDENTIALS},
                                  {"GET /credentials/{id}", 0, CREDENTIAL},
                                  {0}};
    const struct canned test[] = {
        {"GET /credentials", 0, CREDENTIALS},
        {"POST /credentials/{id}/test", 0,
         "{\"ok\":true,\"server\":{\"full_name\":\"VMware vCenter 8\"}}"},
        {0}};
    const struct canned refused[] = {{"GET /credentials", 0, CREDENTIALS},
                                     {"POST /credentials/{id}/test", ERR_IO,
                                      "https://vc: wrong password", "vcenter_login"},
                                     {0}};
    const struct canned rm[] = {
        {"GET /credentials", 0, CREDENTIALS}, {"DELETE /credentials/{id}", 0, NULL}, {0}};
    const struct canned in_use[] = {
        {"GET /credentials", 0, CREDENTIALS},
        {"DELETE /credentials/{id}", ERR_EXISTS, "VMs use it", "credential_in_use"},
        {0}};
    const struct canned probe[] = {
        {"POST /credentials/probe", 0, "{\"url\":\"https://vc\",\"sha256\":\"AA:BB\"}"},
        {0}};

    (void)state;
    expect(run_cli(ls, "credential ls"), 0, "https://vc", NULL);
    expect(run_cli(show, "credential show vc1"), 0, "aabb", NULL);
    expect(run_cli(show, "-o json credential show 3"), 0, "\"ca_pem\": null", NULL);
    expect(run_cli(ls, "credential show nope"), 4, NULL, "credential_not_found");
    expect(run_cli(test, "credential test vc1"), 0, "VMware vCenter 8", "works");
    expect(run_cli(refused, "credential test vc1"), 1, NULL, "vcenter_login");
    expect(run_cli(rm, "credential rm vc1"), 0, NULL, "removed");
    expect(run_cli(in_use, "credential rm vc1"), 5, NULL, "credential_in_use");
    expect(run_cli(probe, "credential probe vc"), 0, "AA:BB", "--fingerprint AA:BB");
    asked("POST /credentials/probe {\"host\":\"vc\"}");
}

static void
test_discover(void **state)
{
    const struct canned list[] = {
        {"GET /credentials", 0, CREDENTIALS}, {"POST /vms/discover", 0, LIST}, {0}};
    const struct canned one[] = {{"GET /credentials", 0, CREDENTIALS},
                                 {"POST /vms/discover", 0, LIST},
                                 {"POST /vms/discover", 0,
                                  "{\"server\":{},\"vms\":[" VM
                                  "],\"failed\":[],\"added\":1,\"refreshed\":0}"},
                                 {0}};
    const struct canned all[] = {
        {"GET /credentials", 0, CREDENTIALS},
        {"POST /vms/discover", 0, LIST},
        {"POST /vms/discover", 0,
         "{\"server\":{},\"vms\":[" VM
         "],\"failed\":[{\"ref\":\"vm-3\",\"name\":\"web\",\"code\":\"vm_not_connected\","
         "\"message\":\"it is away\"}],\"added\":1,\"refreshed\":1}"},
        {0}};
    const struct canned away[] = {
        {"GET /credentials", 0, CREDENTIALS},
        {"POST /vms/discover", 0, LIST},
        {"POST /vms/discover", ERR_UNAVAILABLE, "it is away", "vm_not_connected"},
        {0}};

    (void)state;
    expect(run_cli(list, "vm discover vc1"), 0, "vm-2", NULL);
    asked("POST /vms/discover {\"credential_id\":\"3\"}\n");
    expect(run_cli(one, "vm discover vc1 db"), 0, "1 disks not protected", "1 added");
    asked("POST /vms/discover {\"credential_id\":\"3\",\"vm_refs\":[\"vm-2\"]}");
    expect(run_cli(one, "vm discover vc1 vm-3"), 0, NULL, NULL);
    asked("\"vm_refs\":[\"vm-3\"]");
    expect(run_cli(list, "vm discover vc1 web"), 5, NULL, "candidate: vm-3");
    expect(run_cli(list, "vm discover vc1 nope"), 4, NULL, "vcenter_vm_not_found");
    expect(run_cli(all, "vm discover vc1 --all"), 3, NULL,
           "not taken in: vm-3 web: it is");
    asked("\"vm_refs\":[\"vm-1\",\"vm-2\",\"vm-3\"]");
    expect(run_cli(away, "vm discover vc1 db"), 1, NULL, "vm_not_connected");
    expect(run_cli(NULL, "vm discover vc1 db --all"), 2, NULL, "either");
    expect(run_cli(all, "-o json vm discover vc1 --all"), 3, "\"failed\": [", NULL);
}

static void
test_show(void **state)
{
    const struct canned show[] = {{"GET /vms", 0, "{\"vms\":[" VM "],\"next\":null}"},
                                  {"GET /vms/{id}", 0, VM},
                                  {0}};
    const struct canned template[] = {
        {"GET /vms", 0,
         "{\"vms\":[{\"id\":\"v\",\"name\":\"mold\",\"disks\":[],"
         "\"platform\":{\"is_template\":true}}],\"next\":null}"},
        {0}};
    const struct canned backup[] = {
        {"GET /backups/{id}", 0,
         "{\"backup_id\":\"b\",\"status\":\"completed\",\"quiesced\":false,"
         "\"cleanup\":{\"released\":[],\"left\":[{\"kind\":\"snapshot\",\"key\":"
         "\"sendense-x\",\"message\":\"the node is removing it\"}]},"
         "\"disk_results\":[],\"not_protected\":[{\"key\":2017,\"label\":\"Hard disk 2\","
         "\"reason\":\"independent\",\"message\":\"it takes no part\"}]}"},
        {0}};
    const struct canned run[] = {
        {"GET /vms", 0, "{\"vms\":[" VM "],\"next\":null}"},
        {"POST /backups", 0, "{\"backup_id\":\"b\",\"status\":\"running\"}"},
        {0}};

    (void)state;
    expect(run_cli(show, "vm show db"), 0, "scsi 0:1", NULL);
    expect(run_cli(show, "vm show db"), 0, "no (independent): it takes no part", NULL);
    expect(run_cli(show, "vm show db"), 0, "[ds1] db/db.vmdk", NULL);
    expect(run_cli(template, "vm ls"), 0, "template: not protected", NULL);
    expect(run_cli(backup, "backup show b"), 0, "NOT IN THE BACKUP", NULL);
    expect(run_cli(backup, "backup show b"), 0, "it takes no part", NULL);
    expect(run_cli(backup, "backup show b"), 0, "guest quiesced", NULL);
    expect(run_cli(backup, "backup show b"), 0, "the node is removing it", NULL);
    expect(run_cli(run, "backup run db --quiesce require"), 0, NULL, "has started");
    asked("\"quiesce\":\"require\"");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_add, fake_hub_start, fake_hub_stop),
        cmocka_unit_test_setup_teardown(test_set, fake_hub_start, fake_hub_stop),
        cmocka_unit_test_setup_teardown(test_use, fake_hub_start, fake_hub_stop),
        cmocka_unit_test_setup_teardown(test_discover, fake_hub_start, fake_hub_stop),
        cmocka_unit_test_setup_teardown(test_show, fake_hub_start, fake_hub_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
