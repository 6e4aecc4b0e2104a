# SPDX-License-Identifier: Apache-2.0
"""Repositories of the emulator and what belongs to them, driven by botocore."""

import json

import pytest
from botocore.exceptions import ClientError

from berth_test.emulator import ACCOUNT, REGION, Emulator

ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/"


def error(call, *args, **kwargs) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture
def app(emulator: Emulator) -> str:
    emulator.ecr.create_repository(repositoryName="team/app")
    return "team/app"


def test_create_describe_delete(emulator):
    ecr = emulator.ecr
    created = ecr.create_repository(
        repositoryName="team/app",
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "v*"}],
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": "alias/k"},
        tags=[{"Key": "team", "Value": "a"}],
    )["repository"]
    assert created.pop("createdAt")
    assert created == {
        "repositoryArn": f"{ARN}team/app",
        "registryId": ACCOUNT,
        "repositoryName": "team/app",
        "repositoryUri": f"{emulator.registry}/team/app",
        "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "v*"}],
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/k"},
    }
    (described,) = ecr.describe_repositories()["repositories"]
    deleted = ecr.delete_repository(repositoryName="team/app", registryId=ACCOUNT)["repository"]
    assert described == deleted
    del described["createdAt"]
    assert described == created
    assert emulator.repositories() == {}


def test_errors_of_repositories(emulator, app):
    ecr = emulator.ecr
    assert error(ecr.create_repository, repositoryName=app) == (
        "RepositoryAlreadyExistsException",
        f"The repository with name '{app}' already exists in the registry with id '{ACCOUNT}'",
    )
    missing = (
        "RepositoryNotFoundException",
        f"The repository with name 'x/y' does not exist in the registry with id '{ACCOUNT}'",
    )
    assert error(ecr.describe_repositories, repositoryNames=[app, "x/y"]) == missing
    assert error(ecr.delete_repository, repositoryName="x/y") == missing
    assert error(ecr.put_image_tag_mutability, repositoryName="x/y",
                 imageTagMutability="MUTABLE") == missing  # fmt: skip
    assert error(ecr.list_tags_for_resource, resourceArn=f"{ARN}x/y") == missing
    code, message = error(ecr.delete_repository, repositoryName=app, registryId="210987654321")
    assert code == "RepositoryNotFoundException"
    assert "'210987654321'" in message


@pytest.mark.parametrize(
    "name", ["A/b", "a//b", "/a", "a/", "a-", "-a", "a..b", "a___b", "a._b", "a b", "a" * 257]
)
def test_bad_names(emulator, name):
    code, message = error(emulator.ecr.create_repository, repositoryName=name)
    assert code == "InvalidParameterException"
    assert message.startswith("Invalid parameter at 'repositoryName' failed to satisfy constraint")
    assert emulator.repositories() == {}


@pytest.mark.parametrize("name", ["a1", "1a", "a__b", "a--b", "a---b/c.d/e_f", "a" * 256])
def test_good_names(emulator, name):
    emulator.ecr.create_repository(repositoryName=name)
    assert list(emulator.repositories()) == [name]


def test_pages(emulator):
    names = [f"team/app-{i:02}" for i in range(23)]
    for name in names:
        emulator.ecr.create_repository(repositoryName=name)
    pages = emulator.ecr.get_paginator("describe_repositories").paginate(
        PaginationConfig={"PageSize": 10}
    )
    sizes = [[r["repositoryName"] for r in page["repositories"]] for page in pages]
    assert [len(s) for s in sizes] == [10, 10, 3]
    assert sum(sizes, []) == names
    describe = emulator.ecr.describe_repositories
    assert error(describe, repositoryNames=[names[0]], maxResults=1)[0] == (
        "InvalidParameterException"
    )
    assert error(describe, maxResults=1001)[0] == "InvalidParameterException"
    assert error(describe, repositoryNames=names[:1] * 101)[0] == "InvalidParameterException"


def test_default_page_is_a_hundred(emulator):
    for i in range(101):
        emulator.ecr.create_repository(repositoryName=f"app-{i}")
    first = emulator.ecr.describe_repositories()
    assert len(first["repositories"]) == 100
    second = emulator.ecr.describe_repositories(nextToken=first["nextToken"])
    assert [r["repositoryName"] for r in second["repositories"]] == ["app-100"]


