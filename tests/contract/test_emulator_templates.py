# SPDX-License-Identifier: Apache-2.0
"""Repository creation templates and account settings of the emulator, driven by botocore."""

import datetime
import json

import pytest
from botocore.exceptions import ClientError

from berth_test.emulator import ACCOUNT, Emulator

KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecr-template"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "pull",
            "Effect": "Allow",
            "Action": ["ecr:BatchGetImage"],
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        }
    ],
}
LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 14,
                },
                "action": {"type": "expire"},
            }
        ]
    },
    indent=1,
)


def create(emulator: Emulator, prefix: str = "team", **more) -> dict:
    arguments = {"prefix": prefix, "appliedFor": ["CREATE_ON_PUSH"], **more}
    return emulator.ecr.create_repository_creation_template(**arguments)[
        "repositoryCreationTemplate"
    ]


def update(emulator: Emulator, prefix: str = "team", **more) -> dict:
    return emulator.ecr.update_repository_creation_template(prefix=prefix, **more)[
        "repositoryCreationTemplate"
    ]


def code(call, *args, **kwargs) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def full() -> dict:
    return {
        "description": "of the team",
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": KEY},
        "resourceTags": [{"Key": "team", "Value": "a"}, {"Key": "empty", "Value": ""}],
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "dev-*"}],
        "repositoryPolicy": json.dumps(POLICY),
        "lifecyclePolicy": LIFECYCLE,
        "customRoleArn": ROLE,
    }


