/* Unit tests of vim/decode.h: what the golden answers say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "golden.h"
#include "vim/layout.h"
#include "vim/decode.h"

#define READ "RetrievePropertiesEx"

static void
test_version_order(void **state)
{
    (void)state;
    assert_true(vim_version_at_least("8.0.1", "8.0.1"));
    assert_true(vim_version_at_least("8.0.1.0", "8.0.1"));
    assert_true(vim_version_at_least("8.0.2.0", "8.0.1"));
    assert_true(vim_version_at_least("9.0", "8.0.1"));
    assert_false(vim_version_at_least("8.0.0.1", "8.0.1"));
    assert_false(vim_version_at_least("7.0.3.0", "8.0.1"));
    assert_false(vim_version_at_least("8.0.x", "8.0.1"));
    assert_false(vim_version_at_least("", "8.0.1"));
}

static void
version_of_the_api(void **state)
{
    static const struct {
        const char *text, *version;
    } odd[] = {
        {"", "6.5"},
        {"<a", "6.5"},
        {"<namespaces/>", "6.5"},
        {"<n><namespace><name>urn:vim25</name><version>new</version></namespace></n>",
         "6.5"},
        {"<n><namespace><name>urn:vim25</name><version>1.2.3.4.5.6.7</version>"
         "</namespace></n>",
         "6.5"},
        {"<n><namespace><name>urn:vim25</name><version>99999999999</version>"
         "</namespace></n>",
         "6.5"},
        {"<n><namespace><name>urn:vim25</name><version>6.0</version></namespace></n>",
         "6.0"},
        {"<n><namespace><name>urn:vim25</name><version>8.0.2.0.1</version></namespace>"
         "</n>",
         "8.0.2.0"},
    };
    char v[VIM_API_VERSION_SIZE];
    size_t n;
    CLEANUP_FREE char *now = golden_text("versions", &n);
    CLEANUP_FREE char *newer = NULL;

    vim_version_choose(now, n, v);
    assert_string_equal(v, "7.0.3.2");
    newer = golden_text("versions-newer", &n);
    vim_version_choose(newer, n, v);
    assert_string_equal(v, "8.0.2.0");
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        vim_version_choose(odd[i].text, strlen(odd[i].text), v);
        assert_string_equal(v, odd[i].version);
    }
}

static void
content(void **state)
{
    CLEANUP_XML struct xml_doc *d = NULL, *e = NULL, *f = NULL;
    struct vim_content c;
    struct vim_about a;
    struct err err = ERR_INIT;

    assert_int_equal(
        vim_content_decode(golden("RetrieveServiceContent", "RetrieveServiceContent", &d),
                           &c, &a, &err),
        0);
    assert_string_equal(c.root_folder.value, "group-d1");
    assert_string_equal(c.session_manager.type, "SessionManager");
    assert_string_equal(a.full_name, "VMware vCenter Server 8.0.2 build-22385739");
    assert_string_equal(a.api_version, "8.0.2.0");
    assert_string_equal(a.instance_uuid, "b0c3c0de-0000-4000-8000-000000000001");
    assert_true(a.is_vcenter);
    vim_about_done(&a);
    assert_int_equal(vim_content_decode(golden("RetrieveServiceContent-esxi",
                                               "RetrieveServiceContent", &e),
                                        &c, &a, &err),
                     0);
    assert_string_equal(c.property_collector.value, "ha-property-collector");
    assert_string_equal(a.instance_uuid, "");
    assert_false(a.is_vcenter);
    vim_about_done(&a);
    assert_int_equal(
        vim_content_decode(parse_answer("<about/>", "RetrieveServiceContent", &f), &c, &a,
                           &err),
        ERR_PROTOCOL);
    assert_string_equal(err.code, "vcenter_protocol");
}

static void
simple_answers(void **state)
{
    static const char *const methods[] = {"Login", "CurrentTime", "Logout",
                                          "CreateSnapshot_Task", "RemoveSnapshot_Task"};

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        CLEANUP_XML struct xml_doc *d = NULL;

        assert_non_null(golden(methods[i], methods[i], &d));
    }
}

static void
faults(void **state)
{
    static const struct {
        const char *file;
        int class;
        const char *code, *word;
    } cases[] = {
        {"fault-InvalidLogin", ERR_AUTH, "vcenter_login", "incorrect user name"},
        {"fault-NotAuthenticated", ERR_AUTH, "vcenter_session", "not authenticated"},
        {"fault-NoPermission", ERR_AUTH, "vcenter_permission",
         "VirtualMachine.State.CreateSnapshot"},
        {"fault-ManagedObjectNotFound", ERR_NOT_FOUND, "vcenter_object_gone", "deleted"},
        {"fault-TaskInProgress", ERR_UNAVAILABLE, "vcenter_busy", "current state"},
        {"fault-FileFault", ERR_IO, "vcenter_fault", "[ds1] web/web.vmdk"},
        {"fault-InvalidArgument", ERR_IO, "vcenter_fault", "startOffset"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;

        assert_int_equal(golden_fault(cases[i].file, "Login", &err), cases[i].class);
        assert_string_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.msg, cases[i].word));
    }
}

static void
pages(void **state)
{
    CLEANUP_XML struct xml_doc *d1 = NULL, *d2 = NULL, *d3 = NULL;
    CLEANUP_FREE char *token = NULL, *none = NULL;
    const struct xml_node *p1 = golden("list-page1", READ, &d1);
    const struct xml_node *p2 = golden("list-page2", "Continue" READ, &d2);
    const struct xml_node *o;
    struct vim_vm_item i;
    struct err err = ERR_INIT;

    assert_int_equal(vim_page_decode(p1, &token, &err), 0);
    assert_string_equal(token, "1");
    o = vim_page_object(p1, NULL);
    assert_int_equal(vim_object_check(o, &err), 0);
    assert_int_equal(vim_item_decode(o, &i, &err), 0);
    assert_string_equal(i.ref.value, "vm-17");
    assert_string_equal(i.name, "web/front % & more");
    assert_string_equal(i.instance_uuid, "50301111-0000-4000-8000-000000000017");
    assert_string_equal(i.power, "poweredOn");
    assert_string_equal(i.connection, "connected");
    assert_false(i.is_template);
    vim_item_done(&i);
    o = vim_page_object(p1, o);
    assert_int_equal(vim_item_decode(o, &i, &err), 0);
    assert_string_equal(i.instance_uuid, "");
    assert_true(i.is_template);
    vim_item_done(&i);
    assert_null(vim_page_object(p1, o));

    assert_int_equal(vim_page_decode(p2, &none, &err), 0);
    assert_null(none);
    o = vim_page_object(p2, NULL);
    assert_int_equal(vim_object_check(o, &err), ERR_NOT_FOUND);
    assert_string_equal(err.code, "vcenter_object_gone");

    err_clear(&err);
    assert_int_equal(
        vim_page_decode(golden("missing-NotAuthenticated", READ, &d3), &none, &err),
        ERR_AUTH);
    assert_string_equal(err.code, "vcenter_session");
}

static void
names(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},         {"a%2fb%2Fc", "a/b/c"}, {"%5c%5C", "\\\\"},
        {"%25", "%"},     {"%252f", "%2f"},       {"100%", "100%"},
        {"50%2", "50%2"}, {"%20", "%20"},         {"%00", "%00"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *s = vim_name_decode(cases[i][0]);

        assert_string_equal(s, cases[i][1]);
    }
}

static void
vm(void **state)
{
    CLEANUP_XML struct xml_doc *d = NULL;
    CLEANUP_VIM_VM struct vim_vm v = {0};
    struct err err = ERR_INIT;
    const struct vim_disk *k;

    assert_int_equal(
        vim_vm_decode(vim_page_object(golden("vm", READ, &d), NULL), &v, &err), 0);
    assert_string_equal(v.item.name, "web");
    assert_string_equal(v.host, "host-9");
    assert_string_equal(v.guest_id, "debian11_64Guest");
    assert_string_equal(v.version, "vmx-19");
    assert_string_equal(v.firmware, "efi");
    assert_string_equal(v.nvram_file, "[ds1] web/other.nvram");
    assert_true(v.cbt_supported && v.cbt_enabled && v.consolidation_needed);
    assert_true(v.tools_running && v.encrypted);
    assert_int_equal(v.allocated_bytes, 123456789);
    assert_int_equal(v.devices.n_disks, 2);
    k = &v.devices.disks[1];
    assert_int_equal(k->key, 2001);
    assert_int_equal(k->n_parents, 2);
    assert_string_equal(k->file, "[ds2] web/web-000002.vmdk");
    assert_string_equal(k->parents[0], "[ds2] web/web-000001.vmdk");
    assert_string_equal(k->parents[1], "[ds2] web/web.vmdk");
    assert_string_equal(k->base_file, k->parents[1]);
    assert_int_equal(v.devices.disks[0].n_parents, 0);
    assert_string_equal(v.devices.disks[0].base_file, "[ds1] web/web.vmdk");
    assert_int_equal(v.n_snapshots, 3);
    assert_string_equal(v.snapshots[0].name, "before <update>");
    assert_string_equal(v.snapshots[0].description, "by hand");
    assert_string_equal(v.snapshots[1].ref.value, "snapshot-2");
    assert_false(v.snapshots[1].is_current);
    assert_true(v.snapshots[2].quiesced);
    assert_false(v.snapshots[0].quiesced);
    assert_false(v.snapshots[1].quiesced); /* not told */
    assert_true(v.snapshots[2].is_current);
    assert_true(v.snapshots[0].has_children);
    assert_false(v.snapshots[2].has_children);
}