def test_mutability_and_scanning(emulator, app):
    ecr = emulator.ecr
    filters = [{"filterType": "WILDCARD", "filter": "latest"}]
    answer = ecr.put_image_tag_mutability(
        repositoryName=app,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
    )
    assert answer["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert answer["imageTagMutabilityExclusionFilters"] == filters
    put = ecr.put_image_tag_mutability
    code, _ = error(put, repositoryName=app, imageTagMutability="MUTABLE_WITH_EXCLUSION")
    assert code == "InvalidParameterException"
    answer = ecr.put_image_scanning_configuration(
        repositoryName=app, imageScanningConfiguration={"scanOnPush": True}
    )
    assert answer["imageScanningConfiguration"] == {"scanOnPush": True}
    described = emulator.repositories()[app]
    assert described["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert described["imageTagMutabilityExclusionFilters"] == filters
    assert described["imageScanningConfiguration"] == {"scanOnPush": True}
    ecr.put_image_tag_mutability(repositoryName=app, imageTagMutability="IMMUTABLE")
    assert "imageTagMutabilityExclusionFilters" not in emulator.repositories()[app]


# --- tags ----------------------------------------------------------------------------------------


def tags(emulator: Emulator, app: str) -> dict:
    found = emulator.ecr.list_tags_for_resource(resourceArn=ARN + app)["tags"]
    assert len({t["Key"] for t in found}) == len(found)
    return {t["Key"]: t["Value"] for t in found}


def test_tags_are_merged(emulator, app):
    ecr = emulator.ecr
    assert tags(emulator, app) == {}
    ecr.tag_resource(
        resourceArn=ARN + app, tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    )
    ecr.tag_resource(
        resourceArn=ARN + app, tags=[{"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]
    )
    assert tags(emulator, app) == {"a": "1", "b": "2", "c": "3"}
    ecr.untag_resource(resourceArn=ARN + app, tagKeys=["a", "x"])
    assert tags(emulator, app) == {"b": "2", "c": "3"}


def test_fifty_tags_and_no_more(emulator, app):
    ecr = emulator.ecr
    fifty = [{"Key": f"k{i}", "Value": "v"} for i in range(50)]
    more = [{"Key": "more", "Value": "v"}]
    ecr.tag_resource(resourceArn=ARN + app, tags=fifty)
    assert error(ecr.tag_resource, resourceArn=ARN + app, tags=more)[0] == "TooManyTagsException"
    assert error(ecr.create_repository, repositoryName="b/c", tags=fifty + more)[0] == (
        "TooManyTagsException"
    )
    # one that is there already may change
    ecr.tag_resource(resourceArn=ARN + app, tags=[{"Key": "k0", "Value": "w"}])
    assert len(tags(emulator, app)) == 50


@pytest.mark.parametrize(
    "bad",
    [
        {"Key": "", "Value": ""},
        {"Key": "k" * 129, "Value": ""},
        {"Key": "k", "Value": "v" * 257},
    ],
)
def test_bad_tags_change_nothing(emulator, app, bad):
    good = {"Key": "good", "Value": ""}
    call = emulator.ecr.tag_resource
    assert error(call, resourceArn=ARN + app, tags=[good, bad])[0] == "InvalidTagParameterException"
    assert tags(emulator, app) == {}


@pytest.mark.parametrize("arn", ["x", ARN, ARN.replace(REGION, "us-west-2") + "team/app"])
def test_bad_arns(emulator, app, arn):
    code, message = error(emulator.ecr.list_tags_for_resource, resourceArn=arn)
    assert (code, "Invalid ARN" in message) == ("InvalidParameterException", True)


# --- policies ------------------------------------------------------------------------------------


def policy(**statement) -> dict:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage", **statement}
        ],
    }


def test_repository_policy(emulator, app):
    ecr = emulator.ecr
    missing = (
        "RepositoryPolicyNotFoundException",
        f"Repository policy does not exist for the repository with name '{app}' in the registry "
        f"with id '{ACCOUNT}'",
    )
    assert error(ecr.get_repository_policy, repositoryName=app) == missing
    assert error(ecr.delete_repository_policy, repositoryName=app) == missing
    want = policy(Sid="x", Condition={"StringEquals": {"aws:SourceAccount": [ACCOUNT]}})
    answer = ecr.set_repository_policy(repositoryName=app, policyText=json.dumps(want))
    assert answer["policyText"] != json.dumps(want)
    assert json.loads(answer["policyText"]) == want
    assert (answer["registryId"], answer["repositoryName"]) == (ACCOUNT, app)
    for call in (ecr.get_repository_policy, ecr.delete_repository_policy):
        assert call(repositoryName=app)["policyText"] == answer["policyText"]
    assert error(ecr.get_repository_policy, repositoryName=app) == missing


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({**policy(), "Version": "2020-01-01"}),
        json.dumps({**policy(), "More": 1}),
        json.dumps({"Version": "2012-10-17", "Statement": "x"}),
        json.dumps(policy(Effect="Maybe")),
        json.dumps(policy(Principal={"AWS": "nobody"})),
        json.dumps(policy(Principal={"Who": ["*"]})),
        json.dumps(policy(Action=[])),
        json.dumps(policy(Action="s3:GetObject")),
        json.dumps(policy(NotAction="ecr:*")),
        json.dumps(policy(Condition=[])),
        json.dumps(policy(Extra="x")),
    ],
)
def test_bad_repository_policies(emulator, app, text):
    code, message = error(
        emulator.ecr.set_repository_policy, repositoryName=app, policyText=text
    )
    assert code == "InvalidParameterException"
    assert message == (
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: "
        "'Invalid repository policy provided'"
    )


