# SPDX-License-Identifier: Apache-2.0
"""An AWS that lacks what Berth needs: moto, which others wrote and which has no repository creation
templates, and an ECR that says it does not know an operation. It must be told as what it is, asked
ever more seldom, and be no loss to anybody else."""

import pytest

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, check_conditions, condition_of
from berth_test.moto import Moto
from berth_test.rewriter import Rewriter
from berth_test.wait import holds_for, wait_for

DESCRIBE = "DescribeRepositoryCreationTemplates"
CREATE = "CreateRepositoryCreationTemplate"
SETTING = "GetAccountSetting"


@pytest.fixture(scope="module")
def moto():
    with Moto() as started:
        yield started


@pytest.fixture(autouse=True)
def running(operator):
    """Every test here has an operator."""


def test_moto(kube, operator, moto):
    """What it lacks is said of the registry and of its templates, and it is not asked for ever."""
    kube.create(objects.settings(moto))
    kube.create(objects.template("lost"))
    obj = kube.wait_condition(SETTINGS, "default", "Ready", "False", "AWSError")
    check_conditions(obj)
    assert condition_of(obj, "Reconciling") and not condition_of(obj, "Stalled")
    message = condition_of(obj, "Ready")["message"]
    assert message.startswith(f"{DESCRIBE}: HTTP500: ")
    assert message.isprintable() and len(message) < 400
    obj = kube.wait_condition(TEMPLATE, "lost", "Ready", "False", "RegistryNotReady")
    check_conditions(obj)
    assert DESCRIBE in condition_of(obj, "Ready")["message"]
    # three attempts a read, and 1, 2, 4, … s between the reads
    asked = len(moto.asked())
    holds_for(lambda: len(moto.asked()) - asked <= 9, 8.0, "moto is asked ever more seldom")
    # nothing was done for it: it goes at once
    kube.delete(TEMPLATE, "lost")
    kube.wait_gone(TEMPLATE, "lost", 3)
    kube.delete(SETTINGS, "default")
    kube.wait_gone(SETTINGS, "default", 3)


def test_others_go_on(kube, operator, moto):
    """One registry that fails all the time, beside one that works."""
    with Emulator(account="210987654321", region="eu-central-1") as good:
        kube.create(objects.settings(moto, "bad"))
        kube.create(objects.settings(good, "good", accountSettings={"blobMounting": "ENABLED"}))
        for i in range(20):
            kube.create(objects.template(f"bad-{i}", registryRef={"name": "bad"}))
            kube.create(objects.template(f"good-{i}", registryRef={"name": "good"}))
        for i in range(20):
            kube.wait_ready(TEMPLATE, f"good-{i}")
        kube.wait_ready(SETTINGS, "good")
        kube.wait_condition(SETTINGS, "bad", "Ready", "False", "AWSError")
        assert len(good.templates()) == 20
        good.ecr.update_repository_creation_template(prefix="good-0", description="theirs")
        wait_for(
            lambda: "description" not in good.template("good-0"), 15, "drift is mended meanwhile"
        )


UNKNOWN = {"status": 404, "type": "UnknownOperationException", "message": "unknown operation"}


@pytest.mark.parametrize(
    "answer, says",
    [
        ({"fail": UNKNOWN}, "UnknownOperationException: unknown operation"),
        ({"fail": {"status": 501, "type": "NotImplemented", "message": "later"}},
         "NotImplemented: later"),
    ],
    ids=["404", "501"],
)  # fmt: skip
def test_an_operation_that_is_not_known(kube, emulator, answer, says):
    """It is the endpoint's lack, not a mistake in the spec; and it may come."""
    rule = emulator.add_fault({"operation": DESCRIBE, "userAgent": "berth*"}, **answer)
    kube.create(objects.settings(emulator))
    kube.create(objects.template("waits"))
    obj = kube.wait_condition(SETTINGS, "default", "Ready", "False", "AWSError")
    check_conditions(obj)
    assert condition_of(obj, "Reconciling") and not condition_of(obj, "Stalled")
    assert condition_of(obj, "Ready")["message"] == f"{DESCRIBE}: {says}"
    kube.wait_condition(TEMPLATE, "waits", "Ready", "False", "RegistryNotReady")
    assert emulator.operator_writes() == []
    emulator.control("DELETE", f"faults/{rule}")
    kube.wait_ready(TEMPLATE, "waits")
    kube.wait_ready(SETTINGS, "default")


def test_a_setting_that_is_not_known(kube, emulator):
    """The registry says which; what names no such setting does without."""
    with emulator.fault({"operation": SETTING, "userAgent": "berth*"}, fail=UNKNOWN):
        kube.create(objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"}))
        obj = kube.wait_condition(SETTINGS, "default", "Ready", "False", "AWSError")
        assert SETTING in condition_of(obj, "Ready")["message"]
        kube.merge(SETTINGS, "default", {"spec": {"accountSettings": None}})
        kube.create(objects.template("without"))
        kube.wait_ready(SETTINGS, "default")
        kube.wait_ready(TEMPLATE, "without")


def test_create_that_is_not_known(kube, emulator):
    """Reading works, writing does not: no spec is at fault, and it is tried again."""
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")
    emulator.add_fault({"operation": CREATE, "userAgent": "berth*", "count": 4}, fail=UNKNOWN)
    kube.create(objects.template("late"))
    obj = kube.wait_condition(TEMPLATE, "late", "Ready", "False", "AWSError")
    check_conditions(obj)
    assert condition_of(obj, "Reconciling") and not condition_of(obj, "Stalled")
    kube.wait_ready(TEMPLATE, "late")


@pytest.mark.parametrize("status", [400, 404])
def test_somebody_on_the_way_answers(kube, emulator, status):
    """A proxy that is being restarted has an error page for everything. That is not ECR's word on
    the spec, which would be final: the template is not given up."""
    left = [4]

    def own_status(operation: str) -> int | None:
        if operation != CREATE or not left[0]:
            return None
        left[0] -= 1
        return status

    with Rewriter(emulator, own_status=own_status) as aws:
        kube.create(objects.settings(aws))
        kube.wait_ready(SETTINGS, "default")
        kube.create(objects.template("late"))
        obj = kube.wait_condition(TEMPLATE, "late", "Ready", "False", "AWSError")
        check_conditions(obj)
        assert condition_of(obj, "Reconciling") and not condition_of(obj, "Stalled")
        message = condition_of(obj, "Ready")["message"]
        assert message == f"{CREATE}: HTTP{status}: <html>no backend</html>"
        kube.wait_ready(TEMPLATE, "late")
        kube.delete(TEMPLATE, "late")
        kube.wait_gone(TEMPLATE, "late")
    assert emulator.templates() == {}
