# SPDX-License-Identifier: Apache-2.0
"""The recorder that judges every test, on a real API server: it sees each version, also past
disconnections, and it complains; and what it found once."""

import datetime

import pytest

from berth_test import objects
from berth_test.kube import SETTINGS, TEMPLATE, condition_of
from berth_test.recorder import Recorder
from berth_test.timeline import STATUS_MANAGER, seconds
from berth_test.versions import Versions
from berth_test.wait import wait_for

CREATE = "CreateRepositoryCreationTemplate"
STATUS = "/apis/ecr.berth.dev/v1alpha1/repositorycreationtemplates/{}/status"


@pytest.fixture
def recorder(kube, control_plane):
    """One of the test's own, beside the one that judges the test."""
    started = Recorder(kube)
    yield started
    started.stop()


def write_status(kube, control_plane, name: str, **status) -> None:
    control_plane.excuse(TEMPLATE, name, "the test writes what the recorder must find")
    kube.request("PATCH", STATUS.format(name), {"status": status}, "application/merge-patch+json")


def condition(type_: str, status: str, reason: str) -> dict:
    return {"type": type_, "status": status, "reason": reason, "message": "made by a test",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip


def test_it_complains_of_a_status(kube, control_plane, recorder):
    kube.create(objects.template("odd"))
    ready = condition("Ready", "True", "Unheard")
    write_status(kube, control_plane, "odd", observedGeneration=1, conditions=[ready])
    with pytest.raises(AssertionError) as found:
        recorder.check()
    assert "without condition Synced" in str(found.value)
    assert "Unheard of Ready is not in docs" in str(found.value)
    recorder.check()  # what was judged is forgotten


def test_an_excuse_is_for_one_object(kube, control_plane, recorder):
    for name in ("one", "two"):
        kube.create(objects.template(name))
        write_status(kube, control_plane, name, observedGeneration=1)
    recorder.excuse(TEMPLATE, "one", "the test writes its status")
    with pytest.raises(AssertionError) as found:
        recorder.check()
    assert "two" in str(found.value) and " one" not in str(found.value)


def test_nothing_is_missed_while_connections_end(kube, recorder):
    """Each watch is cut after each write; it is resumed where it was."""
    kube.create(objects.template("cut"))
    for i in range(10):
        kube.merge(TEMPLATE, "cut", {"spec": {"description": str(i)}})
        for source in recorder._sources:
            source.cut()
    recorder.catch_up()
    (timeline,) = recorder.timelines(TEMPLATE)
    assert [v.generation for v in timeline.versions] == list(range(1, 12))
    assert recorder.gaps == 0


def test_a_list_in_place_of_a_watch_is_a_gap(kube, recorder):
    kube.create(objects.template("gap"))
    kube.create(objects.template("gone"))
    recorder.catch_up()
    (source,) = [s for s in recorder._sources if s._kind == TEMPLATE]
    source.stop_following()
    kube.merge(TEMPLATE, "gap", {"spec": {"description": "1"}})
    kube.merge(TEMPLATE, "gap", {"spec": {"description": "2"}})
    kube.delete(TEMPLATE, "gone")
    kube.create(objects.template("new"))
    source.follow_again(from_list=True)
    recorder.catch_up()
    by_name = {t.name: t for t in recorder.timelines(TEMPLATE)}
    last = [(t.versions[-1].type, t.versions[-1].is_after_gap) for t in by_name.values()]
    assert sorted(by_name) == ["gap", "gone", "new"]
    assert sorted(last) == [("ADDED", True), ("DELETED", True), ("MODIFIED", True)]
    assert recorder.gaps == 3


def test_a_status_that_is_sent_for_nothing(kube, control_plane, recorder):
    """No watch shows it: the API server stores nothing. Its count does."""
    kube.create(objects.template("sent"))
    path = f"{STATUS.format('sent')}?fieldManager={STATUS_MANAGER}&force=true"
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    good = [
        {**condition("Ready", "False", "AWSError"), "lastTransitionTime": now},
        {**condition("Synced", "False", "ReconcileError"), "lastTransitionTime": now},
    ]
    applied = {
        "apiVersion": "ecr.berth.dev/v1alpha1",
        "kind": TEMPLATE,
        "metadata": {"name": "sent"},
        "status": {"observedGeneration": 1, "conditions": good},
    }
    kube.request("PATCH", path, applied, "application/apply-patch+yaml")
    recorder.check()  # counts what changed something
    recorder.check_sent()
    kube.request("PATCH", path, applied, "application/apply-patch+yaml")
    control_plane.recorder.excuse_sent(1, "the other recorder must find it")
    recorder.check()
    with pytest.raises(AssertionError, match="2 statuses were sent, and 1 of them"):
        recorder.check_sent()


def test_transition_times_are_when_it_changed(kube, emulator, operator):
    """Not when the pass began that changed it: a call to ECR may last."""
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")
    emulator.add_fault({"operation": CREATE, "userAgent": "berth*"}, delayMs=3000)
    with Versions(kube, TEMPLATE, "slow") as versions:
        kube.create(objects.template("slow"))
        kube.wait_ready(TEMPLATE, "slow")
        wait_for(lambda: len(versions.of_condition()) == 2, 5, "both are seen")
        times = [
            seconds(condition_of(v, "Ready")["lastTransitionTime"])
            for v in versions.all()
            if condition_of(v, "Ready")
        ]
    assert times[-1] - times[0] >= 2
