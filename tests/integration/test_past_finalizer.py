# SPDX-License-Identifier: Apache-2.0
"""The API server may delete an object past the finalizer that it gets in that instant
(docs/architecture.md): what the finalizer holds is done all the same, by what the watch last
showed. The race itself is rare, so the object is taken out of etcd, which looks the same."""

import base64

import pytest

from berth_test import objects
from berth_test.kube import FINALIZER, SETTINGS, TEMPLATE
from berth_test.wait import holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"
DESCRIBE = "DescribeRepositoryCreationTemplates"
NOTED = "an object was deleted past its finalizer: what that holds is done now"
SETTLED = "an object that was deleted past its finalizer is dealt with"
LEFT = "what an object left in ECR stays there"


@pytest.fixture(autouse=True)
def ready_registry(kube, emulator, operator):
    kube.create(objects.settings(emulator, driftInterval="10m"))
    kube.wait_ready(SETTINGS, "default")


def ours(operation: str, **match) -> dict:
    return {"operation": operation, "userAgent": "berth*", **match}


def results(emulator) -> list[tuple[str, int]]:
    return [(r.operation, r.status) for r in emulator.operator_writes()]


def remove_past_finalizer(control_plane, kube, name: str) -> None:
    meta = kube.get(TEMPLATE, name)["metadata"]
    assert meta["finalizers"] == [FINALIZER] and "deletionTimestamp" not in meta
    key = f"/registry/ecr.berth.dev/repositorycreationtemplates/{name}".encode()
    answer = control_plane._etcd("kv/deleterange", {"key": base64.b64encode(key).decode()})
    assert answer.get("deleted") == "1", answer


def by_hand(emulator, prefix: str, **more) -> None:
    emulator.ecr.create_repository_creation_template(
        prefix=prefix, appliedFor=["REPLICATION"], description="made by hand", **more
    )


def wait_told(operator, msg: str, name: str, **fields: str) -> None:
    wait_for(lambda: operator.find_log(msg, object=f"template/{name}", **fields), 10, msg)


def wait_settled(operator, name: str) -> None:
    wait_told(operator, SETTLED, name)


def wait_acted(emulator, rule: int) -> None:
    wait_for(
        lambda: any(r["id"] == rule and r["acted"] > 0 for r in emulator.faults()),
        10,
        "a request meets the rule",
    )


# --- the template goes ---------------------------------------------------------------------------


def test_one_that_was_created(control_plane, kube, emulator, operator):
    kube.create(objects.template("t"))
    kube.wait_ready(TEMPLATE, "t")
    emulator.mark()
    remove_past_finalizer(control_plane, kube, "t")
    wait_for(lambda: emulator.templates() == {}, 10, "its template goes")
    wait_settled(operator, "t")
    # asked live, just before
    calls = [r.operation for r in emulator.operator_requests()]
    assert calls == [DESCRIBE, DELETE]


def test_one_that_was_adopted_and_says_delete(control_plane, kube, emulator, operator):
    by_hand(emulator, "t")
    kube.create(
        objects.template("t", adoptionPolicy="Always", deletionPolicy="Delete")
    )
    kube.wait_ready(TEMPLATE, "t")
    remove_past_finalizer(control_plane, kube, "t")
    wait_for(lambda: emulator.templates() == {}, 10, "its template goes")


def test_while_create_is_under_way(control_plane, kube, emulator, operator):
    """Create is not cut, and its template goes when it has come."""
    rule = emulator.add_fault(ours(CREATE, count=1), delayMs=1500)
    kube.create(objects.template("t"))
    wait_acted(emulator, rule)
    remove_past_finalizer(control_plane, kube, "t")
    wait_settled(operator, "t")
    assert results(emulator) == [(CREATE, 200), (DELETE, 200)]
    assert emulator.templates() == {}


@pytest.mark.parametrize("is_past", [True, False], ids=["past", "held"])
def test_after_a_create_whose_answer_was_lost(control_plane, kube, emulator, operator, is_past):
    """Nobody has read the template; it is asked for before it is said that there is none."""
    with emulator.fault(ours(CREATE), cut="after"):
        kube.create(objects.template("t"))
        kube.wait_condition(TEMPLATE, "t", "Ready", "False", "EndpointUnreachable")
        assert emulator.template("t"), "it is there, and nobody knows"
        if is_past:
            remove_past_finalizer(control_plane, kube, "t")
        else:
            kube.delete(TEMPLATE, "t")
            kube.wait_gone(TEMPLATE, "t")
        wait_for(lambda: emulator.templates() == {}, 15, "its template goes")


@pytest.mark.parametrize("operation", [DESCRIBE, DELETE])
def test_a_call_that_fails_is_tried_again(control_plane, kube, emulator, operator, operation):
    kube.create(objects.template("t"))
    kube.wait_ready(TEMPLATE, "t")
    with emulator.fault(ours(operation), fail={"status": 503}):
        remove_past_finalizer(control_plane, kube, "t")
        wait_told(operator, "a call to ECR failed", "t")
        assert emulator.template("t")
    wait_for(lambda: emulator.templates() == {}, 20, "its template goes")


