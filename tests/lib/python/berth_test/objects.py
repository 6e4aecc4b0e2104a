# SPDX-License-Identifier: Apache-2.0
"""Our objects as dicts, and documents that ECR accepts."""

import json
from typing import Any

from berth_test.emulator import Emulator
from berth_test.kube import GROUP, SETTINGS, TEMPLATE, VERSION

ROLE = "arn:aws:iam::123456789012:role/ecr-template"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def settings(emulator: Emulator, name: str = "default", **spec: Any) -> dict:
    """Reads every 10 s (the least), at a rate that does not slow tests; spec overrides, None
    removes."""
    full = {
        "region": emulator.region,
        "endpoint": emulator.endpoint,
        "driftInterval": "10s",
        "requestsPerSecond": 1000,
        **spec,
    }
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": SETTINGS,
        "metadata": {"name": name},
        "spec": {k: v for k, v in full.items() if v is not None},
    }


def template(name: str, prefix: str | None = None, **spec: Any) -> dict:
    """prefix is the name unless given."""
    full = {"prefix": prefix or name, "appliedFor": ["CREATE_ON_PUSH"], **spec}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": TEMPLATE,
        "metadata": {"name": name},
        "spec": {k: v for k, v in full.items() if v is not None},
    }


def lifecycle(days: int = 14, priority: int = 1) -> dict:
    return {
        "rules": [
            {
                "rulePriority": priority,
                "description": f"expire untagged images after {days} days",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": days,
                },
                "action": {"type": "expire"},
            }
        ]
    }


def policy(account: str = "123456789012") -> dict:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "pull",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            }
        ],
    }


def everything(name: str, prefix: str | None = None) -> dict:
    """A template with every field of spec that goes to AWS."""
    return template(
        name,
        prefix,
        appliedFor=["CREATE_ON_PUSH", "PULL_THROUGH_CACHE", "REPLICATION"],
        description="all fields",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": KEY},
        repositoryPolicy=policy(),
        lifecyclePolicy=lifecycle(),
        resourceTags=[{"key": "team", "value": "a"}, {"key": "cost", "value": ""}],
        customRoleARN=ROLE,
    )


def aws_template(spec: dict) -> dict:
    """The request that creates in AWS what the spec of a template says."""
    request = {"prefix": spec["prefix"], "appliedFor": spec["appliedFor"]}
    for ours, theirs in (
        ("description", "description"),
        ("imageTagMutability", "imageTagMutability"),
        ("imageTagMutabilityExclusionFilters", "imageTagMutabilityExclusionFilters"),
        ("encryptionConfiguration", "encryptionConfiguration"),
        ("customRoleARN", "customRoleArn"),
    ):
        if ours in spec:
            request[theirs] = spec[ours]
    for name in ("repositoryPolicy", "lifecyclePolicy"):
        if name in spec:
            document = spec[name]
            request[name] = document if isinstance(document, str) else json.dumps(document)
    if "resourceTags" in spec:
        request["resourceTags"] = [
            {"Key": t["key"], "Value": t["value"]} for t in spec["resourceTags"]
        ]
    return request


def assert_equal_in_aws(spec: dict, observed: dict) -> None:
    """What AWS holds is what the spec says, absent fields at AWS's defaults."""
    want = aws_template(spec)
    assert observed["prefix"].rstrip("/") == want["prefix"].rstrip("/")
    assert sorted(observed["appliedFor"]) == sorted(want["appliedFor"])
    for field in ("description", "customRoleArn"):
        assert (observed.get(field) or "") == want.get(field, ""), field
    assert observed.get("imageTagMutability", "MUTABLE") == want.get(
        "imageTagMutability", "MUTABLE"
    )
    filters = [f["filter"] for f in observed.get("imageTagMutabilityExclusionFilters", [])]
    wanted = [f["filter"] for f in want.get("imageTagMutabilityExclusionFilters", [])]
    assert sorted(filters) == sorted(wanted)
    encryption = {
        k: v
        for k, v in observed.get("encryptionConfiguration", {"encryptionType": "AES256"}).items()
        if v
    }
    assert encryption == want.get("encryptionConfiguration", {"encryptionType": "AES256"})
    tags = {t["Key"]: t["Value"] for t in observed.get("resourceTags", [])}
    assert tags == {t["Key"]: t["Value"] for t in want.get("resourceTags", [])}
    for document in ("repositoryPolicy", "lifecyclePolicy"):
        seen, wished = observed.get(document) or "null", want.get(document, "null")
        assert json.loads(seen) == json.loads(wished), document
