# SPDX-License-Identifier: Apache-2.0
"""The aws CLI against the emulator: a client that is not ours, with a copy of the model of its own,
as a user would type it."""

import json

import pytest

from berth_test.emulator import ACCOUNT
from berth_test.registry import Registry

LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "description": "keep ten",
                "selection": {
                    "tagStatus": "any",
                    "countType": "imageCountMoreThan",
                    "countNumber": 10,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)


def test_templates(emulator):
    created = emulator.aws(
        "create-repository-creation-template",
        "--prefix", "team",
        "--applied-for", "CREATE_ON_PUSH", "REPLICATION",
        "--image-tag-mutability", "IMMUTABLE_WITH_EXCLUSION",
        "--image-tag-mutability-exclusion-filters", "filterType=WILDCARD,filter=latest",
        "--resource-tags", "Key=team,Value=a",
        "--lifecycle-policy", LIFECYCLE,
        "--custom-role-arn", f"arn:aws:iam::{ACCOUNT}:role/r",
    )  # fmt: skip
    template = created["repositoryCreationTemplate"]
    assert template["appliedFor"] == ["CREATE_ON_PUSH", "REPLICATION"]
    assert template["lifecyclePolicy"] == LIFECYCLE
    updated = emulator.aws(
        "update-repository-creation-template", "--prefix", "team", "--lifecycle-policy", ""
    )
    assert "lifecyclePolicy" not in updated["repositoryCreationTemplate"]
    described = emulator.aws("describe-repository-creation-templates", "--prefixes", "team")
    assert described["repositoryCreationTemplates"] == [updated["repositoryCreationTemplate"]]
    emulator.aws("delete-repository-creation-template", "--prefix", "team")
    listed = emulator.aws("describe-repository-creation-templates")
    assert listed["repositoryCreationTemplates"] == []
    with pytest.raises(AssertionError, match="TemplateNotFoundException"):
        emulator.aws("delete-repository-creation-template", "--prefix", "team")


def test_repository(emulator):
    repository = emulator.aws(
        "create-repository", "--repository-name", "team/app", "--tags", "Key=a,Value=b"
    )["repository"]
    name = ("--repository-name", "team/app")
    arn = ("--resource-arn", repository["repositoryArn"])
    assert emulator.aws("list-tags-for-resource", *arn)["tags"] == [{"Key": "a", "Value": "b"}]
    emulator.aws("tag-resource", *arn, "--tags", "Key=c,Value=d")
    emulator.aws("untag-resource", *arn, "--tag-keys", "a")
    assert emulator.aws("list-tags-for-resource", *arn)["tags"] == [{"Key": "c", "Value": "d"}]
    emulator.aws("put-lifecycle-policy", *name, "--lifecycle-policy-text", LIFECYCLE)
    answer = emulator.aws("get-lifecycle-policy", *name)
    assert answer["lifecyclePolicyText"] == LIFECYCLE
    emulator.aws("put-image-tag-mutability", *name, "--image-tag-mutability", "IMMUTABLE")
    (described,) = emulator.aws("describe-repositories")["repositories"]
    assert described["imageTagMutability"] == "IMMUTABLE"
    emulator.aws("delete-repository", *name)
    assert emulator.aws("describe-repositories")["repositories"] == []


def test_images(emulator):
    emulator.aws("create-repository", "--repository-name", "team/app")
    name = ("--repository-name", "team/app")
    digest = Registry(emulator).push("team/app", "v1", b"layer")
    assert emulator.aws("list-images", *name)["imageIds"] == [
        {"imageDigest": digest, "imageTag": "v1"}
    ]
    (detail,) = emulator.aws("describe-images", *name, "--image-ids", "imageTag=v1")["imageDetails"]
    assert detail["imageDigest"] == digest
    (image,) = emulator.aws("batch-get-image", *name, "--image-ids", "imageTag=v1")["images"]
    manifest = ("--image-manifest", image["imageManifest"])
    emulator.aws("put-image", *name, "--image-tag", "v2", *manifest)
    emulator.aws("batch-delete-image", *name, "--image-ids", f"imageDigest={digest}")
    assert emulator.aws("list-images", *name)["imageIds"] == []


def test_pages(emulator):
    for i in range(5):
        emulator.ecr.create_repository(repositoryName=f"team/app-{i}")
    found = emulator.aws("describe-repositories", "--page-size", "2")["repositories"]
    assert [r["repositoryName"] for r in found] == [f"team/app-{i}" for i in range(5)]


def test_registry(emulator):
    assert emulator.aws("describe-registry")["registryId"] == ACCOUNT
    emulator.aws("put-account-setting", "--name", "BLOB_MOUNTING", "--value", "ENABLED")
    answer = emulator.aws("get-account-setting", "--name", "BLOB_MOUNTING")
    assert answer == {"name": "BLOB_MOUNTING", "value": "ENABLED"}