def test_when_its_registry_is_not_paused_any_more(control_plane, kube, emulator, operator):
    kube.create(objects.template("t"))
    kube.wait_ready(TEMPLATE, "t")
    kube.annotate(SETTINGS, "default", paused="true")
    kube.wait_condition(SETTINGS, "default", "Synced", "False", "ReconcilePaused")
    emulator.mark()
    remove_past_finalizer(control_plane, kube, "t")
    wait_told(operator, NOTED, "t")
    holds_for(lambda: results(emulator) == [], 1, "nothing is written")
    kube.annotate(SETTINGS, "default", paused=None)
    wait_for(lambda: emulator.templates() == {}, 15, "its template goes")


# --- it stays ------------------------------------------------------------------------------------


def test_one_that_somebody_made_anew(control_plane, kube, emulator, operator):
    """Its createdAt is not the one that is owned, and that is seen only by the live read."""
    kube.create(objects.template("t"))
    kube.wait_ready(TEMPLATE, "t")
    before = emulator.template("t")["createdAt"]
    emulator.ecr.delete_repository_creation_template(prefix="t")
    wait_for(lambda: remade_later(emulator, before), 5, "AWS's dates differ")
    emulator.mark()
    remove_past_finalizer(control_plane, kube, "t")
    wait_settled(operator, "t")
    assert results(emulator) == []
    assert emulator.template("t")["description"] == "made by hand"


def remade_later(emulator, before) -> bool:
    by_hand(emulator, "t")
    if emulator.template("t")["createdAt"] != before:
        return True
    emulator.ecr.delete_repository_creation_template(prefix="t")
    return False


@pytest.mark.parametrize("is_adopted", [False, True], ids=["retained", "adopted"])
def test_one_that_its_deletion_would_leave(control_plane, kube, emulator, operator, is_adopted):
    """Such objects have no finalizer in the end; this one has it still."""
    if is_adopted:
        by_hand(emulator, "t")
    kube.create(objects.template("t", adoptionPolicy="Always"))
    kube.wait_ready(TEMPLATE, "t")
    kube.annotate(SETTINGS, "default", paused="true")
    kube.wait_condition(TEMPLATE, "t", "Synced", "False", "ReconcilePaused")
    if is_adopted:
        kube.merge(TEMPLATE, "t", {"metadata": {"finalizers": [FINALIZER]}})
    else:
        kube.merge(TEMPLATE, "t", {"spec": {"deletionPolicy": "Retain"}})
    emulator.mark()
    remove_past_finalizer(control_plane, kube, "t")
    kube.annotate(SETTINGS, "default", paused=None)
    wait_settled(operator, "t")
    assert results(emulator) == []
    assert emulator.template("t")


def test_a_paused_one(control_plane, kube, emulator, operator):
    """The hand brake holds its deletion too, and nobody can release it any more: that is told."""
    kube.create(objects.template("t"))
    kube.wait_ready(TEMPLATE, "t")
    kube.annotate(TEMPLATE, "t", paused="true")
    kube.wait_condition(TEMPLATE, "t", "Synced", "False", "ReconcilePaused")
    emulator.mark()
    remove_past_finalizer(control_plane, kube, "t")
    wait_told(operator, LEFT, "t", reason="Paused")
    assert results(emulator) == [] and emulator.template("t")


def test_with_its_registry(control_plane, kube, emulator, operator):
    kube.create(objects.template("t"))
    kube.wait_ready(TEMPLATE, "t")
    emulator.add_fault(ours(DELETE), fail={"status": 503})
    remove_past_finalizer(control_plane, kube, "t")
    kube.delete(SETTINGS, "default")
    kube.wait_gone(SETTINGS, "default")
    wait_told(operator, LEFT, "t", reason="RegistryNotFound")
    assert emulator.template("t")


def test_another_object_claims_the_prefix(control_plane, kube, emulator, operator):
    """It takes the template over by its adoption policy, and owns it as adopted."""
    kube.create(objects.template("t"))
    kube.wait_ready(TEMPLATE, "t")
    kube.create(objects.template("other", prefix="t"))
    kube.wait_condition(TEMPLATE, "other", "Ready", "False", "Conflict")
    emulator.mark()
    remove_past_finalizer(control_plane, kube, "t")
    obj = kube.wait_ready(TEMPLATE, "other")
    assert obj["status"]["ownership"]["origin"] == "Adopted"
    wait_settled(operator, "t")
    assert results(emulator) == []


def test_the_same_object_comes_back(control_plane, kube, emulator, operator):
    """Made again before its template could go: it is that one's then."""
    kube.create(objects.template("t"))
    kube.wait_ready(TEMPLATE, "t")
    with emulator.fault(ours(DELETE), fail={"status": 503}) as rule:
        remove_past_finalizer(control_plane, kube, "t")
        wait_acted(emulator, rule)
        kube.create(objects.template("t"))
        wait_settled(operator, "t")
    obj = kube.wait_ready(TEMPLATE, "t")
    assert obj["status"]["ownership"]["origin"] == "Adopted"
    assert emulator.template("t")
