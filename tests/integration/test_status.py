# SPDX-License-Identifier: Apache-2.0
"""What is said, when, and how often: a status is written when something changed, is of the spec
that it names, and is true."""

import time

import pytest

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, check_conditions, condition_of
from berth_test.versions import Versions, assert_each_says_something_new
from berth_test.wait import holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
DESCRIBE = "DescribeRepositoryCreationTemplates"
PUT = "PutAccountSetting"
GET = "GetAccountSetting"
ENABLED = {"blobMounting": "ENABLED"}
LATE = {"driftInterval": "10m"}  # nothing is read but what the test asks for
ANNOTATION_BYTES = 2000
STATUS_BYTES = 1024  # of lastHandledReconcileAt, in the CRD


def ours(operation: str, **match) -> dict:
    """What a rule matches: calls of the operator only."""
    return {"operation": operation, "userAgent": "berth*", **match}


def count(emulator: Emulator, operation: str) -> int:
    return [r.operation for r in emulator.operator_requests()].count(operation)


def wait_acted(emulator: Emulator, rule: int) -> None:
    wait_for(
        lambda: any(r["id"] == rule and r["acted"] > 0 for r in emulator.faults()),
        10,
        "a request meets the rule",
    )


def ask(kube, kind: str, name: str, value: str | None = None) -> str:
    value = value or str(time.monotonic_ns())
    kube.annotate(kind, name, reconcile_requested_at=value)
    return value


def wait_handled(kube, kind: str, name: str, value: str, deadline_s: float = 5) -> None:
    wait_for(
        lambda: kube.get(kind, name).get("status", {}).get("lastHandledReconcileAt") == value,
        deadline_s,
        lambda: f"request {value[:20]} is handled; {kube.get(kind, name).get('status')}",
    )


@pytest.fixture(autouse=True)
def running(operator):
    """Every test here has an operator."""


@pytest.fixture
def ready_registry(kube, emulator):
    kube.create(objects.settings(emulator, **LATE))
    kube.wait_ready(SETTINGS, "default")


# --- Ready is true -------------------------------------------------------------------------------


def test_a_setting_that_is_named_later_is_not_ready_before_it_is_put(kube, emulator):
    kube.create(objects.settings(emulator, **LATE))
    kube.wait_ready(SETTINGS, "default")
    emulator.add_fault(ours(GET, count=1), delayMs=1500)
    with Versions(kube, SETTINGS, "default") as versions:
        kube.merge(SETTINGS, "default", {"spec": {"accountSettings": ENABLED}})
        kube.wait_ready(SETTINGS, "default", deadline_s=8)
        for obj in versions.all():
            if obj["status"]["observedGeneration"] != 2:
                continue
            if condition_of(obj, "Ready")["status"] == "True":
                assert obj["status"]["accountSettings"] == ENABLED
    assert count(emulator, PUT) == 1


def test_no_condition_is_ready_for_a_spec_that_was_not_acted_on(kube, emulator, ready_registry):
    kube.create(objects.template("edited", description="0"))
    kube.wait_ready(TEMPLATE, "edited")
    with Versions(kube, TEMPLATE, "edited") as versions:
        for i in range(1, 6):
            kube.merge(TEMPLATE, "edited", {"spec": {"description": str(i)}})
        kube.wait_ready(TEMPLATE, "edited")
        seen = versions.all()
    assert_each_says_something_new(seen)
    assert emulator.template("edited")["description"] == "5"
    for obj in seen:
        observed = obj["status"]["observedGeneration"]
        assert observed <= obj["metadata"]["generation"]
        assert condition_of(obj, "Ready")["observedGeneration"] <= observed


def test_creating_takes_few_writes(kube, emulator, ready_registry):
    """The finalizer, ownership, and what came of it."""
    with Versions(kube, TEMPLATE, "new") as versions:
        kube.create(objects.template("new"))
        kube.wait_ready(TEMPLATE, "new")
        holds_for(lambda: len(versions.now()) <= 4, 0.5, "four versions at most")
        assert versions.of_condition() == [("False", "Creating"), ("True", "Available")]
        assert_each_says_something_new(versions.all())


# --- reconcile-requested-at ----------------------------------------------------------------------


def test_a_request_survives_another_endpoint(kube, emulator, ready_registry):
    """The registry that it was made of is replaced while it reads: the new one serves it."""
    for i in range(6):
        wait_handled(kube, SETTINGS, "default", ask(kube, SETTINGS, "default", f"early-{i}"))
    rule = emulator.add_fault(ours(DESCRIBE), delayMs=60000)
    ask(kube, SETTINGS, "default", "last")
    wait_acted(emulator, rule)
    with Emulator() as other:
        kube.merge(SETTINGS, "default", {"spec": {"endpoint": other.endpoint}})
        wait_handled(kube, SETTINGS, "default", "last")
        assert count(other, DESCRIBE) >= 1


