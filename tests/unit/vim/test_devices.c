/* Unit tests of vim/devices.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "vim/devices.h"

#define HEAD "<val xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">"
#define SCSI(key, bus, sharing)                                                          \
    "<VirtualDevice xsi:type=\"ParaVirtualSCSIController\"><key>" key                    \
    "</key><busNumber>" bus "</busNumber><sharedBus>" sharing                            \
    "</sharedBus></VirtualDevice>"
#define DISK(key, controller, unit, backing)                                             \
    "<VirtualDevice xsi:type=\"VirtualDisk\"><key>" key                                  \
    "</key><deviceInfo><label>Hard disk " key "</label></deviceInfo>" backing            \
    "<controllerKey>" controller "</controllerKey><unitNumber>" unit                     \
    "</unitNumber><capacityInKB>1024</capacityInKB></VirtualDevice>"
#define FLAT(mode, more)                                                                 \
    "<backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName>[ds1] d/d.vmdk"      \
    "</fileName><diskMode>" mode "</diskMode>" more "</backing>"
#define OK FLAT("persistent", "")

static int
decode(const char *text, struct vim_devices *ret, struct err *err)
{
    CLEANUP_XML struct xml_doc *d = NULL;

    err_clear(err);
    assert_int_equal(xml_parse(text, strlen(text), &d, err), 0);
    return vim_devices_decode(xml_root(d), ret, err);
}

static void
all_of_a_disk(void **state)
{
    CLEANUP_VIM_DEVICES struct vim_devices d = {0};
    struct err err = ERR_INIT;
    const struct vim_disk *k;

    assert_int_equal(
        decode(HEAD
               "<VirtualDevice xsi:type=\"vim25:VirtualDisk\"><key>2017</key><deviceInfo>"
               "<label>data &amp; logs</label></deviceInfo>"
               "<backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\">"
               "<fileName>[ds 1] d/d-000002.vmdk</fileName>"
               "<datastore type=\"Datastore\">datastore-9</datastore>"
               "<diskMode>persistent</diskMode><thinProvisioned>true</thinProvisioned>"
               "<uuid>6000C29f</uuid><changeId>52 3e/7</changeId>"
               "<parent><fileName>[ds 1] d/d-000001.vmdk</fileName>"
               "<parent><fileName>[ds 2] d/d.vmdk</fileName></parent></parent>"
               "<keyId><keyId>k</keyId></keyId></backing>"
               "<controllerKey>1001</controllerKey><unitNumber>1</unitNumber>"
               "<capacityInKB>5</capacityInKB><capacityInBytes>5632</capacityInBytes>"
               "</VirtualDevice>" SCSI("1001", "1", "noSharing") "</val>",
               &d, &err),
        0);
    assert_int_equal(d.n_disks, 1);
    k = &d.disks[0];
    assert_int_equal(k->key, 2017);
    assert_string_equal(k->label, "data & logs");
    assert_int_equal(k->capacity_bytes, 5632); /* the exact one of the two */
    assert_string_equal(k->backing, "FlatVer2");
    assert_string_equal(k->file, "[ds 1] d/d-000002.vmdk");
    assert_string_equal(k->base_file, "[ds 2] d/d.vmdk");
    assert_string_equal(k->datastore.value, "datastore-9");
    assert_string_equal(k->uuid, "6000C29f");
    assert_string_equal(k->change_id, "52 3e/7");
    assert_true(k->thin && k->encrypted);
    assert_non_null(k->controller); /* though it comes after its disk */
    assert_int_equal(k->controller->bus, VIM_SCSI);
    assert_int_equal(k->controller->bus_number, 1);
    assert_int_equal(k->unprotected, VIM_PROTECTED);
}

