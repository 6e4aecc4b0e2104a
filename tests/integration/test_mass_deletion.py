# SPDX-License-Identifier: Apache-2.0
"""A thousand objects deleted by one call, as by a person or a pipeline: AWS is empty, no finalizer
holds anything, and it costs what it must."""

import collections
import time

import pytest

from berth_test import objects
from berth_test.control_plane import ControlPlane
from berth_test.kube import SETTINGS
from berth_test.many import create_all, delete_collection, wait_all_ready, wait_none_left
from berth_test.wait import SLOWNESS

# a sanitizer keeps what is freed for a while
GROWN_MAX_KIB = 8 * 1024 if SLOWNESS == 1 else 256 * 1024
COUNT = 1000
DELETE = "DeleteRepositoryCreationTemplate"
DESCRIBE = "DescribeRepositoryCreationTemplates"


@pytest.fixture(scope="session")
def control_plane():
    """That deletes as fast as it can: else it is the API server's own pace that is seen."""
    with ControlPlane(flags=("--delete-collection-workers=16",)) as started:
        started.install_crds()
        yield started


def test_a_thousand_at_once(kube, emulator, operator):
    kube.create(objects.settings(emulator, driftInterval="10m"))
    create_all(kube, "many-", COUNT)
    wait_all_ready(kube, emulator, COUNT)
    rss_kib = operator.process.peak_rss_kib()
    emulator.mark()
    began, cpu_s = time.monotonic(), operator.process.cpu_seconds()
    delete_collection(kube)
    print(f"deletion was asked for in {time.monotonic() - began:.1f} s")
    wait_none_left(kube)
    seconds, cpu_s = time.monotonic() - began, operator.process.cpu_seconds() - cpu_s
    assert emulator.templates() == {}
    calls = collections.Counter(r.operation for r in emulator.operator_requests())
    deleted = collections.Counter(
        r.body["prefix"] for r in emulator.operator_writes() if r.operation == DELETE
    )
    assert calls[DELETE] == COUNT
    assert set(deleted.values()) == {1}, "each is deleted once"
    # each is looked at once more just before it is deleted; and some reads of the whole registry
    assert calls[DESCRIBE] <= COUNT + 10, calls
    assert sum(calls.values()) <= 2 * COUNT + 30, calls
    grown_kib = operator.process.peak_rss_kib() - rss_kib
    assert grown_kib < GROWN_MAX_KIB, f"{grown_kib} KiB more than with {COUNT} objects"
    kube.wait_ready(SETTINGS, "default")
    kube.delete(SETTINGS, "default")
    kube.wait_gone(SETTINGS, "default")
    passes = operator.metrics_of("controller_runtime_reconcile_total")
    print(f"{COUNT} deleted in {seconds:.1f} s with {cpu_s:.1f} s of CPU, {calls}, {passes:g} "
          f"passes in all, peak {rss_kib} KiB + {grown_kib} KiB")  # fmt: skip
