# SPDX-License-Identifier: Apache-2.0
"""The process dies at each of its HTTP calls in turn, before it is sent or when it was done and
nobody knows: the next one ends with all as declared, having made and deleted nothing twice."""

import pytest

from berth_test import torture

# a run makes more than these
LEAST_CALLS = 20


@pytest.mark.parametrize("mode", torture.ENDS)
def test_each_call(kube, emulator, start_operator, tmp_path, mode):
    once = torture.Once(kube, emulator, torture.Torture(tmp_path), start_operator)
    failed = once.each(mode, codes=(0, torture.EXIT_DIED))
    assert len(failed) * torture.STEP >= LEAST_CALLS, failed