static void
order_is_that_of_the_places(void **state)
{
    static const uint32_t expected[] = {3000, 2001, 2000, 2016, 16000, 31999, 7};
    CLEANUP_VIM_DEVICES struct vim_devices d = {0};
    struct err err = ERR_INIT;

    assert_int_equal(
        decode(HEAD DISK("7", "4711", "0", OK) DISK("31999", "31000", "0", OK)
                   DISK("16000", "15000", "0", OK) DISK("2016", "1001", "0", OK)
                       DISK("2000", "1000", "5", OK) DISK("2001", "1000", "0", OK)
                           DISK("3000", "200", "0", OK) SCSI("1001", "1", "noSharing")
                               SCSI("1000", "0",
                                    "noSharing") "<VirtualDevice "
                                                 "xsi:type=\"VirtualNVMEController\"><"
                                                 "key>31000</key></VirtualDevice>"
                                                 "<VirtualDevice "
                                                 "xsi:type=\"VirtualAHCIController\"><"
                                                 "key>15000</key></VirtualDevice>"
                                                 "<VirtualDevice "
                                                 "xsi:type=\"VirtualIDEController\"><key>"
                                                 "200</key></VirtualDevice>"
                                                 "<VirtualDevice "
                                                 "xsi:type=\"VirtualVmxnet3\"><key>4000</"
                                                 "key></VirtualDevice></val>",
               &d, &err),
        0);
    assert_int_equal(d.n_controllers, 5);
    assert_int_equal(d.n_disks, ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_int_equal(d.disks[i].key, expected[i]);
}

static void
disks_without_snapshots(void **state)
{
    static const struct {
        const char *backing, *controller;
        enum vim_unprotected why;
    } cases[] = {
        {OK, "1000", VIM_PROTECTED},
        {FLAT("independent_persistent", ""), "1000", VIM_INDEPENDENT},
        {FLAT("independent_nonpersistent", ""), "1000", VIM_INDEPENDENT},
        {FLAT("nonpersistent", ""), "1000", VIM_INDEPENDENT},
        {FLAT("persistent", "<sharing>sharingNone</sharing>"), "1000", VIM_PROTECTED},
        {FLAT("persistent", "<sharing>sharingMultiWriter</sharing>"), "1000",
         VIM_MULTI_WRITER},
        {OK, "1001", VIM_SHARED_BUS},
        {"<backing xsi:type=\"VirtualDiskRawDiskMappingVer1BackingInfo\"><diskMode>"
         "independent_persistent</diskMode><compatibilityMode>physicalMode"
         "</compatibilityMode></backing>",
         "1000", VIM_PHYSICAL_RDM},
        {"<backing xsi:type=\"VirtualDiskRawDiskMappingVer1BackingInfo\"><diskMode>"
         "persistent</diskMode><compatibilityMode>virtualMode</compatibilityMode></"
         "backing>",
         "1000", VIM_PROTECTED},
        {"<backing xsi:type=\"VirtualDiskLocalPMemBackingInfo\"/>", "1000",
         VIM_UNKNOWN_BACKING},
        {"", "1000", VIM_UNKNOWN_BACKING},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_VIM_DEVICES struct vim_devices d = {0};
        struct err err = ERR_INIT;
        CLEANUP_FREE char *text = xasprintf(
            "%s<VirtualDevice xsi:type=\"VirtualDisk\"><key>2000</key>%s"
            "<controllerKey>%s</controllerKey><capacityInKB>1</capacityInKB>"
            "</VirtualDevice></val>",
            HEAD SCSI("1000", "0", "noSharing") SCSI("1001", "1", "physicalSharing"),
            cases[i].backing, cases[i].controller);
        assert_int_equal(decode(text, &d, &err), 0);
        assert_int_equal(d.disks[0].unprotected, cases[i].why);
        assert_true(!vim_unprotected_to_str(cases[i].why) ==
                    (cases[i].why == VIM_PROTECTED));
        assert_true(!vim_unprotected_advice(cases[i].why) ==
                    (cases[i].why == VIM_PROTECTED));
    }
}

static void
what_is_refused(void **state)
{
    static const char *const bad[] = {
        HEAD DISK("", "1000", "0", OK) "</val>",
        HEAD DISK("-1", "1000", "0", OK) "</val>",
        HEAD DISK("99999999999", "1000", "0", OK) "</val>",
        HEAD DISK("2000", "1000", "0", OK) DISK("2000", "1000", "1", OK) "</val>",
        HEAD "<VirtualDevice xsi:type=\"VirtualDisk\"><key>1</key></VirtualDevice></val>",
        HEAD "<VirtualDevice xsi:type=\"VirtualDisk\"><key>1</key><capacityInKB>"
             "18446744073709551615</capacityInKB></VirtualDevice></val>",
    };
    struct vim_devices d = {0};
    struct err err = ERR_INIT;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(decode(bad[i], &d, &err), ERR_PROTOCOL);
        assert_string_equal(err.code, "vcenter_protocol");
        assert_null(d.disks);
    }
    assert_int_equal(vim_devices_decode(NULL, &d, &err), 0);
    assert_int_equal(d.n_disks, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_a_disk),
        cmocka_unit_test(order_is_that_of_the_places),
        cmocka_unit_test(disks_without_snapshots),
        cmocka_unit_test(what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
