# SPDX-License-Identifier: Apache-2.0
"""Our field tables against AWS's own model of ECR (botocore): each key, enum, pattern and bound.

The tables decide what users may write and what is sent, so they must not be their own judge. Where
a row is stricter than the model, the reason stands in DEVIATIONS: a row that is stricter without
one, or a deviation that is none any more, fails.
"""

import json
import re
import subprocess

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape

from berth_test import paths

# (aws path, what): (our value, why)
DEVIATIONS = {
    ("customRoleArn", "min"): (1, "absent is how a role is left out; the model states no least"),
    ("customRoleArn", "pattern"): (
        r"^arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/([!-~]+/)?[a-zA-Z0-9_+=,.@-]{1,64}$",
        "the model has none; IAM's grammar of role ARNs",
    ),
    ("encryptionConfiguration.kmsKey", "min"): (1, "absent is how a key is left out"),
    ("encryptionConfiguration.kmsKey", "pattern"): (
        r"^arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+$",
        "the model's, anchored at both ends and without the empty text",
    ),
    ("appliedFor", "minItems"): (1, "a template for nothing"),
    ("appliedFor", "maxItems"): (3, "a set of three words"),
    ("resourceTags[].Key", "min"): (1, "tagging rules of AWS"),
    ("resourceTags[].Key", "max"): (128, "InvalidTagParameterException's text; TagKey's own"),
    ("resourceTags[].Value", "max"): (256, "InvalidTagParameterException's text; TagValue's own"),
    ("resourceTags", "maxItems"): (50, "TooManyTagsException: 50 tags per repository"),
}


@pytest.fixture(scope="module")
def tables() -> dict[str, list[dict]]:
    out = subprocess.run(
        [paths.binary("berth-crdgen"), "tables"], check=True, capture_output=True, text=True
    )
    return json.loads(out.stdout)


@pytest.fixture(scope="module")
def ecr():
    return botocore.session.get_session().get_service_model("ecr")


def flatten(shape: Shape, prefix: str = "") -> dict[str, tuple[Shape, bool]]:
    """aws path -> (shape, is required), as our tables spell paths."""
    found = {}
    assert isinstance(shape, StructureShape)
    for name, member in shape.members.items():
        path = f"{prefix}{name}"
        required = name in shape.required_members
        if isinstance(member, ListShape) and isinstance(member.member, StructureShape):
            found[path + "[]"] = (member, required)
            found.update(flatten(member.member, path + "[]."))
        else:
            found[path] = (member, required)
            if isinstance(member, StructureShape):
                found.update(flatten(member, path + "."))
    return found


def plain(pattern: str | None) -> str | None:
    """Without the backslash before slashes, which regular expressions do not need."""
    return pattern.replace("\\/", "/") if pattern else None


KINDS = {
    "string": ("string",),
    "document": ("string",),
    "object": ("structure",),
    "strings": ("list",),
    "objects": ("list",),
}


def expectations(shape: Shape) -> dict[str, object]:
    """What a row of this shape has to say."""
    text = shape.member if shape.type_name == "list" else shape
    want: dict[str, object] = {
        "values": sorted(getattr(text, "enum", None) or []) or None,
        "pattern": plain(text.metadata.get("pattern")) if text.type_name == "string" else None,
        "min": text.metadata.get("min", 0) if text.type_name == "string" else None,
        "max": text.metadata.get("max") if text.type_name == "string" else None,
    }
    if shape.type_name == "list":
        want["minItems"] = shape.metadata.get("min", 0)
        want["maxItems"] = shape.metadata.get("max")
    return want


def deviating(rows: list[dict], model: dict[str, tuple[Shape, bool]]) -> dict:
    """(aws path, what) -> our value, wherever it is not the model's."""
    found = {}
    for row in rows:
        if "aws" not in row:
            continue
        shape, _ = model[row["aws"]]
        for what, want in expectations(shape).items():
            have = row.get(what)
            if what == "values":
                have = sorted(have) if have else None
            if what == "pattern":
                have = plain(have)
            if what == "min" and have is None:
                have = 0 if want is not None else None
            # an enum bounds its own length
            if have != want and not (what in ("min", "max") and row.get("values")):
                found[(row["aws"].removesuffix("[]"), what)] = have
    return found


