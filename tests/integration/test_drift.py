# SPDX-License-Identifier: Apache-2.0
"""Changes behind the operator's back: found at the next read, mended, or only shown."""

import json
import time

import pytest

from berth_test import objects
from berth_test.kube import SETTINGS, TEMPLATE, check_conditions, condition_of
from berth_test.wait import holds_for, wait_for

DRIFT_INTERVAL_S = 10
SLACK_S = 4  # jitter of the interval and the work itself
UPDATE = "UpdateRepositoryCreationTemplate"
CREATE = "CreateRepositoryCreationTemplate"


def writes(emulator) -> list[str]:
    return [r.operation for r in emulator.operator_writes()]


@pytest.fixture(autouse=True)
def ready_registry(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")


def read_now(kube) -> None:
    kube.annotate(SETTINGS, "default", reconcile_requested_at=str(time.monotonic_ns()))


def handled(kube, kind: str, name: str) -> str | None:
    return kube.get(kind, name)["status"].get("lastHandledReconcileAt")


def is_mended(emulator, spec: dict) -> bool:
    objects.assert_equal_in_aws(spec, emulator.template(spec["prefix"]))
    return True


def test_drift_is_mended_within_the_interval(kube, emulator):
    """Also right after the operator's own write: the change shows a later updatedAt."""
    template = objects.everything("drifts")
    kube.create(template)
    kube.wait_ready(TEMPLATE, "drifts")
    emulator.mark()
    emulator.ecr.update_repository_creation_template(
        prefix="drifts",
        description="changed",
        imageTagMutability="MUTABLE",
        resourceTags=[{"Key": "team", "Value": "z"}],
        lifecyclePolicy=json.dumps(objects.lifecycle(days=1)),
    )
    wait_for(
        lambda: is_mended(emulator, template["spec"]),
        DRIFT_INTERVAL_S + SLACK_S,
        "the template is mended",
    )
    kube.wait_ready(TEMPLATE, "drifts")
    assert writes(emulator) == [UPDATE]
    wait_for(
        lambda: "DriftCorrected" in [e["reason"] for e in kube.events_of(TEMPLATE, "drifts")],
        5,
        lambda: f"an event DriftCorrected; there are {kube.events_of(TEMPLATE, 'drifts')}",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"description": "changed"},
        {"description": ""},
        {"imageTagMutability": "MUTABLE"},
        {"encryptionConfiguration": {"encryptionType": "AES256"}},
        {"resourceTags": []},
        {"repositoryPolicy": ""},
        {"lifecyclePolicy": ""},
        {"customRoleArn": ""},
        {"appliedFor": ["REPLICATION"]},
    ],
    ids=lambda c: next(iter(c)) + ("" if next(iter(c.values())) else "-cleared"),
)
def test_every_field_is_watched(kube, emulator, change):
    template = objects.everything("watched")
    kube.create(template)
    kube.wait_ready(TEMPLATE, "watched")
    emulator.ecr.update_repository_creation_template(prefix="watched", **change)
    read_now(kube)
    wait_for(lambda: is_mended(emulator, template["spec"]), 5, "the template is mended")


def test_a_deleted_template_is_made_again(kube, emulator):
    template = objects.everything("removed")
    kube.create(template)
    kube.wait_ready(TEMPLATE, "removed")
    emulator.mark()
    emulator.ecr.delete_repository_creation_template(prefix="removed")
    wait_for(
        lambda: emulator.template("removed") and is_mended(emulator, template["spec"]),
        # a read that lacks it may be an old one: it counts 30 s after the operator's own write
        30 + DRIFT_INTERVAL_S + SLACK_S,
        "the template is there again",
    )
    assert writes(emulator) == [CREATE]
    obj = kube.wait_ready(TEMPLATE, "removed")
    assert obj["status"]["ownership"]["origin"] == "Created"


def test_reconcile_requested_at_on_a_template(kube, emulator):
    template = objects.template("asked", description="ours")
    kube.create(template)
    kube.wait_ready(TEMPLATE, "asked")
    emulator.ecr.update_repository_creation_template(prefix="asked", description="theirs")
    kube.annotate(TEMPLATE, "asked", reconcile_requested_at="now")
    wait_for(lambda: is_mended(emulator, template["spec"]), 5, "the template is mended")
    wait_for(
        lambda: handled(kube, TEMPLATE, "asked") == "now",
        5,
        "the request is noted in status",
    )


def test_reconcile_requested_at_on_the_registry(kube, emulator):
    kube.annotate(SETTINGS, "default", reconcile_requested_at="now")
    wait_for(
        lambda: handled(kube, SETTINGS, "default") == "now",
        5,
        "the request is noted in status",
    )


