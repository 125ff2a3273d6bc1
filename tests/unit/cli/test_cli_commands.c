/* Whole commands against a scripted hub: what is asked, shown, and the exit code. */
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

#include "base/json.h"
#include "base/mem.h"
#include "cli/config.h"
#include "fake_hub.h"

#define VM_ID "0197e1f0-0000-7000-8000-000000000001"
#define VM2_ID "0197e1f0-0000-7000-8000-000000000002"
#define VM_JSON                                                                          \
    "{\"id\":\"" VM_ID                                                                   \
    "\",\"name\":\"pgtest1\",\"source_type\":\"nbd\",\"node_id\":\"1\","                 \
    "\"created\":\"2026-01-02T03:04:05.000001Z\",\"disks\":[{\"disk_id\":0,\"key\":"     \
    "2000,"                                                                              \
    "\"disk_uuid\":\"u\",\"label\":\"\",\"source\":\"nbd://127.0.0.1:1/"                 \
    "x\",\"size_bytes\":"                                                                \
    "2147483648}],\"last_backup\":null}"
#define VMS_JSON "{\"vms\":[" VM_JSON "],\"next\":null}"
#define DISKS(status, pct)                                                               \
    "\"disk_results\":[{\"disk_id\":0,\"device_key\":2000,\"size_bytes\":2147483648,"    \
    "\"nbd_port\":10100,\"qcow2_path\":\"vms/a/000001.qcow2\",\"read_mode\":\"all\","    \
    "\"reason\":\"no_parent\",\"status\":\"" status "\",\"percent\":" pct                \
    ",\"error_message\":null}]"
#define BACKUP(status, phase, more)                                                      \
    "{\"backup_id\":\"backup-pgtest1-1\",\"vm_name\":\"pgtest1\",\"status\":\"" status   \
    "\",\"current_phase\":\"" phase "\"," more "}"

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

