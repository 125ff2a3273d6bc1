#!/usr/bin/env python3
"""Clients that mean no good, against a hub at HOST:PORT.  Prints one JSON line of what became of them.

Usage: slow_clients.py HOST:PORT slow N SECONDS     N connections that send one byte of a header each half second
       slow_clients.py HOST:PORT many N             N connections at once that say nothing
       slow_clients.py HOST:PORT header BYTES       one request with a header of that size"""
import json
import selectors
import socket
import sys
import time

host, port = sys.argv[1].rsplit(":", 1)
address = (host, int(port))


def connect():
    s = socket.create_connection(address, timeout=10)
    s.setblocking(False)
    return s


def slow(n, seconds):
    socks, closed, refused = [], 0, 0
    for _ in range(n):
        try:
            s = connect()
            s.send(b"GET /api/v1/version HTTP/1.1\r\nX-Slow: ")
            socks.append(s)
        except OSError:
            refused += 1
    print(json.dumps({"open": len(socks)}), flush=True)
    first = None
    end = time.monotonic() + seconds
    began = time.monotonic()
    while socks and time.monotonic() < end:
        time.sleep(0.5)
        for s in list(socks):
            try:
                gone = s.recv(4096) == b""
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            try:
                s.send(b"a")
            except BlockingIOError:
                pass
            except OSError:
                gone = True
            if gone:
                socks.remove(s)
                closed += 1
                first = first or time.monotonic() - began
    return {"closed": closed, "left": len(socks), "refused": refused, "first_s": round(first or -1, 1)}


def many(n):
    socks, refused = [], 0
    for _ in range(n):
        try:
            socks.append(connect())
        except OSError:
            refused += 1
    print(json.dumps({"open": len(socks)}), flush=True)
    time.sleep(3)
    return {"open": len(socks), "refused": refused}


def header(size):
    s = socket.create_connection(address, timeout=20)
    sent, answer, block = 0, b"", b"a" * 65536
    sel = selectors.DefaultSelector()
    s.setblocking(False)
    sel.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE)
    s.send(b"GET /api/v1/version HTTP/1.1\r\nHost: x\r\nX-Big: ")
    end = time.monotonic() + 30
    try:
        while sent < size and time.monotonic() < end:
            for _, mask in sel.select(1):
                if mask & selectors.EVENT_READ:
                    got = s.recv(4096)
                    answer += got
                    if not got:
                        raise ConnectionResetError
                elif mask & selectors.EVENT_WRITE:
                    sent += s.send(block)
    except OSError:
        pass
    return {"sent": sent, "answer": answer.split(b"\r\n")[0].decode(errors="replace")}


kind, numbers = sys.argv[2], [int(x) for x in sys.argv[3:]]
print(json.dumps({"slow": slow, "many": many, "header": header}[kind](*numbers)), flush=True)
