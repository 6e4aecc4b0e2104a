# SPDX-License-Identifier: Apache-2.0
"""Whose is the template in AWS? What the operator did not make is never overwritten or deleted,
and what it made is never left behind, whatever goes wrong in between."""

import time

import pytest

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import FINALIZER, SETTINGS, TEMPLATE, check_conditions, condition_of
from berth_test.rewriter import Rewriter
from berth_test.versions import Versions
from berth_test.wait import holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
UPDATE = "UpdateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"
DESCRIBE = "DescribeRepositoryCreationTemplates"
PUT = "PutAccountSetting"
LEASE = ("Lease", "berth-operator", "default")


def ours(operation: str, **match) -> dict:
    """What a rule matches: calls of the operator only."""
    return {"operation": operation, "userAgent": "berth*", **match}


def results(emulator: Emulator) -> list[tuple[str, int]]:
    return [(r.operation, r.status) for r in emulator.operator_writes()]


def count(emulator: Emulator, operation: str) -> int:
    return [r.operation for r in emulator.operator_requests()].count(operation)


def wait_acted(emulator: Emulator, rule: int) -> None:
    wait_for(
        lambda: any(r["id"] == rule and r["acted"] > 0 for r in emulator.faults()),
        10,
        "a request meets the rule",
    )


def read_now(kube) -> None:
    """Has the registry read, and waits for it."""
    wanted = str(time.monotonic_ns())
    kube.annotate(SETTINGS, "default", reconcile_requested_at=wanted)
    wait_for(
        lambda: kube.get(SETTINGS, "default")["status"].get("lastHandledReconcileAt") == wanted,
        5,
        "AWS is read",
    )


def crash(kube, operator) -> None:
    """What it held of the Lease is dropped too: the next one need not wait until it runs out."""
    operator.kill()
    kube.delete(*LEASE)


@pytest.fixture
def ready_registry(kube, emulator, operator):
    kube.create(objects.settings(emulator, driftInterval="10m"))
    kube.wait_ready(SETTINGS, "default")


def by_hand(emulator: Emulator, prefix: str, **more) -> None:
    emulator.ecr.create_repository_creation_template(
        prefix=prefix, appliedFor=["REPLICATION"], description="made by hand", **more
    )


# --- what was refused is not owned ---------------------------------------------------------------


@pytest.mark.parametrize("adoption", [None, "Never"])
def test_a_refused_create_leaves_nothing_behind(kube, emulator, ready_registry, adoption):
    """What somebody makes there afterwards is theirs: adoption is asked, and it is not deleted."""
    rule = emulator.add_fault(ours(CREATE), deny={"action": f"ecr:{CREATE}"})
    kube.create(objects.template("refused", adoptionPolicy=adoption))
    kube.wait_condition(TEMPLATE, "refused", "Ready", "False", "AccessDenied")
    obj = wait_for(lambda: is_unowned(kube, "refused"), 5, "ownership and finalizer are gone")
    check_conditions(obj)
    by_hand(emulator, "refused")
    emulator.control("DELETE", f"faults/{rule}")
    emulator.mark()
    obj = kube.wait_condition(TEMPLATE, "refused", "Stalled", "True", "AlreadyExists")
    assert "ownership" not in obj["status"]
    assert [r for r in results(emulator) if r[1] == 200] == []
    kube.delete(TEMPLATE, "refused")
    kube.wait_gone(TEMPLATE, "refused")
    assert emulator.template("refused")["description"] == "made by hand"


def is_unowned(kube, name: str) -> dict | None:
    obj = kube.get(TEMPLATE, name)
    is_clean = "ownership" not in obj["status"] and not obj["metadata"].get("finalizers")
    return obj if is_clean else None


