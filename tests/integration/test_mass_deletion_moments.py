# SPDX-License-Identifier: Apache-2.0
"""Many objects deleted at once at an awkward moment: with their registry, while they are being
created, while AWS throttles. Nothing is left in AWS, and nothing hangs."""

import collections

from berth_test import objects
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.many import create_all, delete_collection, wait_all_ready, wait_none_left
from berth_test.wait import wait_for

CREATE = "CreateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"


def test_with_their_registry(kube, emulator, operator):
    """Deleted before them: it waits for the last one, and serves their deletions."""
    kube.create(objects.settings(emulator))
    create_all(kube, "some-", 150)
    wait_all_ready(kube, emulator, 150)
    emulator.mark()
    kube.delete(SETTINGS, "default")
    delete_collection(kube)
    wait_none_left(kube)
    kube.wait_gone(SETTINGS, "default")
    assert emulator.templates() == {}
    assert len([r for r in emulator.operator_writes() if r.operation == DELETE]) == 150


def test_while_they_are_still_being_created(kube, emulator, operator):
    """Half of them have a Create under way, or none: nothing is left, whatever the moment. Some may
    go past the finalizer that they get at that moment (docs/architecture.md): theirs goes a moment
    later, and no object is there to wait for."""
    kube.create(objects.settings(emulator, requestsPerSecond=60))
    kube.wait_ready(SETTINGS, "default")
    create_all(kube, "young-", 150)
    wait_for(lambda: len(emulator.operator_writes()) >= 20, 15, "work is under way")
    delete_collection(kube)
    kube.merge(SETTINGS, "default", {"spec": {"requestsPerSecond": 1000}})
    wait_none_left(kube)
    wait_for(lambda: emulator.templates() == {}, 10, "nothing is left in ECR")
    operator.stop()
    creates = [r.body["prefix"] for r in emulator.operator_writes() if r.operation == CREATE]
    assert len(creates) == len(set(creates)) < 150


def test_while_aws_throttles(kube, emulator, operator):
    """Slower, and not more calls than the emulator lets through; nothing is forgotten."""
    kube.create(objects.settings(emulator))
    create_all(kube, "slow-", 60)
    wait_all_ready(kube, emulator, 60)
    emulator.mark()
    match = {"operation": DELETE, "userAgent": "berth*"}
    with emulator.fault(match, throttle={"perSecond": 15, "burst": 5}):
        delete_collection(kube)
        wait_none_left(kube)
    assert emulator.templates() == {}
    statuses = collections.Counter(
        r.status for r in emulator.operator_writes() if r.operation == DELETE
    )
    assert statuses[200] == 60
    assert 1 <= statuses[400] <= 60, statuses
