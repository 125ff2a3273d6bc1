/* tests/tools/vim_probe.c - drives src/vim by lines on stdin, one session for all.
 *   vim_probe URL USER PASSWORD_FILE SHA256 [CANCEL_MS]        PASSWORD_FILE "-" = empty
 * Prints "login COOKIE-HASH" for each login and, for each command, what it found and then
 * "done" or "failed CODE: MESSAGE".  CANCEL_MS after the start its calls are cancelled.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "vim/snapshot.h"
#include "vim/source.h"

#define ARGS_MAX 6

static struct tls_trust trust = {.has_sha256 = true};

struct cmd {
    const char *name;
    int n_args;
    int (*run)(struct vim_session *s, char **args, struct err *err);
};

static struct moref
vm_ref(const char *value)
{
    struct moref m = {.type = "VirtualMachine"};

    snprintf(m.value, sizeof(m.value), "%s", value);
    return m;
}

static struct moref
snapshot_ref(const char *value)
{
    struct moref m = {.type = "VirtualMachineSnapshot"};

    snprintf(m.value, sizeof(m.value), "%s", value);
    return m;
}

static int
run_about(struct vim_session *s, char **args, struct err *err)
{
    const struct vim_about *a = vim_about(s);

    printf("about '%s' %s '%s' %s\n", a->full_name, a->api_version, a->instance_uuid,
           a->is_vcenter ? "vcenter" : "esxi");
    return 0;
}

static int
run_keepalive(struct vim_session *s, char **args, struct err *err)
{
    return vim_keepalive(s, err);
}

static int
run_list(struct vim_session *s, char **args, struct err *err)
{
    CLEANUP_VIM_VM_ITEMS struct vim_vm_items l = {0};

    if (vim_list_vms(s, &l, err) < 0)
        return err->class;
    for (size_t i = 0; i < l.n; i++)
        printf("vm %s '%s' %s %s %s %s\n", l.v[i].ref.value, l.v[i].name,
               l.v[i].instance_uuid, l.v[i].power, l.v[i].connection,
               l.v[i].is_template ? "template" : "vm");
    return 0;
}

static int
run_find(struct vim_session *s, char **args, struct err *err)
{
    struct moref m;

    if (vim_find_vm(s, strcmp(args[0], "-") ? args[0] : "",
                    strcmp(args[1], "-") ? args[1] : "", &m, err) < 0)
        return err->class;
    printf("found %s %s\n", m.type, m.value);
    return 0;
}

static void
print_disks(const struct vim_devices *d)
{
    for (size_t i = 0; i < d->n_disks; i++) {
        const struct vim_disk *k = &d->disks[i];

        printf("disk %" PRIu32 " %s%u:%u %" PRIu64 " uuid=%s change_id='%s' file='%s' "
               "parents=%zu base='%s' %s\n",
               k->key, k->controller ? vim_bus_to_str(k->controller->bus) : "none",
               k->controller ? k->controller->bus_number : 0, k->unit, k->capacity_bytes,
               k->uuid, k->change_id, k->file, k->n_parents, k->base_file,
               k->unprotected ? vim_unprotected_to_str(k->unprotected) : "protected");
    }
}

static int
run_vm(struct vim_session *s, char **args, struct err *err)
{
    CLEANUP_VIM_VM struct vim_vm vm = {0};
    struct moref m = vm_ref(args[0]);

    if (vim_read_vm(s, &m, &vm, err) < 0)
        return err->class;
    printf("name '%s' datacenter '%s' host %s version %s firmware %s guest %s nvram "
           "'%s'\n",
           vm.item.name, vm.datacenter, vm.host, vm.version, vm.firmware, vm.guest_id,
           vm.nvram_file);
    printf("cbt %d/%d consolidation %d tools %d encrypted %d allocated %" PRIu64 "\n",
           vm.cbt_enabled, vm.cbt_supported, vm.consolidation_needed, vm.tools_running,
           vm.encrypted, vm.allocated_bytes);
    print_disks(&vm.devices);
    for (size_t i = 0; i < vm.n_snapshots; i++)
        printf("snapshot %s '%s'%s\n", vm.snapshots[i].ref.value, vm.snapshots[i].name,
               vm.snapshots[i].is_current ? " current" : "");
    return 0;
}

static int
run_cbt(struct vim_session *s, char **args, struct err *err)
{
    CLEANUP_VIM_VM struct vim_vm vm = {0};
    struct moref m = vm_ref(args[0]);

    if (vim_read_vm(s, &m, &vm, err) < 0)
        return err->class;
    return vim_cbt_enable(s, &vm, err);
}

static int
run_create(struct vim_session *s, char **args, struct err *err)
{
    struct moref vm = vm_ref(args[0]), m;

    if (vim_snapshot_create(s, &vm, args[1], "made by <vim_probe>",
                            strcmp(args[2], "quiesce") == 0, &m, err) < 0)
        return err->class;
    printf("created %s\n", m.value);
    return 0;
}

static int
run_snapshot(struct vim_session *s, char **args, struct err *err)
{
    CLEANUP_VIM_SNAPSHOT struct vim_snapshot p = {0};
    struct moref m = snapshot_ref(args[0]);

    if (vim_snapshot_read(s, &m, &p, err) < 0)
        return err->class;
    printf("snapshot of '%s' guest %s version %s firmware %s cpus %" PRIu64
           " memory_mib %" PRIu64 " config_bytes %zu\n",
           p.name, p.guest_id, p.version, p.firmware, p.num_cpus, p.memory_mib,
           p.config_xml ? strlen(p.config_xml) : 0);
    print_disks(&p.devices);
    return 0;
}

static int
run_remove(struct vim_session *s, char **args, struct err *err)
{
    struct moref m = snapshot_ref(args[0]);

    return vim_snapshot_remove(s, &m, err);
}

static int
run_consolidate(struct vim_session *s, char **args, struct err *err)
{
    struct moref m = vm_ref(args[0]);
    int r = vim_consolidate(s, &m, err);

    if (r >= 0)
        printf("consolidation needed: %d\n", r);
    return r;
}

static int
print_area(void *arg, uint64_t offset, uint64_t length, struct err *err)
{
    printf("area %" PRIu64 " %" PRIu64 "\n", offset, length);
    return 0;
}

static const struct vim_disk *
find_disk(const struct vim_devices *d, const char *key, struct err *err)
{
    uint64_t n;

    for (size_t i = 0; text_to_u64(key, &n) == 0 && i < d->n_disks; i++)
        if (d->disks[i].key == n)
            return &d->disks[i];
    err_set(err, ERR_INVALID, NULL, "no disk %s", key);
    return NULL;
}

/* A change id has spaces; it is written with '_' here. */
static int
run_areas(struct vim_session *s, char **args, struct err *err)
{
    CLEANUP_VIM_SNAPSHOT struct vim_snapshot p = {0};
    struct moref vm = vm_ref(args[0]), m = snapshot_ref(args[1]);
    const struct vim_disk *k;

    for (char *c = args[3]; *c; c++)
        if (*c == '_')
            *c = ' ';
    if (vim_snapshot_read(s, &m, &p, err) < 0 ||
        !(k = find_disk(&p.devices, args[2], err)))
        return err->class;
    return vim_changed_areas(s, &vm, &m, k, args[3], print_area, NULL, NULL, err);
}

