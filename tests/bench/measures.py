# SPDX-License-Identifier: Apache-2.0
"""What is measured: each function is one run from an empty cluster and returns figures by name. The
goals, and what the figures mean, are in bench.py."""

import contextlib
import dataclasses
import datetime
import pathlib
import random
import time
from collections.abc import Iterator

import bare
import webhook as admission
from berth_test import objects, scale
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, condition_of
from berth_test.operator import Operator
from berth_test.wait import wait_for

GREATEST_RATE = 1000
WORKERS = 4  # controller.workers
DRIFT_INTERVAL_S = 10  # the least
SETTLE_S = 2 * DRIFT_INTERVAL_S + 5
DRIFTS = 40

Figures = dict[str, float]


@dataclasses.dataclass
class Sizes:
    templates: int
    repositories: int
    many_repositories: int
    steady_s: float
    pods: int
    load_s: float


class World:
    """A cluster, an ECR and the operators that a run starts."""

    def __init__(self, cluster: ControlPlane, emulator: Emulator) -> None:
        self.cluster, self.kube, self.emulator = cluster, cluster.kube, emulator
        self.operators: list[Operator] = []

    def start(self, wait: bool = True) -> Operator:
        self.operators.append(Operator(self.cluster.kubeconfig(), wait=wait))
        return self.operators[-1]

    def declare(self, templates: int) -> None:
        self.kube.create(
            objects.settings(
                self.emulator,
                requestsPerSecond=GREATEST_RATE,
                driftInterval=f"{DRIFT_INTERVAL_S}s",
            )
        )
        for i in range(templates):
            self.kube.create(objects.template(f"steady-{i}", lifecyclePolicy=objects.lifecycle()))

    def are_ready(self) -> bool:
        items = self.kube.items(TEMPLATE)
        return all(condition_of(o, "Ready").get("status") == "True" for o in items)

    def wait_ready(self, templates: int) -> None:
        wait_for(
            lambda: self.emulator.control("GET", "stats")["templates"] == templates,
            600,
            "all are in AWS",
            poll_s=0.2,
        )
        wait_for(self.are_ready, 300, "all are Ready", poll_s=0.5)
        self.kube.wait_ready(SETTINGS, "default")


@contextlib.contextmanager
def world() -> Iterator[World]:
    with ControlPlane(record=False) as cluster, Emulator() as emulator:
        cluster.install_crds()
        w = World(cluster, emulator)
        try:
            yield w
        finally:
            for operator in w.operators:
                operator.kill()


