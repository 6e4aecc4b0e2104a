# SPDX-License-Identifier: Apache-2.0
"""SIGTERM, whatever hangs at that moment: exit code 0 within two seconds, and what was under way
is no loss. Operator.stop() asserts code, time and that the log is JSON to its end."""

import contextlib
import signal
import socket

import pytest

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.operator import STOP_S
from berth_test.wait import holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"
DESCRIBE = "DescribeRepositoryCreationTemplates"
PUT = "PutAccountSetting"
LEASE = ("Lease", "berth-operator", "default")


def ours(operation: str, **match) -> dict:
    """What a rule matches: calls of the operator only."""
    return {"operation": operation, "userAgent": "berth*", **match}


def results(emulator: Emulator) -> list[tuple[str, int]]:
    return [(r.operation, r.status) for r in emulator.operator_writes()]


def wait_acted(emulator: Emulator, rule: int, times: int = 1) -> None:
    wait_for(
        lambda: any(r["id"] == rule and r["acted"] >= times for r in emulator.faults()),
        10,
        "a request meets the rule",
    )


@pytest.fixture
def ready_registry(kube, emulator, operator):
    kube.create(objects.settings(emulator, driftInterval="10m"))
    kube.wait_ready(SETTINGS, "default")


@contextlib.contextmanager
def frozen_apiserver(control_plane, kube):
    """It accepts connections and says nothing. The Lease cannot be given back meanwhile: it is
    dropped afterwards, so that the next operator need not wait until it runs out."""
    (api,) = [p for p in control_plane.processes if p.name == "kube-apiserver"]
    api.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        api.signal(signal.SIGCONT)
        wait_for(lambda: answers(kube), 10, "kube-apiserver answers again")
        kube.delete(*LEASE)


def answers(kube) -> bool:
    try:
        return kube.request("GET", "/readyz") == "ok"
    except OSError:
        return False


def test_idle(operator, ready_registry):
    operator.stop()


def test_at_once_after_the_start(start_operator):
    """From its first line on: before main nothing can be done about a signal."""
    for _ in range(3):
        operator = start_operator(wait=False)
        wait_for(lambda o=operator: o.find_log("starting"), 10, "it starts", poll_s=0.001)
        operator.stop()


@pytest.mark.parametrize("operation", [CREATE, DESCRIBE, "*"])
def test_while_aws_hangs(kube, emulator, operator, ready_registry, operation):
    rule = emulator.add_fault(ours(operation), delayMs=60000)
    for i in range(6):
        kube.create(objects.template(f"h{i}"))
    kube.annotate(SETTINGS, "default", reconcile_requested_at="1")
    wait_acted(emulator, rule)
    operator.stop()


def test_while_aws_fails_and_calls_wait_to_be_tried_again(
    kube, emulator, operator, ready_registry
):
    rule = emulator.add_fault(ours("*"), fail={"status": 503})
    for i in range(6):
        kube.create(objects.template(f"h{i}"))
    wait_acted(emulator, rule, 4)
    operator.stop()


def test_while_nothing_gets_a_turn(kube, emulator, operator):
    """Waiting for the rate limit."""
    kube.create(objects.settings(emulator, requestsPerSecond=1))
    for i in range(6):
        kube.create(objects.template(f"h{i}"))
    wait_for(lambda: emulator.operator_writes(), 15, "the first is created")
    operator.stop()


def test_while_the_api_server_hangs(kube, control_plane, operator, ready_registry):
    with frozen_apiserver(control_plane, kube):
        operator.stop()


def test_while_the_api_server_hangs_and_statuses_are_to_be_written(
    kube, emulator, control_plane, operator, ready_registry
):
    """Create has answered, and its record cannot be written: the next one finds what is ours."""
    rule = emulator.add_fault(ours(CREATE), delayMs=700)
    names = [f"h{i}" for i in range(3)]
    for name in names:
        kube.create(objects.template(name, adoptionPolicy="Never"))
    wait_acted(emulator, rule, 3)
    with frozen_apiserver(control_plane, kube):
        wait_for(lambda: results(emulator) == [(CREATE, 200)] * 3, 5, "all are created")
        # a moment for the passes to get to their writes
        holds_for(lambda: len(emulator.templates()) == 3, 0.3, "they are there")
        operator.stop()