@pytest.mark.parametrize(
    "operation", ["CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"]
)
def test_template_is_the_request(tables, ecr, operation):
    model = flatten(ecr.operation_model(operation).input_shape)
    rows = [r for r in tables["template"] if "aws" in r]
    assert {r["aws"] for r in rows} == set(model)
    for row in rows:
        shape, required = model[row["aws"]]
        assert shape.type_name in KINDS[row["kind"]], row
        if operation.startswith("Create"):
            assert row["required"] == required, row
    assert deviating(rows, model) == {k: v[0] for k, v in DEVIATIONS.items()}


def test_template_is_the_reply(tables, ecr):
    """Every key that we read exists in the reply under the same path."""
    reply = ecr.operation_model("DescribeRepositoryCreationTemplates").output_shape
    template = reply.members["repositoryCreationTemplates"].member
    model = flatten(template)
    rows = [r["aws"] for r in tables["template"] if "aws" in r]
    assert set(rows) | {"createdAt", "updatedAt"} == set(model)
    assert model["createdAt"][0].type_name == "timestamp"


def test_our_own_fields_are_few(tables):
    """What AWS does not know, so that nothing is forgotten by an empty key."""
    ours = {r["path"] for r in tables["template"] if "aws" not in r}
    assert ours == {"registryRef", "registryRef.name", "adoptionPolicy", "deletionPolicy"}
    assert not [r for r in tables["settings"] if "aws" in r]


def test_account_settings_are_the_documented_ones(ecr, tables):
    """The model has names and values in prose only."""
    shape = ecr.operation_model("PutAccountSetting").input_shape
    names = set(re.findall(r"<code>([A-Z0-9_]+)</code>", shape.members["name"].documentation))
    assert {r["aws"] for r in tables["accountSettings"]} == names
    values = set(re.findall(r"<code>([A-Z0-9_]+)</code>", shape.members["value"].documentation))
    assert {v for r in tables["accountSettings"] for v in r["values"]} == values


def test_account_ids_are_the_models(tables, ecr):
    pattern = ecr.shape_for("RegistryId").metadata["pattern"]
    row = next(r for r in tables["settings"] if r["path"] == "accountID")
    assert row["pattern"] == f"^{pattern}$"


def test_regions_are_within_the_model_and_cover_all_partitions(tables, ecr):
    """Our pattern is stricter than [0-9a-z-]{2,25}; each region that botocore knows matches it."""
    row = next(r for r in tables["settings"] if r["path"] == "region")
    limits = ecr.shape_for("Region").metadata
    assert (row["min"], row["max"]) == (limits["min"], limits["max"])
    session = botocore.session.get_session()
    regions = [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ecr", partition)
    ]
    assert len(regions) > 30
    for region in regions:
        assert re.fullmatch(row["pattern"], region), region
        assert re.fullmatch(limits["pattern"], region), region
    partitions = session.get_component("data_loader").load_data("partitions")["partitions"]
    for partition in partitions:
        for region in partition["regions"]:
            if not region.endswith("-global"):
                assert re.fullmatch(row["pattern"], region), region


def test_patterns_agree_with_the_model_on_texts(tables, ecr):
    """The prefix pattern is one text with the model's, but for a slash: try both."""
    model = flatten(ecr.operation_model("CreateRepositoryCreationTemplate").input_shape)
    ours = next(r for r in tables["template"] if r["path"] == "prefix")["pattern"]
    theirs = model["prefix"][0].metadata["pattern"]
    for text in ("ROOT", "a", "a/", "a//", "/a", "a/b.c", "a__b", "a___b", "A", "", "a--b", "root"):
        assert bool(re.search(ours, text)) == bool(re.search(theirs, text)), text
