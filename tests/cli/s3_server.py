"""A real S3 server (SeaweedFS) on loopback, and a proxy before it that breaks what it is told to."""

import http.client
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
WEED = os.environ.get("S3_SERVER", str(SOURCE / "build/s3_server/weed"))

SKIPPED = 77  # what ctest takes for it
BUCKET = "tests"
ADMIN = ("AKADMINTEST", "s3cr3t/ADMIN+test")
READER = ("AKREADERTEST", "s3cr3t/READER+test")
IDENTITIES = {"identities": [
    {"name": "admin", "credentials": [{"accessKey": ADMIN[0], "secretKey": ADMIN[1]}], "actions": ["Admin", "Read", "Write", "List"]},
    {"name": "reader", "credentials": [{"accessKey": READER[0], "secretKey": READER[1]}], "actions": ["Read", "List"]},
]}


def main():
    """The tests of __main__; without a server they are skipped, and that is said, or fail with TRAINCTL_REQUIRE_S3."""
    if not os.access(WEED, os.X_OK):
        print("SKIPPED: there is no S3 server; scripts/install_s3_server fetches one", file=sys.stderr)
        sys.exit(1 if os.environ.get("TRAINCTL_REQUIRE_S3") else SKIPPED)
    unittest.main(verbosity=2)


def _free_block(count):
    """The first of `count` ports that are all free now; the server wants to be told each of its own."""
    while True:
        first = random.randrange(20000, 32000)
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()


class Server:
    """A server with the bucket BUCKET, its data in a folder of its own. `stop(kill=True)` and `start()` are a crash."""

    def __init__(self, *options, https=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="trainctl-s3-"))
        (self.folder / "identities.json").write_text(json.dumps(IDENTITIES))
        first = _free_block(10)
        self.port, self.filer_port, self.https_port = first, first + 1, first + 2
        self.arguments = [WEED, "mini", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                          f"-s3.config={self.folder}/identities.json", f"-bucket={BUCKET}", "-s3.autoCreateBucket=false",
                          f"-s3.port={first}", f"-filer.port={first + 1}", f"-s3.port.grpc={first + 3}",
                          f"-filer.port.grpc={first + 4}", f"-master.port={first + 5}", f"-master.port.grpc={first + 6}",
                          f"-volume.port={first + 7}", f"-volume.port.grpc={first + 8}", "-s3.port.iceberg=0", "-s3.port.lance=0",
                          "-s3.domainName=localhost",
                          f"-s3.localSocket={self.folder}/s3.sock", f"-filer.localSocket={self.folder}/filer.sock",
                          "-webdav=false", "-admin.ui=false", "-master.telemetry=false", "-volume.preStopSeconds=0", *options]
        if https:
            self.arguments += [f"-s3.port.https={self.https_port}", f"-s3.cert.file={https[0]}", f"-s3.key.file={https[1]}"]
        self.process = None
        self.start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdout=log, stderr=log, cwd=self.folder, env=environment)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self._status(f"http://127.0.0.1:{self.filer_port}/buckets/{BUCKET}/") == 200 and self._status(self.endpoint) == 403:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"the S3 server did not start; {(self.folder / 'log').read_text(errors='replace')[-3000:]}")

    @staticmethod
    def _status(url):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def stop(self, kill=False):
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        self.process.wait()

    def close(self):
        self.stop(kill=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def content(self, key):
        """An object's bytes by another way than S3, or None."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.filer_port}/buckets/{BUCKET}/{key}", timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError:
            return None


def error_body(code, message="as the test wants it", **more):
    extra = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{extra}</Error>'.encode()


class Rule:
    """What happens to the next `times` requests that `matches(method, path)`, the first `skip` left alone.

    answer=(status, headers, body): sent instead of asking the server. cut_request: the connection ends when so many bytes of the body
    were read. cut_answer: it ends after so many bytes of the answer's body. lose_answer: the server is asked, nobody told. flip_request,
    flip_answer: a bit of the body is turned round. stall: seconds in which nothing happens. then: called before all that.
    """

    def __init__(self, matches, times=1, skip=0, answer=None, cut_request=None, cut_answer=None, lose_answer=False, flip_request=False,
                 flip_answer=False, stall=0, then=None):
        self.matches, self.times, self.skip = matches, times, skip
        self.answer, self.cut_request, self.cut_answer, self.lose_answer = answer, cut_request, cut_answer, lose_answer
        self.flip_request, self.flip_answer, self.stall, self.then = flip_request, flip_answer, stall, then


def flipped(body):
    body = bytearray(body)
    body[len(body) // 2] ^= 4
    return bytes(body)


class Proxy:
    """Between a client and `server`. `requests` are (method, path, headers, status) of all that came."""

    def __init__(self, server):
        self.server, self.rules, self.requests = server, [], []
        self.lock = threading.Lock()
        self.answered = threading.Condition()
        self.stopping = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = lambda self: outer.handle(self)

            def log_message(self, *arguments):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                pass  # clients may go whenever they like

        self.http = Threads(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.stopping.set()
        self.http.shutdown()
        self.http.server_close()

    def reset(self, *rules):
        with self.lock:
            self.rules, self.requests = list(rules), []

    def seen(self, method, text=""):
        return [request for request in self.requests if request[0] == method and text in request[1]]

    def wait_for(self, matches, timeout=60):
        """Waits until a request that `matches(method, path)` has had an answer of success; whether it came in time."""
        with self.answered:
            return self.answered.wait_for(lambda: any(status == 200 and matches(method, path)
                                                      for method, path, _, status in self.requests), timeout)

    def rule_for(self, method, path):
        with self.lock:
            for rule in self.rules:
                if rule.times > 0 and rule.matches(method, path):
                    if rule.skip > 0:
                        rule.skip -= 1
                        return None
                    rule.times -= 1
                    return rule
        return None

    def handle(self, client):
        rule = self.rule_for(client.command, client.path) or Rule(None)
        request = [client.command, client.path, dict(client.headers), 0]
        self.requests.append(request)
        if rule.then:
            rule.then()
        if rule.stall:
            self.stopping.wait(rule.stall)
        length = int(client.headers.get("Content-Length", 0))
        if rule.cut_request is not None:
            client.rfile.read(min(length, rule.cut_request))
            client.close_connection = True
            client.connection.shutdown(socket.SHUT_RDWR)
            return
        body = client.rfile.read(length)
        if len(body) < length:
            client.close_connection = True
            return
        try:
            status, headers, answer = rule.answer or self.forward(client, flipped(body) if rule.flip_request else body)
        except OSError:  # no server just now
            client.close_connection = True
            return
        with self.answered:
            request[3] = status
            self.answered.notify_all()
        if rule.lose_answer:
            client.close_connection = True
            return
        self.send(client, status, headers, flipped(answer) if rule.flip_answer else answer, rule.cut_answer)

    def forward(self, client, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        headers = {name: value for name, value in client.headers.items() if name.lower() != "expect"}
        connection.request(client.command, client.path, body=body or None, headers=headers)
        answer = connection.getresponse()
        result = answer.status, answer.getheaders(), answer.read()
        connection.close()
        return result

    @staticmethod
    def send(client, status, headers, body, cut):
        headers = dict(headers)
        client.send_response_only(status)
        if client.command != "HEAD":
            headers = {name: value for name, value in headers.items() if name.lower() not in ("content-length", "transfer-encoding")}
            headers["Content-Length"] = str(len(body))
        for name, value in headers.items():
            client.send_header(name, value)
        client.end_headers()
        if client.command != "HEAD":
            client.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            client.close_connection = True
