# SPDX-License-Identifier: Apache-2.0
"""Each n-th HTTP call of a running operator fails in turn, to whomever it is made: it goes on by
itself, and ends as if nothing had been."""

import pytest

from berth_test import torture

# a life makes more than these
LEAST_CALLS = 15


@pytest.fixture
def others(emulator):
    return torture.make_others(emulator)


@pytest.fixture
def tortured(tmp_path):
    return torture.Torture(tmp_path)


@pytest.fixture
def operator(kube, emulator, start_operator, tortured):
    return torture.start(kube, emulator, start_operator, tortured)


@pytest.mark.parametrize("more", [0, 3], ids=["once", "row"])
@pytest.mark.parametrize("mode", torture.MODES)
def test_each_call(kube, emulator, operator, others, tortured, mode, more):
    """Once, and with so many after it that the attempts inside a call to AWS do not get past."""

    def life(n: int) -> None:
        torture.Life(kube, emulator, f"{mode}-{n}", others).run()

    failed = torture.each(tortured, lambda n: tortured.fail_calls(n, mode, more), life)
    assert len(failed) * torture.STEP >= LEAST_CALLS, failed
