#!/usr/bin/env python3
"""The client's side of the cookie of the source plugin (docs/design/protocol.md), apart from src/os/cookie_box.c.

cookie_box.py FILE TEXT            writes a cookie (and makes the file)
cookie_box.py FILE --renew PIPE URL PREFIX   for each byte that comes from PIPE: makes the cookie PREFIX-N valid at the server,
                                   writes it, and adds a line to FILE.renewals; until nobody has the pipe any more"""
import mmap
import ssl
import struct
import sys
import urllib.request

SIZE = 4096


def write(path, text):
    with open(path, "a+b") as f:
        f.truncate(SIZE)
        with mmap.mmap(f.fileno(), SIZE) as m:
            generation = struct.unpack_from("<I", m, 0)[0] | 1
            struct.pack_into("<I", m, 0, generation)
            struct.pack_into("<I", m, 4, len(text))
            m[8 : 8 + len(text)] = text
            struct.pack_into("<I", m, 0, generation + 1)


def renew(path, pipe, url, prefix):
    context = ssl._create_unverified_context()
    n = 0
    with open(pipe, "rb", buffering=0) as p:
        while p.read(1):
            n += 1
            text = f"{prefix}-{n}"
            with open(path + ".renewals", "a", encoding="utf-8") as log:
                log.write(text + "\n")
            urllib.request.urlopen(f"{url}/control/cookie?value={text}", context=context).read()
            write(path, text.encode())


if sys.argv[2] == "--renew":
    renew(sys.argv[1], *sys.argv[3:6])
else:
    write(sys.argv[1], sys.argv[2].encode())