@pytest.mark.parametrize("kind", [SETTINGS, TEMPLATE])
def test_a_request_that_is_longer_than_the_status_takes(kube, emulator, ready_registry, kind):
    """Cut, and everything else goes on."""
    kube.create(objects.template("named"))
    kube.wait_ready(TEMPLATE, "named")
    name = "named" if kind == TEMPLATE else "default"
    value = "x" * ANNOTATION_BYTES
    ask(kube, kind, name, value)
    wait_handled(kube, kind, name, value[:STATUS_BYTES])
    change = {"description": "new"} if kind == TEMPLATE else {"accountSettings": ENABLED}
    kube.merge(kind, name, {"spec": change})
    kube.wait_ready(kind, name)
    if kind == TEMPLATE:
        assert emulator.template("named")["description"] == "new"
    with Versions(kube, kind, name) as versions:
        holds_for(lambda: versions.now() == [], 1.0, "it is not served again and again")


# --- nothing is written while nothing changes ----------------------------------------------------


FAILURES = [
    ("AccessDenied", {"deny": {"action": f"ecr:{DESCRIBE}"}}),
    ("AWSError", {"fail": {"status": 500}}),
    ("EndpointUnreachable", {"cut": "before"}),
    ("Throttled", {"fail": {"status": 400, "type": "ThrottlingException"}}),
]


@pytest.mark.parametrize("reason, effect", FAILURES, ids=[f[0] for f in FAILURES])
def test_reads_that_fail_are_said_once(kube, emulator, ready_registry, reason, effect):
    """The registry says it, templates that wait say that they wait, and that is all, whatever ids
    and counts the answers have."""
    kube.create(objects.template("old"))
    kube.wait_ready(TEMPLATE, "old")
    emulator.add_fault(ours(DESCRIBE), **effect)
    with Versions(kube, TEMPLATE, "old") as old, Versions(kube, TEMPLATE, "new") as new:
        ask(kube, SETTINGS, "default", "1")
        obj = kube.wait_condition(SETTINGS, "default", "Ready", "False", reason)
        check_conditions(obj)
        assert condition_of(obj, "Reconciling") and not condition_of(obj, "Stalled")
        kube.create(objects.template("new"))
        obj = kube.wait_condition(TEMPLATE, "new", "Ready", "False", "RegistryNotReady")
        check_conditions(obj)
        with Versions(kube, SETTINGS, "default") as settings:
            reads = count(emulator, DESCRIBE)
            tries = 1 if reason == "AccessDenied" else 3
            wait_for(lambda: count(emulator, DESCRIBE) >= reads + tries, 15, "another read")
            holds_for(lambda: settings.now() == [], 0.5, "the registry's status is written once")
        assert len(new.all()) == 2, "created, and one status"
        assert old.all() == [], "a template without work keeps its status"
    emulator.control("DELETE", "faults")
    ask(kube, SETTINGS, "default", "2")
    kube.wait_ready(TEMPLATE, "new", deadline_s=5)


def test_writes_that_fail_are_said_once(kube, emulator, ready_registry):
    kube.create(objects.template("stuck"))
    kube.wait_ready(TEMPLATE, "stuck")
    update = "UpdateRepositoryCreationTemplate"
    emulator.add_fault(ours(update), fail={"status": 503})
    kube.merge(TEMPLATE, "stuck", {"spec": {"description": "new"}})
    kube.wait_condition(TEMPLATE, "stuck", "Ready", "False", "AWSError")
    with Versions(kube, TEMPLATE, "stuck") as versions:
        tries = count(emulator, update)
        wait_for(lambda: count(emulator, update) >= tries + 3, 15, "it is tried again")
        holds_for(lambda: versions.now() == [], 0.5, "the status is written once")
    assert len([e for e in kube.events_of(TEMPLATE, "stuck") if e["type"] == "Warning"]) == 1
    emulator.control("DELETE", "faults")
    ask(kube, TEMPLATE, "stuck")
    kube.wait_ready(TEMPLATE, "stuck", deadline_s=5)


