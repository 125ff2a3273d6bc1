#!/usr/bin/env python3
"""Prints the number of a process named NAME that descends from one of the processes ROOT, as soon as there is one; of several
the one that NTH chooses.  Ends with 1 after SECONDS.  Looks every millisecond: some of our processes live for only a few.

Usage: find_child.py NAME NTH SECONDS ROOT…"""
import glob
import sys
import time


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def below(pid):
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        for child in read(path).split():
            yield child
            yield from below(child)


name, nth, end, roots = sys.argv[1], int(sys.argv[2]), time.monotonic() + float(sys.argv[3]), sys.argv[4:]
while time.monotonic() < end:
    found = [p for r in roots for p in [r, *below(r)] if read(f"/proc/{p}/comm").rstrip("\n") == name]
    if found:
        print(found[nth % len(found)])
        sys.exit(0)
    time.sleep(0.001)
sys.exit(1)
