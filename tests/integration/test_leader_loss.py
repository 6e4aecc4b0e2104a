# SPDX-License-Identifier: Apache-2.0
"""A leader that crashes, that is stopped while it works, or that cannot renew its Lease: another
acts when it is certain that this one does not, and never two of them."""

import signal
import time

import pytest

from berth_test import model, objects
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.replicas import LEASE, Replicas, emulator_for_all, writers, writes_of
from berth_test.wait import holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
FIRST_S = 3.0
# A lease lasts 15 s from when the other one saw its last renewal. The renewal was up to 2 s before
# the crash, and was seen up to 4.4 s later.
TAKE_OVER_MIN_S = 15 - 2 - 0.5
TAKE_OVER_MAX_S = 15 + 4.4 + 2
RENEW_DEADLINE_S = 10


@pytest.fixture
def emulator():
    with emulator_for_all() as started:
        yield started
        model.assert_valid(started.operator_requests())


@pytest.fixture(autouse=True)
def no_lease(kube):
    kube.delete(*LEASE)


@pytest.fixture
def replicas(kube, start_operator) -> Replicas:
    return Replicas(kube, start_operator)


@pytest.fixture
def at_work(kube, emulator, replicas) -> tuple[str, str]:
    """Leader and follower; the leader has created a few of many templates."""
    kube.create(objects.settings(emulator, requestsPerSecond=4))
    for name in ("ann", "ben"):
        replicas.start(name)
    leader = replicas.wait_leader(FIRST_S)
    kube.wait_ready(SETTINGS, "default")
    for i in range(100):
        kube.create(objects.template(f"t{i}"))
    wait_for(lambda: writes_of(emulator, leader) >= 3, 15, "work is under way")
    return leader, "ben" if leader == "ann" else "ann"


def assert_done_once(emulator) -> None:
    """No template was created twice, nor tried to be."""
    creates = [(r.body["prefix"], r.status) for r in emulator.operator_writes()]
    assert {status for _, status in creates} == {200}
    assert len(creates) == len(set(creates))


def finish(kube, emulator) -> None:
    kube.merge(SETTINGS, "default", {"spec": {"requestsPerSecond": 1000}})
    wait_for(lambda: len(emulator.templates()) == 100, 30, "all are created")
    for i in range(100):
        kube.wait_ready(TEMPLATE, f"t{i}")


def test_a_leader_that_crashes(kube, emulator, replicas, at_work):
    first, second = at_work
    replicas.take(first).kill()
    began = time.monotonic()
    assert replicas.wait_leader(TAKE_OVER_MAX_S) == second
    assert time.monotonic() - began > TAKE_OVER_MIN_S
    finish(kube, emulator)
    assert_done_once(emulator)
    assert writers(emulator) == [first, second]


def test_a_leader_that_stands_still(kube, emulator, replicas, at_work):
    """SIGSTOP in the middle of its work, as a node does that is overloaded or suspended; when it
    goes on it has work to do, and does none of it."""
    first, second = at_work
    frozen = replicas.take(first)
    frozen.process.signal(signal.SIGSTOP)
    try:
        assert replicas.wait_leader(TAKE_OVER_MAX_S) == second
        wait_for(lambda: writes_of(emulator, second) >= 1, 10, "the new leader writes")
    finally:
        frozen.process.signal(signal.SIGCONT)
    before = writes_of(emulator, first)
    replicas.running[first] = frozen
    wait_for(lambda: frozen.find_log("not leading any more"), 5, "the old one has noticed")
    so_far = writes_of(emulator, second)
    wait_for(lambda: writes_of(emulator, second) >= so_far + 5, 15, "the new leader goes on")
    assert len(emulator.templates()) < 100, "there is work left that both could do"
    assert replicas.leaders() == [second]
    assert replicas.holder() == second
    finish(kube, emulator)
    assert writes_of(emulator, first) == before
    assert writers(emulator) == [first, second]
    assert_done_once(emulator)


def test_a_leader_that_cannot_renew(kube, emulator, control_plane, replicas):
    """It stops before anybody else could begin: 10 s after its last renewal. Drift is not mended
    meanwhile; then it leads again, and mends."""
    replicas.start("ann")
    replicas.wait_leader(FIRST_S)
    kube.create(objects.settings(emulator))
    kube.create(objects.template("drifts", description="ours"))
    kube.wait_ready(TEMPLATE, "drifts")
    (api,) = [p for p in control_plane.processes if p.name == "kube-apiserver"]
    api.signal(signal.SIGSTOP)
    try:
        wait_for(lambda: replicas.leaders() == [], RENEW_DEADLINE_S + 3, "it leads no more")
        emulator.ecr.update_repository_creation_template(prefix="drifts", description="theirs")
        emulator.mark()
        holds_for(lambda: emulator.operator_writes() == [], 3.0, "it does not write")
        assert replicas.running["ann"].get("health", "/healthz")[0] == 200
    finally:
        api.signal(signal.SIGCONT)
    replicas.wait_leader(10)
    wait_for(lambda: emulator.template("drifts")["description"] == "ours", 10, "it is mended")
