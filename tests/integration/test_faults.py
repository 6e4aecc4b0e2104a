# SPDX-License-Identifier: Apache-2.0
"""AWS refuses, hangs, loses answers or answers what it was not told: how often it is asked, what is
said of it, and that it ends well."""

import time

import pytest

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, check_conditions, condition_of
from berth_test.rewriter import Rewriter
from berth_test.versions import Versions, assert_each_says_something_new
from berth_test.wait import holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
UPDATE = "UpdateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"
DESCRIBE = "DescribeRepositoryCreationTemplates"
PUT = "PutAccountSetting"
GET = "GetAccountSetting"
ENABLED = {"blobMounting": "ENABLED"}


def ours(operation: str, **match) -> dict:
    """What a rule matches: calls of the operator only."""
    return {"operation": operation, "userAgent": "berth*", **match}


def count(emulator: Emulator, operation: str) -> int:
    return [r.operation for r in emulator.operator_requests()].count(operation)


def results(emulator: Emulator) -> list[tuple[str, int]]:
    return [(r.operation, r.status) for r in emulator.operator_writes()]


def wait_acted(emulator: Emulator, rule: int) -> None:
    """A request has met the rule; with delayMs it hangs now."""
    wait_for(
        lambda: any(r["id"] == rule and r["acted"] > 0 for r in emulator.faults()),
        10,
        "a request meets the rule",
    )


def ask_now(kube, kind: str, name: str) -> None:
    kube.annotate(kind, name, reconcile_requested_at=str(time.monotonic_ns()))


@pytest.fixture(autouse=True)
def running(operator):
    """Every test here has an operator."""


@pytest.fixture
def ready_registry(kube, emulator):
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")


# --- refusals ------------------------------------------------------------------------------------


def assert_printable(text: str) -> None:
    assert text.isprintable(), f"this is no text for people: {text!r}"


def test_a_setting_that_must_not_be_put(kube, emulator, operator):
    rule = emulator.add_fault(ours(PUT), deny={"action": f"ecr:{PUT}"})
    with Versions(kube, SETTINGS, "default") as versions:
        kube.create(objects.settings(emulator, accountSettings=ENABLED))
        obj = kube.wait_condition(SETTINGS, "default", "Ready", "False", "AccessDenied")
        check_conditions(obj)
        assert condition_of(obj, "Reconciling") and not condition_of(obj, "Stalled")
        message = condition_of(obj, "Ready")["message"]
        assert_printable(message)
        assert f"is not authorized to perform: ecr:{PUT} on resource: " in message
        assert f"because no identity-based policy allows the ecr:{PUT} action" in message
        events = wait_for(lambda: kube.events_of(SETTINGS, "default"), 5, "an event")
        for event in events:
            assert_printable(event["note"])
        assert [e["reason"] for e in events] == ["AccessDenied"]
        assert f"ecr:{PUT}" in events[0]["note"]
        versions.mark()
        # 1 s, doubling: the third try is 3 s after the first
        wait_for(lambda: count(emulator, PUT) >= 3, 8, "it is tried again")
        holds_for(lambda: count(emulator, PUT) <= 4, 2.5, "calls back off")
        assert versions.all() == [], "the status was written though it says the same"
    emulator.control("DELETE", f"faults/{rule}")
    ask_now(kube, SETTINGS, "default")
    kube.wait_ready(SETTINGS, "default", deadline_s=5)
    assert emulator.account_setting("BLOB_MOUNTING") == "ENABLED"
    assert operator.find_log("a call to ECR failed", operation=PUT)


def test_a_denied_setting_recovers_by_itself(kube, emulator):
    emulator.add_fault(ours(PUT, count=1), deny={"action": f"ecr:{PUT}"})
    kube.create(objects.settings(emulator, accountSettings=ENABLED))
    kube.wait_ready(SETTINGS, "default", deadline_s=6)
    assert results(emulator) == [(PUT, 400), (PUT, 200)]


