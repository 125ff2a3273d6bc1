/* cli/commands.c - the table of everything that can be typed; see options.h. */
#include "cli/cli.h"
#include "cli/options.h"

#define BIT(id) (UINT64_C(1) << (id))
#define WAITING (BIT(OPT_WAIT) | BIT(OPT_NO_WAIT) | BIT(OPT_TIMEOUT))

const struct cli_opt cli_options[OPT_END] = {
    [OPT_HELP] = {"help", 'h', .help = "show help for this level and exit"},
    [OPT_VERSION] = {"version", 'V',
                     .help = "show version, commit and build id and exit"},
    [OPT_OUTPUT] = {"output", 'o', "FORMAT", "table json jsonl",
                    .help = "how data is written to stdout; default table"},
    [OPT_QUIET] = {"quiet", 'q',
                   .help = "no messages and no progress, only data and errors"},
    [OPT_NO_COLOR] = {"no-color", .help = "no colours; so does a non-empty NO_COLOR"},
    [OPT_URL] =
        {"url", .arg = "URL",
         .help = "address of the hub; else SENDENSE_URL, else that of the last login"},
    [OPT_TOKEN_FILE] = {"token-file", .arg = "FILE", .is_file = true,
                        .help = "read the token from FILE (mode 0600); else "
                                "SENDENSE_TOKEN_FILE, else that of the last login"},
    [OPT_INSECURE_HTTP] = {"insecure-http",
                           .help =
                               "send the token over plain http to another machine, where "
                               "anyone on the way can read it"},
    [OPT_DISK_URI] = {"disk", .arg = "KEY=URI", .repeats = true,
                      .help =
                          "a disk: its device key and its NBD address; once per disk"},
    [OPT_DISK_KEY] = {"disk", .arg = "KEY",
                      .help = "device key of the disk, for example 2000"},
    [OPT_NODE] = {"node", .arg = "NODE",
                  .help = "name or id of the node that reads the source"},
    [OPT_VM_ID] = {"vm-id", .arg = "ID",
                   .help = "the VM by id, where several share a name"},
    [OPT_HOST] = {"host", .arg = "HOST[:PORT]", .help = "the vCenter or ESXi host"},
    [OPT_USER] = {"user", .arg = "USER", .help = "who logs in there"},
    [OPT_PASSWORD_FILE] = {"password-file", .arg = "FILE", .is_file = true,
                           .help = "read the password from FILE (mode 0600), or with - "
                                   "from standard input"},
    [OPT_FINGERPRINT] = {"fingerprint", .arg = "SHA256",
                         .help = "trust this certificate only; `sendense credential "
                                 "probe` shows it"},
    [OPT_CA_FILE] = {"ca-file", .arg = "PEM", .is_file = true,
                     .help = "trust certificates that these CAs signed"},
    [OPT_ALL] = {"all", .help = "every VM of the server"},
    [OPT_QUIESCE] = {"quiesce", .arg = "WORD", .choices = "try require off",
                     .help = "whether the guest must write its data first: try, require "
                             "(else the backup fails) or off; default try"},
    [OPT_TYPE] = {"type", .arg = "WORD", .choices = "auto full incremental",
                  .help = "what is kept: auto (of each disk what changed, where there is "
                          "a backup to stand on), full, or incremental (fails where no "
                          "disk has one); default auto"},
    [OPT_CHAIN] = {"chain", .help = "every layer of every disk, down to the fulls"},
    [OPT_REPO] = {"repo", .arg = "REPO", .help = "name or id of the repository"},
    [OPT_RATE] = {"rate", .arg = "BYTES",
                  .help = "at most so many bytes per second; K, M, G are powers of 1024"},
    [OPT_RETRIES] = {"retries", .arg = "N",
                     .help = "how often a transfer that is cut off is gone on with; 0 = "
                             "never, default 3"},
    [OPT_RETRY_DELAY] = {"retry-delay", .arg = "TIME",
                         .help = "before that the first time (0, 5, 2m), twice as long "
                                 "for each next one; default 5"},
    [OPT_WAIT] = {"wait", .help = "stay until the job has ended and show its progress"},
    [OPT_NO_WAIT] = {"no-wait", .help = "come back once the hub has taken the job"},
    [OPT_TIMEOUT] =
        {"timeout", .arg = "TIME",
         .help = "stop waiting after TIME (90, 15m, 12h): exit 124, the job goes on"},
    [OPT_VM] = {"vm", .arg = "VM", .help = "only of this VM (name or id)"},
    [OPT_STATUS] = {"status", .arg = "STATUS",
                    .choices = "pending running completed failed cancelled",
                    .help = "only in this state"},
    [OPT_FOLLOW] = {"follow", 'f', .help = "go on with what comes next, until Ctrl-C"},
    [OPT_YES] = {"yes", 'y', .help = "do not ask"},
    [OPT_MERGE] = {"merge",
                   .help = "also one that others stand on: its layers are merged into "
                           "theirs, which lose nothing"},
    [OPT_TO] = {"to", .arg = "PATH", .is_file = true,
                .help = "the new file, on the machine of the hub"},
    [OPT_TO_FOLDER] = {"to", .arg = "FOLDER", .is_file = true,
                       .help = "the folder on this machine, made when it is not there"},
    [OPT_FORMAT] = {"format", .arg = "FORMAT",
                    .choices = "raw qcow2 qcow2-chain vmdk vmdk-stream vhdx",
                    .help = "format of the new file; default raw"},
    [OPT_SCOPE] = {"scope", .arg = "SCOPE", .choices = "read operate restore admin",
                   .repeats = true, .help = "what the token may do; default read"},
    [OPT_EXPIRES_IN] = {"expires-in", .arg = "TIME",
                        .help = "lifetime: 90, 15m, 12h, 30d"},
    [OPT_AFTER] = {"after", .arg = "ID",
                   .help = "only events after the one with this id"},
    [OPT_PROGRESS] = {"progress", .help = "progress of running backups too"},
    [OPT_FORCE] = {"force", .help = "replace an existing file once the new one is whole"},
    [OPT_RESUME] = {"resume", .help = "go on with what a cut restore left, and leave it "
                                      "again when this one is cut"},
    [OPT_SALVAGE] = {"salvage", .help = "of a damaged backup all that is good; the rest "
                                        "is listed, exit code 3"},
    [OPT_SCRATCH] = {"writable-scratch",
                     .help = "take writes into a throw-away file on the hub"},
    [OPT_TTL] = {"ttl", .arg = "TIME",
                 .help = "close by itself after TIME (90, 15m, 2h); default 2h"},
    [OPT_LISTEN] = {"listen", .arg = "ADDRESS",
                    .help = "numeric address of the hub to listen on; default 127.0.0.1"},
    [OPT_TLS] = {"tls", .help = "TLS with a key made for this; always when not loopback"},
    [OPT_PSK_FILE] = {"psk-file", .arg = "FILE", .is_file = true,
                      .help = "write the key of TLS to this new file (mode 0600)"},
    [OPT_FIX] = {"fix", .help = "mend what is provably ours and safe to mend"},
};