def test_what_was_not_recorded_is_found_again(
    kube, emulator, control_plane, operator, start_operator, ready_registry
):
    emulator.add_fault(ours(CREATE, count=1), delayMs=500)
    kube.create(objects.template("lost", adoptionPolicy="Never"))
    wait_for(lambda: emulator.faults()[0]["acted"] == 1, 10, "Create is under way")
    with frozen_apiserver(control_plane, kube):
        wait_for(lambda: emulator.templates(), 5, "it is created")
        operator.stop()
    start_operator()
    obj = kube.wait_ready(TEMPLATE, "lost")
    assert obj["status"]["ownership"]["origin"] == "Created"
    assert results(emulator) == [(CREATE, 200)]


def test_while_both_hang(kube, emulator, control_plane, operator, ready_registry):
    rule = emulator.add_fault(ours("*"), delayMs=60000)
    kube.create(objects.template("h"))
    wait_acted(emulator, rule)
    with frozen_apiserver(control_plane, kube):
        operator.stop()


def test_while_the_api_server_hangs_from_the_start(kube, control_plane, start_operator):
    with frozen_apiserver(control_plane, kube):
        operator = start_operator(wait=False)
        wait_for(lambda: operator.find_log("serving", what="health"), 10, "it serves")
        assert operator.get("health", "/healthz")[0] == 200
        assert operator.get("health", "/readyz")[0] == 503
        operator.stop()


def test_a_call_that_stopping_cut_is_no_loss(
    kube, emulator, operator, start_operator, ready_registry
):
    """AWS did it after nobody listened any more."""
    emulator.add_fault(ours(CREATE, count=1), delayMs={"after": 60000})
    kube.create(objects.template("cut", adoptionPolicy="Never"))
    wait_for(lambda: emulator.templates(), 10, "it is made, and not answered")
    operator.stop()
    emulator.control("DELETE", "faults")
    start_operator()
    obj = kube.wait_ready(TEMPLATE, "cut")
    ownership = obj["status"]["ownership"]
    assert (ownership["origin"], "createdAt" in ownership) == ("Created", True)
    assert [r for r in results(emulator) if r[1] == 200 and r[0] != CREATE] == []


def test_a_deletion_that_stopping_cut_is_finished(
    kube, emulator, operator, start_operator, ready_registry
):
    kube.create(objects.template("going"))
    kube.wait_ready(TEMPLATE, "going")
    rule = emulator.add_fault(ours(DELETE, count=1), delayMs=60000)
    kube.delete(TEMPLATE, "going")
    wait_acted(emulator, rule)
    operator.stop()
    assert kube.get(TEMPLATE, "going") is not None
    emulator.control("DELETE", "faults")
    start_operator()
    kube.wait_gone(TEMPLATE, "going")
    assert emulator.templates() == {}


def test_not_ready_from_the_first_signal_on(kube, control_plane, operator, ready_registry):
    """While it cannot end because the API server hangs, /readyz says so."""
    with frozen_apiserver(control_plane, kube):
        operator.process.signal(signal.SIGTERM)
        wait_for(lambda: readiness(operator) == 503, STOP_S, "/readyz is 503", poll_s=0.01)
        assert operator.wait_exit(STOP_S) == 0


def readiness(operator) -> int | None:
    try:
        return operator.get("health", "/readyz")[0]
    except OSError:
        return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    kube, control_plane, operator, ready_registry, start_operator, number
):
    """Its exit code says which of the two ended it. Where the machine let the first one do that
    before the second was sent, it is tried again."""
    for _ in range(5):
        with frozen_apiserver(control_plane, kube):
            operator.process.signal(number)
            wait_for(lambda o=operator: o.find_log("stopping", signal=int(number)), 2, "it stops")
            operator.process.signal(number)
            code = operator.wait_exit(5)
        if code != 0:
            break
        operator = start_operator()
    assert code == 128 + number


def test_a_listener_that_accepts_and_says_nothing(kube, emulator, operator, ready_registry):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        kube.merge(SETTINGS, "default", {"spec": {"endpoint": endpoint}})
        silent.settimeout(10)
        connection, _ = silent.accept()
        with connection:
            operator.stop()