def test_a_deletion_that_waits_is_said_once(kube, emulator, ready_registry):
    kube.create(objects.template("held"))
    kube.wait_ready(TEMPLATE, "held")
    emulator.add_fault(ours(DESCRIBE), fail={"status": 500})
    ask(kube, SETTINGS, "default")
    kube.wait_condition(SETTINGS, "default", "Ready", "False", "AWSError")
    kube.delete(TEMPLATE, "held")
    kube.wait_condition(TEMPLATE, "held", "Ready", "False", "RegistryNotReady")
    with Versions(kube, TEMPLATE, "held") as versions:
        reads = count(emulator, DESCRIBE)
        wait_for(lambda: count(emulator, DESCRIBE) >= reads + 3, 15, "another read")
        holds_for(lambda: versions.now() == [], 0.5, "the status is written once")
    emulator.control("DELETE", "faults")
    kube.wait_gone(TEMPLATE, "held", 15)
    assert emulator.templates() == {}


def test_reads_that_find_nothing_new_write_nothing(kube, emulator, ready_registry):
    for i in range(3):
        kube.create(objects.everything(f"steady-{i}"))
        kube.wait_ready(TEMPLATE, f"steady-{i}")
    wait_handled(kube, SETTINGS, "default", ask(kube, SETTINGS, "default"))
    with Versions(kube, TEMPLATE, "steady-0") as template, Versions(
        kube, SETTINGS, "default"
    ) as settings:
        for _ in range(4):
            wait_handled(kube, SETTINGS, "default", ask(kube, SETTINGS, "default"))
        holds_for(lambda: template.now() == [], 0.5, "nothing is written")
        assert len(settings.all()) == 8, "the annotation and its echo"


# --- who may have a registry ---------------------------------------------------------------------


def in_conflict(kube, emulator) -> None:
    """"one" has the registry, "two" would have it."""
    kube.create(objects.settings(emulator, "one", **LATE))
    kube.wait_ready(SETTINGS, "one")
    kube.create(objects.settings(emulator, "two", **LATE))
    obj = kube.wait_condition(SETTINGS, "two", "Stalled", "True", "Conflict")
    check_conditions(obj)
    assert '"one"' in condition_of(obj, "Ready")["message"]


def test_a_conflict_ends_when_the_owner_goes(kube, emulator):
    in_conflict(kube, emulator)
    kube.delete(SETTINGS, "one")
    kube.wait_gone(SETTINGS, "one")
    kube.wait_ready(SETTINGS, "two", deadline_s=3)


def test_templates_of_a_registry_in_conflict_wait(kube, emulator):
    in_conflict(kube, emulator)
    kube.create(objects.template("waits", registryRef={"name": "two"}))
    kube.wait_condition(TEMPLATE, "waits", "Ready", "False", "RegistryNotReady")
    assert emulator.operator_writes() == []
    kube.delete(SETTINGS, "one")
    kube.wait_gone(SETTINGS, "one")
    kube.wait_ready(TEMPLATE, "waits", deadline_s=3)


# --- pausing -------------------------------------------------------------------------------------


def test_a_registry_is_paused_while_a_call_hangs(kube, emulator, ready_registry):
    """What the call's end decides is decided by what holds then."""
    rule = emulator.add_fault(ours(PUT, count=1), delayMs=2000)
    kube.merge(SETTINGS, "default", {"spec": {"accountSettings": ENABLED}})
    wait_acted(emulator, rule)
    kube.annotate(SETTINGS, "default", paused="true")
    kube.create(objects.template("waits"))
    obj = kube.wait_condition(SETTINGS, "default", "Synced", "False", "ReconcilePaused")
    assert count(emulator, PUT) == 1
    holds_for(lambda: count(emulator, CREATE) == 0, 1.5, "nothing is created")
    obj = kube.get(TEMPLATE, "waits")
    assert condition_of(obj, "Synced")["reason"] == "ReconcilePaused"
    kube.annotate(SETTINGS, "default", paused=None)
    kube.wait_ready(TEMPLATE, "waits")
    kube.wait_ready(SETTINGS, "default")


def test_a_template_is_paused_while_create_hangs(kube, emulator, ready_registry):
    """What was sent is finished; what was not is not begun."""
    rule = emulator.add_fault(ours(CREATE, count=1), delayMs=1000)
    kube.create(objects.template("held", description="one"))
    wait_acted(emulator, rule)
    kube.merge(
        TEMPLATE,
        "held",
        {
            "metadata": {"annotations": {"ecr.berth.dev/paused": "true"}},
            "spec": {"description": "two"},
        },
    )
    wait_for(
        lambda: kube.condition(TEMPLATE, "held", "Synced").get("reason") == "ReconcilePaused",
        5,
        "the pause is said",
    )
    holds_for(
        lambda: emulator.template("held").get("description") == "one", 1.0, "no update is sent"
    )
    kube.annotate(TEMPLATE, "held", paused=None)
    kube.wait_ready(TEMPLATE, "held")
    assert emulator.template("held")["description"] == "two"
    assert kube.get(TEMPLATE, "held")["status"]["ownership"]["createdAt"]
