#!/usr/bin/env python3
"""Random writes, snapshots, removals and reverts against a model in memory: contents at every snapshot, the chain of
files as qemu reads it, and changed areas that miss nothing.  Usage: random_chain.py SIMULATOR FOLDER SEED"""
import base64
import json
import os
import random
import re
import ssl
import subprocess
import sys
import urllib.request

simulator, folder, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = random.Random(seed)
BLOCK = 65536
os.makedirs(f"{folder}/files/v", exist_ok=True)
size = 512 * rng.randint(20000, 60000)
raw = f"{folder}/random.raw"
with open(raw, "wb") as f:
    f.write(rng.randbytes(300000))
os.truncate(raw, rng.choice([300000, size]))
with open(f"{folder}/random.json", "w") as f:
    disk = {"size": size, "file": raw}
    json.dump({"user": "u", "password": "p", "area_limit": 3,
               "vms": [{"name": "v", "power": "off", "cbt": True, "disks": [disk]}]}, f)
process = subprocess.Popen([simulator, "--spec", f"{folder}/random.json", "--ca-out", f"{folder}/random.pem"],
                           stdout=subprocess.PIPE)
url = json.loads(process.stdout.readline())["url"]
context = ssl.create_default_context(cafile=f"{folder}/random.pem")
cookie = ""


def ask(path, data=None, **headers):
    request = urllib.request.Request(url + path, data=data, headers=headers)
    return urllib.request.urlopen(request, context=context)


def control(what, **fields):
    return json.load(ask(f"/control/{what}", json.dumps(fields).encode()))


def soap(body):
    global cookie
    text = ('<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>' + body + "</e:Body></e:Envelope>")
    headers = {"Cookie": cookie, "SOAPAction": '"urn:vim25/6.7"', "Content-Type": "text/xml"}
    answer = ask("/sdk", text.encode(), **headers)
    cookie = (answer.headers.get("Set-Cookie") or cookie).split(";")[0]
    return answer.read().decode()


def disk_state():
    return json.load(ask("/control/state"))["vms"][0]["disks"][0]


def contents(snapshot):
    return ask(f"/control/contents?vm=v&key=2000&snapshot={snapshot}").read()


def check_chain():
    """Fetches every file of the chain and lets qemu read it."""
    login = {"Authorization": "Basic " + base64.b64encode(b"u:p").decode()}
    names = [c.split("] ")[1] for c in disk_state()["chain"]]
    for name in names:
        text = ask(f"/folder/{name}?dcPath=DC0&dsName=ds1", **login).read()
        extent = re.search(rb'^RW .*"(.*)"$', text, re.M).group(1).decode()
        for path, data in ((name, text), (f"v/{extent}", ask(f"/folder/v/{extent}?dcPath=DC0&dsName=ds1", **login).read())):
            with open(f"{folder}/files/{path}", "wb") as out:
                out.write(data)
    subprocess.run(["qemu-img", "convert", "-f", "vmdk", "-O", "raw", f"{folder}/files/{names[0]}", f"{folder}/random.out"], check=True)
    with open(f"{folder}/random.out", "rb") as out:
        assert out.read() == bytes(model), "the chain of files is not what the disk holds"


def check_changes(snapshot, old, new, change_id):
    """Every block that differs lies in a reported area; pages of three areas each."""
    reported, at = set(), 0
    while at < size:
        answer = soap('<QueryChangedDiskAreas xmlns="urn:vim25"><_this type="VirtualMachine">vm-101</_this>'
                      f'<snapshot type="VirtualMachineSnapshot">{snapshot}</snapshot><deviceKey>2000</deviceKey>'
                      f"<startOffset>{at}</startOffset><changeId>{change_id}</changeId></QueryChangedDiskAreas>")
        for start, length in re.findall(r"<start>(\d+)</start><length>(\d+)", answer):
            reported.update(range(int(start) // BLOCK, (int(start) + int(length) - 1) // BLOCK + 1))
        length = int(re.search(r"</startOffset><length>(\d+)", answer).group(1))
        assert length > 0, "a page of length 0"
        at += length
    assert at == size, "the last page does not end at the end"
    for block in range((size + BLOCK - 1) // BLOCK):
        at = slice(block * BLOCK, (block + 1) * BLOCK)
        assert old[at] == new[at] or block in reported, f"block {block} changed and is not reported"


try:
    soap('<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this><userName>u</userName><password>p</password></Login>')
    with open(raw, "rb") as f:
        model = bytearray(f.read().ljust(size, b"\0"))
    control("set", delta_format=rng.choice(["sesparse", "vmfssparse"]))
    history, standing, last = {}, [], None
    for step in range(50):
        what = rng.random()
        if what < .6:
            offset = rng.randrange(size - 1)
            length = min(size - offset, rng.choice([1, 512, 4096, 70000, 300000]))
            data = rng.choice([bytes(length), rng.randbytes(length)])
            model[offset:offset + length] = data
            control("write", vm="v", key=2000, offset=offset, data_base64=base64.b64encode(data).decode())
        elif what < .8 and len(standing) < 8:
            name = f"s{step}"
            change_id = disk_state()["change_id"]
            moref = control("snapshot", vm="v", name=name)["moref"]
            history[name] = bytes(model)
            standing.append(name)
            if last and last[1].split("/")[0] == change_id.split("/")[0]:
                check_changes(moref, last[0], history[name], last[1])
            last = (history[name], change_id)
        elif what < .93 and standing:
            control("snapshot", vm="v", op="remove", name=standing.pop(rng.randrange(len(standing))))
        elif what < .97 and standing:
            name = rng.choice(standing)
            control("revert", vm="v", snapshot=name)
            model = bytearray(history[name])
    check_chain()
    for name, wanted in history.items():
        assert contents(name) == wanted, f"snapshot {name} is not what it was"
    while standing:
        control("snapshot", vm="v", op="remove", name=standing.pop())
    assert contents("") == bytes(model), "the merged disk is not what it was"
    assert disk_state()["chain"] == ["[ds1] v/v.vmdk"], "files are left"
finally:
    process.terminate()
    process.wait()
