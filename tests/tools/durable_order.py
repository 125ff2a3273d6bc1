#!/usr/bin/env python3
"""Reads what strace saw of a hub (-f -y -e trace=fsync,fdatasync,rename,renameat,renameat2) and says what a loss of power could
have taken from a point that was already there.  Before a point gets its name, everything that it names must have been made
durable: its own file, each layer, each manifest under its last name, the folders; its folder after.

Usage: durable_order.py TRACE POINT.json LAYER…      absolute names; the manifest lies beside its layer"""
import os
import re
import sys

trace, point, layers = sys.argv[1], sys.argv[2], sys.argv[3:]
calls = []
pending = {}
with open(trace, encoding="utf-8", errors="replace") as f:
    for line in f:
        thread, _, rest = line.partition(" ")
        rest = rest.strip()
        rest = re.sub(r"^\[pid +\d+\] ", "", rest)
        if rest.endswith("<unfinished ...>"):
            pending[thread] = rest[: -len("<unfinished ...>")]
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
        if resumed:
            rest = pending.pop(thread, "") + resumed.group(1)
        if not rest.rstrip().endswith("= 0"):
            continue
        sync = re.match(r"f(?:data)?sync\(\d+<([^>]*)>", rest)
        if sync:
            calls.append(("sync", sync.group(1).replace(" (deleted)", ""), ""))
        elif rest.startswith("rename"):
            # renameat(3</dir>, "a", 3</dir>, "b") or rename("a", "b")
            folders = re.findall(r"\d+<([^>]*)>", rest)
            names = re.findall(r'"([^"]*)"', rest)
            if len(names) == 2:
                if len(folders) == 2:
                    names = [os.path.join(d, n) for d, n in zip(folders, names)]
                calls.append(("rename", names[0], names[1]))

commit = [i for i, c in enumerate(calls) if c[0] == "rename" and c[2] == point]
bad = []
if len(commit) != 1:
    print(f"{len(commit)} renames to {point}")
    sys.exit(1)
at = commit[0]


def synced(name, first, last):
    return any(c == ("sync", name, "") for c in calls[first:last])


if not synced(calls[at][1], 0, at):
    bad.append(f"the point's file {calls[at][1]} was not synced before it got its name")
if not synced(os.path.dirname(point), at + 1, len(calls)):
    bad.append("the folder of the points was not synced after")
for layer in layers:
    manifest = re.sub(r"\.qcow2$", ".manifest", layer)
    renamed = [i for i, c in enumerate(calls[:at]) if c[0] == "rename" and c[2] == manifest]
    if not synced(layer, 0, at):
        bad.append(f"{layer} was not synced before the point")
    if not renamed:
        bad.append(f"{manifest} got its name after the point, or never")
        continue
    if not synced(calls[renamed[0]][1], 0, renamed[0]) and not synced(manifest, renamed[0], at):
        bad.append(f"{manifest} was not synced before the point")
    if not synced(os.path.dirname(manifest), renamed[0] + 1, at):
        bad.append(f"the folder of {manifest} was not synced between its name and the point")
print("\n".join(bad))
sys.exit(1 if bad else 0)