def memory_mib(operator: Operator) -> tuple[float, float]:
    """Resident, and of that anonymous."""
    text = pathlib.Path(f"/proc/{operator.process.pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["RssAnon"].split()[0]) / 1024


def kube_writes(operator: Operator) -> int:
    """Beside the Lease, which is renewed with PUT."""
    return int(
        sum(
            value
            for sample, value in operator.metrics().items()
            if sample.startswith("rest_client_requests_total")
            and any(f'method="{m}"' in sample for m in ("POST", "PATCH", "DELETE"))
        )
    )


def wait_quiet(w: World, operator: Operator) -> None:
    """Counts follow within a read and half a minute; then nothing changes any more."""

    def is_quiet() -> bool:
        before = kube_writes(operator)
        time.sleep(2 * DRIFT_INTERVAL_S)
        return kube_writes(operator) == before

    wait_for(is_quiet, 300, "the status of everything stands")


def sample_status(w: World) -> dict:
    """What the operator says of a template in the end; nothing stays of it."""
    operator = w.start()
    w.kube.create(objects.settings(w.emulator))
    w.kube.create(objects.template("sample", lifecyclePolicy=objects.lifecycle()))
    status = w.kube.wait_ready(TEMPLATE, "sample")["status"]
    w.kube.delete(TEMPLATE, "sample")
    w.kube.wait_gone(TEMPLATE, "sample")
    operator.stop()
    w.operators.clear()
    w.kube.remove_all(SETTINGS)
    return status


def new(sizes: Sizes) -> Figures:
    """The bare client writes one half before and one after: what else the machine does changes."""
    with world() as w:
        writer, half = bare.Writer(w.cluster, sample_status(w)), sizes.templates // 2
        bare_s = writer.seconds("before", half, WORKERS)
        result = scale.measure(
            w.kube, w.emulator, w.start, sizes.templates, GREATEST_RATE, deadline_s=600
        )
        w.operators[0].stop()
        w.operators.clear()
        bare_s += writer.seconds("after", sizes.templates - half, WORKERS)
    return {
        "seconds": result.seconds,
        "bare client, seconds": bare_s,
        "of the bare client's rate, %": 100 * bare_s / result.seconds,
        "CPU, seconds": result.cpu_seconds,
        "peak RSS, MiB": result.peak_rss_kib / 1024,
        "writes to ECR, per template": result.writes / sizes.templates,
        "reads of ECR": result.reads,
        "failed calls": result.failed_requests,
        "writes to the API server, per template": result.kube_writes / sizes.templates,
    }


def steady(sizes: Sizes) -> Figures:
    with world() as w:
        bare.make_repositories(w.emulator, sizes.repositories)
        operator = w.start()
        w.declare(sizes.templates)
        w.wait_ready(sizes.templates)
        wait_quiet(w, operator)
        w.emulator.mark()
        writes, cpu, began = kube_writes(operator), operator.process.cpu_seconds(), time.monotonic()
        time.sleep(sizes.steady_s)
        lasted = time.monotonic() - began
        cpu = operator.process.cpu_seconds() - cpu
        requests = w.emulator.operator_requests()
        rss, anonymous = memory_mib(operator)
        pages = -(-sizes.templates // 1000)
        reads = [r for r in requests if r.operation == "DescribeRepositoryCreationTemplates"]
        cycles = len(reads) / pages
        listings = sum(r.operation == "DescribeRepositories" for r in requests)
        return {
            "cycles": cycles,
            # what lists repositories is of another interval
            "reads beyond the pages of templates": len(requests) - len(reads) - listings,
            "writes to ECR": sum(r.is_write for r in requests),
            "writes to the API server": kube_writes(operator) - writes,
            "CPU, % of a core": 100 * cpu / lasted,
            "RSS, MiB": rss,
            "anonymous, MiB": anonymous,
        }


def memory(sizes: Sizes) -> Figures:
    figures = {}
    with world() as w:
        operator = w.start()
        wait_for(lambda: operator.find_log("leading"), 20, "it leads")
        time.sleep(2)
        figures["idle, RSS, MiB"], figures["idle, anonymous, MiB"] = memory_mib(operator)
        w.declare(sizes.templates)
        w.wait_ready(sizes.templates)
        time.sleep(SETTLE_S)
        figures["templates, RSS, MiB"] = memory_mib(operator)[0]
    with world() as w:
        bare.make_repositories(w.emulator, sizes.many_repositories)
        operator = w.start()
        w.declare(1)
        w.wait_ready(1)
        wait_for(
            lambda: (
                w.kube.get(SETTINGS, "default")["status"].get("repositories")
                == sizes.many_repositories
            ),
            60,
            "the repositories are counted",
        )
        # the second listing, while the first is still there
        w.kube.annotate(SETTINGS, "default", reconcile_requested_at="again")
        w.kube.wait_ready(SETTINGS, "default")
        time.sleep(SETTLE_S)
        figures["repositories, RSS, MiB"] = memory_mib(operator)[0]
        figures["repositories, peak RSS, MiB"] = operator.process.peak_rss_kib() / 1024
    return figures


def start(sizes: Sizes) -> Figures:
    """Everything is as declared but for one template, which somebody changed in the meantime."""
    with world() as w:
        first = w.start()
        w.declare(3)
        w.wait_ready(3)
        first.stop()
        w.operators.clear()
        w.emulator.ecr.update_repository_creation_template(prefix="steady-1", description="foreign")
        w.emulator.mark()
        began = time.time()
        operator = w.start(wait=False)
        wait_for(w.emulator.operator_writes, 30, "it is mended")
        mended = min(
            t
            for _, t, r in w.emulator.requests_after(0)
            if r.is_ours and r.is_write and t >= began
        )
        leading = wait_for(lambda: operator.find_log("leading"), 10, "it leads")[0]
        leads = datetime.datetime.fromisoformat(leading["ts"]).timestamp()
        return {
            "leading, ms": 1000 * (leads - began),
            "first mend sent, ms": 1000 * (mended - began),
        }


def drift(sizes: Sizes) -> Figures:
    """Edits at random moments of the interval, each of another template."""
    del sizes
    with world() as w:
        w.start()
        w.declare(DRIFTS)
        w.wait_ready(DRIFTS)
        edited = {}
        for i in range(DRIFTS):
            time.sleep(random.uniform(0, 2 * DRIFT_INTERVAL_S / DRIFTS))
            w.emulator.ecr.update_repository_creation_template(
                prefix=f"steady-{i}", description="foreign"
            )
            edited[f"steady-{i}"] = time.time()
        wait_for(
            lambda: all(not t.get("description") for t in w.emulator.templates().values()),
            60,
            "all are mended",
            poll_s=0.2,
        )
        mended = {
            r.body["prefix"].rstrip("/"): t
            for _, t, r in w.emulator.requests_after(0)
            if r.is_ours and r.operation == "UpdateRepositoryCreationTemplate"
        }
    waits = sorted(mended[prefix] - at for prefix, at in edited.items())
    return {
        "p50, s": waits[len(waits) // 2],
        "p95, s": waits[int(0.95 * (len(waits) - 1))],
        "longest, s": waits[-1],
    }


def webhook(sizes: Sizes) -> Figures:
    return admission.measure(sizes.pods, sizes.load_s)
