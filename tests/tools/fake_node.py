#!/usr/bin/env python3
"""A node that breaks its contract: fake_node.py MODE_FILE.  Prints its port; serves until stdin ends."""
import http.server
import json
import sys
import threading

T = "2026-01-02T03:04:05.678901Z"


def event(seq, **more):
    return {"v": 1, "seq": seq, "t": T, **more}


def hello(job, seq=1):
    return event(seq, type="hello", program="sendense-backup-client", version="0", commit="0", build_id="0", job_id=job, attempt=1, pid=1)


OK = {"type": "result", "status": "ok", "code": None, "phase": None, "disk": None, "message": "", "retryable": False}


class Node(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind="application/json"):
        text = json.dumps(body).encode() if not isinstance(body, bytes) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def problem(self, status, code):
        self.answer(status, {"title": "x", "status": status, "detail": "the fake node says no", "code": code}, "application/problem+json")

    def handle_any(self):
        with open(sys.argv[1], encoding="utf-8") as f:
            mode = f.read().strip()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        job = path.split("/")[4] if path.startswith("/api/v1/jobs/") else json.loads(body or b"{}").get("job_id", "")
        if self.command == "DELETE":
            self.send_response(204)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if path == "/api/v1/probe":
            keys = [d["key"] for d in json.loads(body)["disks"]]
            disks = [{"key": k, "ok": True, "size_bytes": 1048576, "allocated_bytes": 65536} for k in keys]
            if mode == "probe-type":
                disks[0]["size_bytes"] = "large"
            if mode == "probe-missing":
                disks[0]["key"] += 1
            return self.answer(200, {"v": 2 if mode == "probe-version" else 1, "disks": disks} if mode != "probe-text" else b"hello")
        if path == "/api/v1/vsphere":
            vm = {"power": "poweredOn", "connection": "connected", "is_template": False}
            vms = [{"ref": "vm-%d" % i, "name": "twin" if i < 3 else "one", "instance_uuid": "u%d" % i, **vm} for i in (1, 2, 3)]
            server = {"full_name": "fake", "api_version": "8", "uuid": "u"}
            if mode == "vms-type":
                vms[0]["ref"] = 7
            if mode == "vsphere-refused":
                return self.answer(200, {"v": 1, "question": "list", "ok": False, "code": "vcenter_login", "message": "no"})
            return self.answer(200, {"v": 1, "question": json.loads(body)["question"], "ok": True, "server": server, "vms": vms})
        if path == "/api/v1/jobs":
            if mode == "refuse":
                return self.problem(429, "too_many_jobs")
            if mode == "token":
                return self.problem(401, "unauthenticated")
            return self.answer(202, {"job_id": job, "attempt": 1, "state": "running", "pid": 1, "started": T, "client": None, "last_seq": 0}
                               if mode != "job-type" else {"job_id": 7})
        events, ended = {
            "unknown": (None, False),
            "events-type": ([{"v": 1, "seq": "one"}], False),
            "version": ([{**hello(job), "v": 9}], False),
            "back": ([hello(job, 5), event(4, **OK)], True),
            "other-job": ([hello("00000000-0000-0000-0000-000000000001")], False),
            "no-result": ([], True),
            "lie": ([hello(job), event(2, **OK)], True),
            "stranger": ([hello(job), event(2, type="read_mode", disk=99, mode="all", reason="no_parent")], False),
            "died": ([event(1, type="result", status="failed", code="client_died", phase=None, disk=None, message="signal 9", retryable=True)], True),
        }.get(mode, ([], True))
        if events is None:
            return self.problem(404, "job_not_found")
        return self.answer(200, {"attempt": 1, "events": events, "ended": ended})

    do_GET = do_POST = do_DELETE = handle_any


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Node)
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
