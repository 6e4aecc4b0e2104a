# SPDX-License-Identifier: Apache-2.0
"""An API server that is away for longer than a Lease lasts."""

import pytest

from berth_test import objects
from berth_test.apiserver import outage
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.operator import Operator
from berth_test.wait import holds_for, wait_for

LEASE = ("Lease", "berth-operator", "default")
LEADS = "leader_election_master_status"
# a reflector's delays, 0.8 s doubling to 30 s with as much of jitter, after an outage of seconds
RECOVERY_S = 15.0
RENEW_DEADLINE_S = 10


@pytest.fixture(autouse=True)
def no_lease(kube):
    """What an earlier operator left."""
    kube.delete(*LEASE)


@pytest.fixture
def ready_registry(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")


def writes_to_kubernetes(operator: Operator) -> float:
    return sum(
        value
        for sample, value in operator.metrics().items()
        if sample.startswith("rest_client_requests_total")
        and any(f'method="{m}"' in sample for m in ("PATCH", "POST", "DELETE"))
    )


def test_an_outage_that_is_longer_than_the_lease(
    kube, control_plane, emulator, operator, ready_registry
):
    """It gives up leading in time, tries at a calm pace, and leads again by itself."""
    kube.create(objects.template("drifts", description="ours"))
    kube.wait_ready(TEMPLATE, "drifts")
    with outage(control_plane):
        before = writes_to_kubernetes(operator)
        wait_for(lambda: operator.metrics_of(LEADS) == 0, RENEW_DEADLINE_S + 3, "it leads no more")
        emulator.mark()
        emulator.ecr.update_repository_creation_template(prefix="drifts", description="theirs")
        cpu_s, lines = operator.process.cpu_seconds(), len(operator.log_lines())
        holds_for(lambda: emulator.operator_writes() == [], 4.0, "it does not write")
        assert operator.process.cpu_seconds() - cpu_s < 0.5
        assert len(operator.log_lines()) - lines < 12, operator.log_text()
        assert operator.get("health", "/healthz")[0] == 200
        assert writes_to_kubernetes(operator) - before < 60
    wait_for(lambda: operator.metrics_of(LEADS) == 1, RECOVERY_S, "it leads again")
    wait_for(
        lambda: emulator.template("drifts")["description"] == "ours", RECOVERY_S, "it is mended"
    )
    kube.merge(TEMPLATE, "drifts", {"spec": {"description": "edited"}})
    # its watches may have waited up to 30 s more
    kube.wait_ready(TEMPLATE, "drifts", 35)
    assert emulator.template("drifts")["description"] == "edited"
