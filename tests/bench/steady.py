# SPDX-License-Identifier: Apache-2.0
"""What an operator costs that has nothing to do: idle, and with many templates and repositories
that are as declared. Reads per cycle, writes, CPU, memory; and how soon a new process is done."""

import concurrent.futures
import dataclasses
import pathlib
import time
from collections.abc import Callable

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, Kube, condition_of
from berth_test.operator import Operator
from berth_test.wait import wait_for

DRIFT_INTERVAL_S = 10


@dataclasses.dataclass
class Steady:
    templates: int
    repositories: int
    seconds: float
    cycles: float
    reads: int
    aws_writes: int
    kube_writes: int  # beside the Lease
    cpu_percent: float
    rss_kib: int
    rss_anon_kib: int
    idle_rss_kib: int
    idle_rss_anon_kib: int
    start_seconds: float  # of a second process: start to the first read compared


def memory(operator: Operator) -> tuple[int, int]:
    text = pathlib.Path(f"/proc/{operator.process.pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]), int(fields["RssAnon"].split()[0])


def make_repositories(emulator: Emulator, count: int) -> None:
    def make(part: int) -> None:
        for i in range(part, count, 8):
            emulator.ecr.create_repository(repositoryName=f"steady-{i % 100}/app-{i}")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))


def kube_writes(operator: Operator) -> int:
    return int(
        sum(
            value
            for sample, value in operator.metrics().items()
            if sample.startswith("rest_client_requests_total")
            and any(f'method="{m}"' in sample for m in ("POST", "PATCH", "DELETE"))
        )
    )


def ready_after_start(kube: Kube, emulator: Emulator, start: Callable[[], Operator]) -> float:
    """Everything is as declared: the time until a new process has read AWS and compared."""
    emulator.mark()
    began = time.monotonic()
    operator = start()

    def passes() -> float:
        return sum(
            value
            for sample, value in operator.metrics().items()
            if sample.startswith('controller_runtime_reconcile_total{controller="repository')
        )

    wait_for(lambda: emulator.operator_requests() and passes() > 0, 30, "a pass", poll_s=0.01)
    return time.monotonic() - began


def measure(
    kube: Kube,
    emulator: Emulator,
    start: Callable[[], Operator],
    templates: int,
    repositories: int,
    seconds: float,
) -> Steady:
    make_repositories(emulator, repositories)
    operator = start()
    idle_rss, idle_anon = memory(operator)
    kube.create(
        objects.settings(
            emulator, requestsPerSecond=1000, driftInterval=f"{DRIFT_INTERVAL_S}s"
        )
    )
    for i in range(templates):
        kube.create(objects.template(f"steady-{i}", lifecyclePolicy=objects.lifecycle()))
    wait_for(
        lambda: emulator.control("GET", "stats")["templates"] == templates, 300, "all are in AWS"
    )
    wait_for(
        lambda: all(condition_of(o, "Ready").get("status") == "True" for o in kube.items(TEMPLATE)),
        300,
        "all are Ready",
        poll_s=0.5,
    )
    kube.wait_ready(SETTINGS, "default")

    def is_quiet() -> bool:
        """Counts follow within a read and half a minute; then nothing changes any more."""
        before = kube_writes(operator)
        time.sleep(2 * DRIFT_INTERVAL_S)
        return kube_writes(operator) == before

    wait_for(is_quiet, 300, "the status of everything stands")
    emulator.mark()
    writes, cpu, began = kube_writes(operator), operator.process.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    lasted = time.monotonic() - began
    requests = emulator.operator_requests()
    rss, anon = memory(operator)
    result = Steady(
        templates=templates,
        repositories=repositories,
        seconds=round(lasted, 1),
        cycles=round(lasted / DRIFT_INTERVAL_S, 1),
        reads=sum(not r.is_write for r in requests),
        aws_writes=sum(r.is_write for r in requests),
        kube_writes=kube_writes(operator) - writes,
        cpu_percent=round(100 * (operator.process.cpu_seconds() - cpu) / lasted, 2),
        rss_kib=rss,
        rss_anon_kib=anon,
        idle_rss_kib=idle_rss,
        idle_rss_anon_kib=idle_anon,
        start_seconds=0.0,
    )
    operator.stop()
    result.start_seconds = round(ready_after_start(kube, emulator, start), 3)
    return result
