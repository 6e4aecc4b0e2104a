# SPDX-License-Identifier: Apache-2.0
"""The admission webhook beside a control plane: the configuration that users apply, with the
operator's address on loopback in the place of the Service, and workloads that name images."""

import contextlib
import subprocess
from typing import Any

import yaml

from berth_test import paths
from berth_test.kube import ApiError, Kube
from berth_test.operator import Operator
from berth_test.wait import wait_for

CONFIGURATION = "berth"
NAMESPACE = "berth-system"  # of the operator: left out by the configuration
_PATH = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
PATH = f"{_PATH}/{CONFIGURATION}"


def config(**over: Any) -> dict:
    """Of an operator with the webhook on a port of the kernel's choice. over: keys of "webhook" and
    "admission" by these names."""
    return {
        "leaderElection": {"namespace": NAMESPACE},
        "webhook": {
            "enabled": True,
            "address": "127.0.0.1:0",
            "drainSeconds": 0,
            "certs": {"dnsNames": ["127.0.0.1"]},
            **over.pop("webhook", {}),
        },
        **over,
    }


def manifest(*flags: str) -> dict:
    """What `berth-operator webhook-manifest` prints."""
    done = subprocess.run(
        [paths.binary("berth-operator"), "webhook-manifest", *flags],
        capture_output=True,
        text=True,
        check=True,
    )
    return yaml.safe_load(done.stdout)


def install(kube: Kube, operator: Operator, *flags: str, **over: Any) -> dict:
    """Applies the configuration with the operator's address; over: members of each webhook."""
    return install_url(kube, f"https://{operator.address('webhook')}/validate", *flags, **over)


def install_url(kube: Kube, url: str, *flags: str, **over: Any) -> dict:
    wanted = manifest(*flags)
    for webhook in wanted["webhooks"]:
        webhook["clientConfig"] = {"url": url}
        webhook.update(over)
    remove(kube)
    return kube.request("POST", _PATH, wanted)


def live(kube: Kube) -> dict:
    return kube.request("GET", PATH)


def remove(kube: Kube) -> None:
    with contextlib.suppress(ApiError):
        kube.request("DELETE", PATH)


def wait_trusted(kube: Kube) -> None:
    """The API server was told whose certificates to trust."""
    wait_for(
        lambda: all(w["clientConfig"].get("caBundle") for w in live(kube)["webhooks"]),
        10,
        "caBundle is set",
    )


def pod_spec(*images: str, **spec: Any) -> dict:
    return {
        "containers": [{"name": f"c{i}", "image": image} for i, image in enumerate(images)],
        **spec,
    }


def pod(name: str, *images: str, namespace: str = "default", **spec: Any) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": pod_spec(*images, **spec),
    }
