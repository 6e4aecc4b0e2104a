# SPDX-License-Identifier: Apache-2.0
"""The part of the demo that is about workloads: what the admission webhook says and makes."""

import json
from typing import Any

from berth_test import paths, webhook
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import TEMPLATE
from berth_test.operator import Operator
from berth_test.wait import wait_for

CRDS = paths.SOURCE / "scripts" / "demo-crds.yaml"

# what TAP names the images of a Workload, as its build service is configured
KINDS = [
    {
        "group": "carto.run",
        "kind": "Workload",
        "purpose": "Push",
        "images": ["{registry}/team-a/{.metadata.name}-{.metadata.namespace}"],
    }
]


def config() -> dict:
    return {
        "webhook": {
            "enabled": True,
            "address": "127.0.0.1:0",
            "drainSeconds": 0,
            "certs": {"dnsNames": ["127.0.0.1"]},
        },
        "admission": {"kinds": KINDS},
    }


def install(cluster: ControlPlane, emulator: Emulator, operator: Operator) -> None:
    """The kinds of others, and the configuration that `berth-operator webhook-manifest` prints,
    with an address on loopback in the place of the Service."""
    cluster.kubectl("apply", "-f", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    webhook.install(
        cluster.kube,
        operator,
        "--host",
        emulator.registry,
        "--config",
        str(operator.config_file),
    )
    webhook.wait_trusted(cluster.kube)


def deployment(name: str, image: str) -> dict:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": webhook.pod_spec(image)},
        },
    }


def custom(api_version: str, kind: str, name: str, spec: dict) -> dict:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def show(
    cluster: ControlPlane, emulator: Emulator, step: Any, paint: Any
) -> list[str]:
    """Applies workloads as people do; the repositories that this made."""
    host = emulator.registry
    before = set(emulator.repositories())

    def apply(what: str, obj: dict, *flags: str) -> None:
        with step(what) as note:
            said = cluster.kubectl("apply", *flags, "-f", "-", stdin=json.dumps(obj), check=False)
            made = set(emulator.repositories()) - before
            note.append(f"{len(made)} made so far" if made else "none made")
        for line in said.splitlines():
            print("    " + (paint("33", line) if line.startswith("Warning") else line), flush=True)
        if "created" not in said:
            raise AssertionError(f"not admitted: {said}")

    with step("kubectl delete ecrt root") as note:
        cluster.kubectl("delete", TEMPLATE, "root")
        wait_for(lambda: "ROOT" not in emulator.templates(), 20, "ECR has no template ROOT")
        note.append("from now on only team-a is covered")
    apply("a Deployment, uncovered", deployment("stray", f"{host}/tools/stray:1"))
    apply(
        "a Deployment, --dry-run=server",
        deployment("web", f"{host}/team-a/web:1"),
        "--dry-run=server",
    )
    if set(emulator.repositories()) != before:
        raise AssertionError("a dry run made a repository")
    apply("the same Deployment", deployment("web", f"{host}/team-a/web:1"))
    apply(
        "a kpack Image",
        custom(
            "kpack.io/v1alpha2",
            "Image",
            "built",
            {"tag": f"{host}/team-a/built", "additionalTags": [f"{host}/team-a/built-mirror:1"]},
        ),
    )
    apply("a TAP Workload", custom("carto.run/v1alpha1", "Workload", "cart", {"source": {}}))
    made = sorted(set(emulator.repositories()) - before)
    wanted = ["team-a/built", "team-a/built-mirror", "team-a/cart-default", "team-a/web"]
    if made != wanted:
        raise AssertionError(f"made {made}, not {wanted}")
    return made
