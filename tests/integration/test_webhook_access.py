# SPDX-License-Identifier: Apache-2.0
"""What the webhook may do: the roles of docs/running.md for it are enough and not too much, and
what is missing is said, keeps what is served as it is, and goes on by itself once it is granted.

The API server has no streaming lists here, so that "list" is asked for too."""

import contextlib

import pytest

from berth_test import access, certs, webhook
from berth_test.access import NAMESPACE, Audit
from berth_test.control_plane import ControlPlane
from berth_test.kube import Kube
from berth_test.operator import Operator
from berth_test.wait import wait_for

WEBHOOK_ROLES = access.documented("The webhook")
ROLES = access.documented() + WEBHOOK_ROLES
HINT = "grant the operator's user the webhook's roles of docs/running.md"
WATCH_FAILS = "watching the webhook's Secret or configuration fails, trying again"
KEEP_FAILS = "webhook certificates cannot be kept, trying again"
# waits are a quarter of the leaf's life
SHORT = {"certs": {"dnsNames": ["127.0.0.1"], "caLifetime": "30s", "leafLifetime": "10s"}}


def secrets(verb: str) -> access.Grant:
    return NAMESPACE, "", "secrets", verb


def configurations(verb: str) -> access.Grant:
    return "", "admissionregistration.k8s.io", "validatingwebhookconfigurations", verb


@pytest.fixture(scope="module")
def control_plane():
    with ControlPlane("RBAC", audit=True, flags=("--feature-gates=WatchList=false",)) as started:
        started.install_crds()
        access.apply(started, ROLES)
        yield started


@pytest.fixture(scope="module")
def kubeconfig(control_plane, tmp_path_factory):
    path = tmp_path_factory.mktemp("access") / "kubeconfig"
    return access.kubeconfig(control_plane, path, {"token": access.token(control_plane)})


@pytest.fixture(autouse=True)
def nothing_left(kube: Kube):
    yield
    webhook.remove(kube)
    certs.remove_secret(kube)


def install(kube: Kube) -> None:
    """Nobody is there; the operator finds it."""
    webhook.install_url(kube, "https://127.0.0.1:1/validate")


def said(operator: Operator, msg: str, *words: str, deadline_s: float = 15) -> dict:
    def find() -> dict | None:
        for line in operator.find_log(msg):
            if all(word in line["error"] for word in words):
                return line
        return None

    line = wait_for(find, deadline_s, lambda: f"{msg}: {words}\n{operator.log_text()}")
    assert line["hint"] == HINT
    return line


def used_by_webhook(audit: Audit) -> set[access.Grant]:
    return audit.used() & access.grants(WEBHOOK_ROLES)


def test_the_documented_roles_are_what_it_needs(kube, kubeconfig, control_plane):
    """A signer made, trusted, and replaced."""
    install(kube)
    audit = Audit(control_plane)
    with Operator(kubeconfig, webhook.config(webhook=SHORT)) as operator:
        wait_for(
            lambda: operator.find_log(certs.NOTES, what="signer promoted"),
            60,
            lambda: operator.log_text(),
        )
        assert certs.is_trusted(kube, operator)
    wanted = access.grants(WEBHOOK_ROLES)
    assert used_by_webhook(audit) == wanted
    assert audit.used("forbid") == set()
    assert audit.used() <= access.grants(ROLES)
    for event in audit.requests():
        ref = event.get("objectRef", {})
        if ref.get("resource") == "secrets" and event["verb"] != "create":
            assert ref["name"] == certs.SECRET
        if ref.get("resource") == "validatingwebhookconfigurations":
            assert ref["name"] == webhook.CONFIGURATION


@pytest.mark.parametrize(
    "lost",
    [secrets("list"), secrets("watch"), configurations("list"), configurations("watch")],
    ids="-".join,
)
def test_without_reading(kube, kubeconfig, control_plane, lost):
    install(kube)
    with contextlib.ExitStack() as stack:
        with access.lost(kube, ROLES, lost):
            operator = stack.enter_context(
                Operator(kubeconfig, webhook.config(), wait=False)
            )
            said(operator, WATCH_FAILS, f'cannot {lost[3]} resource "{lost[2]}"', access.USER)
            wait_for(lambda: HINT in operator.get("health", "/readyz")[1], 10, "/readyz says why")
            assert operator.get("health", "/readyz")[0] == 503
        wait_for(operator.is_ready, 40, lambda: operator.log_text())
        assert certs.is_trusted(kube, operator)


@pytest.mark.parametrize("lost", [secrets("create"), configurations("patch")], ids="-".join)
def test_without_writing(kube, kubeconfig, control_plane, lost):
    install(kube)
    with contextlib.ExitStack() as stack:
        with access.lost(kube, ROLES, lost):
            operator = stack.enter_context(
                Operator(kubeconfig, webhook.config(), wait=False)
            )
            said(operator, KEEP_FAILS, f'cannot {lost[3]} resource "{lost[2]}"')
            wait_for(lambda: HINT in operator.get("health", "/readyz")[1], 10, "/readyz says why")
        wait_for(operator.is_ready, 20, lambda: operator.log_text())
        assert len(operator.find_log(KEEP_FAILS)) == 1, "each try is a line"


def test_renewed_without_writing(kube, kubeconfig, control_plane):
    """Both writes are refused for longer than certificates live, and somebody takes caBundle away:
    what is served is renewed, and it stays ready. With the roles all is made up for."""
    life = {"dnsNames": ["127.0.0.1"], "caLifetime": "36s", "leafLifetime": "10s"}
    install(kube)
    with Operator(kubeconfig, webhook.config(webhook={"certs": life})) as operator:
        with access.lost(kube, ROLES, secrets("patch"), configurations("patch")):
            first = certs.served(operator)
            certs.set_bundles(kube, None)
            said(operator, KEEP_FAILS, 'cannot patch resource "validatingwebhookconfigurations"')
            wait_for(lambda: certs.served(operator) != first, 15, operator.log_text)
            second = certs.served(operator)
            wait_for(lambda: certs.served(operator) != second, 15, operator.log_text)
            assert certs.expires_in(operator) > 0
            assert operator.is_ready()
        wait_for(
            lambda: operator.find_log(certs.NOTES, what="signer promoted"),
            40,
            lambda: operator.log_text(),
        )
        wait_for(lambda: certs.is_trusted(kube, operator), 10, operator.log_text)
        assert operator.is_ready()
