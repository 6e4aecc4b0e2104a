# SPDX-License-Identifier: Apache-2.0
"""Requests under failurePolicy Fail while the certificate mode of two operators is changed: none
fails."""

import pytest

from berth_test import certs, webhook
from berth_test.access import MountedAccount
from berth_test.certs import Authority, Fleet


@pytest.fixture(autouse=True)
def clean(kube):
    certs.add_namespace(kube)
    yield
    webhook.remove(kube)
    certs.remove_secret(kube)


@pytest.fixture
def fleet(kube, control_plane, emulator):
    with Fleet(control_plane, emulator) as started:
        yield started


def test_no_request_fails_while_the_mode_changes(fleet, tmp_path):
    """self-managed to provided and back, one operator after the other, as a Deployment does it."""
    mount = MountedAccount(tmp_path / "certs")
    mount.write(**Authority(tmp_path, "theirs").pair())
    life = ("90s", "32s")  # API servers are given 8 s
    self_managed = certs.short(*life)
    provided = certs.short(*life, mode="provided", directory=str(mount.directory))
    for name in ("a", "b"):
        fleet.start(name, self_managed)
    fleet.install()
    fleet.wait_ready(2)
    with fleet.load() as load:
        for now in (provided, self_managed):
            for name in ("a", "b"):
                fleet.replace(name, now)
    assert load.failures == []
    assert load.count > 50