def test_read_only_shows_drift_and_mends_when_lifted(kube, emulator):
    kube.create(objects.template("looked-at", description="ours"))
    kube.wait_ready(TEMPLATE, "looked-at")
    kube.annotate(TEMPLATE, "looked-at", read_only="true")
    emulator.mark()
    emulator.ecr.update_repository_creation_template(prefix="looked-at", description="theirs")
    kube.annotate(TEMPLATE, "looked-at", reconcile_requested_at="now")
    obj = kube.wait_condition(TEMPLATE, "looked-at", "Ready", "False", "DriftDetected")
    check_conditions(obj)
    assert not condition_of(obj, "Stalled")
    (drift,) = obj["status"]["drift"]
    assert (drift["desired"], drift["observed"]) == ("ours", "theirs")
    assert writes(emulator) == []

    kube.annotate(TEMPLATE, "looked-at", read_only=None)
    obj = kube.wait_ready(TEMPLATE, "looked-at")
    assert emulator.template("looked-at")["description"] == "ours"
    assert not obj["status"].get("drift")


def test_read_only_deletion_releases(kube, emulator):
    kube.create(objects.template("released"))
    kube.wait_ready(TEMPLATE, "released")
    kube.annotate(TEMPLATE, "released", read_only="true")
    emulator.mark()
    kube.delete(TEMPLATE, "released")
    kube.wait_gone(TEMPLATE, "released")
    assert "released" in emulator.templates()
    assert writes(emulator) == []


def test_read_only_registry_creates_nothing(kube, emulator):
    kube.annotate(SETTINGS, "default", read_only="true", reconcile_requested_at="now")
    # two kinds come by two watches: the template must not be seen before the annotation is
    wait_for(lambda: handled(kube, SETTINGS, "default") == "now", 5, "the annotation is seen")
    kube.create(objects.template("wished"))
    obj = kube.wait_condition(TEMPLATE, "wished", "Ready", "False", "DriftDetected")
    check_conditions(obj)
    assert emulator.templates() == {}
    assert writes(emulator) == []
    kube.annotate(SETTINGS, "default", read_only=None)
    kube.wait_ready(TEMPLATE, "wished")


def test_paused_template(kube, emulator):
    kube.create(objects.template("paused"))
    kube.wait_ready(TEMPLATE, "paused")
    kube.annotate(TEMPLATE, "paused", paused="true")
    kube.wait_condition(TEMPLATE, "paused", "Synced", "False", "ReconcilePaused")
    emulator.mark()
    kube.merge(TEMPLATE, "paused", {"spec": {"description": "not yet"}})
    emulator.ecr.update_repository_creation_template(
        prefix="paused", imageTagMutability="IMMUTABLE"
    )
    read_now(kube)
    kube.delete(TEMPLATE, "paused")
    holds_for(
        lambda: kube.get(TEMPLATE, "paused") is not None and writes(emulator) == [],
        1.5,
        "nothing is done, deletion included",
    )
    kube.annotate(TEMPLATE, "paused", paused=None)
    kube.wait_gone(TEMPLATE, "paused")
    assert emulator.templates() == {}


def test_paused_registry(kube, emulator):
    kube.annotate(SETTINGS, "default", paused="true")
    kube.wait_condition(SETTINGS, "default", "Synced", "False", "ReconcilePaused")
    kube.create(objects.template("waits"))
    holds_for(lambda: writes(emulator) == [], 1.5, "nothing is written")
    kube.annotate(SETTINGS, "default", paused=None)
    kube.wait_ready(TEMPLATE, "waits")
    assert "waits" in emulator.templates()


def test_the_steady_cost_is_flat_in_the_number_of_templates(kube, emulator):
    for i in range(20):
        kube.create(objects.template(f"flat-{i}"))
    for i in range(20):
        kube.wait_ready(TEMPLATE, f"flat-{i}")
    emulator.mark()
    read_now(kube)
    wait_for(lambda: emulator.operator_requests(), 5, "AWS is read")
    holds_for(lambda: writes(emulator) == [], 1.5, "nothing is written")
    requests = [r.operation for r in emulator.operator_requests()]
    assert len(requests) <= 5, requests


def test_a_rival_is_told_and_not_fought(kube, emulator):
    """Mends that somebody else undoes come ever more seldom, and from the third on it is told."""
    template = objects.everything("rival")
    kube.create(template)
    kube.wait_ready(TEMPLATE, "rival")

    def undo() -> None:
        emulator.ecr.update_repository_creation_template(prefix="rival", description="mine")
        read_now(kube)

    undo()
    wait_for(lambda: is_mended(emulator, template["spec"]), 10, "the first mend comes at once")
    undo()
    wait_for(
        lambda: is_mended(emulator, template["spec"]),
        DRIFT_INTERVAL_S + SLACK_S,
        "the second one comes an interval later",
    )
    undo()
    kube.wait_condition(TEMPLATE, "rival", "Ready", "False", "Contended")
    assert "prefix rival" in kube.condition(TEMPLATE, "rival", "Ready")["message"]
    drift = kube.get(TEMPLATE, "rival")["status"]["drift"]
    assert [d["field"] for d in drift] == ["description"]
    # the third one waits two intervals: reads alone do not bring it forward
    emulator.mark()
    read_now(kube)
    holds_for(lambda: UPDATE not in writes(emulator), 2.0, "it is not mended now")
    # a person who has talked to the rival ends the waiting
    kube.annotate(TEMPLATE, "rival", reconcile_requested_at="now")
    wait_for(lambda: is_mended(emulator, template["spec"]), 10, "it is mended")
    kube.wait_ready(TEMPLATE, "rival")
