#!/usr/bin/env python3
"""The rounds of tests/fault/soak: a seed gives the same ones for ever.  Prints one line for each, without an end:

    NUMBER JOB FAULT PHASE DELAY_MS RATE RETRIES LIE A B WRITES

JOB full, incremental, restore, verify or merge; FAULT a function fault_* of the soak; PHASE of the job at which it comes,
DELAY_MS after; RATE of the copy in bytes per second; RETRIES a number (with a short delay) or "default"; LIE key:share of the
blocks that change tracking leaves out, or "-"; A and B numbers for the fault; WRITES of the guest before:
key:offset:length:byte,…

Usage: soak_plan.py SEED FAIL_POINT…"""
import random
import sys

# What a fault can hit.
BACKUP = ("full", "incremental")
READER = ("restore", "verify", "merge")
ANY = BACKUP + READER
PHASES = {
    "full": ("start", "preparing", "transferring", "transferring", "transferring", "verifying", "committing"),
    "restore": ("start", "restoring", "restoring", "finishing"),
    "verify": ("start", "start", "verifying"),
    "merge": ("start", "start", "verifying", "preparing", "merging", "merging", "merging"),
}
PHASES["incremental"] = PHASES["full"]
FAULTS = {
    "none": ANY, "lie": ("full", "incremental", "incremental"),
    "kill_hub": ANY, "stop_hub": ANY, "kill_node": BACKUP, "stop_node": BACKUP, "kill_client": BACKUP, "stop_client": BACKUP,
    "kill_worker": ("full",) + READER, "stop_worker": ("full",) + READER, "kill_qemu_nbd": ANY, "stop_qemu_nbd": ANY,
    "kill_nbdkit": BACKUP, "stop_nbdkit": BACKUP, "kill_both": ANY, "repo_full": BACKUP + ("merge",), "target_full": ("restore",),
    "cut": BACKUP, "cut_all": BACKUP, "lock_catalog": ANY, "cancel": BACKUP + ("restore",), "cut_cancel": BACKUP, "term_hub": ANY,
    "term_node": BACKUP, "fail_point": BACKUP + ("merge", "merge"), "sim_fault": BACKUP, "sim_folder": BACKUP, "sim_cut": BACKUP,
    "drop_sessions": BACKUP, "reset_cbt": BACKUP, "foreign_snapshot": BACKUP,
    "kill_qemu_img": ("merge",), "stop_qemu_img": ("merge",), "kill_hubs": BACKUP + ("merge",) * 3,
}
# Where a program of a backup is most likely to be met.
AT = {
    "kill_client": ("transferring", "transferring"), "stop_client": ("transferring",),
    "kill_nbdkit": ("transferring",), "stop_nbdkit": ("transferring",), "kill_worker": ("transferring",),
    "stop_worker": ("transferring",), "kill_qemu_nbd": ("preparing", "transferring"),
    "stop_qemu_nbd": ("preparing", "transferring"), "repo_full": ("preparing", "transferring"),
    "sim_folder": ("start", "transferring"), "sim_cut": ("start", "transferring"), "drop_sessions": ("start", "transferring"),
}
# They end within some hundred milliseconds: looked for from the beginning.
SHORT_LIVED = ("kill_qemu_img", "stop_qemu_img")
# Those that must be there from the beginning of the job.
EARLY = {"cut", "cut_all", "cut_cancel", "fail_point", "sim_fault", "reset_cbt", "target_full", "none", "lie", *SHORT_LIVED}
SIZES = {2000: 8388608, 2001: 4194816}
last_lie = {2000: 0, 2001: 0}


def writes(rng, fault):
    # What is to be hit in the middle has to move.
    out = [f"2000:65536:{599040 if fault in AT else 299520}:{rng.randrange(1, 256)}"] if fault in AT or fault.startswith("cut") else []
    for _ in range(rng.randrange(6)):
        key = rng.choice(list(SIZES))
        length = rng.choice((512, 4096, 65536, 70000, 300000)) // 512 * 512
        offset = rng.randrange(SIZES[key] - length) // 512 * 512
        out.append(f"{key}:{offset}:{length}:{rng.choice((0, 0, rng.randrange(1, 256)))}")
    return out


def lie(rng, job, fault):
    """The share that is left out, and the write that makes it a lie: every block of the disk gets other bytes."""
    often = {"full": 0.15, "incremental": 0.25}.get(job, 0)
    if fault != "lie" and (rng.random() >= often or fault == "reset_cbt"):
        return "-", []
    key = rng.choice(list(SIZES))
    last_lie[key] = (last_lie[key] + rng.randrange(1, 255) - 1) % 255 + 1
    return f"{key}:{rng.choice((0.8, 0.9, 1))}", [f"{key}:0:{SIZES[key]}:{last_lie[key]}"]


def fits(name, job):
    """Of the fail points, those that a job of this kind passes."""
    if job == "merge":
        return name.startswith(("hub.merge_", "worker."))
    return not name.startswith("hub.merge_")


def main():
    rng = random.Random(int(sys.argv[1]))
    fail_points = sys.argv[2:]
    number = 0
    while True:
        deck = list(FAULTS)
        rng.shuffle(deck)
        for fault in deck:
            number += 1
            job = rng.choice([j for j in ANY + ("incremental",) * 3 + ("merge", "verify") if j in FAULTS[fault]])
            phase = "start" if fault in EARLY else rng.choice(
                AT.get(fault, PHASES[job]) if job in BACKUP else PHASES[job])
            a = rng.choice([f for f in fail_points if fits(f, job)]) if fault == "fail_point" else rng.randrange(1 << 30)
            short = fault in AT or job in ("verify", "merge")
            delay = rng.choice((0, 0, 0, 10, 50, 200) if short else (0, 0, 10, 100, 400, 900))
            if fault in SHORT_LIVED:
                delay = 0
            rate = rng.choice((0, 2000000, 4000000) if job == "full" else (0, 800000, 3000000))
            retries = rng.choice(("default", "default", 0, 3, 8))
            told, change = lie(rng, job, fault)
            print(number, job, fault, phase, delay, rate, retries, told, a,
                  rng.randrange(1 << 30), ",".join(writes(rng, fault) + change) or "-")


try:
    main()
except BrokenPipeError:
    sys.stderr.close()
