# SPDX-License-Identifier: Apache-2.0
"""/readyz of an operator with the webhook: ready once it serves a certificate that API servers
trust and has listed both kinds, and not before; AWS being away changes nothing."""

import signal
import ssl

import pytest

from berth_test import objects, webhook
from berth_test.kube import SETTINGS
from berth_test.operator import Operator
from berth_test.reviews import Answer, Reviewer
from berth_test.wait import holds_for, wait_for

UNCERTIFIED = "not ready: the webhook has no certificate yet; the log says why\n"
UNTRUSTED = (
    "not ready: the ValidatingWebhookConfiguration does not trust the webhook's certificate yet\n"
)
UNLISTED = "not ready: RegistrySettings and RepositoryCreationTemplate have not been listed"


@pytest.fixture(autouse=True)
def namespace(kube):
    """With nothing that an earlier operator left."""
    meta = {"name": webhook.NAMESPACE}
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    webhook.remove(kube)
    kube.request("DELETE", f"/api/v1/namespaces/{webhook.NAMESPACE}/secrets")
    yield
    webhook.remove(kube)


def serving(start, **options) -> Operator:
    operator = start(config=webhook.config(), wait=False, **options)
    wait_for(lambda: operator.address("webhook"), 20, operator.log_text)
    return operator


def readiness(operator: Operator) -> tuple[int, str]:
    return operator.get("health", "/readyz")


def asked(operator: Operator) -> Answer | None:
    """None while it has no certificate: the API server is told whom to trust first."""
    try:
        return Reviewer(operator.address("webhook")).pod("x.example/a:1")
    except ssl.SSLError:
        return None


def wait_says(operator: Operator, wanted: tuple[int, str]) -> None:
    wait_for(
        lambda: readiness(operator) == wanted,
        15,
        lambda: f"/readyz says {wanted}; it says {readiness(operator)}",
    )


def test_ready_once_it_is_trusted(kube, wire, through_wire):
    """The API server does not let go of the Secret at first, then of the configuration."""
    wire.add(lambda r: r.is_of("validatingwebhookconfigurations"), after=0, end="rst")
    wire.add(lambda r: r.is_of("secrets"), after=0, end="rst")
    operator = serving(through_wire)
    webhook.install(kube, operator, "--host", "x.example")
    wait_says(operator, (503, UNCERTIFIED))
    wire.clear()
    wire.add(lambda r: r.is_of("validatingwebhookconfigurations"), after=0, end="rst")
    wait_says(operator, (503, UNTRUSTED))
    holds_for(lambda: readiness(operator) == (503, UNTRUSTED), 1, "nobody trusts it")
    wire.clear()
    wait_says(operator, (200, "ok"))
    assert all(w["clientConfig"].get("caBundle") for w in webhook.live(kube)["webhooks"])
    # it was trusted: that nobody calls any more is no reason to take no calls
    webhook.remove(kube)
    holds_for(lambda: readiness(operator) == (200, "ok"), 1, "it stays ready")


@pytest.mark.parametrize("kind", ["registrysettings", "repositorycreationtemplates"])
def test_ready_once_both_kinds_are_listed(kube, wire, through_wire, kind):
    fault = wire.add(lambda r: r.is_of(kind), after=0, end="rst")
    operator = serving(through_wire)
    webhook.install(kube, operator, "--host", "x.example")
    webhook.wait_trusted(kube)
    wait_for(lambda: fault.acted, 10, "the list is not answered")
    status, text = readiness(operator)
    assert (status, text[: len(UNLISTED)]) == (503, UNLISTED)
    # the process lives, and answers whom it knows nothing about
    assert operator.get("health", "/healthz") == (200, "ok")
    answer = wait_for(lambda: asked(operator), 10, "it has its certificate")
    assert (answer.status, answer.action) == (200, "Allow")
    wire.clear()
    wait_says(operator, (200, "ok"))


def test_aws_flips_nothing(kube, emulator, start_operator):
    """Away from the start, and away later."""
    kube.create(objects.settings(emulator, registryHosts=[emulator.registry]))
    emulator.process.signal(signal.SIGSTOP)
    operator = serving(start_operator)
    webhook.install(kube, operator, "--host", emulator.registry)
    wait_for(operator.is_ready, 10, lambda: str(readiness(operator)))
    emulator.process.signal(signal.SIGCONT)
    kube.wait_ready(SETTINGS, "default")
    emulator.process.signal(signal.SIGSTOP)
    kube.annotate(SETTINGS, "default", reconcile_requested_at="1")
    answer = Reviewer(operator.address("webhook"), 2).pod(f"{emulator.registry}/uncovered/a:1")
    assert (answer.status, answer.action) == (200, "Warn"), answer
    holds_for(operator.is_ready, 2, "it stays ready")
    emulator.process.signal(signal.SIGCONT)


def test_ready_once_the_registries_were_read(kube, emulator, start_operator):
    """Its first answers would else be that nothing is known yet."""
    kube.create(objects.settings(emulator))
    with emulator.fault({"operation": "DescribeRepositories"}, delayMs={"before": 4000}):
        operator = serving(start_operator)
        webhook.install(kube, operator, "--host", emulator.registry)
        wait_says(operator, (503, "not ready: the registries have not been read yet\n"))
    wait_says(operator, (200, "ok"))