def test_an_object_whose_create_is_refused_is_deleted_without_a_call(
    kube, emulator, ready_registry
):
    emulator.add_fault(ours(CREATE), quota=True)
    kube.create(objects.template("none"))
    kube.wait_condition(TEMPLATE, "none", "Ready", "False", "QuotaExceeded")
    emulator.mark()
    kube.delete(TEMPLATE, "none")
    kube.wait_gone(TEMPLATE, "none")
    assert count(emulator, DELETE) == 0


def test_ownership_stands_before_create_is_sent(kube, emulator, ready_registry):
    rule = emulator.add_fault(ours(CREATE, count=1), delayMs=1000)
    kube.create(objects.template("first"))
    wait_acted(emulator, rule)
    obj = kube.get(TEMPLATE, "first")
    assert obj["status"]["ownership"]["origin"] == "Created"
    assert "createdAt" not in obj["status"]["ownership"]
    assert obj["metadata"]["finalizers"] == [FINALIZER]
    assert kube.get(SETTINGS, "default")["metadata"]["finalizers"] == [FINALIZER]
    obj = kube.wait_ready(TEMPLATE, "first")
    assert obj["status"]["ownership"]["createdAt"]


def test_a_create_of_which_nobody_knows(kube, emulator, ready_registry):
    """It fails in a way that leaves open whether it was done. What somebody made a moment before,
    unseen, is not taken for what it made."""
    with emulator.fault(ours(DESCRIBE), stale={"ms": 60000}):
        by_hand(emulator, "theirs")
        before = emulator.template("theirs")
        # the time of our decision is kept in whole seconds
        wait_for(lambda: time.time() > before["createdAt"].timestamp() + 1.1, 5, "it is older")
        with emulator.fault(ours(CREATE), fail={"status": 503}):
            kube.create(objects.template("theirs", adoptionPolicy="Never"))
            kube.wait_condition(TEMPLATE, "theirs", "Ready", "False", "AWSError")
            assert "createdAt" not in kube.get(TEMPLATE, "theirs")["status"]["ownership"]
    read_now(kube)
    obj = kube.wait_condition(TEMPLATE, "theirs", "Stalled", "True", "AlreadyExists")
    assert "ownership" not in obj["status"]
    kube.delete(TEMPLATE, "theirs")
    kube.wait_gone(TEMPLATE, "theirs")
    assert emulator.template("theirs") == before


def test_what_is_owned_and_not_seen_for_a_while(kube, emulator, operator, start_operator):
    """Reads do not show it, and Create leaves open whether it was done: it stays ours, also where
    the spec is another one by then."""
    hidden: list[bool] = []

    def hide(operation: str, answer: dict) -> dict:
        if hidden and operation == DESCRIBE:
            answer["repositoryCreationTemplates"] = []
        return answer

    with Rewriter(emulator, hide) as aws:
        kube.create(objects.settings(aws, driftInterval="10m"))
        kube.create(objects.template("mine", adoptionPolicy="Never"))
        before = kube.wait_ready(TEMPLATE, "mine")["status"]["ownership"]
        created = emulator.template("mine")["createdAt"]
        # a time is kept in whole seconds
        wait_for(lambda: time.time() > created.timestamp() + 1.1, 5, "it is older")
        crash(kube, operator)
        hidden.append(True)
        with emulator.fault(ours(CREATE), fail={"status": 503}):
            start_operator()
            wait_for(lambda: is_pending(kube, "mine"), 15, "it is to be created again")
            kube.merge(TEMPLATE, "mine", {"spec": {"description": "new"}})
            kube.wait_condition(TEMPLATE, "mine", "Ready", "False", "AWSError")
        hidden.clear()
        read_now(kube)
        ownership = kube.wait_ready(TEMPLATE, "mine")["status"]["ownership"]
        assert (ownership["origin"], ownership["createdAt"]) == ("Created", before["createdAt"])
        assert emulator.template("mine")["description"] == "new"
        kube.delete(TEMPLATE, "mine")
        kube.wait_gone(TEMPLATE, "mine")
    assert emulator.templates() == {}


