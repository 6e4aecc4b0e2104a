# SPDX-License-Identifier: Apache-2.0
"""One of several operators acts: who, how it hands over, and what --once does. What happens when a
leader is lost is in test_leader_loss.py."""

import subprocess

import pytest

from berth_test import model, objects, paths
from berth_test.kube import SETTINGS, TEMPLATE, condition_of
from berth_test.replicas import (
    LEASE,
    Replicas,
    emulator_for_all,
    readers,
    writers,
    writes_of,
)
from berth_test.wait import holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
DESCRIBE = "DescribeRepositoryCreationTemplates"
FIRST_S = 3.0  # nobody holds the Lease: the first attempt gets it
# the Lease is given back before the process ends; others look for it every 2 to 4.4 s
HAND_OVER_S = 6.0


@pytest.fixture
def emulator():
    with emulator_for_all() as started:
        yield started
        model.assert_valid(started.operator_requests())


@pytest.fixture(autouse=True)
def no_lease(kube):
    """What an earlier process left."""
    kube.delete(*LEASE)


@pytest.fixture
def replicas(kube, start_operator) -> Replicas:
    return Replicas(kube, start_operator)


def templates(kube, count: int) -> list[str]:
    names = [f"t{i}" for i in range(count)]
    for name in names:
        kube.create(objects.template(name))
    return names


def created(emulator) -> list[tuple[str, int]]:
    """Prefix and status of all Creates."""
    return [
        (r.body["prefix"], r.status) for r in emulator.operator_writes() if r.operation == CREATE
    ]


# --- one of several ------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("ann", "ben"), ("ann", "ben", "cyd")], ids=len)
def test_one_of_several_acts(kube, emulator, replicas, names):
    """All are ready and read AWS; one writes."""
    kube.create(objects.settings(emulator))
    for name in names:
        replicas.start(name)
    leader = replicas.wait_leader(FIRST_S)
    for name in templates(kube, 5):
        kube.wait_ready(TEMPLATE, name)
    kube.wait_ready(SETTINGS, "default")
    wait_for(lambda: readers(emulator) == set(names), 5, "everybody reads AWS")
    assert writers(emulator) == [leader]
    assert len(created(emulator)) == 5
    assert replicas.leaders() == [leader]
    for name, operator in replicas.running.items():
        assert operator.get("health", "/readyz")[0] == 200
        assert len(operator.find_log("leading")) == (1 if name == leader else 0)


def test_a_follower_writes_no_status(kube, emulator, replicas):
    """Paused objects, invalid ones and conflicts too are the leader's to say."""
    replicas.start("ann")
    replicas.wait_leader(FIRST_S)
    follower = replicas.start("ben")
    kube.create(objects.settings(emulator))
    kube.create(objects.template("bad", lifecyclePolicy='{"rules":[]}'))
    kube.wait_condition(TEMPLATE, "bad", "Stalled", "True", "InvalidSpec")
    kube.wait_ready(SETTINGS, "default")
    writes = [
        sample
        for sample, value in follower.metrics().items()
        if sample.startswith("rest_client_requests_total")
        and any(f'method="{m}"' in sample for m in ("PATCH", "PUT", "POST", "DELETE"))
        and value > 0
    ]
    assert writes == []


def test_sigterm_hands_over(kube, emulator, replicas):
    """In the middle of work: nothing is done twice, nothing is left out."""
    kube.create(objects.settings(emulator, requestsPerSecond=20))
    for name in ("ann", "ben"):
        replicas.start(name)
    first = replicas.wait_leader(FIRST_S)
    names = templates(kube, 40)
    wait_for(lambda: len(created(emulator)) >= 5, 10, "work is under way")
    replicas.take(first).stop()
    assert replicas.holder() != first
    second = replicas.wait_leader(HAND_OVER_S, but=first)
    kube.merge(SETTINGS, "default", {"spec": {"requestsPerSecond": 1000}})
    for name in names:
        kube.wait_ready(TEMPLATE, name)
    assert sorted(created(emulator)) == sorted((n, 200) for n in names)
    assert writers(emulator) == [first, second]
    assert writes_of(emulator, second) > 0


def test_a_new_leader_does_not_decide_by_what_it_knew_as_a_follower(kube, emulator, replicas):
    """That is as old as its scan interval: what was made since then would seem to be absent."""
    kube.create(objects.settings(emulator, repositoryScanInterval="1h"))
    for name in ("ann", "ben"):
        replicas.start(name)
    first = replicas.wait_leader(FIRST_S)
    wait_for(lambda: readers(emulator) == {"ann", "ben"}, 5, "both have read AWS")
    names = [f"never-{i}" for i in range(30)]
    for name in names:
        kube.create(objects.template(name, adoptionPolicy="Never"))
    for name in names:
        kube.wait_ready(TEMPLATE, name)
    before = {n: kube.get(TEMPLATE, n)["status"]["ownership"] for n in names}
    replicas.take(first).stop()
    second = replicas.wait_leader(HAND_OVER_S, but=first)
    kube.merge(TEMPLATE, names[0], {"spec": {"description": "new"}})
    kube.wait_ready(TEMPLATE, names[0])
    assert writes_of(emulator, second) == 1
    assert {n: kube.get(TEMPLATE, n)["status"]["ownership"] for n in names} == before


def test_hand_over_goes_round(kube, emulator, replicas):
    """Three that are restarted one after the other, as a rollout does it."""
    kube.create(objects.settings(emulator))
    for name in ("ann", "ben", "cyd"):
        replicas.start(name)
    leader = replicas.wait_leader(FIRST_S)
    for turn in range(2):
        replicas.take(leader).stop()
        replicas.start(leader)
        leader = replicas.wait_leader(HAND_OVER_S)
        kube.create(objects.template(f"turn-{turn}"))
        kube.wait_ready(TEMPLATE, f"turn-{turn}")
    assert len(created(emulator)) == 2


