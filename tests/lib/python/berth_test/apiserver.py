# SPDX-License-Identifier: Apache-2.0
"""Outages of the API server of a test's control plane."""

import contextlib
from collections.abc import Iterator

from berth_test.control_plane import ControlPlane
from berth_test.kube import SETTINGS, TEMPLATE, ApiError, Kube
from berth_test.wait import wait_for


def start_again(control_plane: ControlPlane, *options: str) -> None:
    """It says that it is ready a moment before it knows what was installed by CRDs."""
    control_plane.start_apiserver_again(*options)
    wait_for(lambda: is_served(control_plane.kube), 20, "our kinds are served")


def is_served(kube: Kube) -> bool:
    try:
        return [kube.items(kind) is not None for kind in (SETTINGS, TEMPLATE)] == [True, True]
    except ApiError:
        return False


@contextlib.contextmanager
def outage(control_plane: ControlPlane, *options: str) -> Iterator[None]:
    """The API server is killed, and is there again afterwards."""
    control_plane.kill_apiserver()
    try:
        yield
    finally:
        start_again(control_plane, *options)