/* layout VM SNAPSHOT KEY: one line of JSON. */
static int
run_layout(struct vim_session *s, char **args, struct err *err)
{
    CLEANUP_VIM_VM struct vim_vm vm = {0};
    CLEANUP_VIM_SNAPSHOT struct vim_snapshot p = {0};
    CLEANUP_JSON json_t *layout = NULL;
    CLEANUP_FREE char *line = NULL;
    struct moref v = vm_ref(args[0]), m = snapshot_ref(args[1]);
    const struct vim_disk *k;

    if (vim_read_vm(s, &v, &vm, err) < 0 || vim_snapshot_read(s, &m, &p, err) < 0 ||
        !(k = find_disk(&p.devices, args[2], err)) ||
        vim_disk_layout(s, vm.datacenter, k, &trust, 4, 60, &layout, err) < 0)
        return err->class;
    line = json_line(layout);
    printf("layout %s\n", line);
    return 0;
}

static int
run_nvram(struct vim_session *s, char **args, struct err *err)
{
    CLEANUP_VIM_VM struct vim_vm vm = {0};
    CLEANUP_FREE char *text = NULL;
    struct moref m = vm_ref(args[0]);

    if (vim_read_vm(s, &m, &vm, err) < 0 || vim_read_nvram(s, &vm, &text, err) < 0)
        return err->class;
    printf("nvram %s\n", text ? text : "none");
    return 0;
}

