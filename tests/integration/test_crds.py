# SPDX-License-Identifier: Apache-2.0
"""The CRDs on a real API server: what must be refused is refused there, with a message that names
the field, and what is right is taken without a warning.

tests/invalid/*.yaml begin with "# refused: <part of the message>"; of several documents all but the
last are taken (rules about changes need something to change). tests/valid/*.yaml and the examples
are taken whole.
"""

import json
import pathlib

import pytest
import yaml

from berth_test import paths
from berth_test.kube import SETTINGS, TEMPLATE, ApiError

INVALID = sorted((paths.SOURCE / "tests" / "invalid").glob("*.yaml"))
VALID = sorted((paths.SOURCE / "tests" / "valid").glob("*.yaml"))
VALID += sorted(paths.EXAMPLES.glob("*/*.yaml"))
CRD_BYTES_MAX = 100_000


def documents(path: pathlib.Path) -> list[dict]:
    return [d for d in yaml.safe_load_all(path.read_text()) if d]


def put(kube, document: dict) -> dict:
    """Create or replace: server-side apply answers 500 to wrong types, before validation."""
    there = kube.get(document["kind"], document["metadata"]["name"])
    if there is None:
        return kube.create(document)
    version = there["metadata"]["resourceVersion"]
    metadata = {**document["metadata"], "resourceVersion": version}
    return kube.replace({**document, "metadata": metadata})


def by_name(paths_: list[pathlib.Path]):
    return pytest.mark.parametrize("path", paths_, ids=lambda p: f"{p.parent.name}-{p.stem}")


def test_there_are_cases():
    assert len(INVALID) > 50 and len(VALID) > 10


@by_name(INVALID)
def test_refused(kube, path):
    first = path.read_text().splitlines()[0]
    assert first.startswith("# refused: ")
    *before, wrong = documents(path)
    for document in before:
        put(kube, document)
    with pytest.raises(ApiError) as refused:
        put(kube, wrong)
    assert refused.value.status == 422, refused.value
    assert first.removeprefix("# refused: ") in refused.value.message


@by_name(VALID)
def test_taken_without_a_warning(kube, control_plane, path):
    out = control_plane.kubectl(
        "apply", "--server-side", "--warnings-as-errors", "-f", str(path), check=False
    )
    assert "Warning" not in out and "rror" not in out, out
    for document in documents(path):
        assert kube.get(document["kind"], document["metadata"]["name"]) is not None


@by_name(VALID)
def test_stored_as_written(kube, path):
    """No default is added below spec: GitOps tools would see a difference for ever."""
    for document in documents(path):
        stored = kube.apply(document)
        assert stored["spec"] == document["spec"]
        assert stored["status"] == {"observedGeneration": -1}


def test_crds_warn_about_nothing_and_are_small(control_plane):
    for document in yaml.safe_load_all(paths.CRDS.read_text()):
        assert len(json.dumps(document)) < CRD_BYTES_MAX
    out = control_plane.kubectl(
        "apply", "--server-side", "--warnings-as-errors", "--dry-run=server", "--force-conflicts",
        "-f", str(paths.CRDS), check=False,
    )  # fmt: skip
    assert "Warning" not in out and "rror" not in out, out


def test_conditions_of_the_crds(kube):
    for plural in ("registrysettings", "repositorycreationtemplates"):
        crd = kube.get("CustomResourceDefinition", f"{plural}.ecr.berth.dev")
        status = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
        assert status["NamesAccepted"] == "True"
        assert status["Established"] == "True"
        assert "NonStructuralSchema" not in status


def test_unknown_fields_are_refused_by_kubectl(control_plane):
    template = {
        "apiVersion": "ecr.berth.dev/v1alpha1",
        "kind": TEMPLATE,
        "metadata": {"name": "typo"},
        "spec": {"prefix": "typo", "appliedFor": ["CREATE_ON_PUSH"], "lifecylePolicy": "{}"},
    }
    out = control_plane.kubectl("create", "-f", "-", stdin=json.dumps(template), check=False)
    assert "lifecylePolicy" in out and "created" not in out


@pytest.fixture
def written_by_the_test(control_plane) -> None:
    for kind, name in ((TEMPLATE, "team-a"), (SETTINGS, "default")):
        control_plane.excuse(kind, name, "there is no operator; the schema is tested")


