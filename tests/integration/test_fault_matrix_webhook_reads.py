# SPDX-License-Identifier: Apache-2.0
"""Each fault of the emulator at what the webhook reads: whether an image is there, which prefixes
are pulled through, and what a crash left half made. In the end each is answered, and repositories
are whole or, where they are nobody's business, as they were."""

from collections.abc import Iterator

import pytest

from berth_test import admissions, fault_repositories
from berth_test import fault_matrix as matrix
from berth_test.admissions import Scene
from berth_test.fault_repositories import (
    ASKS_FOR_IMAGES,
    CONVERGE_S,
    ask,
    disturb,
    repository,
    scan,
    settings_of,
    wait_whole,
)
from berth_test.kube import SETTINGS
from berth_test.wait import wait_for


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with fault_repositories.scene() as started:
        yield started


@pytest.fixture(autouse=True)
def faults_end(scene):
    yield
    scene.emulator.control("DELETE", "faults")


@pytest.mark.parametrize("operation", [matrix.TAGS, matrix.GET_POLICY, matrix.GET_LIFECYCLE])
def test_completion(scene, operation):
    """What a crash left without its policies: made with our tag, and no more. A repository that
    cannot be looked at makes the others wait for 5 s, so these are faults that the attempts inside
    a call get past, and two that they do not."""
    emulator = scene.emulator
    rows = [
        row
        for row in matrix.rows(operation)
        if (row.kind.most == 4 and row.n == 1)
        or (row.kind.name, row.n) in (("unavailable", 4), ("denied", 1))
    ]
    names = [repository(row) for row in rows]
    for name in names:
        emulator.ecr.create_repository(
            repositoryName=name, imageTagMutability="IMMUTABLE",
            tags=[{"Key": admissions.TAG, "Value": "team"}],
        )  # fmt: skip
    rules = disturb(emulator, rows)
    scan(scene)

    def disturbed() -> bool:
        acted = {r["id"]: r["acted"] for r in emulator.faults()}
        if all(acted[number] for number in rules):
            return True
        scan(scene)
        return False

    wait_for(disturbed, CONVERGE_S, "each fault has acted", 0.5)
    wait_whole(scene, names)


def test_images(scene):
    """Whether an image is there cannot be said for a moment."""
    emulator = scene.emulator
    rows = matrix.rows(matrix.IMAGES)
    names = [repository(row) for row in rows]
    for name in names:
        emulator.ecr.create_repository(repositoryName=name)
    scan(scene)
    rules = disturb(emulator, rows)
    ask(scene, names, ASKS_FOR_IMAGES)
    matrix.wait_disturbed(emulator, rules)
    emulator.control("DELETE", "faults")
    for name in names:
        answer = scene.pod(scene.image(name), namespace=ASKS_FOR_IMAGES)
        assert answer.reason == "ImageMissing", name
        assert settings_of(emulator, name) == ("MUTABLE", None, None)
    made = [(r.body or {}).get("repositoryName") for r in emulator.operator_writes()]
    assert not set(names) & set(made)


def test_pull_through_rules(scene):
    """They are part of the scan: none is made where it cannot be known, each comes back."""
    emulator = scene.emulator
    for row in matrix.rows(matrix.RULES):
        if row.n == 1:
            rule = matrix.disturb(emulator, row)
            scene.kube.annotate(SETTINGS, "default", reconcile_requested_at=row.name)
            matrix.wait_disturbed(emulator, {rule: row.name})
            scan(scene)
