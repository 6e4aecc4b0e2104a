# SPDX-License-Identifier: Apache-2.0
"""The emulator beside moto, an ECR that others wrote: the same calls by botocore in the same order,
and the same answers, value by value, errors with code and status and words.

Where the two differ, AWS's documentation decides, and DEVIATIONS says why the emulator is right. A
deviation that is none any more fails too. What moto does not have (repository creation templates,
account settings, layers, the registry API) is not compared.
"""

import datetime
import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from berth_test.emulator import ACCOUNT, REGION, Emulator
from berth_test.moto import Moto
from berth_test.objects import lifecycle, policy
from berth_test.registry import Registry, digest_of

ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/"
OTHER_ACCOUNT = "210987654321"
CONFIGURATION = b"{}"
CONFIGURATION_DIGEST = digest_of(CONFIGURATION)
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": CONFIGURATION_DIGEST,
            "size": len(CONFIGURATION),
        },
        "layers": [],
    }
)
FILTERS = [{"filterType": "WILDCARD", "filter": "dev-*"}]

# name, operation, parameters; each sees what those before it left
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("empty registry", "describe_repositories", {}),
    ("describe registry", "describe_registry", {}),
    ("create", "create_repository", {"repositoryName": "team/app"}),
    ("create again", "create_repository", {"repositoryName": "team/app"}),
    ("create with all", "create_repository", {
        "repositoryName": "team/all",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {
            "encryptionType": "KMS",
            "kmsKey": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        },
        "tags": [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": ""}],
    }),
    ("create with filters", "create_repository", {
        "repositoryName": "team/filters",
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": FILTERS,
    }),
    ("filters without the mutability", "create_repository", {
        "repositoryName": "team/x",
        "imageTagMutability": "MUTABLE",
        "imageTagMutabilityExclusionFilters": FILTERS,
    }),
    ("the mutability without filters", "create_repository", {
        "repositoryName": "team/x", "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
    }),
    ("an unknown mutability", "create_repository", {
        "repositoryName": "team/x", "imageTagMutability": "SOMETIMES",
    }),
    ("a bad name", "create_repository", {"repositoryName": "Team//App"}),
    ("a name with two underscores", "create_repository", {"repositoryName": "team/a__b"}),
    ("forget two underscores", "delete_repository", {"repositoryName": "team/a__b"}),
    ("describe all", "describe_repositories", {}),
    ("describe by name", "describe_repositories", {"repositoryNames": ["team/all", "team/app"]}),
    ("describe a missing one", "describe_repositories", {"repositoryNames": ["team/none"]}),
    ("describe one of two", "describe_repositories", {
        "repositoryNames": ["team/app", "team/none"],
    }),
    ("describe with registry", "describe_repositories", {"registryId": ACCOUNT}),
    ("a page", "describe_repositories", {"maxResults": 2}),
    ("no lifecycle policy", "get_lifecycle_policy", {"repositoryName": "team/app"}),
    ("lifecycle of a missing one", "get_lifecycle_policy", {"repositoryName": "team/none"}),
    ("put lifecycle", "put_lifecycle_policy", {
        "repositoryName": "team/app", "lifecyclePolicyText": json.dumps(lifecycle()),
    }),
    ("get lifecycle", "get_lifecycle_policy", {"repositoryName": "team/app"}),
    ("put lifecycle of a missing one", "put_lifecycle_policy", {
        "repositoryName": "team/none", "lifecyclePolicyText": json.dumps(lifecycle()),
    }),
    ("a lifecycle policy without rules", "put_lifecycle_policy", {
        "repositoryName": "team/app", "lifecyclePolicyText": '{"rules":[]}' + " " * 100,
    }),
    ("a lifecycle policy that is no JSON", "put_lifecycle_policy", {
        "repositoryName": "team/app", "lifecyclePolicyText": "{" + " " * 100,
    }),
    ("a lifecycle policy without a count", "put_lifecycle_policy", {
        "repositoryName": "team/app",
        "lifecyclePolicyText": json.dumps(
            {"rules": [{
                "rulePriority": 1,
                "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan"},
                "action": {"type": "expire"},
            }]}
        ),
    }),
    ("delete lifecycle", "delete_lifecycle_policy", {"repositoryName": "team/app"}),
    ("delete lifecycle again", "delete_lifecycle_policy", {"repositoryName": "team/app"}),
    ("no policy", "get_repository_policy", {"repositoryName": "team/app"}),
    ("policy of a missing one", "get_repository_policy", {"repositoryName": "team/none"}),
    ("set policy", "set_repository_policy", {
        "repositoryName": "team/app", "policyText": json.dumps(policy()),
    }),
    ("get policy", "get_repository_policy", {"repositoryName": "team/app"}),
    ("set policy of a missing one", "set_repository_policy", {
        "repositoryName": "team/none", "policyText": json.dumps(policy()),
    }),
    ("a policy that is no JSON", "set_repository_policy", {
        "repositoryName": "team/app", "policyText": "{",
    }),
    ("a policy without statements", "set_repository_policy", {
        "repositoryName": "team/app", "policyText": '{"Version": "2012-10-17"}',
    }),
    ("delete policy", "delete_repository_policy", {"repositoryName": "team/app"}),
    ("delete policy again", "delete_repository_policy", {"repositoryName": "team/app"}),
    ("no tags", "list_tags_for_resource", {"resourceArn": f"{ARN}team/app"}),
    ("tags of create", "list_tags_for_resource", {"resourceArn": f"{ARN}team/all"}),
    ("tag", "tag_resource", {
        "resourceArn": f"{ARN}team/app", "tags": [{"Key": "a", "Value": "1"}],
    }),
    ("tag anew", "tag_resource", {
        "resourceArn": f"{ARN}team/app",
        "tags": [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}],
    }),
    ("tags", "list_tags_for_resource", {"resourceArn": f"{ARN}team/app"}),
    ("untag", "untag_resource", {"resourceArn": f"{ARN}team/app", "tagKeys": ["a", "none"]}),
    ("tags after untag", "list_tags_for_resource", {"resourceArn": f"{ARN}team/app"}),
    ("tags of a missing one", "list_tags_for_resource", {"resourceArn": f"{ARN}team/none"}),
    ("tags of no ARN", "list_tags_for_resource", {"resourceArn": "team/app"}),
    ("make immutable", "put_image_tag_mutability", {
        "repositoryName": "team/app", "imageTagMutability": "IMMUTABLE",
    }),
    ("make mutable", "put_image_tag_mutability", {
        "repositoryName": "team/app", "imageTagMutability": "MUTABLE",
    }),
    ("mutability with filters", "put_image_tag_mutability", {
        "repositoryName": "team/app",
        "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": FILTERS,
    }),
    ("describe what has filters", "describe_repositories", {"repositoryNames": ["team/app"]}),
    ("without filters again", "put_image_tag_mutability", {
        "repositoryName": "team/app", "imageTagMutability": "MUTABLE",
    }),
    ("mutability of a missing one", "put_image_tag_mutability", {
        "repositoryName": "team/none", "imageTagMutability": "MUTABLE",
    }),
    ("an unknown mutability put", "put_image_tag_mutability", {
        "repositoryName": "team/app", "imageTagMutability": "SOMETIMES",
    }),
    ("scan on push", "put_image_scanning_configuration", {
        "repositoryName": "team/app", "imageScanningConfiguration": {"scanOnPush": True},
    }),
    ("no images", "describe_images", {"repositoryName": "team/app"}),
    ("list no images", "list_images", {"repositoryName": "team/app"}),
    ("images of a missing one", "describe_images", {"repositoryName": "team/none"}),
    ("an image that is missing", "describe_images", {
        "repositoryName": "team/app", "imageIds": [{"imageTag": "v1"}],
    }),
    ("a digest that is missing", "describe_images", {
        "repositoryName": "team/app", "imageIds": [{"imageDigest": "sha256:" + "0" * 64}],
    }),
    ("get an image that is missing", "batch_get_image", {
        "repositoryName": "team/app", "imageIds": [{"imageTag": "v1"}],
    }),
    ("push to a missing one", "put_image", {
        "repositoryName": "team/none", "imageManifest": MANIFEST, "imageTag": "v1",
    }),
    ("delete", "delete_repository", {"repositoryName": "team/app"}),
    ("delete again", "delete_repository", {"repositoryName": "team/app"}),
    ("delete with force", "delete_repository", {"repositoryName": "team/all", "force": True}),
    ("in another registry", "describe_repositories", {
        "registryId": OTHER_ACCOUNT, "repositoryNames": ["team/filters"],
    }),
    ("what is left", "describe_repositories", {}),
]  # fmt: skip

