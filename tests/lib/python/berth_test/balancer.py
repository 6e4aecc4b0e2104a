# SPDX-License-Identifier: Apache-2.0
"""One address before several operators, as a Service is: new connections go to those that are
ready, in turn; connections that are open stay where they are."""

import itertools
import selectors
import socket
import threading
import time
from collections.abc import Callable

_LOOK_S = 0.1  # how late it learns of readiness; a Service's endpoints take longer
_PIECE = 65536


class Balancer:
    def __init__(self) -> None:
        self._backends: dict[str, tuple[tuple[str, int], Callable[[], bool]]] = {}
        self._ready: list[tuple[str, int]] = []
        self._turn = itertools.count()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=f) for f in (self._accept, self._look)]
        self._pumps: set[threading.Thread] = set()
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Balancer":
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._listener.close()
        for thread in (*self._threads, *list(self._pumps)):
            thread.join()

    def put(self, name: str, address: str, is_ready: Callable[[], bool]) -> None:
        host, _, port = address.rpartition(":")
        with self._lock:
            self._backends[name] = ((host, int(port)), is_ready)

    def remove(self, name: str) -> None:
        with self._lock:
            self._backends.pop(name, None)

    def ready_count(self) -> int:
        return len(self._ready)

    def _look(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            with self._lock:
                backends = list(self._backends.values())
            ready = []
            for address, is_ready in backends:
                try:
                    if is_ready():
                        ready.append(address)
                except (OSError, AssertionError, RuntimeError):
                    pass  # not ready, or its process ended
            self._ready = ready

    def _accept(self) -> None:
        self._listener.settimeout(0.1)
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._pumps.add(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        ready = self._ready
        with client:
            if not ready:
                return
            try:
                server = socket.create_connection(ready[next(self._turn) % len(ready)], timeout=5)
            except OSError:
                return
            with server:
                self._pump(client, server)

    def _pump(self, a: socket.socket, b: socket.socket) -> None:
        peers = {a: b, b: a}
        with selectors.DefaultSelector() as selector:
            for s in peers:
                s.settimeout(30)
                selector.register(s, selectors.EVENT_READ)
            while not self._stopping.is_set():
                for key, _ in selector.select(0.2):
                    try:
                        data = key.fileobj.recv(_PIECE)
                        if not data:
                            return
                        peers[key.fileobj].sendall(data)
                    except OSError:
                        return


def wait_until(deadline: float, seconds: float) -> None:
    """Paces a load: sleeps to the next beat, not past the end."""
    time.sleep(max(0.0, min(seconds, deadline - time.monotonic())))