def is_pending(kube, name: str) -> bool:
    ownership = kube.get(TEMPLATE, name)["status"].get("ownership", {})
    return bool(ownership) and "createdAt" not in ownership


# --- what is owned is not left behind ------------------------------------------------------------


def test_an_object_that_became_invalid_is_deleted_with_its_template(
    kube, emulator, ready_registry
):
    kube.create(objects.template("broken", lifecyclePolicy=objects.lifecycle()))
    kube.wait_ready(TEMPLATE, "broken")
    kube.merge(TEMPLATE, "broken", {"spec": {"lifecyclePolicy": '{"rules":[]}'}})
    kube.wait_condition(TEMPLATE, "broken", "Stalled", "True", "InvalidSpec")
    kube.delete(TEMPLATE, "broken")
    kube.wait_gone(TEMPLATE, "broken")
    assert emulator.templates() == {}


def test_an_object_that_became_invalid_can_be_told_to_retain(kube, emulator, ready_registry):
    kube.create(objects.template("broken", lifecyclePolicy=objects.lifecycle()))
    kube.wait_ready(TEMPLATE, "broken")
    kube.merge(
        TEMPLATE,
        "broken",
        {"spec": {"lifecyclePolicy": '{"rules":[]}', "deletionPolicy": "Retain"}},
    )
    kube.wait_condition(TEMPLATE, "broken", "Stalled", "True", "InvalidSpec")
    kube.delete(TEMPLATE, "broken")
    kube.wait_gone(TEMPLATE, "broken")
    assert "broken" in emulator.templates()


@pytest.mark.parametrize("delay", [{"before": 60000}, {"after": 60000}])
def test_a_crash_while_create_hangs(
    kube, emulator, operator, start_operator, ready_registry, delay
):
    """Before it was done, and after: the next one knows neither, and finds out."""
    rule = emulator.add_fault(ours(CREATE, count=1), delayMs=delay)
    kube.create(objects.template("crashed", adoptionPolicy="Never"))
    wait_acted(emulator, rule)
    crash(kube, operator)
    if "before" in delay:
        assert emulator.templates() == {}
    emulator.control("DELETE", "faults")
    start_operator()
    obj = kube.wait_ready(TEMPLATE, "crashed")
    ownership = obj["status"]["ownership"]
    assert (ownership["origin"], "createdAt" in ownership) == ("Created", True)
    kube.delete(TEMPLATE, "crashed")
    kube.wait_gone(TEMPLATE, "crashed")
    wait_for(lambda: emulator.templates() == {}, 5, "nothing is left")


def test_a_crash_and_a_deletion_while_create_hangs(
    kube, emulator, operator, start_operator, ready_registry
):
    """Deleted while nobody runs, and what was made is found nevertheless."""
    rule = emulator.add_fault(ours(CREATE, count=1), delayMs={"after": 60000})
    kube.create(objects.template("orphan"))
    wait_acted(emulator, rule)
    wait_for(lambda: emulator.templates(), 5, "it is made")
    crash(kube, operator)
    kube.delete(TEMPLATE, "orphan")
    emulator.control("DELETE", "faults")
    start_operator()
    kube.wait_gone(TEMPLATE, "orphan")
    assert emulator.templates() == {}