static void
nvram_of_the_options(void **state)
{
    CLEANUP_XML struct xml_doc *d = NULL;
    CLEANUP_VIM_VM struct vim_vm v = {0};
    struct err err = ERR_INIT;
    const struct xml_node *r = parse_answer(
        "<objects><obj type=\"VirtualMachine\">vm-1</obj><propSet><name>config.files."
        "vmPathName</name><val>[d s] a b/c.vmx</val></propSet><propSet><name>config."
        "extraConfig</name><val><OptionValue><key>x</key><value>y</value></OptionValue>"
        "<OptionValue><key>nvram</key><value>c.nvram</value></OptionValue></val>"
        "</propSet></objects>",
        READ, &d);

    assert_int_equal(vim_vm_decode(vim_page_object(r, NULL), &v, &err), 0);
    assert_string_equal(v.nvram_file, "[d s] a b/c.nvram");
    assert_int_equal(v.allocated_bytes, 0);
    assert_false(v.encrypted);
}

static void
foreign_prefixes(void **state)
{
    CLEANUP_XML struct xml_doc *d = NULL;
    const struct xml_node *o = vim_page_object(golden("parent-folder", READ, &d), NULL);
    CLEANUP_FREE char *name = vim_prop_text(o, "name");
    struct moref m;

    assert_string_equal(name, "vm");
    assert_true(soap_moref(vim_prop(o, "parent"), &m));
    assert_string_equal(m.type, "Datacenter");
    assert_string_equal(m.value, "datacenter-2");
}

