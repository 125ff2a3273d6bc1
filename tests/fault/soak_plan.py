#!/usr/bin/env python3
"""The rounds of tests/fault/soak: a seed gives the same ones for ever.  Prints one line for each, without an end:

    NUMBER JOB FAULT PHASE DELAY_MS RATE A B WRITES

JOB full, incremental or restore; FAULT a function fault_* of the soak; PHASE of the job at which it comes, DELAY_MS after;
RATE of the copy in bytes per second; A and B numbers for the fault; WRITES of the guest before: key:offset:length:byte,…

Usage: soak_plan.py SEED FAIL_POINT…"""
import random
import sys

# What a fault can hit.
BACKUP = ("full", "incremental")
ANY = BACKUP + ("restore",)
PHASES = ("start", "preparing", "transferring", "transferring", "transferring", "verifying", "committing")
RESTORE_PHASES = ("start", "restoring", "restoring", "finishing")
FAULTS = {
    "none": ANY,
    "kill_hub": ANY, "stop_hub": ANY, "kill_node": BACKUP, "stop_node": BACKUP, "kill_client": BACKUP, "stop_client": BACKUP,
    "kill_worker": ("full", "restore"), "stop_worker": ("full", "restore"), "kill_qemu_nbd": ANY, "stop_qemu_nbd": ANY, "kill_nbdkit": BACKUP,
    "stop_nbdkit": BACKUP, "kill_both": ANY, "repo_full": BACKUP, "target_full": ("restore",), "cut": BACKUP, "cut_all": BACKUP,
    "lock_catalog": ANY, "cancel": ANY, "term_hub": ANY, "term_node": BACKUP, "fail_point": BACKUP, "sim_fault": BACKUP,
    "sim_folder": BACKUP, "sim_cut": BACKUP, "drop_sessions": BACKUP, "reset_cbt": BACKUP, "foreign_snapshot": BACKUP,
}
# Where a program of a backup is most likely to be met.
AT = {
    "kill_client": ("transferring", "transferring"), "stop_client": ("transferring",),
    "kill_nbdkit": ("transferring",), "stop_nbdkit": ("transferring",), "kill_worker": ("transferring",),
    "stop_worker": ("transferring",), "kill_qemu_nbd": ("preparing", "transferring"),
    "stop_qemu_nbd": ("preparing", "transferring"), "repo_full": ("preparing", "transferring"),
    "sim_folder": ("start", "transferring"), "sim_cut": ("start", "transferring"), "drop_sessions": ("start", "transferring"),
}
# Those that must be there from the beginning of the job.
EARLY = {"cut", "cut_all", "fail_point", "sim_fault", "reset_cbt", "target_full", "none"}
SIZES = {2000: 8388608, 2001: 4194816}


def writes(rng, fault):
    # What is to be cut off in the middle has to move.
    out = [f"2000:65536:299520:{rng.randrange(1, 256)}"] if fault.startswith("cut") else []
    for _ in range(rng.randrange(6)):
        key = rng.choice(list(SIZES))
        length = rng.choice((512, 4096, 65536, 70000, 300000)) // 512 * 512
        offset = rng.randrange(SIZES[key] - length) // 512 * 512
        out.append(f"{key}:{offset}:{length}:{rng.choice((0, 0, rng.randrange(1, 256)))}")
    return ",".join(out) or "-"


def main():
    rng = random.Random(int(sys.argv[1]))
    fail_points = sys.argv[2:]
    number = 0
    while True:
        deck = list(FAULTS)
        rng.shuffle(deck)
        for fault in deck:
            number += 1
            job = rng.choice([j for j in ANY + ("incremental",) * 3 if j in FAULTS[fault]])
            phase = "start" if fault in EARLY else rng.choice(
                RESTORE_PHASES if job == "restore" else AT.get(fault, PHASES))
            a = rng.choice(fail_points) if fault == "fail_point" else rng.randrange(1 << 30)
            delay = rng.choice((0, 0, 0, 10, 50, 200) if fault in AT else (0, 0, 10, 100, 400, 900))
            rate = rng.choice((0, 2000000, 4000000) if job == "full" else (0, 1500000, 4000000))
            print(number, job, fault, phase, delay, rate, a,
                  rng.randrange(1 << 30), writes(rng, fault))


try:
    main()
except BrokenPipeError:
    sys.stderr.close()
