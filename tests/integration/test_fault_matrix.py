# SPDX-License-Identifier: Apache-2.0
"""Each fault of the emulator at each operation on templates, while templates are created, edited,
mended and deleted. A row of the matrix (berth_test/fault_matrix.py) is a prefix of its own with a
fault of its own, so that all of them go on side by side in one operator. When the faults have
passed, AWS is what the specs say, nothing was created twice, and nothing of others was touched."""

import datetime
import time

import pytest

from berth_test import fault_matrix as matrix
from berth_test import objects
from berth_test.kube import SETTINGS, TEMPLATE, check_conditions, condition_of
from berth_test.wait import wait_for

OTHERS = {"prefix": "others", "appliedFor": ["REPLICATION"], "description": "not ours"}
CONVERGE_S = 40


@pytest.fixture
def others(emulator):
    """A template that no object names. However the test ends, it is as it was."""
    emulator.ecr.create_repository_creation_template(**OTHERS)
    before = emulator.template("others")
    yield
    assert emulator.template("others") == before


@pytest.fixture(autouse=True)
def operator(kube, emulator, others, start_operator):
    """An operator with as many workers as it takes that rows do not wait for each other. When the
    test ends, it has called nothing that the matrix does not know."""
    started = start_operator(config={"controller": {"workers": 32}})
    # mended drift is seen without the 10 s of driftInterval: tests ask for the read
    kube.create(objects.settings(emulator, driftInterval="10m"))
    kube.wait_ready(SETTINGS, "default")
    yield started
    matrix.assert_known(emulator.operator_requests())


def spec_of(name: str, **spec) -> dict:
    return {"prefix": name, "appliedFor": ["CREATE_ON_PUSH"], "description": "first",
            "lifecyclePolicy": objects.lifecycle(), **spec}  # fmt: skip


def create(kube, names: list[str], **spec) -> None:
    for name in names:
        kube.create(objects.template(name, **spec_of(name, **spec)))


def disturb(emulator, rows: list[matrix.Row]) -> dict[int, str]:
    return {matrix.disturb(emulator, row, name=row.name): row.name for row in rows}


def ask_again(kube, rows: list[matrix.Row]) -> None:
    for row in rows:
        if row.kind.is_final:
            kube.annotate(TEMPLATE, row.name, reconcile_requested_at=str(time.monotonic_ns()))


def wait_all_ready(kube, names: list[str]) -> dict[str, dict]:
    def not_ready() -> list[tuple]:
        found = []
        for name in names:
            obj = items[name]
            ready = condition_of(obj, "Ready")
            generation = obj["metadata"]["generation"]
            if ready.get("status") != "True" or ready.get("observedGeneration") != generation:
                found.append((name, ready.get("reason"), ready.get("message")))
        return found

    items: dict[str, dict] = {}

    def check() -> bool:
        items.update({o["metadata"]["name"]: o for o in kube.items(TEMPLATE)})
        return not not_ready()

    wait_for(check, CONVERGE_S, lambda: f"Ready everywhere; but {not_ready()}", poll_s=0.3)
    for name in names:
        check_conditions(items[name])
    return items


def assert_as_declared(emulator, items: dict[str, dict], names: list[str]) -> dict[str, dict]:
    """AWS equals each spec, and each object owns what is there."""
    aws = emulator.templates()
    for name in names:
        objects.assert_equal_in_aws(items[name]["spec"], aws[name])
        ownership = items[name]["status"]["ownership"]
        assert ownership["origin"] == "Created", name
        created = aws[name]["createdAt"].timestamp()
        assert _seconds(ownership["createdAt"]) == pytest.approx(created, abs=1), name
    return aws


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def done(requests: list, operation: str) -> int:
    return sum(r.operation == operation and r.status == 200 for r in requests)


def assert_created_once(emulator, names: list[str]) -> None:
    writes = matrix.by_prefix(emulator.operator_requests())
    for name in names:
        assert done(writes[name], matrix.CREATE) <= 1, f"{name}: {writes[name]}"
        assert done(writes[name], matrix.DELETE) == 0, f"{name}: {writes[name]}"


def delete_all(kube, emulator, names: list[str]) -> None:
    for name in names:
        kube.delete(TEMPLATE, name)
    wait_for(lambda: not kube.items(TEMPLATE), CONVERGE_S,
             lambda: f"nothing is left but {[o['metadata']['name'] for o in kube.items(TEMPLATE)]}",
             poll_s=0.3)  # fmt: skip


