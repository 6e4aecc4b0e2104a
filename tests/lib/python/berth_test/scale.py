# SPDX-License-Identifier: Apache-2.0
"""Many templates created before an operator starts: how long until all are Ready, at what cost."""

import dataclasses
import time
from collections.abc import Callable

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, Kube, condition_of
from berth_test.operator import Operator
from berth_test.wait import wait_for


@dataclasses.dataclass
class Result:
    templates: int
    requests_per_second: int
    seconds: float
    cpu_seconds: float
    peak_rss_kib: int
    writes: int
    reads: int
    failed_requests: int
    kube_writes: int


def measure(
    kube: Kube,
    emulator: Emulator,
    start_operator: Callable[..., Operator],
    templates: int,
    requests_per_second: int,
    deadline_s: float = 300,
) -> Result:
    """The time runs from the start of the process."""
    kube.create(objects.settings(emulator, requestsPerSecond=requests_per_second))
    for i in range(templates):
        kube.create(objects.template(f"scale-{i}", lifecyclePolicy=objects.lifecycle()))
    emulator.mark()
    began = time.monotonic()
    operator = start_operator()

    def all_ready() -> bool:
        items = kube.items(TEMPLATE)
        return all(condition_of(o, "Ready").get("status") == "True" for o in items)

    # listing is dear for the API server that is being used: not before it can be true
    wait_for(
        lambda: emulator.control("GET", "stats")["templates"] == templates,
        deadline_s,
        f"{templates} templates are in AWS",
    )
    wait_for(all_ready, deadline_s, f"{templates} templates are Ready", poll_s=0.2)
    seconds = time.monotonic() - began
    kube.wait_ready(SETTINGS, "default")
    requests = emulator.operator_requests()
    writes = [r for r in requests if r.is_write]
    kube_writes = sum(
        value
        for sample, value in operator.metrics().items()
        if sample.startswith("rest_client_requests_total")
        and any(f'method="{m}"' in sample for m in ("POST", "PATCH", "PUT", "DELETE"))
    )
    return Result(
        templates=templates,
        requests_per_second=requests_per_second,
        seconds=round(seconds, 2),
        cpu_seconds=round(operator.process.cpu_seconds(), 2),
        peak_rss_kib=operator.process.peak_rss_kib(),
        writes=len(writes),
        reads=len(requests) - len(writes),
        failed_requests=sum(r.status >= 400 for r in requests),
        kube_writes=int(kube_writes),
    )