def test_defaults_are_echoed_and_the_rest_left_out(emulator):
    template = create(emulator)
    created, updated = template.pop("createdAt"), template.pop("updatedAt")
    assert template == {
        "prefix": "team",
        "appliedFor": ["CREATE_ON_PUSH"],
        "imageTagMutability": "MUTABLE",
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    assert created == updated
    age = datetime.datetime.now(datetime.timezone.utc) - created
    assert abs(age) < datetime.timedelta(minutes=1)


def test_everything_comes_back(emulator):
    want = full()
    template = create(emulator, **want)
    for name, value in want.items():
        if name != "repositoryPolicy":
            assert template[name] == value, name
    # reformatted, so that who compares texts fails; the same to who compares meaning
    assert template["repositoryPolicy"] != want["repositoryPolicy"]
    assert json.loads(template["repositoryPolicy"]) == POLICY
    assert template["repositoryPolicy"].startswith('{\n  "Version" : "2012-10-17",')
    (statement,) = json.loads(template["repositoryPolicy"])["Statement"]
    assert list(statement) == ["Sid", "Effect", "Principal", "Action"]
    assert emulator.template("team") == template


def test_create_twice_and_trailing_slash(emulator):
    assert create(emulator, "team/")["prefix"] == "team"
    ecr = emulator.ecr
    for prefix in ("team", "team/"):
        assert code(
            ecr.create_repository_creation_template, prefix=prefix, appliedFor=["REPLICATION"]
        ) == ("TemplateAlreadyExistsException", 400)
        found = ecr.describe_repository_creation_templates(prefixes=[prefix])
        assert found["registryId"] == ACCOUNT
        assert [t["prefix"] for t in found["repositoryCreationTemplates"]] == ["team"]


def test_update_keeps_what_is_absent(emulator):
    before = create(emulator, **full())
    after = update(emulator, description="new")
    assert after.pop("updatedAt") >= before.pop("updatedAt")
    assert after == {**before, "description": "new"}


def test_update_clears_with_empty_values(emulator):
    create(emulator, **full())
    after = update(
        emulator,
        description="",
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": ""},
        resourceTags=[],
        imageTagMutability="MUTABLE",
        repositoryPolicy="",
        lifecyclePolicy="",
        customRoleArn="",
        appliedFor=["PULL_THROUGH_CACHE", "REPLICATION"],
    )
    del after["createdAt"], after["updatedAt"]
    assert after == {
        "prefix": "team",
        "appliedFor": ["PULL_THROUGH_CACHE", "REPLICATION"],
        "imageTagMutability": "MUTABLE",
        "encryptionConfiguration": {"encryptionType": "KMS"},
    }


def test_a_refused_update_changes_nothing(emulator):
    before = create(emulator, **full())
    assert code(update, emulator, description="x", repositoryPolicy="{}") == (
        "InvalidParameterException",
        400,
    )
    assert emulator.template("team") == before


def test_delete_gives_the_template_back(emulator):
    before = create(emulator, **full())
    answer = emulator.ecr.delete_repository_creation_template(prefix="team/")
    assert answer["repositoryCreationTemplate"] == before
    assert emulator.templates() == {}
    for call in (
        emulator.ecr.delete_repository_creation_template,
        emulator.ecr.update_repository_creation_template,
    ):
        assert code(call, prefix="team") == ("TemplateNotFoundException", 400)


def test_unknown_prefix_is_not_found(emulator):
    create(emulator)
    describe = emulator.ecr.describe_repository_creation_templates
    assert code(describe, prefixes=["team", "other"]) == ("TemplateNotFoundException", 400)


def test_pages(emulator):
    prefixes = [f"team-{i}" for i in range(7)]
    for prefix in prefixes:
        create(emulator, prefix)
    describe = emulator.ecr.describe_repository_creation_templates
    first = describe(maxResults=3)
    assert [t["prefix"] for t in first["repositoryCreationTemplates"]] == prefixes[:3]
    # what goes between two pages is neither skipped over nor shown twice
    emulator.ecr.delete_repository_creation_template(prefix="team-2")
    second = describe(maxResults=3, nextToken=first["nextToken"])
    assert [t["prefix"] for t in second["repositoryCreationTemplates"]] == prefixes[3:6]
    third = describe(maxResults=3, nextToken=second["nextToken"])
    assert [t["prefix"] for t in third["repositoryCreationTemplates"]] == prefixes[6:]
    assert "nextToken" not in third
    assert "nextToken" not in describe(maxResults=6)
    assert code(describe, nextToken="!") == ("InvalidParameterException", 400)
    named = describe(prefixes=["team-5", "team-0/", "team-4"], maxResults=2)
    assert [t["prefix"] for t in named["repositoryCreationTemplates"]] == ["team-5", "team-0"]
    named = describe(prefixes=["team-5", "team-0/", "team-4"], nextToken=named["nextToken"])
    assert [t["prefix"] for t in named["repositoryCreationTemplates"]] == ["team-4"]


@pytest.mark.parametrize(
    "more",
    [
        {"prefix": "Team"},
        {"prefix": "team//x"},
        {"prefix": "/team"},
        {"prefix": "team-"},
        {"prefix": "a" * 257},
        {"prefix": "root", "appliedFor": ["EVERYTHING"]},
        {"description": "x" * 257},
        {"encryptionConfiguration": {"encryptionType": "ROT13"}},
        {"encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/x"}},
        {"imageTagMutability": "SOMETIMES"},
        {
            "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a b"}],
        },
        {
            "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a"}] * 6,
        },
        {"repositoryPolicy": "{"},
        {"repositoryPolicy": json.dumps({"Version": "2012-10-17", "Statement": []})},
        {"repositoryPolicy": " " * 10241},
        {"lifecyclePolicy": '{"rules": []}'},
        {"resourceTags": [{"Key": "aws:x", "Value": "y"}]},
        {"resourceTags": [{"Key": "k" * 129, "Value": "y"}]},
        {"resourceTags": [{"Key": "k", "Value": "v" * 257}]},
        {"customRoleArn": "x" * 2049},
    ],
)
def test_invalid_parameters(emulator, more):
    arguments = {"prefix": "team", "appliedFor": ["CREATE_ON_PUSH"], **more}
    create_template = emulator.ecr.create_repository_creation_template
    assert code(create_template, **arguments) == ("InvalidParameterException", 400)
    assert emulator.templates() == {}


