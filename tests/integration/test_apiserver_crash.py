# SPDX-License-Identifier: Apache-2.0
"""An API server that crashes and comes back: the operator goes on by itself, misses nothing, and
does nothing twice. What happens where its history is gone too is in test_apiserver_history.py."""

import pytest

from berth_test import objects
from berth_test.apiserver import outage
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.wait import wait_for

CREATE = "CreateRepositoryCreationTemplate"
UPDATE = "UpdateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"
LEASE = ("Lease", "berth-operator", "default")
LEADS = "leader_election_master_status"
# a reflector's delays, 0.8 s doubling to 30 s with as much of jitter, after an outage of seconds
RECOVERY_S = 15.0


@pytest.fixture(autouse=True)
def no_lease(kube):
    """What an earlier operator left."""
    kube.delete(*LEASE)


@pytest.fixture
def ready_registry(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")


def results(emulator: Emulator) -> list[tuple[str, str, int]]:
    return [(r.operation, r.body["prefix"], r.status) for r in emulator.operator_writes()]


def test_a_crash_in_the_middle_of_work(kube, control_plane, emulator, operator):
    """Each template is created once, and it is the same process and leader that ends the work."""
    kube.create(objects.settings(emulator, requestsPerSecond=10))
    kube.wait_ready(SETTINGS, "default")
    transitions = kube.get(*LEASE)["spec"]["leaseTransitions"]
    names = [f"t{i}" for i in range(30)]
    for name in names:
        kube.create(objects.template(name, adoptionPolicy="Never"))
    wait_for(lambda: len(emulator.operator_writes()) >= 5, 15, "work is under way")
    with outage(control_plane):
        assert len(emulator.operator_writes()) < 30, "there is work left"
    kube.merge(SETTINGS, "default", {"spec": {"requestsPerSecond": 1000}})
    for name in names:
        obj = kube.wait_ready(TEMPLATE, name, 2 * RECOVERY_S)
        assert obj["status"]["ownership"]["origin"] == "Created"
        assert "createdAt" in obj["status"]["ownership"]
    assert sorted(results(emulator)) == sorted((CREATE, n, 200) for n in names)
    assert operator.metrics_of(LEADS) == 1
    assert kube.get(*LEASE)["spec"]["leaseTransitions"] == transitions
    assert len(operator.find_log("leading")) == 1


def test_what_is_changed_as_soon_as_it_is_back(
    kube, control_plane, emulator, operator, ready_registry
):
    """Edited, deleted and created before the operator has noticed."""
    for name in ("edited", "deleted", "same"):
        kube.create(objects.template(name, description="before"))
        kube.wait_ready(TEMPLATE, name)
    emulator.mark()
    with outage(control_plane):
        pass
    kube.merge(TEMPLATE, "edited", {"spec": {"description": "after"}})
    kube.delete(TEMPLATE, "deleted")
    kube.create(objects.template("new"))
    kube.wait_ready(TEMPLATE, "edited", RECOVERY_S)
    kube.wait_ready(TEMPLATE, "new", RECOVERY_S)
    kube.wait_gone(TEMPLATE, "deleted", RECOVERY_S)
    assert sorted(results(emulator)) == [
        (CREATE, "new", 200),
        (DELETE, "deleted", 200),
        (UPDATE, "edited", 200),
    ]
    assert emulator.template("edited")["description"] == "after"


def test_one_that_is_not_there_yet_when_the_operator_starts(
    kube, control_plane, emulator, start_operator
):
    kube.create(objects.settings(emulator))
    kube.create(objects.template("early"))
    with outage(control_plane):
        operator = start_operator(wait=False)
        wait_for(lambda: operator.find_log("serving", what="health"), 10, "it serves")
        wait_for(
            lambda: operator.find_log("watching the API server fails, trying again"), 5, "it says"
        )
        assert operator.get("health", "/readyz")[0] == 503
    kube.wait_ready(TEMPLATE, "early", RECOVERY_S)
    assert operator.get("health", "/readyz")[0] == 200
