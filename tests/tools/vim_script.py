#!/usr/bin/env python3
"""An HTTPS server that replays answers of a vCenter, for tests.

Usage: vim_script.py CERTIFICATE KEY SCRIPT LOG FOLDER...
SCRIPT has lines "METHOD ANSWER [STATUS]": the nth line of a method answers its nth call, the last one also all later ones.
ANSWER is NAME.xml of one of the folders, "cut" (the connection ends) or "html".  GET of the versions is the method
"versions".  A "cookie VALUE" line is the session cookie that each Login sets; a call with another one is answered with
NotAuthenticated.  LOG gets "METHOD|SOAPAction|Cookie" for each request.  Prints its port.
"""
import http.server
import os
import re
import ssl
import sys

certificate, key, script, log_file, *folders = sys.argv[1:]
replies = {}
cookie = None
with open(script, encoding="utf-8") as lines:
    for line in lines:
        method, answer, *status = line.split()
        if method == "cookie":
            cookie = answer
        else:
            replies.setdefault(method, []).append((answer, int(status[0]) if status else 200))


def text_of(name):
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            with open(path, "rb") as f:
                return f.read()
    raise FileNotFoundError(name)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, method):
        with open(log_file, "a", encoding="utf-8") as log:
            log.write("|".join([method, self.headers.get("SOAPAction", ""), self.headers.get("Cookie", "")]) + "\n")
        queue = replies.get(method)
        if not queue:
            return self.send(404, b"no such thing", None)
        name, status = queue.pop(0) if len(queue) > 1 else queue[0]
        if name == "cut":
            self.close_connection = True
            return None
        if name == "html":
            return self.send(status, b"<html><body>hello</body></html>", None)
        needs_session = method not in ("versions", "RetrieveServiceContent", "Login")
        if cookie and needs_session and self.headers.get("Cookie") != "vmware_soap_session=" + cookie:
            name, status = "fault-NotAuthenticated.xml", 500
        return self.send(status, text_of(name), cookie if method == "Login" and status == 200 else None)

    def send(self, status, body, new_cookie):
        self.send_response(status)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if new_cookie:
            self.send_header("Set-Cookie", "vmware_soap_session=" + new_cookie + "; Path=/; HttpOnly; Secure")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer("versions" if self.path == "/sdk/vimServiceVersions.xml" else "GET")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
        found = re.search(r"Body><([A-Za-z_]+) xmlns=\"urn:vim25\">", body)
        typed = self.headers.get("Content-Type", "").startswith("text/xml")
        self.answer(found.group(1) if found and typed and self.path == "/sdk" else "unknown")


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