def settings_and_template(kube) -> None:
    kube.apply(
        {
            "apiVersion": "ecr.berth.dev/v1alpha1",
            "kind": SETTINGS,
            "metadata": {"name": "default"},
            "spec": {"region": "eu-west-1"},
        }
    )
    kube.apply(
        {
            "apiVersion": "ecr.berth.dev/v1alpha1",
            "kind": TEMPLATE,
            "metadata": {"name": "team-a"},
            "spec": {
                "prefix": "team-a/x",
                "appliedFor": ["CREATE_ON_PUSH", "REPLICATION"],
                "imageTagMutability": "IMMUTABLE",
            },
        }
    )


def put_status(kube, kind: str, name: str, status: dict) -> dict:
    obj = kube.get(kind, name)
    obj["status"] = status
    plural = {SETTINGS: "registrysettings", TEMPLATE: "repositorycreationtemplates"}[kind]
    return kube.request("PUT", f"/apis/ecr.berth.dev/v1alpha1/{plural}/{name}/status", obj)


def condition(type_: str, status: str, reason: str, message: str = "") -> dict:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }


def test_columns(kube, control_plane, written_by_the_test):
    settings_and_template(kube)
    conditions = [
        condition("Ready", "False", "DriftDetected", "differs in description"),
        condition("Synced", "True", "ReconcileSuccess"),
    ]
    put_status(kube, TEMPLATE, "team-a", {"observedGeneration": 1, "conditions": conditions})
    put_status(
        kube,
        SETTINGS,
        "default",
        {
            "observedGeneration": 1,
            "conditions": [condition("Ready", "True", "Available")],
            "registryID": "123456789012",
            "accountSettings": {"blobMounting": "ENABLED"},
        },
    )
    header, row = control_plane.kubectl("get", "ecrt").splitlines()
    assert header.split() == "NAME PREFIX APPLIED-FOR MUTABILITY READY REASON AGE".split()
    assert row.split()[:2] == ["team-a", "team-a/x"]
    assert '["CREATE_ON_PUSH","REPLICATION"]' in row
    assert row.split()[3:6] == ["IMMUTABLE", "False", "DriftDetected"]
    wide = control_plane.kubectl("get", "ecrt", "-o", "wide")
    for word in ("SYNCED", "REGISTRY", "MESSAGE", "differs in description"):
        assert word in wide
    header, row = control_plane.kubectl("get", "ecrset").splitlines()
    assert header.split() == "NAME REGION ACCOUNT BLOB-MOUNTING READY REASON AGE".split()
    assert row.split()[:6] == "default eu-west-1 123456789012 ENABLED True Available".split()
    assert len(control_plane.kubectl("get", "ecr", "-o", "name").splitlines()) == 2


def test_field_selector(kube, control_plane):
    settings_and_template(kube)
    found = control_plane.kubectl("get", "ecrt", "-o", "name", "--field-selector=spec.prefix=nope")
    assert found == ""
    found = control_plane.kubectl(
        "get", "ecrt", "-o", "name", "--field-selector=spec.prefix=team-a/x"
    )
    assert found.strip().endswith("/team-a")


def test_status_is_a_subresource_with_a_schema(kube, written_by_the_test):
    settings_and_template(kube)
    spec_before = kube.get(TEMPLATE, "team-a")["spec"]
    whole = {
        "observedGeneration": 1,
        "conditions": [condition("Ready", "True", "Available")],
        "lastHandledReconcileAt": "now",
        "registryID": "123456789012",
        "ownership": {
            "origin": "Created",
            "since": "2026-01-02T03:04:05Z",
            "createdAt": "2026-01-02T03:04:05.678000Z",
        },
        "updatedAt": "2026-01-02T03:04:05Z",
        "drift": [{"field": "description", "observed": "x"}],
        "repositories": 3,
    }
    stored = put_status(kube, TEMPLATE, "team-a", whole)
    assert stored["status"] == whole
    assert stored["spec"] == spec_before
    for wrong in (
        {"registryID": "12"},
        {"ownership": {"origin": "Found", "since": "2026-01-02T03:04:05Z"}},
        {"conditions": [condition("Ready", "Maybe", "Available")]},
        {"conditions": [condition("Ready", "True", "two words")]},
        {"drift": [{"desired": "x"}]},
    ):
        with pytest.raises(ApiError) as refused:
            put_status(kube, TEMPLATE, "team-a", {"observedGeneration": 1, **wrong})
        assert f"status.{next(iter(wrong))}" in refused.value.message


def test_explain_describes_fields(control_plane):
    out = control_plane.kubectl("explain", "ecrt.spec.prefix")
    assert "longest prefix wins" in " ".join(out.split())
