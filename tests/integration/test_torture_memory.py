# SPDX-License-Identifier: Apache-2.0
"""Each large allocation of a running operator fails in turn: it goes on by itself, and ends as if
nothing had been. Small ones end the process (base/mem.h), for which test_torture_crash is."""

import pytest

from berth_test import torture


@pytest.fixture
def others(emulator):
    return torture.make_others(emulator)


@pytest.fixture
def tortured(tmp_path):
    return torture.Torture(tmp_path)


@pytest.fixture
def operator(kube, emulator, start_operator, tortured):
    return torture.start(kube, emulator, start_operator, tortured)


def test_each_allocation(kube, emulator, operator, others, tortured):
    """Of those whose size a peer chooses: each place that asks for memory is told once that there
    is none, while it reads an object and lists that are no small allocation."""

    def life(n: int) -> None:
        torture.Life(kube, emulator, f"life-{n}", others, note="x" * 100_000).run()

    failed = torture.each_new(tortured, tortured.fail_allocation, life)
    for reader in ("kube_watch_run", "kube_change_finalizer", "pass_apply_status", "read_aws"):
        assert any(reader in place for place in failed), (reader, failed)
