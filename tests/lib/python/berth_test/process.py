# SPDX-License-Identifier: Apache-2.0
"""A child process with its output in files: started, watched, stopped by its process id."""

import contextlib
import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from berth_test import causes

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
# how a sanitizer is told what to do, and how its report begins
_SANITIZERS = ("ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")
_REPORT = re.compile(r"^(==\d+==ERROR: |WARNING: ThreadSanitizer|[^{\n]*: runtime error: )", re.M)


def free_port() -> int:
    """A port of loopback that nobody listens on now. Somebody may take it before its user does:
    start what uses it again, with another one, when it says so."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _sanitizer_options() -> dict[str, str]:
    return {name: os.environ[name] for name in _SANITIZERS if name in os.environ}


class Process:
    """stdout and stderr go to <directory>/<name>.out and .err.

    detached: it outlives us and Ctrl-C (make demo KEEP=1)."""

    def __init__(
        self,
        name: str,
        argv: list[str | pathlib.Path],
        directory: pathlib.Path,
        env: dict[str, str] | None = None,
        detached: bool = False,
    ) -> None:
        self.name = name
        self.argv = [str(a) for a in argv]
        causes.note(f"start {name}")
        self.out = directory / f"{name}.out"
        self.err = directory / f"{name}.err"
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self._child = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=None if env is None else {**_sanitizer_options(), **env},
                cwd=directory,
                start_new_session=True,
                preexec_fn=None if detached else _die_with_parent,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._child.poll()

    def log(self, last_bytes: int = 6000) -> str:
        """The end of what it wrote."""
        text = []
        for path in (self.out, self.err):
            data = path.read_bytes() if path.exists() else b""
            if data:
                text.append(f"--- {path.name}\n{data[-last_bytes:].decode(errors='replace')}")
        return "\n".join(text)

    def assert_no_sanitizer_report(self) -> None:
        text = self.err.read_text(errors="replace") if self.err.exists() else ""
        report = _REPORT.search(text)
        if report:
            raise AssertionError(f"{self.name}: {text[report.start() :][:20000]}")

    def assert_running(self) -> None:
        code = self.exit_code()
        if code is not None:
            raise RuntimeError(f"{self.name} ended with {code}\n{self.log()}")

    def signal(self, number: int) -> None:
        if self.exit_code() is None:
            causes.note(f"signal {int(number)} to {self.name}")
            self._child.send_signal(number)

    def wait(self, seconds: float) -> int | None:
        """Its exit code; None where it still runs then."""
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, seconds: float = 10.0) -> tuple[int, float]:
        """SIGTERM, SIGKILL after that time. Returns exit code and the seconds it took."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        code = self.wait(seconds)
        if code is None:
            self.kill()
            code = self._child.returncode
        seconds = time.monotonic() - began
        self.assert_no_sanitizer_report()
        return code, seconds

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._child.wait()
        self.assert_no_sanitizer_report()

    def peak_rss_kib(self) -> int:
        return self._status("VmHWM")

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        with contextlib.suppress(FileNotFoundError):
            fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def _status(self, key: str) -> int:
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        return 0
