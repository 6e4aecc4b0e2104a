# SPDX-License-Identifier: Apache-2.0
"""Objects that are edited, deleted, and made anew under their name while a call to AWS for them is
under way. (Create with an edit and with a deletion: test_faults.py.) In the end AWS is as the last
spec says, nothing is made twice, and it is known whose it is."""

import calendar
import threading
import time

import pytest

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import FINALIZER, SETTINGS, TEMPLATE, ApiError, path_of
from berth_test.wait import holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
UPDATE = "UpdateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"
HANG_MS = 1200


@pytest.fixture(autouse=True)
def ready_registry(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")


def hang(emulator: Emulator, operation: str, when: str = "before") -> int:
    """The next such call takes its time; what it asks is done at the end of it, or at its begin
    ("after": the answer is what comes late)."""
    delay = HANG_MS if when == "before" else {"after": HANG_MS}
    match = {"operation": operation, "userAgent": "berth*", "count": 1}
    return emulator.add_fault(match, delayMs=delay)


def wait_acted(emulator: Emulator, rule: int) -> None:
    wait_for(
        lambda: any(r["id"] == rule and r["acted"] > 0 for r in emulator.faults()),
        10,
        "the call is under way",
    )


def results(emulator: Emulator) -> list[tuple[str, int]]:
    return [(r.operation, r.status) for r in emulator.operator_writes()]


def make(kube, name: str, **spec) -> dict:
    kube.create(objects.template(name, **spec))
    return kube.wait_ready(TEMPLATE, name)


def remove_by_force(kube, name: str) -> None:
    """What an impatient person does to an object that does not go."""
    kube.delete(TEMPLATE, name)
    for _ in range(20):  # the operator may put it there once more
        try:
            kube.merge(TEMPLATE, name, {"metadata": {"finalizers": None}})
        except ApiError as e:
            if e.status != 404:
                raise
        if kube.get(TEMPLATE, name) is None:
            return
    raise AssertionError(f"{name} does not go")


def delete_as_seen(kube, name: str) -> bool:
    """False: it has changed meanwhile."""
    obj = kube.get(TEMPLATE, name)
    if obj is None:
        return True
    version = obj["metadata"]["resourceVersion"]
    body = {"preconditions": {"resourceVersion": version}}
    try:
        kube.request("DELETE", path_of(TEMPLATE, name), body)
        return True
    except ApiError as e:
        if e.status not in (404, 409):
            raise
        return e.status == 404


def create_as_soon_as_it_is_gone(kube, obj: dict) -> None:
    def try_it() -> bool:
        try:
            kube.create(obj)
            return True
        except ApiError as e:
            if e.status != 409:
                raise
            return False

    wait_for(try_it, 20, "the name is free", poll_s=0.005)


def assert_owned(emulator: Emulator, obj: dict, origin: str = "Created") -> None:
    """By this object, and it is what AWS has."""
    prefix = obj["spec"]["prefix"]
    ownership = obj["status"]["ownership"]
    assert ownership["origin"] == origin
    created_at = emulator.template(prefix)["createdAt"].timestamp()
    recorded = time.strptime(ownership["createdAt"].partition(".")[0], "%Y-%m-%dT%H:%M:%S")
    assert int(created_at) == calendar.timegm(recorded)
    objects.assert_equal_in_aws(obj["spec"], emulator.template(prefix))


# --- Update under way ----------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
def test_edited_while_update_hangs(kube, emulator, when):
    make(kube, "t", description="one")
    emulator.mark()
    rule = hang(emulator, UPDATE, when)
    kube.merge(TEMPLATE, "t", {"spec": {"description": "two"}})
    wait_acted(emulator, rule)
    kube.merge(TEMPLATE, "t", {"spec": {"description": "three"}})
    obj = kube.wait_ready(TEMPLATE, "t")
    assert_owned(emulator, obj)
    assert emulator.template("t")["description"] == "three"
    assert results(emulator) == [(UPDATE, 200)] * 2


def test_edited_and_edited_back_while_update_hangs(kube, emulator):
    """What is wanted in the end is what was there before, and is no longer there."""
    make(kube, "t", description="one")
    rule = hang(emulator, UPDATE)
    kube.merge(TEMPLATE, "t", {"spec": {"description": "two"}})
    wait_acted(emulator, rule)
    kube.merge(TEMPLATE, "t", {"spec": {"description": "one"}})
    kube.wait_ready(TEMPLATE, "t")
    assert emulator.template("t")["description"] == "one"


def test_many_edits_while_calls_are_slow(kube, emulator):
    """The last one counts, and not each of them costs a call."""
    make(kube, "t")
    emulator.mark()
    with emulator.fault({"operation": UPDATE, "userAgent": "berth*"}, delayMs=300):
        for i in range(60):
            kube.merge(TEMPLATE, "t", {"spec": {"description": f"edit {i}"}})
        obj = kube.wait_ready(TEMPLATE, "t")
    assert_owned(emulator, obj)
    assert emulator.template("t")["description"] == "edit 59"
    assert 1 <= len(results(emulator)) <= 20
    assert {r for r in results(emulator)} == {(UPDATE, 200)}


@pytest.mark.parametrize("when", ["before", "after"])
def test_deleted_while_update_hangs(kube, emulator, when):
    make(kube, "t", description="one")
    emulator.mark()
    rule = hang(emulator, UPDATE, when)
    kube.merge(TEMPLATE, "t", {"spec": {"description": "two"}})
    wait_acted(emulator, rule)
    kube.delete(TEMPLATE, "t")
    kube.wait_gone(TEMPLATE, "t")
    assert emulator.templates() == {}
    assert results(emulator) == [(UPDATE, 200), (DELETE, 200)]


def test_made_read_only_while_update_hangs(kube, emulator):
    """The call that was sent cannot be taken back; none follows it."""
    make(kube, "t", description="one")
    emulator.mark()
    rule = hang(emulator, UPDATE)
    kube.merge(TEMPLATE, "t", {"spec": {"description": "two"}})
    wait_acted(emulator, rule)
    kube.annotate(TEMPLATE, "t", read_only="true")
    kube.merge(TEMPLATE, "t", {"spec": {"description": "three"}})
    kube.wait_condition(TEMPLATE, "t", "Ready", "False", "DriftDetected")
    assert emulator.template("t")["description"] == "two"
    assert results(emulator) == [(UPDATE, 200)]


# --- Create under way ----------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
def test_deleted_and_made_anew_while_create_hangs(kube, emulator, when):
    """The name is taken until the first one's template is deleted; the second makes its own."""
    rule = hang(emulator, CREATE, when)
    kube.create(objects.template("t", description="first", adoptionPolicy="Never"))
    wait_acted(emulator, rule)
    kube.delete(TEMPLATE, "t")
    create_as_soon_as_it_is_gone(
        kube, objects.template("t", description="second", adoptionPolicy="Never")
    )
    obj = kube.wait_ready(TEMPLATE, "t")
    assert_owned(emulator, obj)
    assert results(emulator) == [(CREATE, 200), (DELETE, 200), (CREATE, 200)]


def test_removed_by_force_and_made_anew_while_create_hangs(kube, emulator):
    """Nobody knows any more that the first one made it: the second finds it there, as somebody
    else's, and takes it over where it is equal; a second Create is not sent."""
    rule = hang(emulator, CREATE)
    kube.create(objects.template("t"))
    wait_acted(emulator, rule)
    remove_by_force(kube, "t")
    kube.create(objects.template("t"))
    obj = kube.wait_ready(TEMPLATE, "t")
    assert_owned(emulator, obj, "Adopted")
    assert results(emulator) == [(CREATE, 200)]


def test_a_second_object_comes_while_create_hangs(kube, emulator):
    """The one that came first has it; the other says so and calls nobody."""
    rule = hang(emulator, CREATE)
    kube.create(objects.template("first", prefix="p"))
    wait_acted(emulator, rule)
    kube.create(objects.template("second", prefix="p", description="mine"))
    obj = kube.wait_ready(TEMPLATE, "first")
    kube.wait_condition(TEMPLATE, "second", "Ready", "False", "Conflict")
    assert_owned(emulator, obj)
    assert results(emulator) == [(CREATE, 200)]


def test_the_owner_goes_while_create_hangs_and_another_waits(kube, emulator):
    """Handed over, not deleted and made again."""
    rule = hang(emulator, CREATE)
    kube.create(objects.template("first", prefix="p"))
    wait_acted(emulator, rule)
    kube.create(objects.template("second", prefix="p", description="mine"))
    kube.delete(TEMPLATE, "first")
    obj = kube.wait_ready(TEMPLATE, "second")
    kube.wait_gone(TEMPLATE, "first")
    assert_owned(emulator, obj)
    assert results(emulator) == [(CREATE, 200), (UPDATE, 200)]


# --- Delete under way ----------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
def test_made_anew_while_delete_hangs(kube, emulator, when):
    make(kube, "t", description="first")
    emulator.mark()
    rule = hang(emulator, DELETE, when)
    kube.delete(TEMPLATE, "t")
    wait_acted(emulator, rule)
    create_as_soon_as_it_is_gone(
        kube, objects.template("t", description="second", adoptionPolicy="Never")
    )
    obj = kube.wait_ready(TEMPLATE, "t")
    assert_owned(emulator, obj)
    assert results(emulator) == [(DELETE, 200), (CREATE, 200)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_removed_by_force_and_made_anew_while_delete_hangs(kube, emulator, when):
    """Another object under the same name: what is under way for the first is none of its own."""
    make(kube, "t", description="first")
    emulator.mark()
    rule = hang(emulator, DELETE, when)
    kube.delete(TEMPLATE, "t")
    wait_acted(emulator, rule)
    remove_by_force(kube, "t")
    kube.create(objects.template("t", description="second", adoptionPolicy="Never"))
    obj = kube.wait_ready(TEMPLATE, "t")
    assert_owned(emulator, obj)
    assert FINALIZER in obj["metadata"]["finalizers"]
    assert results(emulator) == [(DELETE, 200), (CREATE, 200)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_another_object_wants_the_prefix_while_delete_hangs(kube, emulator, when):
    """Too late to be handed over: deleted, and made again for the heir."""
    make(kube, "first", prefix="p")
    emulator.mark()
    rule = hang(emulator, DELETE, when)
    kube.delete(TEMPLATE, "first")
    wait_acted(emulator, rule)
    kube.create(objects.template("second", prefix="p", adoptionPolicy="Never"))
    kube.wait_gone(TEMPLATE, "first")
    obj = kube.wait_ready(TEMPLATE, "second")
    assert_owned(emulator, obj)
    assert results(emulator) == [(DELETE, 200), (CREATE, 200)]


def test_told_to_retain_while_delete_hangs(kube, emulator):
    """Too late: the object goes, and nothing is asked a second time."""
    make(kube, "t")
    emulator.mark()
    rule = hang(emulator, DELETE)
    kube.delete(TEMPLATE, "t")
    wait_acted(emulator, rule)
    kube.merge(TEMPLATE, "t", {"spec": {"deletionPolicy": "Retain"}})
    kube.wait_gone(TEMPLATE, "t")
    assert emulator.templates() == {}
    assert results(emulator) == [(DELETE, 200)]


# --- the registry --------------------------------------------------------------------------------


def test_the_registry_is_deleted_while_create_hangs(kube, emulator):
    """It waits for what is under way, and serves its deletion."""
    rule = hang(emulator, CREATE)
    kube.create(objects.template("t"))
    wait_acted(emulator, rule)
    kube.delete(SETTINGS, "default")
    kube.wait_condition(SETTINGS, "default", "Ready", "False", "InUse")
    kube.wait_ready(TEMPLATE, "t")
    kube.delete(TEMPLATE, "t")
    kube.wait_gone(TEMPLATE, "t")
    kube.wait_gone(SETTINGS, "default")
    assert results(emulator) == [(CREATE, 200), (DELETE, 200)]
    assert emulator.templates() == {}


def test_everything_is_edited_deleted_and_made_anew_at_once(kube, emulator):
    """Four people at eight names, while each call takes its time: what is there in the end is what
    its object says, and nothing else is. They delete what they have seen (a precondition): else the
    API server may delete an object past the finalizer that it gets at that moment
    (docs/architecture.md)."""
    names = [f"t{i}" for i in range(8)]
    problems: list[Exception] = []

    def person(number: int) -> None:
        deadline = time.monotonic() + 6
        turn = 0
        while time.monotonic() < deadline:
            name = names[(turn * 3 + number) % len(names)]
            turn += 1
            text = f"{number} {turn}"
            try:
                if (turn + number) % 3 == 0:
                    delete_as_seen(kube, name)
                elif kube.get(TEMPLATE, name) is None:
                    kube.create(objects.template(name, description=text))
                else:
                    kube.merge(TEMPLATE, name, {"spec": {"description": text}})
            except ApiError as e:
                if e.status not in (404, 409):
                    problems.append(e)
                    return

    people = [threading.Thread(target=person, args=(n,)) for n in range(4)]
    with emulator.fault({"userAgent": "berth*"}, delayMs=60):
        for one in people:
            one.start()
        for one in people:
            one.join()
    assert problems == []
    for name in names[::2]:
        wait_for(lambda n=name: delete_as_seen(kube, n), 10, f"{name} is deleted")
    for name in names[::2]:
        kube.wait_gone(TEMPLATE, name)
    left = [o["metadata"]["name"] for o in kube.items(TEMPLATE)]
    for name in left:
        assert_owned(emulator, kube.wait_ready(TEMPLATE, name))
    assert sorted(emulator.templates()) == sorted(left)
    writes = len(emulator.operator_writes())
    holds_for(lambda: len(emulator.operator_writes()) == writes, 1.0, "it is quiet")
    assert {s for _, s in results(emulator)} == {200}, results(emulator)