static int
run_get(struct vim_session *s, char **args, struct err *err)
{
    CLEANUP_FREE char *url = xasprintf("%s%s", vim_url(s), args[0]);
    CLEANUP_BUF struct buf b = BUF_INIT(1u << 20);

    if (vim_get(s, url, 65536, &b, err) < 0)
        return err->class;
    printf("got %zu bytes\n", b.len);
    return 0;
}

static int
run_ignore_cancel(struct vim_session *s, char **args, struct err *err)
{
    vim_ignore_cancel(s);
    return 0;
}

static int
run_pause(struct vim_session *s, char **args, struct err *err)
{
    uint64_t ms = 0;

    (void)text_to_u64(args[0], &ms);
    return vim_pause(s, (unsigned)ms, err);
}

static const struct cmd cmds[] = {
    {"about", 0, run_about},
    {"keepalive", 0, run_keepalive},
    {"list", 0, run_list},
    {"find", 2, run_find},
    {"vm", 1, run_vm},
    {"cbt", 1, run_cbt},
    {"create", 3, run_create},
    {"snapshot", 1, run_snapshot},
    {"remove", 1, run_remove},
    {"consolidate", 1, run_consolidate},
    {"areas", 4, run_areas},
    {"layout", 3, run_layout},
    {"nvram", 1, run_nvram},
    {"get", 1, run_get},
    {"ignore_cancel", 0, run_ignore_cancel},
    {"pause", 1, run_pause},
};

static int
run_line(struct vim_session *s, char *line, struct err *err)
{
    char *args[ARGS_MAX] = {NULL}, *save = NULL;
    int n = 0;

    for (char *w = strtok_r(line, " \n", &save); w && n < ARGS_MAX;
         w = strtok_r(NULL, " \n", &save))
        args[n++] = w;
    for (size_t i = 0; n > 0 && i < ARRAY_LEN(cmds); i++)
        if (strcmp(args[0], cmds[i].name) == 0 && n == cmds[i].n_args + 1)
            return cmds[i].run(s, args + 1, err);
    return err_set(err, ERR_INVALID, NULL, "what is '%s'?", n > 0 ? args[0] : "");
}

static void
on_cookie(void *arg, const char *cookie)
{
    unsigned long hash = 5381;

    if (!cookie[0]) /* it has logged out */
        return;
    for (; *cookie; cookie++)
        hash = hash * 33 + (unsigned char)*cookie;
    printf("login %08lx\n", hash & 0xffffffff);
    fflush(stdout);
}

static int
cancel_timer(const char *text)
{
    uint64_t ms = 0;
    struct itimerspec t = {0};
    int fd;

    if (!text || text_to_u64(text, &ms) < 0 || ms == 0)
        return -1;
    t.it_value.tv_sec = (time_t)(ms / 1000);
    t.it_value.tv_nsec = (long)(ms % 1000) * 1000000;
    fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    (void)timerfd_settime(fd, 0, &t, NULL);
    return fd;
}

static int
failed(const struct err *err)
{
    printf("failed %s: %s\n", err->code, err->msg);
    fflush(stdout);
    return 1;
}

int
main(int argc, char **argv)
{
    CLEANUP_VIM_SESSION struct vim_session *s = NULL;
    CLEANUP_SECRET struct secret *password = NULL;
    CLEANUP_FREE char *line = NULL;
    struct vim_target t = {.trust = &trust, .on_cookie = on_cookie};
    struct err err = ERR_INIT;
    size_t size = 0;

    if (argc < 5)
        return 2;
    log_setup("vim_probe", LOG_LEVEL_INFO);
    if (strcmp(argv[3], "-") == 0)
        password = secret_new("", 0);
    else if (secret_from_file(argv[3], &password, &err) < 0)
        return failed(&err);
    if (tls_fingerprint_parse(argv[4], trust.sha256, &err) < 0)
        return failed(&err);
    t.url = argv[1];
    t.user = argv[2];
    t.password = password;
    t.cancel_fd = cancel_timer(argc > 5 ? argv[5] : NULL);
    if (vim_open(&t, &s, &err) < 0)
        return failed(&err);
    printf("done\n");
    fflush(stdout);
    while (getline(&line, &size, stdin) > 0) {
        err_clear(&err);
        if (run_line(s, line, &err) < 0)
            (void)failed(&err);
        else
            printf("done\n");
        fflush(stdout);
    }
    return 0;
}
