#!/usr/bin/env python3
"""A datastore over HTTPS for tests: range_server.py ROOT CERTIFICATE KEY.  Prints its port; serves until stdin ends.

GET /folder/NAME gives a file of ROOT with ranges, to who sends the valid cookie.  GET /control/… needs no cookie:
  cookie?value=TEXT          the cookie that is valid from now on (none: no cookie is asked for)
  fault?kind=K&count=N[&name=PART][&min=OFFSET]   the next N ranges of files whose name holds PART go wrong
  expire?after=N&value=TEXT  the same, once N more ranges were given
  delay?ms=N                 each answer takes that long
  stats                      what happened since the last stats?reset=1"""
import http.server
import json
import os
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import urllib.parse

ROOT, CERTIFICATE, KEY = sys.argv[1:4]
lock = threading.Lock()
state = {"cookie": None, "expire": None, "delay_ms": 0, "faults": []}
ZERO = {"requests": 0, "ranges": 0, "connections": 0, "in_flight": 0, "most_in_flight": 0, "bytes": 0, "refused": 0, "longest": 0}
stats = dict(ZERO)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # broken-off handshakes and connections are what is tested


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *args):
        pass

    def setup(self):
        self.request.do_handshake()
        super().setup()
        self.counted = False

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def control(self, what, query):
        with lock:
            if what == "cookie":
                state["cookie"] = query.get("value")
                state["expire"] = None
            elif what == "expire":
                state["expire"] = [int(query["after"]), query["value"]]
            elif what == "delay":
                state["delay_ms"] = int(query["ms"])
            elif what == "fault":
                state["faults"].append({"kind": query["kind"], "count": int(query["count"]), "name": query.get("name", ""), "min": int(query.get("min", "0"))})
            elif what == "stats":
                body = json.dumps({**stats, "faults_left": sum(f["count"] for f in state["faults"])}).encode()
                if "reset" in query:
                    stats.update({**ZERO, "in_flight": stats["in_flight"]})
                    state["faults"].clear()
                return self.reply(200, body)
            else:
                return self.reply(404)
        return self.reply(200)

    def fault_for(self, name, first):
        with lock:
            for f in state["faults"]:
                if f["count"] > 0 and f["name"] in name and first >= f["min"]:
                    f["count"] -= 1
                    return f["kind"]
        return None

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path.startswith("/control/"):
            return self.control(url.path[len("/control/") :], query)
        with lock:
            stats["connections"] += not self.counted
            stats["requests"] += 1
            stats["in_flight"] += 1
            stats["most_in_flight"] = max(stats["most_in_flight"], stats["in_flight"])
            valid, delay_ms = state["cookie"], state["delay_ms"]
        self.counted = True
        try:
            if delay_ms:
                time.sleep(delay_ms / 1000)
            if valid is not None and self.headers.get("Cookie") != valid:
                with lock:
                    stats["refused"] += 1
                return self.reply(401, b"<html>no session</html>")
            return self.serve(urllib.parse.unquote(url.path[len("/folder/") :]))
        finally:
            with lock:
                stats["in_flight"] -= 1

    def serve(self, name):
        path = os.path.join(ROOT, os.path.basename(name))
        if not os.path.isfile(path):
            return self.reply(404, b"<html>no such file</html>")
        size = os.path.getsize(path)
        first, last = self.headers.get("Range", "bytes=0-").split("=")[1].split("-")
        first, last = int(first), min(int(last or size - 1), size - 1)
        if first >= size:
            return self.reply(416, headers=[("Content-Range", f"bytes */{size}")])
        fault = self.fault_for(name, first)
        if fault and fault.isdigit() and fault != "200":
            return self.reply(int(fault), b"<html>" + b"x" * 500, [("Location", "https://127.0.0.1:1/")])
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return self.connection.close()
        with open(path, "rb") as f:
            f.seek(first)
            data = f.read(last - first + 1)
        with lock:
            stats["ranges"] += 1
            if state["expire"]:
                state["expire"][0] -= 1
                if state["expire"][0] == 0:
                    state["cookie"], state["expire"] = state["expire"][1], None
            stats["bytes"] += len(data)
            stats["longest"] = max(stats["longest"], len(data))
        return self.send(fault, data, first, last, size)

    def send(self, fault, data, first, last, size):
        shift = 1 if fault == "wrong-range" else 0
        length = len(data)
        if fault == "shorter":
            data = data[:-1]
            length -= 1
        if fault == "longer":
            data += b"x"
            length += 1
        if fault == "200":
            length = 1 << 40  # whoever takes it never ends
        if fault == "grown":
            size += 512
        self.send_response(200 if fault == "200" else 206)
        if fault not in ("200", "no-range"):
            self.send_header("Content-Range", f"bytes {first + shift}-{last + shift}/{size}")
        if fault == "encoded":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if fault == "short":
            data = data[: len(data) // 2]
            self.close_connection = True
        self.wfile.write(data)
        if fault == "200":
            while True:
                self.wfile.write(data)
                with lock:
                    stats["bytes"] += len(data)


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


main()