def test_create(kube, emulator):
    rows = matrix.rows(matrix.CREATE)
    names = [row.name for row in rows]
    rules = disturb(emulator, rows)
    create(kube, names)
    matrix.wait_disturbed(emulator, rules)
    ask_again(kube, rows)
    items = wait_all_ready(kube, names)
    emulator.control("DELETE", "faults")
    assert_as_declared(emulator, items, names)
    assert_created_once(emulator, names)
    delete_all(kube, emulator, names)
    assert set(emulator.templates()) == {"others"}


def test_a_lost_create_and_then_its_read(kube, emulator):
    """Nobody knows whether Create was done, all attempts of its call were answered AlreadyExists or
    lost, and the read that would tell meets a fault too. It is ours in the end, and only once."""
    rows = [r for r in matrix.rows(matrix.DESCRIBE) if r.kind.name != "stale"]
    rows = rows[:32]  # of the 64 rules that there may be
    names = [row.name for row in rows]
    for name in names:
        emulator.add_fault({"operation": matrix.CREATE, "name": name, "count": 1}, cut="after")
    rules = disturb(emulator, rows)
    create(kube, names, adoptionPolicy="Never")
    matrix.wait_disturbed(emulator, rules)
    items = wait_all_ready(kube, names)
    emulator.control("DELETE", "faults")
    assert_as_declared(emulator, items, names)
    assert_created_once(emulator, names)


def test_edit(kube, emulator):
    """Edited twice, the second time while the first meets the fault: the last word holds."""
    rows = matrix.rows(matrix.UPDATE)
    names = [row.name for row in rows]
    create(kube, names)
    wait_all_ready(kube, names)
    before = emulator.templates()
    rules = disturb(emulator, rows)
    for name in names:
        kube.merge(TEMPLATE, name, {"spec": {"description": "second"}})
    matrix.wait_disturbed(emulator, rules)
    for name in names:
        edit = {"description": None, "imageTagMutability": "IMMUTABLE"}
        kube.merge(TEMPLATE, name, {"spec": edit})
    ask_again(kube, rows)
    items = wait_all_ready(kube, names)
    emulator.control("DELETE", "faults")
    after = assert_as_declared(emulator, items, names)
    for name in names:
        assert after[name]["createdAt"] == before[name]["createdAt"], name
    assert_created_once(emulator, names)


def test_drift(kube, emulator):
    """What somebody changed is mended, whatever happens to the mend."""
    rows = matrix.rows(matrix.UPDATE)
    names = [row.name for row in rows]
    create(kube, names)
    wait_all_ready(kube, names)
    before = emulator.templates()
    rules = disturb(emulator, rows)
    for name in names:
        emulator.ecr.update_repository_creation_template(prefix=name, description="drift")
    kube.annotate(SETTINGS, "default", reconcile_requested_at="drift")
    matrix.wait_disturbed(emulator, rules)
    ask_again(kube, rows)
    wait_for(lambda: all(emulator.templates()[n]["description"] == "first" for n in names),
             CONVERGE_S, "all are mended", poll_s=0.3)  # fmt: skip
    items = wait_all_ready(kube, names)
    emulator.control("DELETE", "faults")
    after = assert_as_declared(emulator, items, names)
    for name in names:
        assert after[name]["createdAt"] == before[name]["createdAt"], name
    assert_created_once(emulator, names)


def test_vanished(kube, emulator):
    """What somebody deleted is made again, once, and is owned then. (Adopted ones: reads that began
    within 30 s of a write of ours do not count.)"""
    rows = matrix.rows(matrix.CREATE)
    names = [row.name for row in rows]
    for name in names:
        emulator.ecr.create_repository_creation_template(**objects.aws_template(spec_of(name)))
    kube.annotate(SETTINGS, "default", reconcile_requested_at="there")
    create(kube, names, adoptionPolicy="Always")
    wait_all_ready(kube, names)
    assert emulator.operator_writes() == []
    rules = disturb(emulator, rows)
    for name in names:
        emulator.ecr.delete_repository_creation_template(prefix=name)
    kube.annotate(SETTINGS, "default", reconcile_requested_at="vanished")
    matrix.wait_disturbed(emulator, rules)
    ask_again(kube, rows)
    wait_for(lambda: set(names) <= set(emulator.templates()), CONVERGE_S, "all are back", 0.3)
    items = wait_all_ready(kube, names)
    emulator.control("DELETE", "faults")
    assert_as_declared(emulator, items, names)
    assert_created_once(emulator, names)
    delete_all(kube, emulator, names)
    assert set(emulator.templates()) == {"others"}