NO_PAGES = "moto has no pages: it takes no maxResults and gives all at once"
NO_UNDERSCORES = "the pattern of repositoryName in ECR's model allows two underscores"
NEVER_EVALUATED = (
    "lastEvaluatedAt is 0 before the policy was evaluated for the first time, as in the example of"
    " the AWS CLI for delete-lifecycle-policy; moto takes the time of the call"
)
DEVIATIONS = {
    "a name with two underscores": NO_UNDERSCORES,
    "forget two underscores": NO_UNDERSCORES,
    "a page": NO_PAGES,
    "get lifecycle": NEVER_EVALUATED,
    "delete lifecycle": NEVER_EVALUATED,
    "a lifecycle policy without rules": "a lifecycle policy contains one or more rules (user"
    " guide); moto takes none for a policy, and keeps it",
    "mutability with filters": "the answer has imageTagMutabilityExclusionFilters (ECR's model);"
    " moto leaves them out",
    "push to a missing one": "RepositoryNotFoundException is what ECR's model names; moto fails",
    "in another registry": "RepositoryNotFoundException (ensure that you are performing operations"
    " on the correct registry); moto says that it found none of those that were named",
}
# the same code and status; AWS documents no text for these, and moto's are not the same either
WORDS = {
    "filters without the mutability",
    "the mutability without filters",
    "an unknown mutability",
    "an unknown mutability put",
    "a bad name",
}