def test_a_lease_that_is_deleted_is_made_anew(kube, emulator, replicas):
    """By who led: who saw a holder waits a whole lease."""
    for name in ("ann", "ben"):
        replicas.start(name)
    leader = replicas.wait_leader(FIRST_S)
    kube.delete(*LEASE)
    wait_for(lambda: replicas.holder(), 5, "the Lease is there again")
    assert replicas.holder() == leader
    assert replicas.leaders() == [leader]


# --- configuration -------------------------------------------------------------------------------


def test_without_elections(kube, emulator, replicas):
    operator = replicas.start("ann", config={"leaderElection": {"enabled": False}})
    kube.create(objects.settings(emulator))
    kube.create(objects.template("alone"))
    kube.wait_ready(TEMPLATE, "alone")
    assert kube.get(*LEASE) is None
    assert operator.metrics_of("leader_election_master_status") == 0


def test_the_namespace_of_the_lease(kube, emulator, replicas):
    """One that is not there yet is waited for, and said."""
    elsewhere = {"leaderElection": {"namespace": "berth-test"}}
    operator = replicas.start("ann", config=elsewhere)
    failed = "the lease cannot be kept or read, trying again"
    wait_for(lambda: operator.find_log(failed), 5, "the log says that there is no namespace")
    assert "berth-test" in str(operator.find_log(failed)[0])
    assert replicas.leaders() == []
    kube.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "berth-test"}}
    )
    wait_for(lambda: replicas.leaders() == ["ann"], 8, "it leads")
    assert kube.get("Lease", "berth-operator", "berth-test") is not None
    assert kube.get(*LEASE) is None
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")


# --- --once --------------------------------------------------------------------------------------


def once(replicas: Replicas, name: str = "ben") -> tuple[int, object]:
    operator = replicas.start(name, flags=("--once",), wait=False)
    code = replicas.take(name).wait_exit(20)
    return code, operator


def test_once_all_ready(kube, emulator, replicas):
    """Again and again: it gives the Lease back, and finds nothing to do the second time."""
    kube.create(objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"}))
    names = templates(kube, 10)
    code, operator = once(replicas)
    assert code == 0, operator.log_text()
    assert operator.find_log("reconciled once", notReady=0)
    assert sorted(emulator.templates()) == sorted(names)
    for name in names:
        assert condition_of(kube.get(TEMPLATE, name), "Ready")["status"] == "True"
    assert replicas.holder() == ""
    emulator.mark()
    code, operator = once(replicas, "cyd")
    assert code == 0, operator.log_text()
    assert emulator.operator_writes() == []


def test_once_without_objects(kube, emulator, replicas):
    code, operator = once(replicas)
    assert code == 0, operator.log_text()


def test_once_mends_and_deletes(kube, emulator, replicas):
    kube.create(objects.settings(emulator))
    templates(kube, 2)
    assert once(replicas)[0] == 0
    emulator.ecr.update_repository_creation_template(prefix="t0", description="theirs")
    kube.delete(TEMPLATE, "t1")
    code, operator = once(replicas)
    assert code == 0, operator.log_text()
    assert list(emulator.templates()) == ["t0"]
    assert "description" not in emulator.template("t0")
    assert kube.get(TEMPLATE, "t1") is None


@pytest.mark.parametrize("what", ["invalid", "denied", "no registry", "aws away"])
def test_once_not_all_ready(kube, emulator, replicas, what):
    """What can be done is done, and the rest is told."""
    if what != "no registry":
        url = "http://127.0.0.1:9" if what == "aws away" else emulator.endpoint
        kube.create(objects.settings(emulator, endpoint=url))
    kube.create(objects.template("good"))
    if what == "invalid":
        kube.create(objects.template("bad", lifecyclePolicy='{"rules":[]}'))
    if what == "denied":
        kube.create(objects.template("bad"))
        emulator.add_fault(
            {"operation": CREATE, "count": 1, "userAgent": "berth*"},
            deny={"action": f"ecr:{CREATE}"},
        )
    code, operator = once(replicas)
    assert code == 1, operator.log_text()
    (line,) = operator.find_log("reconciled once")
    assert line["notReady"] >= 1
    if what in ("invalid", "denied"):
        assert line["notReady"] == 1
        assert len(emulator.templates()) == 1


def test_once_while_another_leads(kube, emulator, replicas):
    replicas.start("ann")
    replicas.wait_leader(FIRST_S)
    code, operator = once(replicas)
    assert code == 3, operator.log_text()
    assert replicas.leaders() == ["ann"]
    assert replicas.holder() == "ann"


def test_once_is_stopped(kube, emulator, replicas):
    rule = emulator.add_fault({"operation": DESCRIBE, "userAgent": "berth*"}, delayMs=60000)
    kube.create(objects.settings(emulator))
    operator = replicas.start("ben", flags=("--once",), wait=False)
    wait_for(lambda: emulator.faults()[0]["acted"] == 1 and rule, 10, "AWS hangs")
    holds_for(lambda: operator.process.exit_code() is None, 1.0, "it waits for AWS")
    code, seconds = replicas.take("ben").process.stop()
    assert (code, seconds < 2) == (1, True), operator.log_text()
    assert operator.wait_exit() == 1


@pytest.mark.parametrize("arguments", [("--once", "surplus"), ("--once=yes",), ("--Once",)])
def test_a_wrong_command_line(arguments):
    done = subprocess.run(
        [paths.binary("berth-operator"), *arguments], capture_output=True, text=True, timeout=5
    )
    assert done.returncode == 2
    assert "--help" in done.stderr or "usage" in done.stderr
