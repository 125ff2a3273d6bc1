#!/usr/bin/env python3
"""Trees of files for the tests of file sessions, and their comparison.

guest_tree.py make FOLDER COUNT DEPTH    a tree with all that is hard: unicode and spaced names, names that are no UTF-8,
                                         holes, links, hard links, empty files, DEPTH folders below each other
guest_tree.py compare A B [plain]        exit 1 and a list when they differ; plain = neither owners nor modes (NTFS)
"""
import hashlib
import os
import random
import stat
import sys


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def make(root, count, depth):
    random.seed(20)
    root = os.fsencode(root)
    os.makedirs(root)
    for i in range(count):
        folder = root + b"/many/%02d" % (i % 40)
        os.makedirs(folder, exist_ok=True)
        write(folder + b"/file %05d.bin" % i, random.randbytes(random.randrange(0, 3000)))
    names = root + b"/names"
    os.makedirs(names)
    for name in ["with space", " leading", "tab\there", "quote'\"", "ünïcödé", "名前 日本語", "emoji \U0001f600", "-rf", "~", "#x", "a%2Fb", "new\nline", "x" * 255]:
        write(names + b"/" + name.encode(), name.encode() * 3)
    write(names + b"/bytes \xff\xfe", b"no UTF-8")
    write(names + b"/back\\slash", b"back")
    write(root + b"/empty", b"")
    with open(root + b"/holes", "wb") as f:
        for at in (0, 5 << 20, 9 << 20):
            f.seek(at)
            f.write(random.randbytes(4096))
        f.truncate(12 << 20)
    write(root + b"/big", random.randbytes(3 << 20))
    links = root + b"/links"
    os.makedirs(links)
    os.symlink(b"../empty", links + b"/up")
    os.symlink(b"nowhere", links + b"/dangling")
    os.symlink(b"../names/\xc3\xbcn\xc3\xafc\xc3\xb6d\xc3\xa9", links + b"/unicode")
    os.symlink(b"../many", links + b"/folder")
    write(links + b"/one", b"three names")
    os.link(links + b"/one", links + b"/two")
    os.link(links + b"/one", root + b"/three")
    deep = root
    for i in range(depth):
        deep += b"/d"
        os.mkdir(deep)
    write(deep + b"/bottom", b"bottom")
    os.chmod(links, 0o1777)
    if os.geteuid() == 0:
        os.lchown(root + b"/big", 1234, 56789)
        os.lchown(links + b"/dangling", 77, 88)
    os.chmod(root + b"/big", 0o4751)  # after chown, which clears it
    for folder, folders, files in os.walk(root, topdown=False):
        for name in files + [b""]:
            os.utime(folder + b"/" + name, ns=(10**18, 1_600_000_000_000_000_000 + len(name) * 10**9), follow_symlinks=False)


def content(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            h.update(chunk)
    return h.hexdigest()


def describe(root, plain):
    found, inodes = {}, {}
    root = os.fsencode(root)
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = folder + b"/" + name
            relative = path[len(root) + 1:]
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            what = [kind]
            if not plain:
                what += [st.st_mode & 0o7777 if kind != stat.S_IFLNK else 0, int(st.st_mtime)]
                if os.geteuid() == 0:
                    what += [st.st_uid, st.st_gid]
            if kind == stat.S_IFLNK:
                what.append(os.readlink(path))
            if kind == stat.S_IFREG:
                what += [st.st_size, content(path)]
                if not plain:
                    inodes.setdefault(st.st_ino, []).append(relative)
            found[relative] = what
    for same in inodes.values():
        for relative in same:
            found[relative].append(sorted(same))
    return found


def compare(a, b, plain):
    x, y = describe(a, plain), describe(b, plain)
    bad = [f"only in the original: {n!r}" for n in sorted(x.keys() - y.keys())]
    bad += [f"only in the copy: {n!r}" for n in sorted(y.keys() - x.keys())]
    bad += [f"{n!r}: {x[n]} became {y[n]}" for n in sorted(x.keys() & y.keys()) if x[n] != y[n]]
    for line in bad[:20]:
        print(line)
    if not x:
        bad.append("nothing")
        print("the original is empty")
    return 1 if bad else 0


if sys.argv[1] == "make":
    make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    sys.exit(compare(sys.argv[2], sys.argv[3], len(sys.argv) > 4))
