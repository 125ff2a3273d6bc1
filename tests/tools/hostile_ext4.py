#!/usr/bin/env python3
"""hostile_ext4.py IMAGE FOLDER: an ext4 image that nobody's kernel would write: names with "/" and "..", a folder of 10 000
names, a path far over 4096 bytes.  FOLDER is for its tree; it must not exist."""
import os
import subprocess
import sys

image, root = sys.argv[1:]
os.makedirs(root + "/many")
for i in range(10_000):
    os.close(os.open(f"{root}/many/name {i:06}", os.O_CREAT | os.O_WRONLY, 0o644))
os.makedirs(root + "/evil")
for name in ("AAzBBzescaped", "/etc-shadow"[1:], "Qq"):
    with open(f"{root}/evil/{name}", "w") as f:
        f.write("must not get out")
at = os.open(root, os.O_RDONLY)
for i in range(20):
    os.mkdir("p" * 250, dir_fd=at)
    at = os.open("p" * 250, os.O_RDONLY, dir_fd=at)
os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=at))
subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^metadata_csum,^dir_index", "-N", "20000", "-d", root, image, "256M"], check=True)
with open(image, "r+b") as f:
    data = f.read()
    for old, new in ((b"AAzBBzescaped", b"../../escaped"), (b"\x02\x01Qq", b"\x02\x01..")):
        at = data.find(old)
        if at < 0:
            sys.exit(f"{old} is not in the image")
        f.seek(at)
        f.write(new)