#define PATH_NOTE                                                                        \
    "PATH is a path on the machine of the hub, which writes it; a relative one is "      \
    "made\n"                                                                             \
    "absolute by the folder that this command runs in.  It must not exist yet.\n"        \
    "qcow2-chain is a folder with the layers as they are stored."

const struct cli_cmd cli_commands[] = {
    {"login", NULL, "", 0, 0, "store the address of the hub and a token",
     "The token is read from --token-file or from stdin, checked against the hub and "
     "kept in\n"
     "~/.config/sendense/cli.json with mode 0600.  It is never taken from the command "
     "line.",
     NULL, 0, false, cmd_login},
    {"repo", "add", "NAME PATH", 2, 2, "make or take up a repository",
     "PATH is absolute, on the machine of the hub.  An empty or missing folder becomes "
     "a\n"
     "repository; one that is a repository already is taken as it is: import it then.",
     NULL, 0, true, cmd_repo_add},
    {"repo", "ls", "", 0, 0, "list repositories", NULL, NULL, 0, true, cmd_repo_ls},
    {"repo", "show", "REPO", 1, 1, "show one repository", NULL, NULL, 0, true,
     cmd_repo_show},
    {"repo", "import", "REPO", 1, 1, "read the backups of a repository into the catalog",
     "Exit code 3 when some restore points were refused; they are listed.", NULL, 0, true,
     cmd_repo_import},
    {"node", "ls", "", 0, 0, "list nodes", NULL, NULL, 0, true, cmd_node_ls},
    {"credential", "add", "NAME", 1, 1, "store how to log in to a vCenter or ESXi host",
     "The password is read from a file or from stdin, never from the command line, and "
     "kept\n"
     "sealed.  Nobody logs in yet: `sendense credential test` does.  The server is known "
     "by\n"
     "the fingerprint of its certificate or by a CA; one of both is needed.",
     NULL,
     BIT(OPT_HOST) | BIT(OPT_USER) | BIT(OPT_PASSWORD_FILE) | BIT(OPT_FINGERPRINT) |
         BIT(OPT_CA_FILE) | BIT(OPT_NODE),
     true, cmd_credential_add},
    {"credential", "set", "CREDENTIAL", 1, 1, "change how to log in, and keep the VMs",
     "For a password or certificate that was renewed.  What is not given stays.  Another "
     "HOST\n"
     "is taken only when it is the same server, which is asked.",
     NULL,
     BIT(OPT_HOST) | BIT(OPT_USER) | BIT(OPT_PASSWORD_FILE) | BIT(OPT_FINGERPRINT) |
         BIT(OPT_CA_FILE),
     true, cmd_credential_set},
    {"credential", "ls", "", 0, 0, "list credentials", NULL, NULL, 0, true,
     cmd_credential_ls},
    {"credential", "show", "CREDENTIAL", 1, 1, "show one credential", NULL, NULL, 0, true,
     cmd_credential_show},
    {"credential", "test", "CREDENTIAL", 1, 1, "log in with it and out again", NULL, NULL,
     0, true, cmd_credential_test},
    {"credential", "rm", "CREDENTIAL", 1, 1,
     "forget a credential that no VM was found with", NULL, NULL, 0, true,
     cmd_credential_rm},
    {"credential", "probe", "HOST[:PORT]", 1, 1,
     "show the fingerprint of a server's certificate",
     "Nobody logs in and nothing is trusted.  Compare it with what the server's own "
     "console\n"
     "shows before you give it to `sendense credential add --fingerprint`.",
     NULL, BIT(OPT_NODE), true, cmd_credential_probe},
    {"vm", "discover", "CREDENTIAL [VM...]", 1, 64,
     "list the VMs of a vCenter or ESXi host, or take them in",
     "Without VM and --all it lists what is there.  VM is a name or a reference (vm-17) "
     "of\n"
     "the server.  A VM that is known already is refreshed.  Exit code 3 when some could "
     "not\n"
     "be taken in.",
     NULL, BIT(OPT_ALL), true, cmd_vm_discover},
    {"vm", "add", "NAME", 1, 1, "add a VM whose disks are NBD exports",
     "Each --disk is KEY=URI, for example 2000=nbd://127.0.0.1:10809/disk or\n"
     "2000=nbd+unix:///?socket=/run/disk.sock; the node must be able to reach it.",
     NULL, BIT(OPT_DISK_URI) | BIT(OPT_NODE), true, cmd_vm_add},
    {"vm", "ls", "", 0, 0, "list VMs", NULL, NULL, 0, true, cmd_vm_ls},
    {"vm", "show", "[VM]", 0, 1, "show one VM and its disks", NULL, NULL, BIT(OPT_VM_ID),
     true, cmd_vm_show},
    {"vm", "rm", "[VM]", 0, 1, "remove a VM that has no backups", NULL, NULL,
     BIT(OPT_VM_ID), true, cmd_vm_rm},
    {"backup", "run", "[VM]", 0, 1, "start a backup of a VM",
     "VM is a name or an id; --vm-id decides where several VMs share a name.\n"
     "Without --wait the command ends once the hub has started the job.",
     NULL,
     BIT(OPT_VM_ID) | BIT(OPT_TYPE) | BIT(OPT_REPO) | BIT(OPT_RATE) | BIT(OPT_QUIESCE) |
         BIT(OPT_RETRIES) | BIT(OPT_RETRY_DELAY) | BIT(OPT_WAIT) | BIT(OPT_TIMEOUT),
     true, cmd_backup_run},
    {"backup", "ls", "", 0, 0, "list backups, newest first", NULL, NULL,
     BIT(OPT_VM) | BIT(OPT_VM_ID) | BIT(OPT_REPO) | BIT(OPT_STATUS), true, cmd_backup_ls},
    {"backup", "show", "BACKUP", 1, 1, "show one backup and its disks",
     "With --wait it stays until the backup has ended, as `backup run --wait` does.",
     NULL, BIT(OPT_WAIT) | BIT(OPT_TIMEOUT), true, cmd_backup_show},
    {"backup", "explain", "BACKUP", 1, 1,
     "say why each disk was read as it was, and what would make the next backup cheaper",
     NULL, NULL, 0, true, cmd_backup_explain},
    {"backup", "log", "BACKUP", 1, 1, "print the log of a backup",
     "The log is plain text, whatever --output says about tables.", NULL, BIT(OPT_FOLLOW),
     true, cmd_backup_log},
    {"backup", "verify", "BACKUP", 1, 1, "read a backup back and compare every block",
     "Waits unless --no-wait is given.  Exit code 7 and a list of disks and ranges when "
     "a\n"
     "block is not what was written.  An incremental stands on older backups: --chain\n"
     "reads those layers too.",
     NULL, BIT(OPT_CHAIN) | WAITING, true, cmd_backup_verify},
    {"backup", "rm", "BACKUP", 1, 1, "delete a backup and its files",
     "One that others stand on is refused without --merge.  A merge goes on by itself, "
     "also\n"
     "after a restart of the hub; until it is done the backup is shown as `deleting`, "
     "and "
     "it and\n"
     "those above it can be neither restored nor stood on.",
     NULL, BIT(OPT_YES) | BIT(OPT_MERGE) | BIT(OPT_WAIT) | BIT(OPT_TIMEOUT), true,
     cmd_backup_rm},
    {"backup", "cancel", "BACKUP", 1, 1, "stop a running backup", NULL, NULL, 0, true,
     cmd_backup_cancel},
    {"restore", "disk", "BACKUP", 1, 1, "write one disk of a backup to a new file",
     PATH_NOTE "\nWaits unless --no-wait is given.", NULL,
     BIT(OPT_DISK_KEY) | BIT(OPT_TO) | BIT(OPT_FORMAT) | BIT(OPT_FORCE) |
         BIT(OPT_RESUME) | BIT(OPT_SALVAGE) | WAITING,
     true, cmd_restore_disk},
    {"restore", "files", "BACKUP [COMMAND [PATH...]]", 1, 60,
     "list and take files of a backup",
     "Commands: fs, ls [PATH], info PATH, get PATH... --to FOLDER, close; without one, a "
     "prompt.\n"
     "Where the backup has several file systems a path is FS:PATH.",
     NULL, BIT(OPT_TO_FOLDER), true, cmd_restore_files},
    {"restore", "ls", "", 0, 0, "list restores", NULL, NULL, 0, true, cmd_restore_ls},
    {"restore", "show", "RESTORE", 1, 1, "show one restore",
     "With --wait it stays until the restore has ended.", NULL,
     BIT(OPT_WAIT) | BIT(OPT_TIMEOUT), true, cmd_restore_show},
    {"restore", "cancel", "RESTORE", 1, 1, "stop a running restore", NULL, NULL, 0, true,
     cmd_restore_cancel},
    {"restore", "open", "BACKUP", 1, 1, "open the disks of a backup as NBD addresses",
     "Each address is read-only, or with --writable-scratch takes writes that are "
     "thrown\n"
     "away at the end.  With --wait it is closed when this command ends (Ctrl-C).",
     NULL,
     BIT(OPT_DISK_KEY) | BIT(OPT_SCRATCH) | BIT(OPT_TTL) | BIT(OPT_LISTEN) |
         BIT(OPT_TLS) | BIT(OPT_PSK_FILE) | BIT(OPT_WAIT),
     true, cmd_restore_open},
    {"restore", "exports", "", 0, 0, "list what is, or was, open as NBD addresses", NULL,
     NULL, 0, true, cmd_restore_exports},
    {"restore", "close", "EXPORT", 1, 1, "close the NBD addresses of a backup", NULL,
     NULL, 0, true, cmd_restore_close},
    {"token", "create", "NAME", 1, 1, "make a token",
     "The token is written to stdout once and cannot be shown again.", NULL,
     BIT(OPT_SCOPE) | BIT(OPT_EXPIRES_IN), true, cmd_token_create},
    {"token", "ls", "", 0, 0, "list tokens", NULL, NULL, 0, true, cmd_token_ls},
    {"token", "revoke", "ID", 1, 1, "make a token useless", NULL, NULL, 0, true,
     cmd_token_revoke},
    {"doctor", NULL, "", 0, 0, "look whether hub, nodes, repositories and vCenters agree",
     "Looks from outside: at processes, ports, sockets, locks and headers of images,\n"
     "snapshots; explains what it finds and how to mend it.  Exit code 0 only when all\n"
     "agrees, 1 when something does not, 8 when something could not be looked at.  A "
     "hub\n"
     "that does not answer: shows what can be seen on this machine.  --fix never "
     "touches\n"
     "a finished backup.",
     NULL, BIT(OPT_FIX), false, cmd_doctor},
    {"events", NULL, "", 0, 0, "print what happened, one line an event",
     "With -o json or jsonl each event is one line of JSON.", NULL,
     BIT(OPT_FOLLOW) | BIT(OPT_AFTER) | BIT(OPT_PROGRESS), true, cmd_events},
    {"version", NULL, "", 0, 0, "show the versions of this program, hub, node and client",
     NULL, NULL, 0, false, cmd_version},
    {"completion", NULL, "SHELL", 1, 1, "print the completion script of a shell",
     "For bash: source <(sendense completion bash)", "bash zsh fish", 0, false,
     cmd_completion},
    {"help", NULL, "[NOUN [VERB]]", 0, 2, "show help", NULL, NULL, 0, false, cmd_help},
    {0},
};