def test_a_create_that_is_denied(kube, emulator, ready_registry):
    """Tried again after 1, 2, 4 … seconds, and nothing else happens meanwhile."""
    rule = emulator.add_fault(ours(CREATE), deny={"action": f"ecr:{CREATE}"})
    with Versions(kube, TEMPLATE, "denied") as versions:
        kube.create(objects.template("denied"))
        began = time.monotonic()
        obj = kube.wait_condition(TEMPLATE, "denied", "Ready", "False", "AccessDenied")
        check_conditions(obj)
        holds_for(
            lambda: count(emulator, CREATE) <= 6,
            8.0 - (time.monotonic() - began),
            "six calls in eight seconds at most",
        )
        tries = count(emulator, CREATE)
        assert tries >= 3
        seen = versions.all()
        assert versions.of_condition() == [("False", "Creating"), ("False", "AccessDenied")]
    assert_each_says_something_new(seen)
    # each try: ownership and finalizer before, neither of them afterwards
    assert len(seen) <= 1 + 4 * (tries + 1), [o["status"] for o in seen if "status" in o]
    assert len(kube.events_of(TEMPLATE, "denied")) == 1
    emulator.control("DELETE", f"faults/{rule}")
    ask_now(kube, TEMPLATE, "denied")
    kube.wait_ready(TEMPLATE, "denied", deadline_s=3)
    assert "denied" in emulator.templates()


def test_a_denied_create_recovers_by_itself(kube, emulator, ready_registry):
    emulator.add_fault(ours(CREATE, count=2), deny={"action": f"ecr:{CREATE}"})
    kube.create(objects.template("soon"))
    kube.wait_ready(TEMPLATE, "soon", deadline_s=8)
    assert results(emulator) == [(CREATE, 400), (CREATE, 400), (CREATE, 200)]


def test_a_new_spec_is_not_held_back_by_the_old_ones_failures(kube, emulator, ready_registry):
    rule = emulator.add_fault(ours(CREATE, count=3), deny={"action": f"ecr:{CREATE}"})
    kube.create(objects.template("edited"))
    wait_for(lambda: count(emulator, CREATE) == 3, 10, "it failed three times")
    emulator.control("DELETE", f"faults/{rule}")
    kube.merge(TEMPLATE, "edited", {"spec": {"description": "another"}})
    kube.wait_ready(TEMPLATE, "edited", deadline_s=2.5)


def test_a_delete_that_is_denied(kube, emulator, ready_registry):
    """The object stays, says why and how to go on without AWS, and goes once it is allowed."""
    kube.create(objects.template("kept"))
    kube.wait_ready(TEMPLATE, "kept")
    rule = emulator.add_fault(ours(DELETE), deny={"action": f"ecr:{DELETE}"})
    kube.delete(TEMPLATE, "kept")
    kube.wait_condition(TEMPLATE, "kept", "Ready", "False", "AccessDenied")
    holds_for(lambda: count(emulator, DELETE) <= 3, 2.5, "calls back off")
    emulator.control("DELETE", f"faults/{rule}")
    kube.wait_gone(TEMPLATE, "kept", 10)
    assert emulator.templates() == {}


# --- calls that hang, answers that are lost ------------------------------------------------------


def test_the_spec_is_edited_while_create_hangs(kube, emulator, ready_registry):
    rule = emulator.add_fault(ours(CREATE, count=1), delayMs=1500)
    kube.create(objects.template("slow", description="first"))
    wait_acted(emulator, rule)
    kube.merge(TEMPLATE, "slow", {"spec": {"description": "second"}})
    obj = kube.wait_ready(TEMPLATE, "slow")
    assert obj["metadata"]["generation"] == obj["status"]["observedGeneration"] == 2
    assert emulator.template("slow")["description"] == "second"
    assert results(emulator) == [(CREATE, 200), (UPDATE, 200)]
    assert obj["status"]["ownership"]["origin"] == "Created"


