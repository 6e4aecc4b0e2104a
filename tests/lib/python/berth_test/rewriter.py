# SPDX-License-Identifier: Apache-2.0
"""A reverse proxy before the emulator that rewrites its answers, or answers itself: an AWS that
says other things, and what stands between."""

import http.client
import http.server
import json
import threading
from collections.abc import Callable

from berth_test.emulator import Emulator


class Rewriter:
    """rewrite(operation, answer) gets each answer of 200 and returns what the client is given.
    own_status(operation), where it is given, is asked first: what is not None is the status of an
    error page of the proxy's own, and the emulator is not asked.

    It has the emulator's account and region, so that objects.settings() takes it for one.
    """

    def __init__(
        self,
        emulator: Emulator,
        rewrite: Callable[[str, dict], dict] = lambda _, answer: answer,
        own_status: Callable[[str], int | None] = lambda _: None,
    ) -> None:
        self.account, self.region = emulator.account, emulator.region
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.upstream = emulator.registry
        self._server.rewrite = rewrite
        self._server.own_status = own_status
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
    own_status: Callable[[str], int | None]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        status = self.server.own_status(operation)
        if status is not None:
            self._send(status, {"Content-Type": "text/html"}, b"<html>no backend</html>")
            return
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=30)
        # the host too: it is signed
        sent = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
        try:
            upstream.request("POST", self.path, body, sent)
            answer = upstream.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):  # a fault of the emulator: broken here too
            self.close_connection = True
            return
        finally:
            upstream.close()
        if answer.status == 200:
            data = self._rewritten(operation, data)
        names = ("Content-Type", "x-amzn-RequestId")
        self._send(answer.status, {n: answer.getheader(n, "") for n in names}, data)

    def _send(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _rewritten(self, operation: str, data: bytes) -> bytes:
        """What is no JSON goes on as it is."""
        try:
            answer = json.loads(data)
        except ValueError:
            return data
        return json.dumps(self.server.rewrite(operation, answer)).encode()
