# SPDX-License-Identifier: Apache-2.0
"""A cluster with an operator that has a key of its own, for tests with several clusters on one
registry; emulator_for_all() of berth_test.replicas knows the keys."""

import contextlib
from collections.abc import Iterator

from berth_test import objects
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, path_of
from berth_test.operator import Operator
from berth_test.wait import wait_for


class Cluster:
    """An operator of its own, with a key of its own."""

    def __init__(self, name: str, plane: ControlPlane) -> None:
        self.name, self.kube = name, plane.kube
        self.operator = Operator(
            plane.kubeconfig(),
            config={"leaderElection": {"enabled": False}},
            env={
                "AWS_ACCESS_KEY_ID": f"key-of-{name}",
                "AWS_SECRET_ACCESS_KEY": f"not-a-real-secret-of-{name}",
            },
        )

    def writes(self, emulator: Emulator) -> list[tuple[str, str]]:
        return [
            (r.operation, r.body["prefix"])
            for r in emulator.operator_writes()
            if r.key_id == f"key-of-{self.name}"
        ]

    def read_now(self, mark: str) -> None:
        self.kube.annotate(SETTINGS, "default", reconcile_requested_at=mark)
        wait_for(
            lambda: self.kube.get(SETTINGS, "default")["status"].get("lastHandledReconcileAt")
            == mark,
            10,
            "AWS was read",
        )


@contextlib.contextmanager
def second_cluster() -> Iterator[ControlPlane]:
    with ControlPlane() as started:
        started.install_crds()
        yield started


@contextlib.contextmanager
def both(first: ControlPlane, second: ControlPlane, emulator: Emulator) -> Iterator[tuple]:
    """Ann on the first, Ben on the second, each with its registry ready. What is left on the second
    is removed and judged at the end, as the fixture kube does on the first."""
    started: list[Cluster] = []
    try:
        for name, plane in (("ann", first), ("ben", second)):
            started.append(Cluster(name, plane))
        for cluster in started:
            cluster.kube.create(objects.settings(emulator))
            cluster.kube.wait_ready(SETTINGS, "default")
        yield tuple(started)
    finally:
        for cluster in started:
            cluster.operator.__exit__(None)
        for kind in (TEMPLATE, SETTINGS):
            second.kube.remove_all(kind)
        second.kube.request("DELETE", path_of("Event", None, "default"))
    if second.recorder is not None:
        second.recorder.check()