static void
test_lists(void **state)
{
    const struct canned vms[] = {{"GET /vms", 0, VMS_JSON}, {0}};
    const struct canned pages[] = {
        {"GET /vms", 0, "{\"vms\":[{\"id\":\"a\"}],\"next\":\"p/2\"}"},
        {"GET /vms", 0, "{\"vms\":[{\"id\":\"b\"}],\"next\":null}"},
        {0}};
    const struct canned evil[] = {
        {"GET /vms", 0,
         "{\"vms\":[{\"id\":\"a\",\"name\":\"x\\u001b]0;y\\u0007\"}],\"next\":null}"},
        {0}};
    const struct canned nodes[] = {{"GET /nodes", 0,
                                    "{\"nodes\":[{\"id\":\"1\",\"name\":\"local\","
                                    "\"status\":\"online\"}],\"next\":null}"},
                                   {0}};
    const struct canned repos[] = {
        {"GET /repositories", 0,
         "{\"repositories\":[{\"id\":\"1\",\"name\":\"local\",\"status\":\"ready\","
         "\"free_bytes\":1073741824}],\"next\":null}"},
        {0}};
    const struct canned restores[] = {
        {"GET /restores", 0,
         "{\"restores\":[{\"restore_id\":\"r1\",\"percent\":41.54}],\"next\":null}"},
        {0}};
    const struct canned tokens[] = {
        {"GET /tokens", 0,
         "{\"tokens\":[{\"id\":\"7\",\"scopes\":[\"read\",\"restore\"]}],\"next\":null}"},
        {0}};
    const struct canned no_list[] = {{"GET /vms", 0, "{\"hello\":1}"}, {0}};
    struct result r;

    expect(run_cli(vms, "vm ls"), 0, "pgtest1", "");
    r = run_cli(pages, "vm ls -o jsonl");
    assert_string_equal(r.out, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
    expect(r, 0, NULL, NULL);
    asked("GET /vms after=p/2\n");
    r = run_cli(pages, "-o json vm ls");
    expect(r, 0, "\"next\": null", NULL);
    r = run_cli(evil, "vm ls");
    assert_null(strchr(r.out, '\033'));
    expect(r, 0, "x\\u001b]0;y\\u0007", NULL);
    expect(run_cli(nodes, "node ls"), 0, "online", NULL);
    expect(run_cli(repos, "repo ls"), 0, "1 GiB", NULL);
    expect(run_cli(restores, "restore ls"), 0, "41.5%", NULL);
    expect(run_cli(tokens, "token ls"), 0, "read,restore", NULL);
    expect(run_cli(no_list, "vm ls"), 1, NULL, "is it a Sendense hub?");
}

static void
test_vm(void **state)
{
    const struct canned by_id[] = {
        {"GET /vms/{id}", 0, VM_JSON}, {"GET /vms/{id}", 0, VM_JSON}, {0}};
    const struct canned by_name[] = {
        {"GET /vms", 0, VMS_JSON}, {"GET /vms/{id}", 0, VM_JSON}, {0}};
    const struct canned named_like_id[] = {
        {"GET /vms/{id}", ERR_NOT_FOUND, "no such VM", "vm_not_found"},
        {"GET /vms", 0, VMS_JSON},
        {"GET /vms/{id}", 0, VM_JSON},
        {0}};
    const struct canned two[] = {
        {"GET /vms", 0, "{\"vms\":[" VM_JSON ",{\"id\":\"" VM2_ID "\"}],\"next\":null}"},
        {0}};
    const struct canned none[] = {{"GET /vms", 0, "{\"vms\":[],\"next\":null}"}, {0}};
    const struct canned add[] = {
        {"GET /nodes", 0, "{\"nodes\":[{\"id\":\"9\",\"name\":\"n1\"}],\"next\":null}"},
        {"POST /vms", 0, VM_JSON},
        {0}};
    const struct canned in_use[] = {
        {"DELETE /vms/{id}", ERR_EXISTS, "it has 2 backups", "vm_in_use"}, {0}};
    const struct canned rm[] = {{"DELETE /vms/{id}", 0, NULL}, {0}};

    expect(run_cli(by_id, "vm show " VM_ID), 0, "2 GiB", NULL);
    expect(run_cli(by_name, "vm show pgtest1"), 0, "nbd://127.0.0.1:1/x", NULL);
    asked("GET /vms name=pgtest1\n");
    expect(run_cli(named_like_id, "vm show " VM2_ID), 0, NULL, NULL);
    expect(run_cli(two, "vm show pgtest1"), 5, NULL, "candidate: " VM2_ID);
    expect(run_cli(two, "vm show pgtest1"), 5, NULL, "--vm-id");
    expect(run_cli(none, "vm show nope"), 4, NULL, "sendense vm ls");
    expect(run_cli(add, "vm add pgtest1 --disk 2000=nbd://h/x?a=b --disk=2001=nbd://h/y "
                        "--node n1"),
           0, VM_ID, NULL);
    asked("POST /vms {\"name\":\"pgtest1\",\"disks\":[{\"key\":2000,\"source\":\"nbd://h/"
          "x?a=b\"},{\"key\":2001,\"source\":\"nbd://h/y\"}],\"node_id\":\"9\"}");
    expect(run_cli(NULL, "vm add pgtest1 --disk a=nbd://h"), 2, NULL, "KEY=URI");
    expect(run_cli(NULL, "vm add pgtest1"), 2, NULL, "at least one");
    expect(run_cli(in_use, "vm rm --vm-id " VM_ID), 5, NULL,
           "it has 2 backups (vm_in_use)");
    expect(run_cli(rm, "vm rm --vm-id " VM_ID), 0, "", "removed");
    expect(run_cli(NULL, "vm rm"), 2, NULL, "--vm-id");
}

static void
test_backup_run(void **state)
{
    const struct canned start[] = {
        {"GET /vms", 0, VMS_JSON},
        {"GET /repositories", 0,
         "{\"repositories\":[{\"id\":\"3\",\"name\":\"big\"}],\"next\":null}"},
        {"POST /backups", 0,
         BACKUP("running", "transferring", DISKS("qemu_started", "0"))},
        {0}};
    const struct canned wait[] = {
        {"POST /backups", 0, BACKUP("pending", "preparing", DISKS("pending", "0"))},
        {"GET /backups/{id}", 0,
         BACKUP("running", "transferring",
                "\"progress\":{\"percent\":41.5,\"rate_bytes_per_s\":1048576,\"eta_s\":"
                "63}," DISKS("transferring", "41.5"))},
        {"GET /backups/{id}", ERR_UNAVAILABLE, "the catalog is busy", "busy"},
        {"GET /backups/{id}", 0,
         BACKUP("completed", "done",
                "\"verification\":\"verified\"," DISKS("completed", "100"))},
        {0}};
    const struct canned damaged[] = {
        {"POST /backups", 0,
         BACKUP("running", "transferring", DISKS("qemu_started", "0"))},
        {"GET /backups/{id}", 0,
         BACKUP("failed", "verifying",
                "\"error\":{\"code\":\"verification_failed\",\"phase\":\"verifying\","
                "\"device_key\":2000,\"message\":\"block 7 differs\"}")},
        {0}};
    const struct canned full[] = {
        {"POST /backups", 0, BACKUP("running", "transferring", DISKS("pending", "0"))},
        {0}};
    const struct canned taken[] = {
        {"POST /backups", ERR_EXISTS, "backup b7 of it runs", "backup_running"}, {0}};
    const struct canned no_node[] = {
        {"POST /backups", ERR_UNAVAILABLE, "node 1 is offline", "node_unreachable"}, {0}};

    expect(run_cli(start, "backup run pgtest1 --repo big --rate 10M"), 0,
           "backup-pgtest1-1", "has started");
    asked("POST /backups {\"vm_id\":\"" VM_ID
          "\",\"backup_type\":\"auto\",\"repository_id\":"
          "\"3\",\"limits\":{\"rate_bytes_per_s\":10485760}}");
    expect(run_cli(wait, "backup run --vm-id " VM_ID " --wait"), 0, "verified",
           "transferring 41.5%, 1 MiB/s, 1:03 left");
    expect(run_cli(wait, "backup run --vm-id " VM_ID " --wait"), 0, NULL, "trying again");
    expect(run_cli(wait, "backup run --vm-id " VM_ID " --wait -q"), 0, "verified", "");
    expect(run_cli(damaged, "backup run --vm-id " VM_ID " --wait -q"), 7, NULL,
           "failed in phase verifying, disk 2000: block 7 differs (verification_failed)");
    expect(run_cli(taken, "backup run --vm-id " VM_ID), 5, NULL, "backup b7 of it runs");
    expect(run_cli(no_node, "backup run --vm-id " VM_ID), 8, NULL, "node 1 is offline");
    expect(run_cli(NULL, "backup run --vm-id x --rate fast"), 2, NULL, "--rate");
    expect(run_cli(full, "backup run --vm-id " VM_ID " --type full"), 0, NULL, NULL);
    asked("POST /backups {\"vm_id\":\"" VM_ID "\",\"backup_type\":\"full\"}");
    expect(run_cli(NULL, "backup run --vm-id x --type half"), 2, NULL,
           "--type is one of");
}

/* Ctrl-C, --timeout and a hub that goes away end the waiting, never the job. */
static void
test_wait_ends_early(void **state)
{
    const struct canned one[] = {
        {"GET /backups/{id}", 0,
         BACKUP("running", "transferring", DISKS("transferring", "1"))},
        {0}};
    int fds[2];
    struct result r;

    assert_int_equal(pipe(fds), 0);
    fake_io.poll_ms = 400;
    r = run_cli(NULL,
                "version"); /* the fake answers nothing: 1, and the client is warm */
    result_done(&r);
    assert_int_equal(write(fds[1], "x", 1), 1);
    fake_io.signal_fd = fds[0];
    r = run_cli(NULL, "backup show b1 --wait");
    expect(r, 130, NULL, "sendense backup cancel b1");
    fake_io.signal_fd = 0;
    close(fds[0]);
    close(fds[1]);
    fake_io.poll_ms = 1100;
    r = run_cli((const struct canned[]){one[0], one[0], {0}},
                "backup show b1 --wait --timeout 1");
    expect(r, 124, NULL, "sendense backup show --wait b1");
    fake_io.poll_ms = 5;
    fake_io.retry_ms = 30;
    setenv("SENDENSE_URL", "http://127.0.0.1:1", 1);
    expect(run_cli(NULL, "backup show b1 --wait"), 8, NULL, "is sendense-hub running");
    setenv("SENDENSE_URL", hub.url, 1);
    fake_io.retry_ms = 200;
}

static void
test_backup_others(void **state)
{
    const struct canned ls[] = {{"GET /vms", 0, VMS_JSON},
                                {"GET /backups", 0, "{\"backups\":[],\"next\":null}"},
                                {0}};
    const struct canned missing[] = {
        {"GET /backups/{id}", ERR_NOT_FOUND, "no backup has this id", "backup_not_found"},
        {0}};
    const struct canned rm[] = {{"DELETE /backups/{id}", 0, NULL}, {0}};
    const struct canned children[] = {
        {"DELETE /backups/{id}", ERR_EXISTS, "b2 stands on it", "backup_has_children"},
        {0}};
    const struct canned why[] = {
        {"GET /backups/{id}/explain", 0,
         "{\"disks\":[{\"device_key\":2000,\"label\":\"x\\u001b[2J\",\"read_mode\":"
         "\"compare\",\"reason\":\"cbt_off\",\"what\":\"All was read.\",\"why\":"
         "\"Nothing tracks.\",\"next\":\"\"}]}"},
        {0}};
    const struct canned chain[] = {
        {"POST /backups/{id}/verify", 0, "{\"verification_id\":\"v1\"}"}, {0}};
    const struct canned cancel[] = {
        {"POST /backups/{id}/cancel", 0, "{\"status\":\"running\"}"}, {0}};
    const struct canned log[] = {
        {"GET /backups/{id}/log", 0, "ts=1 msg=a\nts=2 msg=\"\033[2Jb\"\nlast"}, {0}};
    const struct canned no_log[] = {
        {"GET /backups/{id}/log", ERR_NOT_FOUND, "no backup", "backup_not_found"}, {0}};
    struct result r;
    int fds[2];

    expect(run_cli(ls, "backup ls --vm pgtest1 --status failed"), 0, NULL, NULL);
    asked("GET /backups vm_id=" VM_ID " status=failed\n");
    r = run_cli(why, "backup explain b1");
    assert_string_equal(r.out, "disk 2000 x\\u001b[2J: read as compare, reason cbt_off\n"
                               "  All was read.\n  Nothing tracks.\n");
    expect(r, 0, NULL, NULL);
    expect(run_cli(chain, "backup verify b1 --chain --no-wait"), 0, "v1", NULL);
    asked("POST /backups/{id}/verify id=b1 {\"chain\":true}");
    expect(run_cli(NULL, "backup ls --status odd"), 2, NULL, "--status is one of");
    expect(run_cli(missing, "backup show a/../b"), 4, NULL, "backup_not_found");
    asked("GET /backups/{id} id=a/../b\n");
    assert_int_equal(pipe(fds), 0);
    fake_io.in_fd = fds[0];
    expect(run_cli(NULL, "backup rm b1"), 2, NULL, "--yes");
    fake_io.in_fd = -1;
    close(fds[0]);
    close(fds[1]);
    expect(run_cli(rm, "backup rm b1 --yes"), 0, "", "deleted");
    expect(run_cli(children, "backup rm -y b1"), 5, NULL, "b2 stands on it");
    expect(run_cli(cancel, "backup cancel b1"), 0, "", "being cancelled");
    r = run_cli(log, "backup log b1 -f");
    assert_string_equal(r.out, "ts=1 msg=a\nts=2 msg=\"\\u001b[2Jb\"\nlast\n");
    expect(r, 0, NULL, NULL);
    asked("follow=1");
    expect(run_cli(no_log, "backup log b1"), 4, "", "backup_not_found");
}

static void
test_verify_and_restore(void **state)
{
    const struct canned bad[] = {
        {"POST /backups/{id}/verify", 0,
         "{\"verification_id\":\"v1\",\"backup_id\":\"b1\",\"status\":\"pending\"}"},
        {"GET /verifications/{id}", 0,
         "{\"verification_id\":\"v1\",\"status\":\"running\",\"current_phase\":"
         "\"reading\","
         "\"percent\":50,\"bytes_total\":100,\"bytes_done\":50}"},
        {"GET /verifications/{id}", 0,
         "{\"verification_id\":\"v1\",\"status\":\"failed\",\"bad_ranges\":[{\"device_"
         "key\":"
         "2001,\"offset\":65536,\"length\":131072,\"reason\":\"hash "
         "differs\"}],\"error\":"
         "{\"code\":\"verification_failed\",\"message\":\"disk 2001 is damaged\"}}"},
        {0}};
    const struct canned later[] = {
        {"POST /backups/{id}/verify", 0,
         "{\"verification_id\":\"v1\",\"status\":\"pending\"}"},
        {0}};
    const struct canned restore[] = {
        {"POST /restores", 0, "{\"restore_id\":\"r1\",\"status\":\"pending\"}"},
        {"GET /restores/{id}", 0, "{\"restore_id\":\"r1\",\"status\":\"completed\"}"},
        {0}};
    const struct canned exists[] = {
        {"POST /restores", ERR_EXISTS, "it exists already", "target_exists"}, {0}};
    CLEANUP_FREE char *cwd = getcwd(NULL, 0);
    CLEANUP_FREE char *want = xasprintf("\"target_path\":\"%s/out.raw\"", cwd);

    expect(run_cli(bad, "backup verify b1"), 7, "131072", "disk 2001 is damaged");
    expect(run_cli(bad, "backup verify b1 -o json"), 7, "\"offset\": 65536", NULL);
    expect(run_cli(later, "backup verify b1 --no-wait"), 0, "v1", NULL);
    expect(run_cli(restore, "restore disk b1 --disk 2000 --to out.raw --format qcow2"), 0,
           "completed", NULL);
    asked(want);
    asked("\"device_key\":2000");
    asked("\"format\":\"qcow2\"");
    expect(run_cli(exists, "restore disk b1 --disk 2000 --to /x"), 5, NULL,
           "target_exists");
    expect(run_cli(NULL, "restore disk b1 --to /x"), 2, NULL, "--disk KEY");
    expect(run_cli(NULL, "restore disk b1 --disk 1 --disk 2 --to /x"), 2, NULL,
           "one --disk");
    expect(run_cli(NULL, "restore disk b1 --disk 1 --to /x --format vdi"), 2, NULL,
           "raw");
}

static void
test_salvage(void **state)
{
    const struct canned salvaged[] = {
        {"POST /restores", 0, "{\"restore_id\":\"r1\",\"status\":\"pending\"}"},
        {"GET /restores/{id}", 0,
         "{\"restore_id\":\"r1\",\"status\":\"completed\",\"salvaged\":true,"
         "\"bad_ranges\":[{\"device_key\":2000,\"offset\":65536,\"length\":131072,"
         "\"reason\":\"mismatch\"}]}"},
        {0}};

    expect(run_cli(salvaged, "restore disk b1 --disk 2000 --to /x --salvage --force"), 3,
           "131072", "left out");
    asked("\"salvage\":true");
    asked("\"force\":true");
    expect(run_cli(salvaged, "restore disk b1 --disk 2000 --to /x --resume"), 3, NULL,
           NULL);
    asked("\"resume\":true");
}

static void
test_exports(void **state)
{
    const struct canned open[] = {
        {"POST /restore/exports", 0,
         "{\"export_id\":\"e1\",\"status\":\"open\",\"disks\":[{\"device_key\":2000,"
         "\"size_bytes\":1024,\"uri\":\"nbd://127.0.0.1:1/n\"}]}"},
        {0}};
    const struct canned list[] = {
        {"GET /restore/exports", 0,
         "{\"exports\":[{\"export_id\":\"e1\",\"close_reason\":\"expired\"}],"
         "\"next\":null}"},
        {0}};
    const struct canned gone[] = {{"DELETE /restore/exports/{id}", ERR_NOT_FOUND,
                                   "no such export", "export_not_found"},
                                  {0}};
    const struct canned closed[] = {
        {"DELETE /restore/exports/{id}", 0, "{\"export_id\":\"e1\"}"}, {0}};

    expect(run_cli(open, "restore open b1 --disk 2000 --writable-scratch --ttl 2h"), 0,
           "nbd://127.0.0.1:1/n", NULL);
    asked("\"ttl_s\":7200");
    asked("\"writable_scratch\":true");
    asked("\"device_key\":2000");
    expect(run_cli(list, "restore exports"), 0, "expired", NULL);
    expect(run_cli(closed, "restore close e1"), 0, NULL, "closed");
    expect(run_cli(gone, "restore close e1"), 4, NULL, "no such export");
    expect(run_cli(NULL, "restore open b1 --ttl soon"), 2, NULL, "--ttl");
    expect(run_cli(NULL, "restore open b1 --disk x"), 2, NULL, "device key");
}

static void
test_repo_and_token(void **state)
{
    const struct canned add[] = {
        {"POST /repositories", 0,
         "{\"id\":\"2\",\"probe\":{\"holes\":true,\"reflink\":false}}"},
        {0}};
    const struct canned locked[] = {
        {"POST /repositories", ERR_EXISTS, "hub x owns it", "repo_locked"}, {0}};
    const struct canned import[] = {
        {"GET /repositories", 0,
         "{\"repositories\":[{\"id\":\"2\",\"name\":\"r\"}],\"next\":null}"},
        {"POST /repositories/{id}/import", 0,
         "{\"points_found\":2,\"imported\":1,\"already_known\":0,\"refused\":[{\"file\":"
         "\"f\","
         "\"message\":\"torn\"}]}"},
        {0}};
    const struct canned no_repo[] = {
        {"GET /repositories", 0, "{\"repositories\":[],\"next\":null}"}, {0}};
    const struct canned token[] = {
        {"POST /tokens", 0, "{\"id\":\"7\",\"token\":\"sendense_x\"}"}, {0}};
    const struct canned revoke[] = {{"DELETE /tokens/{id}", 0, NULL}, {0}};
    struct result r;

    expect(run_cli(add, "repo add local2 /srv/x"), 0, "holes", NULL);
    asked("POST /repositories {\"name\":\"local2\",\"path\":\"/srv/x\"}");
    expect(run_cli(locked, "repo add local2 /srv/x"), 5, NULL, "hub x owns it");
    expect(run_cli(import, "repo import r"), 3, "torn", NULL);
    expect(run_cli(no_repo, "repo show r"), 4, NULL, "repository_not_found");
    r = run_cli(token, "token create ci --scope read --scope restore --expires-in 12h");
    assert_string_equal(r.out, "sendense_x\n");
    expect(r, 0, NULL, "shown once");
    asked("\"scopes\":[\"read\",\"restore\"],\"expires_in_s\":43200");
    expect(run_cli(NULL, "token create ci --scope root"), 2, NULL, "--scope is one of");
    expect(run_cli(revoke, "token revoke 7"), 0, "", "revoked");
}

static void
test_events(void **state)
{
    const struct canned some[] = {
        {"GET /events", 0,
         ": hello\n\nid: 4\nevent: backup.failed\ndata: {\"id\":\"4\",\"time\":"
         "\"2026-01-02T03:04:05.678901Z\",\"severity\":\"error\",\"backup_id\":\"b1\","
         "\"message\":\"no\\u001bde\"}\n\nevent: backup.progress\ndata: "
         "{\"percent\":5}\n\n"},
        {0}};
    struct result r = run_cli(some, "events");

    assert_string_equal(r.out,
                        "2026-01-02T03:04:05Z  error    backup.failed           b1: "
                        "no\\u001bde\n");
    expect(r, 0, NULL, NULL);
    asked("GET /events after=0\n");
    r = run_cli(some, "events --after 3 --progress -o jsonl");
    expect(r, 0, "{\"percent\":5}\n", NULL);
    asked("GET /events after=3\n");
}

static void
test_access(void **state)
{
    const struct canned vms[] = {{"GET /vms", 0, "{\"vms\":[],\"next\":null}"}, {0}};
    const struct canned repos[] = {{"GET /repositories", 0, "{\"repositories\":[]}"},
                                   {0}};
    const struct canned version[] = {
        {"GET /version", 0,
         "{\"hub\":{\"version\":\"9.9\"},\"node\":null,\"client\":\"8.8\"}"},
        {0}};
    CLEANUP_FREE char *file = xstrdup(getenv("SENDENSE_TOKEN_FILE"));
    CLEANUP_FREE char *saved = xasprintf("%s/sendense/cli.json", hub.dir);
    struct stat st;
    int fds[2];

    expect(run_cli(version, "version --token-file /nonexistent"), 0, "9.9", "");
    expect(run_cli(NULL, "vm ls --token-file /nonexistent"), 4, NULL, "read the token");
    unsetenv("SENDENSE_TOKEN_FILE");
    expect(run_cli(NULL, "vm ls"), 6, NULL, "sendense login");
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "sendense_bad\nsendense_good\n", 27), 27);
    fake_io.in_fd = fds[0];
    expect(run_cli(NULL, "login"), 6, NULL, "the token is unknown");
    assert_int_equal(access(saved, F_OK), -1);
    expect(run_cli(repos, "login"), 0, "", "logged in");
    close(fds[1]);
    expect(run_cli(NULL, "login"), 2, NULL, "no token");
    close(fds[0]);
    fake_io.in_fd = -1;
    assert_int_equal(stat(saved, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    expect(run_cli(vms, "vm ls"), 0, NULL, NULL);
    /* The stored token goes to the stored hub only. */
    expect(run_cli(NULL, "vm ls --url http://127.0.0.1:2"), 6, NULL, "is not sent to");
    assert_int_equal(chmod(saved, 0644), 0);
    expect(run_cli(NULL, "vm ls"), 6, NULL, "chmod 600");
    setenv("SENDENSE_TOKEN_FILE", file, 1);
    expect(run_cli(NULL, "vm ls --url http://192.0.2.1"), 6, NULL, "--insecure-http");
    expect(run_cli(NULL, "vm ls --url http://127.0.0.1:1"), 8, NULL,
           "is sendense-hub running");
    expect(run_cli(NULL, "vm ls --url http://u:secret@h"), 2, NULL, "user name");
    assert_int_equal(chmod(saved, 0600), 0);
    expect(run_cli(version, "version"), 0, "9.9", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),          cmocka_unit_test(test_vm),
        cmocka_unit_test(test_backup_run),     cmocka_unit_test(test_wait_ends_early),
        cmocka_unit_test(test_backup_others),  cmocka_unit_test(test_verify_and_restore),
        cmocka_unit_test(test_salvage),        cmocka_unit_test(test_exports),
        cmocka_unit_test(test_repo_and_token), cmocka_unit_test(test_events),
        cmocka_unit_test(test_access),
    };

    return cmocka_run_group_tests(tests, fake_hub_start, fake_hub_stop);
}