def outcome(client: Any, operation: str, parameters: dict) -> Any:
    """The answer, or the error, without what must differ."""
    try:
        answer = getattr(client, operation)(**parameters)
    except ClientError as e:
        status = e.response["ResponseMetadata"]["HTTPStatusCode"]
        return f"{status} {e.response['Error']['Code']}: {e.response['Error']['Message']}"
    del answer["ResponseMetadata"]
    return plain(answer)


def plain(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {k: plain(v, k) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return sorted((plain(v) for v in value), key=json.dumps)
    if isinstance(value, datetime.datetime):
        age = abs(value.timestamp() - datetime.datetime.now().timestamp())
        return "a date of now" if age < 3600 else value.timestamp()
    if name == "repositoryUri":
        return re.sub("^[^/]+/", "HOST/", value)
    if name in ("policyText", "lifecyclePolicyText"):
        return json.loads(value)
    return value


@pytest.fixture(scope="module")
def both():
    with Moto() as moto, Emulator() as emulator:
        yield [
            {name: outcome(client, operation, p) for name, operation, p in CALLS}
            for client in (emulator.ecr, moto.ecr)
        ]


@pytest.mark.parametrize("name", [name for name, _, _ in CALLS])
def test_the_same_answer(both, name):
    ours, theirs = (answers[name] for answers in both)
    if name in DEVIATIONS:
        assert ours != theirs, f"{name} is no deviation any more: {DEVIATIONS[name]}"
    elif name in WORDS:
        assert ours != theirs, f"{name} has the same words now"
        code_of = (answer.partition(": ")[0] for answer in (ours, theirs))
        assert len(set(code_of)) == 1, f"{ours} and {theirs}"
    else:
        assert ours == theirs


# --- a repository with an image ------------------------------------------------------------------

REPOSITORY = "team/image"
IMAGE_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("put_image", {"imageManifest": MANIFEST, "imageTag": "v1"}),
    ("put_image", {"imageManifest": MANIFEST, "imageTag": "v1"}),
    ("put_image", {"imageManifest": MANIFEST, "imageTag": "v2"}),
    ("describe_images", {}),
    ("describe_images", {"imageIds": [{"imageTag": "v1"}]}),
    ("describe_images", {"imageIds": [{"imageTag": "v9"}]}),
    ("describe_images", {"imageIds": [{"imageTag": "v1"}, {"imageTag": "v9"}]}),
    ("list_images", {}),
    ("batch_get_image", {"imageIds": [{"imageTag": "v2"}, {"imageTag": "v9"}]}),
    ("batch_delete_image", {"imageIds": [{"imageTag": "v2"}]}),
    ("describe_images", {}),
    ("delete_repository", {}),
    ("delete_repository", {"force": True}),
    ("describe_images", {}),
    ("delete_repository", {"force": True}),
]
# of ECR's model; moto does not have them
ONLY_OURS = {"artifactMediaType", "imageStatus", "lastRecordedPullTime"}


def push_configuration(moto: Moto, emulator: Emulator) -> None:
    """moto has ECR's calls for layers, the emulator the registry API."""
    assert Registry(emulator).blob(REPOSITORY, CONFIGURATION) == CONFIGURATION_DIGEST
    upload = moto.ecr.initiate_layer_upload(repositoryName=REPOSITORY)["uploadId"]
    moto.ecr.upload_layer_part(
        repositoryName=REPOSITORY, uploadId=upload, layerPartBlob=CONFIGURATION,
        partFirstByte=0, partLastByte=len(CONFIGURATION) - 1,
    )  # fmt: skip
    moto.ecr.complete_layer_upload(
        repositoryName=REPOSITORY, uploadId=upload, layerDigests=[CONFIGURATION_DIGEST]
    )


def of_image(value: Any, digest: str) -> Any:
    """Without the digest: moto's is not that of the manifest."""
    if isinstance(value, dict):
        return {k: of_image(v, digest) for k, v in value.items() if k not in ONLY_OURS}
    if isinstance(value, list):
        return [of_image(v, digest) for v in value]
    return value.replace(digest, "DIGEST") if isinstance(value, str) else value


def test_images():
    with Moto() as moto, Emulator() as emulator:
        for client in (moto.ecr, emulator.ecr):
            client.create_repository(repositoryName=REPOSITORY)
        push_configuration(moto, emulator)
        digests: list[str] = []
        for operation, parameters in IMAGE_CALLS:
            request = {"repositoryName": REPOSITORY, **parameters}
            ours, theirs = (outcome(c, operation, request) for c in (emulator.ecr, moto.ecr))
            if not digests:
                digests = [a["image"]["imageId"]["imageDigest"] for a in (ours, theirs)]
                assert digests[0] == digest_of(MANIFEST.encode()) != digests[1]
            assert of_image(ours, digests[0]) == of_image(theirs, digests[1]), operation


# --- where the two differ ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, want",
    [
        ("a name with two underscores", {"repository"}),
        ("a page", {"nextToken", "repositories"}),
        ("get lifecycle",
         {"lastEvaluatedAt", "lifecyclePolicyText", "registryId", "repositoryName"}),
        ("a lifecycle policy without rules", "400 InvalidParameterException"),
        ("mutability with filters", {"imageTagMutability", "imageTagMutabilityExclusionFilters",
                                     "registryId", "repositoryName"}),
        ("push to a missing one", "400 RepositoryNotFoundException"),
        ("in another registry", "400 RepositoryNotFoundException"),
    ],
)  # fmt: skip
def test_what_we_answer_where_we_differ(both, name, want):
    ours, _ = (answers[name] for answers in both)
    assert (ours.partition(": ")[0] if isinstance(ours, str) else set(ours)) == want


def test_every_deviation_is_of_a_call():
    names = [name for name, _, _ in CALLS]
    assert set(DEVIATIONS) | WORDS <= set(names)
    assert len(set(names)) == len(names)
