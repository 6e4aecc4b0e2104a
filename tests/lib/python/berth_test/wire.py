# SPDX-License-Identifier: Apache-2.0
"""A proxy before the API server that hands on bytes: it ends TLS on both sides, knows which request
an answer belongs to, and can cut that answer at any byte, slow it down, or keep silent."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import pathlib
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import yaml

from berth_test import causes
from berth_test.control_plane import ControlPlane

_EVENT_END = b"\n\r\n"  # an event in JSON, and the end of its chunk
_READ = 16384


@dataclasses.dataclass
class Asked:
    """A request that came by."""

    method: str
    path: str  # with its query
    at: float  # time.monotonic()

    @property
    def is_watch(self) -> bool:
        return "watch=true" in self.path

    def is_of(self, plural: str) -> bool:
        return self.path.partition("?")[0].endswith("/" + plural) or f"/{plural}/" in self.path


Match = Callable[[Asked], bool]


@dataclasses.dataclass
class Fault:
    """What happens to the answers of requests that match."""

    match: Match
    times: int | None = None  # how many answers more; None: all
    after: int | None = None  # so many bytes of it are handed on, and then:
    end: str = "silent"  # or "fin", "rst"
    pace_s: float = 0.0  # for each piece
    piece: int = 1  # bytes
    acted: int = 0


class _Line:
    """One connection of a client and ours to the API server."""

    def __init__(self) -> None:
        self.asked: Asked | None = None
        self.fault: Fault | None = None  # of the answer in hand
        self.passed = 0  # bytes of it
        self.event: tuple[Callable[[int], int], str] | None = None  # to be cut
        self.held = b""  # the beginning of that event
        self.server: asyncio.StreamWriter | None = None


class Wire:
    """Hands on everything until told otherwise. All methods are for the test's thread."""

    def __init__(self, control_plane: ControlPlane) -> None:
        directory = control_plane.directory
        self._upstream = ("127.0.0.1", control_plane.port)
        self._user = control_plane.kubeconfig()
        self._own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._own.load_cert_chain(directory / "server.crt", directory / "server.key")
        self._tls = ssl.create_default_context(cafile=str(directory / "ca.crt"))
        self._lines: set[_Line] = set()
        self._faults: list[Fault] = []
        self._is_away = False
        self._asked: list[Asked] = []
        self._tasks: set[asyncio.Task] = set()
        self.cut_events: list[int] = []  # how long each event was that was cut
        self.watch_s: int | None = None  # how long watches are to last, whatever the client asks
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Wire":
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- what tests use --------------------------------------------------------------------------

    def kubeconfig(self, directory: pathlib.Path) -> pathlib.Path:
        """Written there: that of the control plane, through this proxy."""
        config = yaml.safe_load(self._user.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        path = directory / "wire.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path

    def asked(self, match: Match = lambda _: True) -> list[Asked]:
        return [a for a in list(self._asked) if match(a)]

    def add(self, match: Match, **how: Any) -> Fault:
        """A Fault for the answers to come. The last one added that matches counts."""
        fault = Fault(match, **how)
        self._run(self._call(lambda: self._faults.append(fault)))
        return fault

    def clear(self) -> None:
        """Answers to come are handed on; what is silent or slow stays so."""
        self._run(self._call(self._faults.clear))

    def cut_next_event(self, match: Match, place: Callable[[int], int], end: str) -> int:
        """Of the answers under way: the next event is handed on up to place(its length in bytes)
        and then the connection ends ("fin", "rst"). How many answers match."""

        def arm() -> int:
            lines = [x for x in self._lines if x.asked and match(x.asked)]
            for line in lines:
                line.event = (place, end)
            return len(lines)

        return self._run(self._call(arm))

    def silence(self, match: Match) -> int:
        """Of the answers under way not a byte is handed on any more, and they do not end. How many
        match."""

        def hush() -> int:
            lines = [x for x in self._lines if x.asked and match(x.asked)]
            for line in lines:
                line.fault = Fault(match, after=0)
                line.passed = 0
            return len(lines)

        return self._run(self._call(hush))

    @contextlib.contextmanager
    def away(self) -> Any:
        """All connections are reset, and new ones as soon as they are made."""

        causes.note("cut: all connections to the API server")

        def leave() -> None:
            self._is_away = True
            for task in list(self._tasks):
                task.cancel()

        self._run(self._call(leave))
        try:
            yield
        finally:
            self._is_away = False

    # --- in the loop's thread --------------------------------------------------------------------

    def _run(self, work: Coroutine) -> Any:
        future: concurrent.futures.Future = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(10)

    @staticmethod
    async def _call(function: Callable[[], Any]) -> Any:
        return function()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._listener, ssl=self._own)

    async def _stop(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client's connection from its begin to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        line = _Line()
        self._lines.add(line)
        pumps: list[asyncio.Task] = []
        try:
            if self._is_away:
                raise ConnectionResetError
            server_reader, line.server = await asyncio.open_connection(
                *self._upstream, ssl=self._tls
            )
            pumps = [
                asyncio.create_task(self._requests(line, reader)),
                asyncio.create_task(self._answers(line, server_reader, writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            _end(writer, "rst")
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for side in (writer, line.server):
                if side is not None:
                    _end(side, "fin")
            self._lines.discard(line)
            self._tasks.discard(task)

    async def _requests(self, line: _Line, reader: asyncio.StreamReader) -> None:
        assert line.server is not None
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if self.watch_s is not None:
                    head = re.sub(rb"timeoutSeconds=\d+", b"timeoutSeconds=%d" % self.watch_s, head)
                method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
                body = b""
                for field in head.split(b"\r\n")[1:]:
                    name, _, value = field.partition(b":")
                    if name.lower() == b"content-length":
                        body = await reader.readexactly(int(value))
                line.asked, line.passed = Asked(method, path, time.monotonic()), 0
                line.fault = self._fault_of(line.asked)
                self._asked.append(line.asked)
                line.server.write(head + body)
                await line.server.drain()

    def _fault_of(self, asked: Asked) -> Fault | None:
        for fault in reversed(self._faults):
            if fault.times != 0 and fault.match(asked):
                fault.acted += 1
                causes.note("cut: an answer of the API server")
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    async def _answers(
        self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_READ):
                if line.event is not None:
                    line.held += data
                    if not line.held.endswith(_EVENT_END):
                        continue
                    place, end = line.event
                    self.cut_events.append(len(line.held))
                    await _put(writer, line.held[: place(len(line.held))])
                    _end(writer, end)
                    return
                if not await self._pass(line, data, writer):
                    return

    async def _pass(self, line: _Line, data: bytes, writer: asyncio.StreamWriter) -> bool:
        fault = line.fault
        if fault is None:
            await _put(writer, data)
            return True
        room = len(data) if fault.after is None else max(fault.after - line.passed, 0)
        if fault.pace_s:
            for i in range(0, min(room, len(data)), fault.piece):
                await _put(writer, data[i : i + fault.piece])
                await asyncio.sleep(fault.pace_s)
        elif room:
            await _put(writer, data[:room])
        line.passed += len(data)
        if fault.after is None or line.passed < fault.after or fault.end == "silent":
            return True
        _end(writer, fault.end)
        return False


async def _put(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(data)
        await writer.drain()


def _end(writer: asyncio.StreamWriter, how: str) -> None:
    """Without TLS's own good-bye, as a peer ends that is gone."""
    raw = writer.get_extra_info("socket")
    if how == "rst" and raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
