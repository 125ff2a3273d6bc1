#!/usr/bin/env python3
"""Makes delta extents as ESXi writes them, for tests: make_delta.py FORMAT OUT SECTORS MAP < DATA

FORMAT: cowd or sesparse.  MAP: a file of lines "GRAIN STATE", STATE one of data, zero, unmapped; grains not named belong to the
parent.  The data of the disk is on stdin (as long as the disk); grains of state data are taken from it, in the order of MAP, so
that the places in the file can be scattered."""
import struct
import sys

SECTOR = 512
ENTRIES = 4096


def read_map(path):
    with open(path, encoding="utf-8") as f:
        return [(int(a), b) for a, b in (line.split() for line in f)]


def take(data, grain, size):
    return data[grain * size : (grain + 1) * size].ljust(size, b"\0")


def cowd(out, sectors, grains, data):
    tables_needed = -(-sectors // ENTRIES)
    at = 4 + -(-tables_needed * 4 // SECTOR)  # the next free sector
    directory = [0] * tables_needed
    tables = {}
    blocks = {}
    for grain, state in grains:
        t = grain // ENTRIES
        if t not in tables:  # made when first needed, so tables and data mix as in real files
            tables[t] = [0] * ENTRIES
            directory[t] = at
            at += ENTRIES * 4 // SECTOR
        if state == "data":
            tables[t][grain % ENTRIES] = at
            blocks[at] = take(data, grain, SECTOR)
            at += 1
        else:
            tables[t][grain % ENTRIES] = 1
    out.truncate(at * SECTOR)
    out.write(b"COWD" + struct.pack("<7I", 1, 3, sectors, 1, 4, tables_needed, at))
    out.seek(4 * SECTOR)
    out.write(struct.pack(f"<{tables_needed}I", *directory))
    for t, entries in tables.items():
        out.seek(directory[t] * SECTOR)
        out.write(struct.pack(f"<{ENTRIES}I", *entries))
    for place, block in blocks.items():
        out.seek(place * SECTOR)
        out.write(block)


def sesparse(out, sectors, grains, data):
    grain_size = 4096
    tables_needed = -(-sectors // (ENTRIES * 8))
    dir_sectors = -(-tables_needed * 8 // SECTOR)
    used = sorted({g // ENTRIES for g, _ in grains}, reverse=True)  # numbers of tables are not in the order of the disk
    n_tables = max(1, len(used))
    dir_at = 8
    tables_at = dir_at + dir_sectors
    bitmap_at = tables_at + n_tables * 64
    grains_at = -(-(bitmap_at + 2) // 8) * 8
    directory = [0] * tables_needed
    for i, t in enumerate(used):
        directory[t] = 0x1000000000000000 | i
    tables = {t: [0] * ENTRIES for t in used}
    count = 0
    blocks = []
    for grain, state in grains:
        entry = {"unmapped": 0x1000000000000000, "zero": 0x2000000000000000}.get(state)
        if entry is None:
            entry = 0x3000000000000000 | (count & 0xFFF) << 48 | count >> 12
            blocks.append(take(data, grain, grain_size))
            count += 1
        tables[grain // ENTRIES][grain % ENTRIES] = entry
    head = [0xCAFEBABE, 0x200000001, sectors, 8, 64, 0, 0, 0, 0, 0]
    head += [1, 1, 2, 1, 3, 1, dir_at, dir_sectors, tables_at, n_tables * 64, bitmap_at, 1, bitmap_at + 1, 1, grains_at, max(8, count * 8)]
    out.truncate((grains_at + count * 8) * SECTOR)
    out.write(struct.pack(f"<{len(head)}Q", *head))
    out.seek(SECTOR)
    out.write(struct.pack("<4Q", 0xCAFECAFE, n_tables, 1, 0))
    out.seek(dir_at * SECTOR)
    out.write(struct.pack(f"<{tables_needed}Q", *directory))
    for i, t in enumerate(used):
        out.seek((tables_at + i * 64) * SECTOR)
        out.write(struct.pack(f"<{ENTRIES}Q", *tables[t]))
    out.seek(grains_at * SECTOR)
    out.write(b"".join(blocks))


def main():
    kind, path, sectors, grain_map = sys.argv[1:5]
    make = {"cowd": cowd, "sesparse": sesparse}[kind]
    with open(path, "wb") as out:
        make(out, int(sectors), read_map(grain_map), sys.stdin.buffer.read())


main()