def test_the_object_is_deleted_while_create_hangs(kube, emulator, ready_registry):
    rule = emulator.add_fault(ours(CREATE, count=1), delayMs=1500)
    kube.create(objects.template("short"))
    wait_acted(emulator, rule)
    kube.delete(TEMPLATE, "short")
    kube.wait_gone(TEMPLATE, "short")
    assert emulator.templates() == {}
    assert results(emulator) == [(CREATE, 200), (DELETE, 200)]


@pytest.mark.parametrize("adoption", [None, "Never"])
def test_the_answer_to_create_is_lost(kube, emulator, ready_registry, adoption):
    """It is there, nobody knows, and the next try finds it: ours, also where nothing may be
    adopted."""
    emulator.add_fault(ours(CREATE, count=1), cut="after")
    kube.create(objects.template("lost", adoptionPolicy=adoption))
    obj = kube.wait_ready(TEMPLATE, "lost")
    ownership = obj["status"]["ownership"]
    assert (ownership["origin"], "createdAt" in ownership) == ("Created", True)
    kube.delete(TEMPLATE, "lost")
    kube.wait_gone(TEMPLATE, "lost")
    assert emulator.templates() == {}


def test_a_row_of_creates_without_an_answer(kube, emulator, ready_registry):
    """The first did it, none says so, the row fails: ownership stays pending over the failure."""
    rule = emulator.add_fault(ours(CREATE, count=1), cut="after")
    emulator.add_fault(ours(CREATE, count=8), fail={"status": 503})
    kube.create(objects.template("lost", adoptionPolicy="Never"))
    wait_acted(emulator, rule)
    obj = kube.wait_ready(TEMPLATE, "lost", deadline_s=30)
    assert obj["status"]["ownership"]["origin"] == "Created"
    assert obj["status"]["ownership"]["createdAt"]


def test_the_answer_to_delete_is_lost(kube, emulator, ready_registry):
    kube.create(objects.template("lost"))
    kube.wait_ready(TEMPLATE, "lost")
    emulator.add_fault(ours(DELETE, count=1), cut="after")
    kube.delete(TEMPLATE, "lost")
    kube.wait_gone(TEMPLATE, "lost")
    assert emulator.templates() == {}


@pytest.mark.parametrize("garbage", ["html", "empty", "truncated-json"])
def test_an_answer_that_is_none(kube, emulator, ready_registry, garbage):
    emulator.add_fault(ours(CREATE, count=1), garbage=garbage)
    kube.create(objects.template("odd", adoptionPolicy="Never"))
    kube.wait_ready(TEMPLATE, "odd")
    assert "odd" in emulator.templates()


def test_correcting_an_endpoint_that_hangs(kube, emulator):
    """The call under way would last half a minute; nobody waits for it."""
    with Emulator() as hanging:
        rule = hanging.add_fault(ours(DESCRIBE), delayMs=60000)
        kube.create(objects.settings(hanging, driftInterval="10m"))
        wait_acted(hanging, rule)
        kube.merge(SETTINGS, "default", {"spec": {"endpoint": emulator.endpoint}})
        kube.wait_ready(SETTINGS, "default", deadline_s=4)


# --- answers that say something else -------------------------------------------------------------


def without_dates(_: str, answer: dict) -> dict:
    templates = answer.get("repositoryCreationTemplates", [])
    for template in [*templates, answer.get("repositoryCreationTemplate", {})]:
        template.pop("createdAt", None)
    return answer


