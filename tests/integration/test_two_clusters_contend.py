# SPDX-License-Identifier: Apache-2.0
"""Two clusters that want different things of one template: their fight is kept small, and said."""

import pytest

from berth_test import model, objects
from berth_test.clusters import both, second_cluster
from berth_test.kube import TEMPLATE, condition_of
from berth_test.replicas import emulator_for_all
from berth_test.wait import holds_for, wait_for

UPDATE = "UpdateRepositoryCreationTemplate"
DRIFT_S = 11.0  # an interval of the least, and its jitter


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


def test_two_that_undo_each_other(clusters, emulator):
    """Both told to overwrite (adoptionPolicy Always): mends come ever more seldom, both say that
    there is another, neither asks AWS more for it; and one that gives way ends it."""
    ann, ben = clusters
    ann.kube.create(objects.template("shared", description="ann", adoptionPolicy="Always"))
    ann.kube.wait_ready(TEMPLATE, "shared")
    emulator.mark()
    ben.read_now("1")
    ben.kube.create(objects.template("shared", description="ben", adoptionPolicy="Always"))

    def both_say_so() -> bool:
        return all(
            condition_of(c.kube.get(TEMPLATE, "shared"), "Ready").get("reason") == "Contended"
            for c in clusters
        )

    wait_for(both_say_so, 8 * DRIFT_S, "both say that there is another", poll_s=0.5)
    for cluster in clusters:
        obj = cluster.kube.get(TEMPLATE, "shared")
        assert "somebody else undoes" in condition_of(obj, "Ready")["message"]
        assert condition_of(obj, "Reconciling") and not condition_of(obj, "Stalled")
        writes = cluster.writes(emulator)
        assert set(writes) == {(UPDATE, "shared")}
        # at once, after one interval, and after it again: from there on it doubles
        assert 2 <= len(writes) <= 5, writes
        assert len(cluster.kube.events_of(TEMPLATE, "shared")) <= 8
    # ben's people find out, and take theirs away: what was adopted stays
    ben.kube.delete(TEMPLATE, "shared")
    ben.kube.wait_gone(TEMPLATE, "shared")
    ann.kube.annotate(TEMPLATE, "shared", reconcile_requested_at="now")
    ann.kube.wait_ready(TEMPLATE, "shared", DRIFT_S + 5)
    assert emulator.template("shared")["description"] == "ann"
    emulator.mark()
    holds_for(lambda: emulator.operator_writes() == [], 3.0, "it is quiet")
