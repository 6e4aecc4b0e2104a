# SPDX-License-Identifier: Apache-2.0
"""Each fault of the emulator at each operation by which the webhook makes a repository. A row of
the matrix (berth_test/fault_matrix.py) is a repository of its own, which a workload names while the
fault lasts. No workload is kept out by it; when the faults have passed and somebody asks once more,
each repository is there with all that its template says, was made once, and what was there before
is as it was."""

from collections.abc import Iterator

import pytest

from berth_test import fault_repositories
from berth_test import fault_matrix as matrix
from berth_test.admissions import Scene
from berth_test.fault_repositories import (
    OTHERS,
    ask,
    assert_made_once,
    disturb,
    repository,
    wait_whole,
)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with fault_repositories.scene() as started:
        yield started


@pytest.fixture(autouse=True)
def faults_end(scene):
    yield
    scene.emulator.control("DELETE", "faults")


@pytest.mark.parametrize(
    "operation",
    [matrix.CREATE_REPOSITORY, matrix.SET_POLICY, matrix.PUT_LIFECYCLE, matrix.REPOSITORIES],
)
def test_creation(scene, operation):
    # a policy that is refused is put after the next scan, a few at a time
    rows = [r for r in matrix.rows(operation) if r.kind.most == 4 or r.n == 1]
    names = [repository(row) for row in rows]
    rules = disturb(scene.emulator, rows)
    ask(scene, [*names, OTHERS])
    matrix.wait_disturbed(scene.emulator, rules)
    wait_whole(scene, names)
    assert_made_once(scene.emulator, names)
