# SPDX-License-Identifier: Apache-2.0
"""The processes of a soak: a control plane, two emulators that keep their state, two operators; how
they die, hang and come back, and what they cost. "ann" lives from the beginning to the end, so that
what leaks shows; "ben" is the one that dies."""

import contextlib
import dataclasses
import pathlib
import signal
import statistics
import time
from collections.abc import Callable

from judge import Judge, Seen
from model import Model

from berth_test import paths
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import TEMPLATE, ApiError
from berth_test.operator import Operator
from berth_test.process import Process
from berth_test.replicas import LEASE, Replicas, credential_flags
from berth_test.wait import SLOWNESS, wait_for

REGISTRIES = {"default": ("123456789012", "eu-west-1"), "spare": ("210987654321", "eu-central-1")}
STAYS, DIES = "ann", "ben"
KUBE_RETRY_S = 30.0


class Registry:
    """An emulator with its data, on one port through all its lives."""

    def __init__(self, name: str, directory: pathlib.Path) -> None:
        self.name = name
        self._directory = directory
        self._lives = 0
        self._listen = "127.0.0.1:0"
        self._seq = 0
        self.account, self.region = REGISTRIES[name]
        self.emulator = self._start()
        self._listen = self.emulator.registry
        self.endpoint = self.emulator.endpoint
        self.is_frozen = False

    def _start(self) -> Emulator:
        self._lives += 1
        self._seq = 0
        logs = self._directory / f"emulator-{self.name}-{self._lives}"
        logs.mkdir()
        return Emulator(
            "--data", str(self._directory / f"ecr-{self.name}"), *credential_flags(),
            directory=logs, account=self.account, region=self.region, listen=self._listen,
        )  # fmt: skip

    def die(self, number: int) -> None:
        self.emulator.process.signal(number)
        self.emulator.process.wait(10)
        self.emulator.process.assert_no_sanitizer_report()

    @property
    def is_alive(self) -> bool:
        return self.emulator.process.exit_code() is None

    def come_back(self) -> None:
        """Somebody may have the port for a moment as that of an outgoing connection."""
        end = time.monotonic() + 20 * SLOWNESS
        while True:
            try:
                self.emulator = self._start()
                return
            except RuntimeError as e:
                if "in use" not in str(e) or time.monotonic() > end:
                    raise

    def new_requests(self) -> list[Seen]:
        """Since the last call, or since it came back."""
        if not self.is_alive or self.is_frozen:
            return []
        log = self.emulator.requests_after(self._seq)
        if log:
            self._seq = log[-1][0]
        return [Seen(when, request, self.name) for _, when, request in log]


@dataclasses.dataclass
class Sample:
    when: float
    anon_kib: int
    descriptors: int
    threads: int


def sample(process: Process) -> Sample:
    proc = pathlib.Path(f"/proc/{process.pid}")
    fields = dict(
        line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
    )
    return Sample(
        time.monotonic(),
        int(fields["RssAnon"].split()[0]),
        len(list((proc / "fd").iterdir())),
        int(fields["Threads"]),
    )


class World:
    def __init__(self, directory: pathlib.Path, world: Model) -> None:
        self.directory = directory
        self.model = world
        self.judge = Judge(world)
        self.settings: list[dict] = []  # every spec.accountSettings that was declared
        self.samples: list[Sample] = []
        self._stack = contextlib.ExitStack()
        self._starts = 0
        self.registries: dict[str, Registry] = {}

    def __enter__(self) -> "World":
        try:
            self.cluster = ControlPlane(directory=self._sub("cluster"), record=True)
            # an API server that hangs gets a status twice: how many were sent is not judged
            self._stack.callback(self.cluster.stop)
            self.cluster.install_crds()
            self.kube = self.cluster.kube
            for name in REGISTRIES:
                self.registries[name] = Registry(name, self.directory)
                self._stack.callback(self._kill_emulator, name)
            self.replicas = Replicas(self.kube, self._new_operator)
            self._stack.callback(self._kill_operators)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _sub(self, name: str) -> pathlib.Path:
        path = self.directory / name
        path.mkdir()
        return path

    def _kill_emulator(self, name: str) -> None:
        self.registries[name].emulator.process.kill()

    def _kill_operators(self) -> None:
        for operator in self.replicas.running.values():
            operator.process.kill()

    # --- operators -------------------------------------------------------------------------------

    def _new_operator(self, **options) -> Operator:
        self._starts += 1
        name = f"operator-{options['env']['POD_NAME']}-{self._starts}"
        return Operator(self.cluster.kubeconfig(), directory=self._sub(name), **options)

    def operator(self, name: str) -> Operator | None:
        return self.replicas.running.get(name)

    def transitions(self) -> int:
        lease = self.kube_call(lambda: self.kube.get(*LEASE)) or {}
        return lease.get("spec", {}).get("leaseTransitions", 0)

    # --- the API server --------------------------------------------------------------------------

    def kube_call(self, call: Callable):
        """Again where the API server says that it is only starting."""
        end = time.monotonic() + KUBE_RETRY_S * SLOWNESS
        while True:
            try:
                return call()
            except ApiError as e:
                if (e.status != 429 and e.status < 500) or time.monotonic() > end:
                    raise
            except OSError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.2)

    def templates(self) -> list[dict]:
        return self.kube_call(lambda: self.kube.items(TEMPLATE))

    def apiserver(self) -> Process:
        return next(p for p in self.cluster.processes if p.name == "kube-apiserver")

    def restart_apiserver(self, down: Callable[[], None]) -> None:
        """Killed; `down` is what happens before it is there again. etcd stays."""
        self.apiserver().kill()
        down()
        self.cluster.start_apiserver_again()

    def freeze_apiserver(self, frozen: Callable[[], None]) -> None:
        self.apiserver().signal(signal.SIGSTOP)
        try:
            frozen()
        finally:
            self.apiserver().signal(signal.SIGCONT)
        wait_for(self._answers, 20, "kube-apiserver answers again")

    def _answers(self) -> bool:
        try:
            return self.kube.request("GET", "/readyz") == "ok"
        except (OSError, ApiError):
            return False

    # --- what is looked at all the time ----------------------------------------------------------

    def look(self) -> None:
        """Judges what the emulators saw, and takes a sample."""
        for registry in self.registries.values():
            for seen in registry.new_requests():
                self.judge.feed(seen, self.settings)
        for name, operator in self.replicas.running.items():
            code = operator.process.exit_code()
            if code is not None:
                raise AssertionError(f"operator {name} ended with {code}")
            operator.process.assert_no_sanitizer_report()
        stays = self.operator(STAYS)
        if stays and (not self.samples or time.monotonic() - self.samples[-1].when > 2):
            self.samples.append(sample(stays.process))

    def median_kib(self, begin: float, end: float) -> float:
        return statistics.median(s.anon_kib for s in self.samples if begin <= s.when <= end)


def is_sanitized() -> bool:
    """What a sanitizer keeps of freed memory says nothing about ours."""
    return b"__asan_init" in paths.binary("berth-operator").read_bytes() or (
        b"__tsan_init" in paths.binary("berth-operator").read_bytes()
    )
