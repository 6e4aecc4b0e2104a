# SPDX-License-Identifier: Apache-2.0
"""Each fault of the emulator at each operation on the registry as a whole: its reads, and its
account settings. Each fault has a RegistrySettings of its own, whose registry is an emulator of its
own, so that all of them go on side by side in one operator. When the faults have passed, settings
and templates are as declared, and what was there has not been made anew."""

import contextlib
import time

import pytest

from berth_test import fault_matrix as matrix
from berth_test import model, objects
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, check_conditions, condition_of
from berth_test.rewriter import Rewriter
from berth_test.wait import wait_for

CONVERGE_S = 30
NAMES = list(dict.fromkeys(kind.name for kind in matrix.KINDS))


@pytest.fixture(scope="module")
def emulators():
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(Emulator(account=f"{100000000000 + i}"))
            for i, name in enumerate(NAMES)
        }


@pytest.fixture(autouse=True)
def operator(kube, emulators, start_operator):
    """With a registry and a template in it for each kind of fault. When the test ends it has called
    nothing that ECR's model refuses or the matrix does not know."""
    started = start_operator(config={"controller": {"workers": 32}})
    for name, emulator in emulators.items():
        for prefix in emulator.templates():
            emulator.ecr.delete_repository_creation_template(prefix=prefix)
        # not by the operator: for 30 s its own writes count for more than what it reads
        emulator.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
        emulator.control("DELETE", "requests")
        emulator.mark()
        kube.create(objects.settings(emulator, name, driftInterval="10m",
                                     accountSettings={"blobMounting": "DISABLED"}))  # fmt: skip
        kube.create(objects.template(f"t-{name}", "app", registryRef={"name": name}))
    wait_all_ready(kube, emulators)
    yield started
    for emulator in emulators.values():
        emulator.control("DELETE", "faults")
        matrix.assert_known(emulator.operator_requests())
        model.assert_valid(emulator.operator_requests())


def wait_all_ready(kube, names, handled: str | None = None) -> None:
    """All registries and their templates; the registries have also read since they were asked."""

    def waiting() -> list[tuple]:
        found = []
        for kind, prefix in ((SETTINGS, ""), (TEMPLATE, "t-")):
            items = {o["metadata"]["name"]: o for o in kube.items(kind)}
            for name in names:
                obj = items[prefix + name]
                ready = condition_of(obj, "Ready")
                is_met = (
                    ready.get("status") == "True"
                    and ready["observedGeneration"] == obj["metadata"]["generation"]
                    and (kind == TEMPLATE or not handled
                         or obj["status"].get("lastHandledReconcileAt") == handled)
                )  # fmt: skip
                if is_met:
                    check_conditions(obj)
                else:
                    found.append((prefix + name, ready.get("reason"), ready.get("message")))
        return found

    wait_for(lambda: not waiting(), CONVERGE_S, lambda: f"all are Ready but {waiting()}", 0.3)


def disturb(emulators, operation: str) -> dict[str, int]:
    rules = {}
    for is_shared in (False, True):
        for row in matrix.rows(operation, is_shared=is_shared):
            if row.n == row.kind.most:
                rules[row.kind.name] = matrix.disturb(emulators[row.kind.name], row)
    return rules


def wait_disturbed(emulators, rules: dict[str, int]) -> None:
    for name, number in rules.items():
        matrix.wait_disturbed(emulators[name], {number: name})


def ask(kube, names) -> str:
    now = str(time.monotonic_ns())
    for name in names:
        kube.annotate(SETTINGS, name, reconcile_requested_at=now)
    return now


def created_at(emulators) -> dict[str, object]:
    return {name: emulator.template("app")["createdAt"] for name, emulator in emulators.items()}


@pytest.mark.parametrize("operation", [matrix.DESCRIBE, matrix.GET, matrix.REPOSITORIES])
def test_reads(kube, emulators, operation):
    before = created_at(emulators)
    for emulator in emulators.values():
        emulator.mark()
    rules = disturb(emulators, operation)
    ask(kube, emulators)
    wait_disturbed(emulators, rules)
    # a read of which a part failed counts as the read that was asked for: once more, then
    wait_all_ready(kube, emulators, ask(kube, emulators))
    assert created_at(emulators) == before
    for name, emulator in emulators.items():
        # an old list may lack what is there, and making it is refused
        done = [r.operation for r in emulator.operator_writes() if r.status == 200]
        assert done == [], name


def test_which_registry_it_is(kube, emulators):
    """A list that does not name the account: it is asked for."""

    def anonymous(operation: str, answer: dict) -> dict:
        if operation == matrix.DESCRIBE:
            answer.pop("registryId")
        return answer

    before = created_at(emulators)
    rules = disturb(emulators, matrix.REGISTRY)
    with contextlib.ExitStack() as stack:
        for name, emulator in emulators.items():
            proxy = stack.enter_context(Rewriter(emulator, anonymous))
            kube.merge(SETTINGS, name, {"spec": {"endpoint": proxy.endpoint}})
        wait_disturbed(emulators, rules)
        wait_all_ready(kube, emulators)
        assert created_at(emulators) == before
        for name, emulator in emulators.items():
            assert kube.get(SETTINGS, name)["status"]["registryID"] == emulator.account
            kube.merge(SETTINGS, name, {"spec": {"endpoint": emulator.endpoint}})
        wait_all_ready(kube, emulators)


def test_settings_are_changed(kube, emulators):
    rules = disturb(emulators, matrix.PUT)
    for name in emulators:
        kube.merge(SETTINGS, name, {"spec": {"accountSettings": {"blobMounting": "ENABLED"}}})
    wait_disturbed(emulators, rules)
    wait_all_ready(kube, emulators)
    for name, emulator in emulators.items():
        assert emulator.account_setting("BLOB_MOUNTING") == "ENABLED", name


def test_settings_are_mended(kube, emulators):
    rules = disturb(emulators, matrix.PUT)
    for emulator in emulators.values():
        emulator.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    ask(kube, emulators)
    wait_disturbed(emulators, rules)
    wait_all_ready(kube, emulators)
    wait_for(
        lambda: all(e.account_setting("BLOB_MOUNTING") == "DISABLED" for e in emulators.values()),
        CONVERGE_S, "all are mended", 0.3,
    )  # fmt: skip
    wait_all_ready(kube, emulators)