@pytest.mark.parametrize(
    "more",
    [
        {"appliedFor": []},
        {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
        {
            "imageTagMutability": "MUTABLE",
            "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a"}],
        },
        {"imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "a"}]},
        {
            "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "*a*b*"}],
        },
        {"encryptionConfiguration": {"encryptionType": "AES256", "kmsKey": KEY}},
        {"encryptionConfiguration": {"encryptionType": "KMS_DSSE"}},
        {"resourceTags": [{"Key": f"k{i}", "Value": ""} for i in range(51)]},
        {"customRoleArn": "x"},
    ],
)
def test_invalid_combinations(emulator, more):
    arguments = {"prefix": "team", "appliedFor": ["CREATE_ON_PUSH"], **more}
    create_template = emulator.ecr.create_repository_creation_template
    assert code(create_template, **arguments) == ("ValidationException", 400)
    assert emulator.templates() == {}


def test_tags_and_kms_without_a_role_are_accepted(emulator):
    """They fail at the first push only."""
    create(emulator, "a", resourceTags=[{"Key": "k", "Value": "v"}])
    create(emulator, "b", encryptionConfiguration={"encryptionType": "KMS"})
    assert set(emulator.templates()) == {"a", "b"}


# --- undocumented: options -----------------------------------------------------------------------


def test_update_may_reset_the_mutability():
    with Emulator("--behavior", "update-without-mutability=reset") as emulator:
        create(emulator, **full())
        after = update(emulator, description="new")
        assert after["imageTagMutability"] == "MUTABLE"
        assert "imageTagMutabilityExclusionFilters" not in after
        assert after["description"] == "new"


def test_slash_may_be_distinct():
    with Emulator("--behavior", "trailing-slash=distinct") as emulator:
        assert create(emulator, "team/")["prefix"] == "team/"
        assert create(emulator, "team")["prefix"] == "team"
        emulator.ecr.delete_repository_creation_template(prefix="team")
        answer = emulator.ecr.describe_repository_creation_templates()
        assert [t["prefix"] for t in answer["repositoryCreationTemplates"]] == ["team/"]


def test_unknown_prefix_may_be_left_out():
    with Emulator("--behavior", "unknown-prefix=left-out") as emulator:
        create(emulator)
        describe = emulator.ecr.describe_repository_creation_templates
        found = describe(prefixes=["team", "other"])["repositoryCreationTemplates"]
        assert [t["prefix"] for t in found] == ["team"]


def test_templates_may_be_limited():
    with Emulator("--behavior", "max-templates=2") as emulator:
        create(emulator, "a")
        create(emulator, "b")
        assert code(create, emulator, "c") == ("LimitExceededException", 400)


# --- account settings ----------------------------------------------------------------------------


def test_account_settings(emulator):
    ecr = emulator.ecr
    for name, default in (
        ("BLOB_MOUNTING", "DISABLED"),
        ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE"),
        ("REGISTRY_POLICY_SCOPE", "V2"),
    ):
        assert emulator.account_setting(name) == default
    answer = ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    assert (answer["name"], answer["value"]) == ("BLOB_MOUNTING", "ENABLED")
    assert emulator.account_setting("BLOB_MOUNTING") == "ENABLED"
    ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    assert emulator.account_setting("BLOB_MOUNTING") == "DISABLED"
    for name, value in (
        ("BLOB_MOUNTING", "enabled"),
        ("BASIC_SCAN_TYPE_VERSION", "CLAIR"),
        ("OTHER", "ENABLED"),
    ):
        assert code(ecr.put_account_setting, name=name, value=value) == (
            "InvalidParameterException",
            400,
        )
    assert code(ecr.get_account_setting, name="OTHER")[0] == "InvalidParameterException"
