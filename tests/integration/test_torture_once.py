# SPDX-License-Identifier: Apache-2.0
"""Each n-th HTTP call of an operator that runs once fails in turn, from its first list to the
release of the Lease: it ends by itself, and the next run, in which nothing fails, ends with all as
declared."""

import pytest

from berth_test import torture

# a run makes more than these
LEAST_CALLS = 20


@pytest.mark.parametrize("mode", torture.MODES)
def test_each_call(kube, emulator, start_operator, tmp_path, mode):
    once = torture.Once(kube, emulator, torture.Torture(tmp_path), start_operator)
    failed = once.each(mode, codes=(0, 1))
    assert len(failed) * torture.STEP >= LEAST_CALLS, failed