@pytest.mark.parametrize("first", [SETTINGS, TEMPLATE])
def test_all_is_made_and_deleted_at_once(kube, emulator, operator, first):
    """Each turn at another moment: nothing hangs, and nothing is left in AWS. Deletion begins when
    the finalizers are there: kube-apiserver deletes an object that had none when it read it, even
    if one was added in that very moment (docs/architecture.md)."""
    names = [f"race-{i}" for i in range(3)]
    for turn in range(10):
        kube.create(objects.settings(emulator))
        for name in names:
            kube.create(objects.template(name))
        everything = [(TEMPLATE, name) for name in names] + [(SETTINGS, "default")]
        wait_for(
            lambda e=everything: all(
                kube.get(kind, name)["metadata"].get("finalizers") for kind, name in e
            ),
            10,
            "all are held",
        )
        # from "nothing was written yet" to "all is made"
        wait_for(lambda t=turn: len(emulator.operator_writes()) >= t % 4, 10, "it got that far")
        if first == SETTINGS:
            kube.delete(SETTINGS, "default")
        for name in names:
            kube.delete(TEMPLATE, name)
        kube.delete(SETTINGS, "default")
        for name in names:
            kube.wait_gone(TEMPLATE, name, 15)
        kube.wait_gone(SETTINGS, "default", 15)
        assert emulator.templates() == {}, f"turn {turn}: left in AWS"
        emulator.mark()


# --- behind our back -----------------------------------------------------------------------------


def test_it_vanished_and_the_spec_is_edited(kube, emulator, ready_registry):
    """The update says that it is gone: made again, once, and nothing goes round."""
    kube.create(objects.template("gone"))
    kube.wait_ready(TEMPLATE, "gone")
    emulator.ecr.delete_repository_creation_template(prefix="gone")
    emulator.mark()
    kube.merge(TEMPLATE, "gone", {"spec": {"description": "edited"}})
    kube.wait_ready(TEMPLATE, "gone")
    assert emulator.template("gone")["description"] == "edited"
    holds_for(
        lambda: results(emulator) == [(UPDATE, 400), (CREATE, 200)], 1.5, "one update, one create"
    )
    assert kube.get(TEMPLATE, "gone")["status"]["ownership"]["origin"] == "Created"


@pytest.mark.parametrize("old_reads", [1, 4])
@pytest.mark.parametrize("adoption", [None, "Never"])
def test_a_read_after_a_restart_is_old(
    kube, emulator, operator, start_operator, ready_registry, adoption, old_reads
):
    """AWS reads are eventually consistent, and a new process knows of no write: what seems to have
    vanished turns out to be there, and is the one that is owned."""
    kube.create(objects.template("hidden", adoptionPolicy=adoption))
    before = whose(kube.wait_ready(TEMPLATE, "hidden"))
    operator.stop()
    emulator.mark()
    emulator.add_fault(ours(DESCRIBE, count=old_reads), stale={"ms": 60000})
    # without elections the first read is the one that decides
    start_operator(config={"leaderElection": {"enabled": False}})
    wait_for(lambda: (CREATE, 400) in results(emulator), 5, "it tries to make it again")
    wait_for(
        lambda: whose(kube.get(TEMPLATE, "hidden")) == before,
        20,
        lambda: f"ownership as before; it is {kube.get(TEMPLATE, 'hidden')['status']}",
    )
    kube.wait_ready(TEMPLATE, "hidden")
    assert set(results(emulator)) == {(CREATE, 400)}
    kube.delete(TEMPLATE, "hidden")
    kube.wait_gone(TEMPLATE, "hidden")
    assert emulator.templates() == {}


def whose(obj: dict) -> tuple[str, str | None]:
    ownership = obj["status"].get("ownership", {})
    return ownership.get("origin", ""), ownership.get("createdAt")


def test_a_vanished_one_that_must_not_be_made_again(kube, emulator, ready_registry):
    """Owned still; and what somebody makes there meanwhile is not deleted with the object."""
    kube.create(objects.template("gone"))
    before = kube.wait_ready(TEMPLATE, "gone")["status"]["ownership"]
    rule = emulator.add_fault(ours(CREATE), deny={"action": f"ecr:{CREATE}"})
    emulator.ecr.delete_repository_creation_template(prefix="gone")
    kube.merge(TEMPLATE, "gone", {"spec": {"description": "edited"}})
    kube.wait_condition(TEMPLATE, "gone", "Ready", "False", "AccessDenied")
    wait_for(
        lambda: kube.get(TEMPLATE, "gone")["status"].get("ownership") == before, 5, "it is owned"
    )
    by_hand(emulator, "gone")
    emulator.control("DELETE", f"faults/{rule}")
    read_now(kube)
    kube.wait_ready(TEMPLATE, "gone")
    kube.delete(TEMPLATE, "gone")
    kube.wait_gone(TEMPLATE, "gone")
    assert "gone" in emulator.templates()


