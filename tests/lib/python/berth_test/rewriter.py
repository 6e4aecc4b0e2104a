# SPDX-License-Identifier: Apache-2.0
"""A reverse proxy before the emulator that rewrites its answers: an AWS that says other things."""

import http.client
import http.server
import json
import threading
from collections.abc import Callable

from berth_test.emulator import Emulator


class Rewriter:
    """rewrite(operation, answer) gets each answer of 200 and returns what the client is given.

    It has the emulator's account and region, so that objects.settings() takes it for one.
    """

    def __init__(self, emulator: Emulator, rewrite: Callable[[str, dict], dict]) -> None:
        self.account, self.region = emulator.account, emulator.region
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.upstream = emulator.registry
        self._server.rewrite = rewrite
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "Rewriter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    upstream: str
    rewrite: Callable[[str, dict], dict]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=30)
        # the host too: it is signed
        sent = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
        upstream.request("POST", self.path, body, sent)
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        if answer.status == 200:
            data = json.dumps(self.server.rewrite(operation, json.loads(data))).encode()
        self.send_response(answer.status)
        for name in ("Content-Type", "x-amzn-RequestId"):
            self.send_header(name, answer.getheader(name, ""))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