def lifecycle(*rules: dict) -> str:
    return json.dumps({"rules": rules}, indent=4)


def rule(priority=1, action="expire", **selection) -> dict:
    chosen = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10, **selection}
    return {
        "rulePriority": priority,
        "selection": {k: v for k, v in chosen.items() if v is not None},
        "action": {"type": action},
    }


def test_lifecycle_policy(emulator, app):
    ecr = emulator.ecr
    missing = (
        "LifecyclePolicyNotFoundException",
        f"Lifecycle policy does not exist for the repository with name '{app}' in the registry "
        f"with id '{ACCOUNT}'",
    )
    assert error(ecr.get_lifecycle_policy, repositoryName=app) == missing
    assert error(ecr.delete_lifecycle_policy, repositoryName=app) == missing
    text = lifecycle(rule())
    answer = ecr.put_lifecycle_policy(repositoryName=app, lifecyclePolicyText=text)
    assert answer["lifecyclePolicyText"] == text
    for call in (ecr.get_lifecycle_policy, ecr.delete_lifecycle_policy):
        answer = call(repositoryName=app)
        assert answer["lifecyclePolicyText"] == text
        assert "lastEvaluatedAt" in answer
    assert error(ecr.get_lifecycle_policy, repositoryName=app) == missing


@pytest.mark.parametrize(
    "text, why",
    [
        (" " * 120, "Could not map policyString into LifecyclePolicy."),
        (" " * 100 + "{}", 'object has missing required properties (["rules"])'),
        (
            lifecycle(rule(tagStatus="some")),
            'instance value ("some") not found in enum (possible values: '
            '["tagged","untagged","any"])',
        ),
        (
            lifecycle(rule(countNumber=0)),
            "numeric instance is lower than the required minimum (minimum: 1, found: 0)",
        ),
        (
            lifecycle(rule(more=1)),
            'object instance has properties which are not allowed by the schema: (["more"])',
        ),
        (
            lifecycle(rule(tagStatus="tagged")),
            "instance failed to match exactly one schema (matched 0 out of 2)",
        ),
    ],
)
def test_bad_lifecycle_policies(emulator, app, text, why):
    code, message = error(
        emulator.ecr.put_lifecycle_policy, repositoryName=app, lifecyclePolicyText=text
    )
    assert code == "InvalidParameterException"
    assert message == (
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
        f"'Lifecycle policy validation failure: {why}'"
    )
