# SPDX-License-Identifier: Apache-2.0
"""An API server that does not have the history that a watch wants to go on from: the operator lists
again, misses nothing, and does nothing twice; and bookmarks, by which it seldom comes to that."""

import pytest

from berth_test import objects
from berth_test.apiserver import start_again
from berth_test.emulator import Emulator
from berth_test.kube import TEMPLATE
from berth_test.operator import Operator
from berth_test.wait import wait_for
from berth_test.wire import Asked

CREATE = "CreateRepositoryCreationTemplate"
UPDATE = "UpdateRepositoryCreationTemplate"
LEASE = ("Lease", "berth-operator", "default")
TEMPLATES = "repositorycreationtemplates"
# a reflector's delays, 0.8 s doubling to 30 s with as much of jitter, after an outage of seconds
RECOVERY_S = 15.0
WATCH_FAILS = "watching the API server fails, trying again"


def results(emulator: Emulator) -> list[tuple[str, str, int]]:
    return [(r.operation, r.body["prefix"], r.status) for r in emulator.operator_writes()]


def lists(operator: Operator) -> float:
    return operator.metrics_of("berth_informer_lists_total")


def known_templates(operator: Operator) -> float:
    return operator.metrics()[f'berth_informer_objects{{kind="{TEMPLATE}"}}']


def is_watch(asked: Asked) -> bool:
    return asked.is_watch and asked.is_of(TEMPLATES)


@pytest.fixture(autouse=True)
def no_lease(kube):
    """What an earlier operator left."""
    kube.delete(*LEASE)


def test_bookmarks_keep_a_quiet_watch_young(kube, control_plane, emulator, wire, through_wire):
    """Nothing of a kind changes while the cluster's version goes on: a watch that ends in good
    order is renewed from the last bookmark, without a list and without an error."""
    wire.watch_s = 4  # the API server sends a bookmark two seconds before it ends a watch
    operator = through_wire()
    kube.create(objects.settings(emulator))
    kube.create(objects.template("quiet"))
    kube.wait_ready(TEMPLATE, "quiet")
    listed, before = lists(operator), len(wire.asked(is_watch))

    def versions() -> list[int]:
        paths = [a.path for a in wire.asked(is_watch)[before:]]
        return [int(p.partition("&resourceVersion=")[2].partition("&")[0]) for p in paths]

    # a consistent list makes the server's cache ask etcd how far it is
    wait_for(
        lambda: kube.items(TEMPLATE) and len(versions()) >= 3, 20, "the watch is renewed thrice"
    )
    last = int(kube.get(TEMPLATE, "quiet")["metadata"]["resourceVersion"])
    assert last < versions()[-2] < versions()[-1], "the Lease moves the version on"
    assert lists(operator) == listed
    assert operator.find_log(WATCH_FAILS) == []


@pytest.mark.parametrize("options", [(), ("--watch-cache=false",)], ids=["cache", "etcd"])
def test_what_happened_in_a_gap_that_etcd_forgot(
    kube, control_plane, emulator, wire, through_wire, options
):
    """Cut off from the API server; meanwhile objects change, go, come and are replaced, and their
    history is compacted away. The watch is told 410, and the list says it all."""
    operator = through_wire()
    kube.create(objects.settings(emulator))
    names = ("edited", "vanishes", "replaced", "same")
    for name in names:
        kube.create(objects.template(name, description="before"))
    for name in names:
        kube.wait_ready(TEMPLATE, name)
    kube.create(objects.template("waits", prefix="vanishes"))
    kube.wait_condition(TEMPLATE, "waits", "Ready", "False", "Conflict")
    before, listed = len(wire.asked(is_watch)), lists(operator)
    emulator.mark()
    with wire.away():
        kube.merge(TEMPLATE, "edited", {"spec": {"description": "after"}})
        for name in ("vanishes", "replaced"):  # by somebody who has no patience
            kube.delete(TEMPLATE, name)
            kube.merge(TEMPLATE, name, {"metadata": {"finalizers": None}})
            kube.wait_gone(TEMPLATE, name)
        kube.create(objects.template("replaced", description="another"))
        kube.create(objects.template("new"))
        control_plane.kill_apiserver()
        control_plane.compact()
        start_again(control_plane, *options)
    kube.wait_ready(TEMPLATE, "edited", RECOVERY_S)
    kube.wait_ready(TEMPLATE, "new", RECOVERY_S)
    # the prefix of the one that vanished is free: its template is found, and differs
    for name in ("waits", "replaced"):
        kube.wait_condition(TEMPLATE, name, "Ready", "False", "AlreadyExists", RECOVERY_S)
    assert sorted(results(emulator)) == [(CREATE, "new", 200), (UPDATE, "edited", 200)]
    assert known_templates(operator) == 5
    wait_for(lambda: lists(operator) >= listed + 2, RECOVERY_S, "each kind is listed once more")
    assert lists(operator) == listed + 2
    # from where it was, which is gone; and the list, which goes on as a watch
    watches = [a.path for a in wire.asked(is_watch)[before:]]
    assert 2 <= len(watches) <= 6, watches
    assert "resourceVersion=" in watches[-2] and "sendInitialEvents=true" in watches[-1]