def test_an_old_list_and_then_its_read(kube, emulator):
    """A list from before they were there, Create says AlreadyExists, and the read that would tell
    meets a fault: what was adopted stays adopted, so that it outlives its object."""
    rows = [r for r in matrix.rows(matrix.DESCRIBE) if r.kind.name != "stale"]
    names = [row.name for row in rows]
    for name in names:
        emulator.ecr.create_repository_creation_template(**objects.aws_template(spec_of(name)))
    kube.annotate(SETTINGS, "default", reconcile_requested_at="there")
    create(kube, names)
    wait_all_ready(kube, names)
    before = emulator.templates()
    emulator.mark()
    rules = disturb(emulator, rows)
    # the last rule: for the list, which names nothing
    emulator.add_fault({"operation": matrix.DESCRIBE, "userAgent": "berth*", "count": 1},
                       stale={"ms": 600000})  # fmt: skip
    kube.annotate(SETTINGS, "default", reconcile_requested_at="old")
    matrix.wait_disturbed(emulator, rules)
    wait_for(lambda: not owned_otherwise(kube, "Adopted"), CONVERGE_S,
             lambda: f"all are Adopted but {owned_otherwise(kube, 'Adopted')}", 0.3)  # fmt: skip
    emulator.control("DELETE", "faults")
    wait_all_ready(kube, names)
    assert not owned_otherwise(kube, "Adopted")
    delete_all(kube, emulator, names)
    assert emulator.templates() == before
    writes = matrix.by_prefix(emulator.operator_requests())
    for name in names:
        assert [r.status for r in writes[name] if r.status == 200] == [], name


def owned_otherwise(kube, origin: str) -> list[tuple]:
    found = [(o["metadata"]["name"], o["status"].get("ownership")) for o in kube.items(TEMPLATE)]
    return [(n, o) for n, o in found if not o or o["origin"] != origin or "createdAt" not in o]


def test_a_clock_that_is_wrong(kube, emulator):
    """One client learns AWS' clock and unlearns it again."""
    names = ["one", "two", "three"]
    for operation in (matrix.CREATE, matrix.UPDATE, matrix.DELETE):
        rules = {
            matrix.disturb(emulator, row): str(row)
            for row in matrix.rows(operation, is_shared=True)
        }
        if operation == matrix.CREATE:
            create(kube, names)
        for name in names:
            if operation == matrix.UPDATE:
                kube.merge(TEMPLATE, name, {"spec": {"description": "second"}})
            if operation == matrix.DELETE:
                kube.delete(TEMPLATE, name)
        matrix.wait_disturbed(emulator, rules)
        if operation != matrix.DELETE:
            assert_as_declared(emulator, wait_all_ready(kube, names), names)
        emulator.control("DELETE", "faults")
    assert_created_and_deleted_once(kube, emulator, names)


def assert_created_and_deleted_once(kube, emulator, names: list[str]) -> None:
    delete_all(kube, emulator, names)
    assert set(emulator.templates()) == {"others"}
    writes = matrix.by_prefix(emulator.operator_requests())
    for name in names:
        assert done(writes[name], matrix.CREATE) == done(writes[name], matrix.DELETE) == 1


def test_delete(kube, emulator):
    """What an object owns goes with it, but nothing that somebody else made in its place."""
    rows = matrix.rows(matrix.DELETE)
    names = [row.name for row in rows]
    create(kube, names)
    wait_all_ready(kube, names)
    rules = disturb(emulator, rows)
    for name in names:
        kube.delete(TEMPLATE, name)
    matrix.wait_disturbed(emulator, rules)
    delete_all(kube, emulator, names)
    assert set(emulator.templates()) == {"others"}


@pytest.mark.parametrize("is_usurped", [False, True], ids=["owned", "usurped"])
def test_delete_reads_first(kube, emulator, is_usurped):
    rows = matrix.rows(matrix.DESCRIBE)
    names = [row.name for row in rows]
    create(kube, names)
    wait_all_ready(kube, names)
    emulator.mark()
    rules = disturb(emulator, rows)
    if is_usurped:
        for name in names:
            emulator.ecr.delete_repository_creation_template(prefix=name)
            theirs = {"prefix": name, "appliedFor": ["REPLICATION"]}
            emulator.ecr.create_repository_creation_template(**theirs)
    for name in names:
        kube.delete(TEMPLATE, name)
    matrix.wait_disturbed(emulator, rules)
    delete_all(kube, emulator, names)
    left = set(names) if is_usurped else set()
    assert set(emulator.templates()) == {"others", *left}
    if is_usurped:
        writes = matrix.by_prefix(emulator.operator_requests())
        assert not any(writes.values()), writes
