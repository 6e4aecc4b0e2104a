# SPDX-License-Identifier: Apache-2.0
"""Ready of a RegistrySettings says which of its registryHosts the API server does not ask the
webhook about, because the live ValidatingWebhookConfiguration does not name them."""

import pytest

from berth_test import objects, webhook
from berth_test.kube import SETTINGS
from berth_test.wait import holds_for, wait_for

ALIAS = "registry.corp.example"
LONGER = f"{ALIAS}:5000"


@pytest.fixture(autouse=True)
def namespace(kube):
    meta = {"name": webhook.NAMESPACE}
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    webhook.remove(kube)
    yield
    webhook.remove(kube)


def message(kube) -> str:
    return kube.condition(SETTINGS, "default", "Ready").get("message", "")


def wait_says(kube, is_wanted, what: str) -> None:
    wait_for(lambda: is_wanted(message(kube)), 20, lambda: f"{what}: {message(kube)}")


def test_the_hosts_that_are_left_out_are_named(kube, emulator, start_operator):
    operator = start_operator(config=webhook.config())
    # the longer one has the other's name in it, and is another host
    webhook.install(kube, operator, "--host", emulator.registry, "--host", LONGER)
    webhook.wait_trusted(kube)
    hosts = [emulator.registry, ALIAS, LONGER]
    kube.create(objects.settings(emulator, registryHosts=hosts, driftInterval="10s"))
    wait_says(kube, lambda m: "does not name: berth-operator webhook-manifest --host" in m,
              "one is left out")  # fmt: skip
    assert f"images of {ALIAS}, which" in message(kube)
    kube.wait_ready(SETTINGS, "default", 10)  # all else is well

    webhook.install(kube, operator, *[a for h in hosts for a in ("--host", h)])
    wait_says(kube, lambda m: m and "webhook" not in m, "none is left out")

    # conditions of somebody's own are not judged, nor is it a matter of hosts where there is none
    webhook.install(kube, operator, matchConditions=[{"name": "mine", "expression": "true"}])
    holds_for(lambda: "webhook" not in message(kube), 12, "nothing is said about hosts")
