# SPDX-License-Identifier: Apache-2.0
"""Many templates at once: one write for each, and reads that do not grow with their number. The
thousand of `make bench` in small, so that it is always run."""

from berth_test import scale

TEMPLATES = 200


def test_counts(kube, emulator, start_operator):
    result = scale.measure(kube, emulator, start_operator, TEMPLATES, requests_per_second=1000)
    assert result.writes == TEMPLATES
    assert result.reads <= 20
    assert result.failed_requests == 0
    # for each at most: that it waits for the first read, finalizer, ownership, its completion
    # with the conditions, an event
    assert result.kube_writes <= 5 * TEMPLATES + 50
