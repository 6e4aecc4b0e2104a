# SPDX-License-Identifier: Apache-2.0
"""Two clusters, each with an operator, on one registry. One registry should be written by one
cluster (docs/running.md); where two do, each keeps to what it owns, and neither deletes what the
other made. Two that want different things of one template are in test_two_clusters_contend.py."""

import pytest

from berth_test import model, objects
from berth_test.clusters import both, second_cluster
from berth_test.kube import SETTINGS, TEMPLATE, condition_of
from berth_test.replicas import emulator_for_all
from berth_test.wait import wait_for

CREATE = "CreateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"


@pytest.fixture(scope="module")
def second_plane():
    with second_cluster() as started:
        yield started


@pytest.fixture
def emulator():
    with emulator_for_all() as started:
        yield started
        model.assert_valid(started.operator_requests())


@pytest.fixture
def clusters(kube, control_plane, second_plane, emulator):
    with both(control_plane, second_plane, emulator) as started:
        yield started


def test_different_prefixes(clusters, emulator):
    """Each writes its own, and sees the other's as unmanaged."""
    ann, ben = clusters
    ann.kube.create(objects.template("of-ann"))
    ben.kube.create(objects.template("of-ben"))
    ann.kube.wait_ready(TEMPLATE, "of-ann")
    ben.kube.wait_ready(TEMPLATE, "of-ben")
    for cluster, theirs in ((ann, "of-ben"), (ben, "of-ann")):
        cluster.read_now("1")
        wait_for(
            lambda c=cluster: c.kube.get(SETTINGS, "default")["status"]["templates"]["unmanaged"],
            35,
            "the other's template is listed",
        )
        status = cluster.kube.get(SETTINGS, "default")["status"]["templates"]
        assert (status["managed"], status["unmanaged"]) == (1, [theirs])
    ann.kube.delete(TEMPLATE, "of-ann")
    ann.kube.wait_gone(TEMPLATE, "of-ann")
    ben.read_now("2")
    assert list(emulator.templates()) == ["of-ben"]
    assert ann.writes(emulator) == [(CREATE, "of-ann"), (DELETE, "of-ann")]
    assert ben.writes(emulator) == [(CREATE, "of-ben")]


def test_the_same_prefix_and_another_spec(clusters, emulator):
    """The second one is refused, says why, and its deletion touches nothing."""
    ann, ben = clusters
    ann.kube.create(objects.template("shared", description="ann's"))
    ann.kube.wait_ready(TEMPLATE, "shared")
    ben.read_now("1")
    ben.kube.create(objects.template("shared", description="ben's"))
    obj = ben.kube.wait_condition(TEMPLATE, "shared", "Ready", "False", "AlreadyExists")
    assert condition_of(obj, "Stalled")
    assert "did not create" in condition_of(obj, "Ready")["message"]
    assert "ownership" not in obj["status"]
    ben.kube.delete(TEMPLATE, "shared")
    ben.kube.wait_gone(TEMPLATE, "shared")
    assert ben.writes(emulator) == []
    assert emulator.template("shared")["description"] == "ann's"


def test_the_same_prefix_and_the_same_spec(clusters, emulator):
    """The second one adopts it: neither writes, and its deletion leaves it to the first."""
    ann, ben = clusters
    ann.kube.create(objects.template("shared"))
    ann.kube.wait_ready(TEMPLATE, "shared")
    ben.read_now("1")
    ben.kube.create(objects.template("shared"))
    obj = ben.kube.wait_ready(TEMPLATE, "shared")
    assert obj["status"]["ownership"]["origin"] == "Adopted"
    for cluster in clusters:
        cluster.read_now("2")
    ben.kube.delete(TEMPLATE, "shared")
    ben.kube.wait_gone(TEMPLATE, "shared")
    assert ann.writes(emulator) == [(CREATE, "shared")]
    assert ben.writes(emulator) == []
    assert "shared" in emulator.templates()


def test_both_create_at_the_same_time(clusters, emulator):
    """Neither has seen the other's: one Create is refused, and asks whether to adopt."""
    ann, ben = clusters
    match = {"operation": CREATE, "userAgent": "berth*", "count": 2}
    emulator.add_fault(match, delayMs=1000)
    for cluster in clusters:
        cluster.kube.create(objects.template("shared", description=cluster.name))
    wait_for(lambda: len(emulator.operator_writes()) == 2, 10, "both have tried")
    assert sorted(r.status for r in emulator.operator_writes()) == [200, 400]
    (winner,) = [r for r in emulator.operator_writes() if r.status == 200]
    first, second = (ann, ben) if winner.key_id == "key-of-ann" else (ben, ann)
    first.kube.wait_ready(TEMPLATE, "shared")
    second.kube.wait_condition(TEMPLATE, "shared", "Ready", "False", "AlreadyExists")
    second.kube.delete(TEMPLATE, "shared")
    second.kube.wait_gone(TEMPLATE, "shared")
    assert emulator.template("shared")["description"] == first.name
    assert len(emulator.operator_writes()) == 2


def test_what_the_other_made_anew_is_not_deleted(clusters, emulator):
    """Ann's template vanished, and Ben, who had adopted it, made it again: it is not the one that
    Ann made, and her object goes without it."""
    ann, ben = clusters
    ann.kube.create(objects.template("shared"))
    ann.kube.wait_ready(TEMPLATE, "shared")
    ben.read_now("1")
    ben.kube.create(objects.template("shared"))
    ben.kube.wait_ready(TEMPLATE, "shared")
    ann.kube.annotate(SETTINGS, "default", paused="true")
    ann.kube.wait_condition(SETTINGS, "default", "Synced", "False", "ReconcilePaused")
    emulator.ecr.delete_repository_creation_template(prefix="shared")
    ben.read_now("2")
    wait_for(lambda: "shared" in emulator.templates(), 10, "ben makes it again")
    ben.kube.wait_ready(TEMPLATE, "shared")
    ann.kube.delete(TEMPLATE, "shared")
    ann.kube.annotate(SETTINGS, "default", paused=None)
    ann.kube.wait_gone(TEMPLATE, "shared")
    assert "shared" in emulator.templates()
    assert ann.writes(emulator) == [(CREATE, "shared")]
    assert ben.writes(emulator) == [(CREATE, "shared")]


def test_one_that_is_read_only(clusters, emulator):
    """The documented way: it compares, says what differs, and writes nothing, whatever happens."""
    ann, ben = clusters
    ben.kube.annotate(SETTINGS, "default", read_only="true")
    ann.kube.create(objects.template("shared", description="ann's"))
    ann.kube.wait_ready(TEMPLATE, "shared")
    ben.read_now("1")
    for name, spec in (("same", "ann's"), ("differs", "ben's")):
        ben.kube.create(objects.template("shared", description=spec))
        if name == "same":
            ben.kube.wait_ready(TEMPLATE, "shared")
        else:
            ben.kube.wait_condition(TEMPLATE, "shared", "Ready", "False", "DriftDetected")
        ben.kube.delete(TEMPLATE, "shared")
        ben.kube.wait_gone(TEMPLATE, "shared")
    assert ben.writes(emulator) == []
    assert ann.writes(emulator) == [(CREATE, "shared")]