def test_templates_without_a_date_of_creation(kube, emulator):
    """ECR's model calls it optional. What is owned is known by it: the answer counts as none, which
    the RegistrySettings says, and nothing is adopted again and again."""
    create = emulator.ecr.create_repository_creation_template
    create(prefix="theirs", appliedFor=["CREATE_ON_PUSH"])
    with Rewriter(emulator, without_dates) as aws, Versions(kube, TEMPLATE, "theirs") as versions:
        kube.create(objects.settings(aws))
        kube.create(objects.template("theirs"))
        obj = kube.wait_condition(SETTINGS, "default", "Ready", "False", "AWSError")
        assert "createdAt" in condition_of(obj, "Ready")["message"]
        wait_for(lambda: count(emulator, DESCRIBE) >= 3, 10, "it is read again")
        assert count(emulator, DESCRIBE) <= 4
        assert emulator.operator_writes() == []
        assert len(versions.all()) <= 2
        assert "ownership" not in kube.get(TEMPLATE, "theirs").get("status", {})
        kube.merge(SETTINGS, "default", {"spec": {"endpoint": emulator.endpoint}})
        obj = kube.wait_ready(TEMPLATE, "theirs")
        assert obj["status"]["ownership"]["origin"] == "Adopted"


def never_enabled(operation: str, answer: dict) -> dict:
    if operation in (GET, PUT) and answer["value"] == "ENABLED":
        answer["value"] = "DISABLED"
    return answer


def test_a_setting_that_aws_makes_something_else_of(kube, emulator):
    """Put once, not at each read; said so; and over when what AWS makes of it is declared."""
    with Rewriter(emulator, never_enabled) as aws:
        kube.create(objects.settings(aws, accountSettings=ENABLED))
        obj = kube.wait_condition(SETTINGS, "default", "Ready", "False", "NotConverging")
        check_conditions(obj)
        assert condition_of(obj, "Stalled")
        message = condition_of(obj, "Ready")["message"]
        assert "accountSettings.blobMounting" in message and "DISABLED" in message
        with Versions(kube, SETTINGS, "default") as versions:
            reads = count(emulator, GET)
            wait_for(lambda: count(emulator, GET) > reads, 15, "the next read")
            holds_for(lambda: count(emulator, PUT) == 1, 1.0, "it is put once")
            assert versions.all() == []
        kube.merge(SETTINGS, "default", {"spec": {"accountSettings": {"blobMounting": "DISABLED"}}})
        kube.wait_ready(SETTINGS, "default")
        assert count(emulator, PUT) == 1


def test_a_template_that_aws_makes_something_else_of(kube, emulator, ready_registry):
    emulator.add_fault(ours("*RepositoryCreationTemplate"), normalise={"description": "trimmed"})
    kube.create(objects.template("odd", description="  trimmed"))
    obj = kube.wait_condition(TEMPLATE, "odd", "Ready", "False", "NotConverging")
    check_conditions(obj)
    (drift,) = obj["status"]["drift"]
    assert (drift["desired"], drift["observed"]) == ("  trimmed", "trimmed")
    emulator.mark()
    ask_now(kube, SETTINGS, "default")
    wait_for(lambda: count(emulator, DESCRIBE) >= 1, 5, "AWS is read")
    holds_for(lambda: emulator.operator_writes() == [], 1.0, "it is not written again")
    kube.merge(TEMPLATE, "odd", {"spec": {"description": "trimmed"}})
    kube.wait_ready(TEMPLATE, "odd")
    assert emulator.operator_writes() == []


def test_reads_that_are_old(kube, emulator, ready_registry):
    """What was just written is not taken for vanished, nor what was deleted for being there."""
    with emulator.fault({"userAgent": "berth*"}, stale={"ms": 60000}):
        kube.create(objects.template("young", description="one"))
        kube.wait_ready(TEMPLATE, "young")
        kube.merge(TEMPLATE, "young", {"spec": {"description": "two"}})
        kube.wait_ready(TEMPLATE, "young")
        emulator.mark()
        ask_now(kube, SETTINGS, "default")
        wait_for(lambda: count(emulator, DESCRIBE) >= 1, 5, "AWS is read")
        holds_for(lambda: emulator.operator_writes() == [], 1.5, "nothing is written")
    assert emulator.template("young")["description"] == "two"
    assert condition_of(kube.get(TEMPLATE, "young"), "Ready")["status"] == "True"
