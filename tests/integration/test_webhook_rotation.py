# SPDX-License-Identifier: Apache-2.0
"""Requests under failurePolicy Fail while the signers of two operators are replaced and one of them
restarts: none fails. tests/soak/webhook.py has it for longer."""

import pytest

from berth_test import certs, webhook
from berth_test.certs import NOTES, Fleet, served
from berth_test.wait import wait_for


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


def seen(fleet: Fleet, what: str) -> int:
    return sum(len(o.find_log(NOTES, what=what)) for o in fleet.operators.values())


def test_no_request_fails_while_signers_change(fleet):
    """Lives are half of those of the soak: a signer of 30 s, replaced every 20 s."""
    life = certs.short("30s", "10s")
    for name in ("stays", "goes"):
        fleet.start(name, life)
    fleet.install()
    fleet.wait_ready(2)
    leaves = {served(o) for o in fleet.operators.values()}
    with fleet.load() as load:
        for _ in range(2):
            promoted = seen(fleet, "signer promoted")
            wait_for(
                lambda n=promoted: seen(fleet, "signer promoted") > n, 40, "a signer takes over"
            )
            fleet.stop("goes")
            fleet.start("goes", life)
            fleet.wait_ready(2)
            leaves |= {served(o) for o in fleet.operators.values()}
    assert load.failures == []
    assert load.count > 50
    assert len(leaves) >= 5