static void
snapshot(void **state)
{
    CLEANUP_XML struct xml_doc *d = NULL, *again = NULL;
    CLEANUP_VIM_SNAPSHOT struct vim_snapshot s = {0};
    CLEANUP_FREE char *type = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(vim_snapshot_decode(
                         vim_page_object(golden("snapshot", READ, &d), NULL), &s, &err),
                     0);
    assert_string_equal(s.name, "web/front");
    assert_string_equal(s.guest_id, "debian11_64Guest");
    assert_string_equal(s.version, "vmx-19");
    assert_string_equal(s.firmware, "efi");
    assert_string_equal(s.uuid, "42301111-0000-0000-0000-000000000001");
    assert_string_equal(s.annotation, "two\nlines & more");
    assert_int_equal(s.num_cpus, 2);
    assert_int_equal(s.memory_mib, 2048);
    assert_int_equal(s.devices.n_disks, 1);
    assert_string_equal(s.devices.disks[0].change_id, "52 3e/7");
    assert_int_equal(s.devices.disks[0].controller->bus, VIM_NVME);
    /* What is stored is a document of its own, types included. */
    assert_int_equal(xml_parse(s.config_xml, strlen(s.config_xml), &again, &err), 0);
    assert_string_equal(xml_name(xml_root(again)), "val");
    type = xml_type(xml_root(again));
    assert_string_equal(type, "VirtualMachineConfigInfo");
    assert_non_null(strstr(s.config_xml, "xmlns:vim25=\"urn:vim25\""));
    assert_non_null(strstr(s.config_xml, "two\nlines &amp; more"));
    assert_null(strstr(s.config_xml, "propSet"));
}

