# SPDX-License-Identifier: Apache-2.0
"""A signer that cannot be replaced when it is due: what is served is renewed and stays ready for as
long as it is valid, and the rotation is made up for."""

import time

import pytest

from berth_test import certs, webhook
from berth_test.certs import NOTES, is_trusted, served
from berth_test.wait import wait_for

KEEP_FAILS = "webhook certificates cannot be kept, trying again"


@pytest.fixture(autouse=True)
def clean(kube):
    certs.add_namespace(kube)
    yield
    webhook.remove(kube)
    certs.remove_secret(kube)


def test_the_api_server_is_away_when_the_signer_is_due(kube, through_wire, wire):
    """What is served is renewed by what is in memory; the rotation is made up for."""
    operator = through_wire(config=certs.short("30s", "10s", drain_s=0))
    webhook.install(kube, operator)
    wait_for(lambda: is_trusted(kube, operator), 10, "it is trusted")
    first = served(operator)
    wait_for(lambda: certs.expires_in(operator, "signer") < 12, 30, "it is nearly due")
    with wire.away():
        wait_for(lambda: certs.expires_in(operator, "signer") < 7, 30, "it is due")
        assert served(operator) != first
        assert is_trusted(kube, operator) and operator.is_ready()
    wait_for(lambda: operator.find_log(NOTES, what="signer promoted"), 30, operator.log_text)
    wait_for(lambda: certs.expires_in(operator, "signer") > 12, 10, operator.log_text)
    assert is_trusted(kube, operator) and operator.is_ready()


def test_a_renewal_that_fails_keeps_it_ready(kube, start_operator):
    """The signer cannot be replaced, because the Secret is immutable: ready while what is served is
    valid, not ready from then on, and ready again by itself."""
    operator = start_operator(config=certs.short("30s", "10s", drain_s=0))
    found = certs.secret(kube)
    kube.request(
        "PUT", f"/api/v1/namespaces/{webhook.NAMESPACE}/secrets/{certs.SECRET}",
        {**found, "immutable": True},
    )  # fmt: skip
    line = wait_for(lambda: operator.find_log(KEEP_FAILS), 40, operator.log_text)[0]
    assert "immutable" in line["error"]
    while (left := certs.expires_in(operator)) > 0.5:
        assert operator.is_ready(), f"{left} s before it expires"
        time.sleep(0.2)
    wait_for(lambda: not operator.is_ready(), 5, "it has expired")
    assert "certificate has expired" in operator.get("health", "/readyz")[1]
    certs.remove_secret(kube)
    wait_for(operator.is_ready, 10, operator.log_text)
