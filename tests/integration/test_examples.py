# SPDX-License-Identifier: Apache-2.0
"""Each example, applied as a user does, and compared with what ECR then holds as the aws CLI shows
it."""

import pathlib

import pytest

from berth_test import examples, objects, paths
from berth_test.kube import SETTINGS, TEMPLATE

WANTED = {"quickstart", "environments", "production", "both-features"}
EXAMPLES = sorted(p for p in paths.EXAMPLES.glob("*") if p.is_dir())


def test_the_examples_are_there():
    assert {p.name for p in EXAMPLES} >= WANTED


@pytest.mark.parametrize("directory", EXAMPLES, ids=lambda p: p.name)
def test_example(directory, control_plane, kube, emulator, operator, tmp_path):
    documents = examples.load(directory, emulator)
    examples.write(documents, tmp_path)
    said = control_plane.kubectl("apply", "-f", str(tmp_path))
    assert "Warning" not in said
    for document in documents:
        kube.wait_ready(document["kind"], document["metadata"]["name"])

    for document in documents:
        live = kube.get(document["kind"], document["metadata"]["name"])
        assert live["spec"] == document["spec"], "something was injected into spec"
        if document["kind"] == TEMPLATE:
            compare_template(document["spec"], emulator)
        else:
            compare_settings(document["spec"], emulator)

    again = control_plane.kubectl("apply", "-f", str(tmp_path))
    assert all(line.endswith("unchanged") for line in again.splitlines()), again


def compare_template(spec: dict, emulator) -> None:
    (observed,) = emulator.aws(
        "describe-repository-creation-templates", "--prefixes", spec["prefix"].rstrip("/")
    )["repositoryCreationTemplates"]
    objects.assert_equal_in_aws(spec, observed)


def compare_settings(spec: dict, emulator) -> None:
    names = {
        "blobMounting": "BLOB_MOUNTING",
        "basicScanTypeVersion": "BASIC_SCAN_TYPE_VERSION",
        "registryPolicyScope": "REGISTRY_POLICY_SCOPE",
    }
    for field, value in spec.get("accountSettings", {}).items():
        observed = emulator.aws("get-account-setting", "--name", names[field])
        assert observed == {"name": names[field], "value": value}


def test_an_example_names_what_it_needs():
    """Each document belongs to the kinds that the examples are about, each file says why."""
    for directory in EXAMPLES:
        for path in sorted(directory.glob("*.yaml")):
            text = pathlib.Path(path).read_text()
            assert text.startswith("#"), f"{path} does not say what it shows"
            for document in examples.documents(path):
                assert document["kind"] in (SETTINGS, TEMPLATE)
