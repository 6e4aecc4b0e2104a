# SPDX-License-Identifier: Apache-2.0
"""The webhook's part of the fault matrix (fault_matrix.py): a scene in which a row is a repository
of its own, and what its repository must be when the faults have passed."""

import concurrent.futures
import contextlib
import json
import time
from collections.abc import Iterator

from berth_test import fault_matrix as matrix
from berth_test import model, objects, webhook
from berth_test.admissions import Scene, unique
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, condition_of
from berth_test.wait import wait_for

CONVERGE_S = 40
OTHERS = "team/others"  # is there before, without a policy, and is nobody's business
ASKS_FOR_IMAGES = "asks-for-images"  # a namespace; elsewhere only repositories are looked for
TEMPLATE_SPEC = {
    "imageTagMutability": "IMMUTABLE",
    "repositoryPolicy": objects.policy(),
    "lifecyclePolicy": objects.lifecycle(),
}


@contextlib.contextmanager
def scene() -> Iterator[Scene]:
    """With a template that covers all that is named. When it ends, what was there before is as it
    was, and nothing was called that ECR's model refuses or the matrix does not know."""
    with ControlPlane(audit="writes") as control_plane, Emulator() as emulator:
        control_plane.install_crds()
        control_plane.kube.create(objects.template("team", **TEMPLATE_SPEC))
        emulator.ecr.create_repository(repositoryName=OTHERS)
        started = Scene(
            control_plane, emulator,
            admission={
                "creationsPerMinute": 1000,
                "rules": [{"namespaces": [ASKS_FOR_IMAGES], "missingImage": "Warn"}],
            },
            driftInterval="10m", repositoryScanInterval="10m",
        )  # fmt: skip
        started.namespace(ASKS_FOR_IMAGES)
        control_plane.kube.wait_ready(SETTINGS, "default")
        control_plane.kube.wait_ready(TEMPLATE, "team")
        yield started
        started.stop()
        assert settings_of(emulator, OTHERS) == ("MUTABLE", None, None)
        matrix.assert_known(emulator.operator_requests())
        model.assert_valid(emulator.operator_requests())


def repository(row: matrix.Row) -> str:
    return f"team/{row.name}"


def disturb(emulator, rows: list[matrix.Row]) -> dict[int, str]:
    return {matrix.disturb(emulator, row, name=repository(row)): row.name for row in rows}


def ask(scene: Scene, repositories: list[str], namespace: str = "default") -> None:
    """A Pod for each, side by side; each is admitted."""

    def create(name: str) -> None:
        image = scene.image(name)
        scene.kube.create(webhook.pod(unique("pod"), image, namespace=namespace))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(create, repositories))


def settings_of(emulator: Emulator, name: str) -> tuple:
    """Mutability, policy, lifecycle policy."""
    ecr = emulator.ecr
    found = [emulator.repositories()[name]["imageTagMutability"]]
    for call, member, missing in (
        (ecr.get_repository_policy, "policyText", ecr.exceptions.RepositoryPolicyNotFoundException),
        (ecr.get_lifecycle_policy, "lifecyclePolicyText",
         ecr.exceptions.LifecyclePolicyNotFoundException),
    ):  # fmt: skip
        try:
            found.append(json.loads(call(repositoryName=name)[member]))
        except missing:
            found.append(None)
    return tuple(found)


def not_whole(emulator: Emulator, repositories: list[str]) -> list[tuple]:
    there = emulator.repositories()
    wanted = ("IMMUTABLE", TEMPLATE_SPEC["repositoryPolicy"], TEMPLATE_SPEC["lifecyclePolicy"])
    found = [(n, settings_of(emulator, n) if n in there else None) for n in repositories]
    return [(n, has) for n, has in found if has != wanted]


def scan(scene: Scene) -> None:
    """The repositories are listed anew, after which what is half made is completed."""
    now = str(time.monotonic_ns())
    scene.kube.annotate(SETTINGS, "default", reconcile_requested_at=now)
    wait_for(
        lambda: scene.kube.get(SETTINGS, "default")["status"].get("lastHandledReconcileAt") == now
        and condition_of(scene.kube.get(SETTINGS, "default"), "Ready")["status"] == "True",
        CONVERGE_S, "the registry is read",
    )  # fmt: skip


def wait_whole(scene: Scene, repositories: list[str]) -> None:
    """Asked again every now and then, by workloads and by scans, as a cluster does."""

    def check() -> bool:
        lacking = not_whole(scene.emulator, repositories)
        ask(scene, [n for n, has in lacking if has is None])
        if lacking:
            scan(scene)
        return not lacking

    def describe() -> str:
        return f"all are whole but {not_whole(scene.emulator, repositories)}"

    wait_for(check, CONVERGE_S, describe, 1.0)


def assert_made_once(emulator: Emulator, repositories: list[str]) -> None:
    made = [r.body["repositoryName"] for r in emulator.operator_requests()
            if r.operation == matrix.CREATE_REPOSITORY and r.status == 200]  # fmt: skip
    assert all(made.count(name) <= 1 for name in repositories), made