def test_it_vanished_and_the_object_is_made_anew(kube, emulator, ready_registry):
    """What was deleted with the object is not remembered as being there."""
    kube.create(objects.template("again"))
    kube.wait_ready(TEMPLATE, "again")
    emulator.ecr.delete_repository_creation_template(prefix="again")
    kube.delete(TEMPLATE, "again")
    kube.wait_gone(TEMPLATE, "again")
    kube.create(objects.template("again", description="different", adoptionPolicy="Never"))
    obj = kube.wait_ready(TEMPLATE, "again")
    assert obj["status"]["ownership"]["origin"] == "Created"
    assert emulator.template("again")["description"] == "different"


def test_somebody_made_it_anew(kube, emulator, ready_registry):
    """The object is why it is there, so it is mended; but it is not the one that was created, so
    it stays when the object goes."""
    kube.create(objects.template("remade", adoptionPolicy="Never"))
    obj = kube.wait_ready(TEMPLATE, "remade")
    created = obj["status"]["ownership"]["createdAt"]
    emulator.ecr.delete_repository_creation_template(prefix="remade")
    by_hand(emulator, "remade")
    read_now(kube)
    wait_for(lambda: "description" not in emulator.template("remade"), 5, "it is mended")
    obj = kube.wait_ready(TEMPLATE, "remade")
    assert obj["status"]["ownership"]["createdAt"] == created
    emulator.mark()
    kube.delete(TEMPLATE, "remade")
    kube.wait_gone(TEMPLATE, "remade")
    assert "remade" in emulator.templates()
    assert count(emulator, DELETE) == 0


def test_somebody_made_it_anew_while_the_object_is_deleted(kube, emulator, ready_registry):
    """Nothing was read in between: asked once more before it is deleted."""
    kube.create(objects.template("remade"))
    kube.wait_ready(TEMPLATE, "remade")
    emulator.ecr.delete_repository_creation_template(prefix="remade")
    by_hand(emulator, "remade")
    emulator.mark()
    kube.delete(TEMPLATE, "remade")
    kube.wait_gone(TEMPLATE, "remade")
    assert emulator.template("remade")["description"] == "made by hand"
    assert count(emulator, DELETE) == 0


# --- another account -----------------------------------------------------------------------------


def test_the_account_is_pinned_before_anything_is_written(kube, start_operator):
    """A crash during the first write, and then other credentials: found out, nothing is written."""
    with Emulator() as right, Emulator(account="999999999999") as wrong:
        rule = right.add_fault(ours(PUT), delayMs=60000)
        operator = start_operator()
        kube.create(objects.settings(right, accountSettings={"blobMounting": "ENABLED"}))
        wait_acted(right, rule)
        crash(kube, operator)
        assert kube.get(SETTINGS, "default")["status"]["registryID"] == right.account
        kube.merge(SETTINGS, "default", {"spec": {"endpoint": wrong.endpoint}})
        kube.create(objects.template("waits"))
        with Versions(kube, SETTINGS, "default") as versions:
            start_operator()
            obj = kube.wait_condition(SETTINGS, "default", "Stalled", "True", "AccountMismatch")
            check_conditions(obj)
            message = condition_of(obj, "Ready")["message"]
            assert right.account in message and wrong.account in message
            obj = kube.wait_condition(TEMPLATE, "waits", "Ready", "False", "RegistryNotReady")
            assert wrong.operator_writes() == []
            assert {o["status"]["registryID"] for o in versions.all()} == {right.account}
        assert "ownership" not in obj["status"]