/* A configuration that is too long to be kept hinders no backup. */
static void
snapshot_of_much(void **state)
{
    const size_t n = VIM_CONFIG_MAX + 1;
    CLEANUP_XML struct xml_doc *d = NULL;
    CLEANUP_VIM_SNAPSHOT struct vim_snapshot s = {0};
    CLEANUP_FREE char *notes = xcalloc(n + 1, 1), *text = NULL;
    struct err err = ERR_INIT;

    memset(notes, 'n', n);
    text = xasprintf("<objects><obj type=\"VirtualMachineSnapshot\">snapshot-1</obj>"
                     "<propSet><name>config</name><val><name>web</name><annotation>%s"
                     "</annotation><hardware><numCPU>2</numCPU></hardware></val>"
                     "</propSet></objects>",
                     notes);
    assert_int_equal(vim_snapshot_decode(
                         vim_page_object(parse_answer(text, READ, &d), NULL), &s, &err),
                     0);
    assert_null(s.config_xml);
    assert_string_equal(s.name, "web");
    assert_int_equal(s.num_cpus, 2);
}

static void
task_of(const char *name, struct vim_task *t)
{
    CLEANUP_XML struct xml_doc *d = NULL;
    struct err err = ERR_INIT;

    if (vim_task_decode(vim_page_object(golden(name, READ, &d), NULL), t, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
}

static void
tasks(void **state)
{
    CLEANUP_XML struct xml_doc *d = NULL;
    struct vim_task t;
    struct err err = ERR_INIT;

    task_of("task-queued", &t);
    assert_int_equal(t.state, VIM_TASK_RUNNING);
    task_of("task-running", &t);
    assert_int_equal(t.state, VIM_TASK_RUNNING);
    assert_int_equal(t.percent, 42);
    task_of("task-success", &t);
    assert_int_equal(t.state, VIM_TASK_OK);
    assert_string_equal(t.result.type, "VirtualMachineSnapshot");
    assert_string_equal(t.result.value, "snapshot-5");
    task_of("task-quiesce", &t);
    assert_int_equal(t.state, VIM_TASK_FAILED);
    assert_int_equal(t.error.class, ERR_IO);
    assert_string_equal(t.error.code, "quiesce_failed");
    assert_non_null(strstr(t.error.msg, "quiescing the virtual machine"));
    task_of("task-busy", &t);
    assert_int_equal(t.error.class, ERR_UNAVAILABLE);
    assert_string_equal(t.error.code, "vcenter_busy");
    task_of("task-locked", &t);
    assert_string_equal(t.error.code, "vcenter_task");
    assert_non_null(strstr(t.error.msg, "locked"));
    assert_int_equal(
        vim_task_decode(
            vim_page_object(parse_answer("<objects><obj type=\"Task\">t</obj><propSet>"
                                         "<name>info.state</name><val>paused</val>"
                                         "</propSet></objects>",
                                         READ, &d),
                            NULL),
            &t, &err),
        ERR_PROTOCOL);
}

static void
datastore_and_host(void **state)
{
    CLEANUP_XML struct xml_doc *d = NULL, *h = NULL;
    struct vim_store store = {0};
    CLEANUP_FREE char *version = NULL;

    (void)state;
    vim_store_decode(vim_page_object(golden("datastore", READ, &d), NULL), &store);
    assert_string_equal(store.name, "fast & small");
    assert_string_equal(store.id, "5f2a77c1-0c6d1f3e-2b4a-001b21a1f0c8");
    free(store.id);
    free(store.name);
    version = vim_prop_text(vim_page_object(golden("host", READ, &h), NULL),
                            "summary.config.product.apiVersion");
    assert_true(vim_version_at_least(version, "8.0.1"));
    assert_false(vim_version_at_least(version, "8.0.2"));
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datastore_and_host),
        cmocka_unit_test(test_version_order),
        cmocka_unit_test(version_of_the_api),
        cmocka_unit_test(content),
        cmocka_unit_test(simple_answers),
        cmocka_unit_test(faults),
        cmocka_unit_test(pages),
        cmocka_unit_test(names),
        cmocka_unit_test(vm),
        cmocka_unit_test(nvram_of_the_options),
        cmocka_unit_test(foreign_prefixes),
        cmocka_unit_test(snapshot),
        cmocka_unit_test(snapshot_of_much),
        cmocka_unit_test(tasks),
    };

    golden_folder = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
