# SPDX-License-Identifier: Apache-2.0
"""What makes ECR's registry ECR's: repositories created on push from templates, and blobs mounted
from other repositories, each under all documented rules."""

import concurrent.futures
import json
import threading

import pytest

from berth_test.emulator import ACCOUNT, Emulator
from berth_test.registry import INDEX, LAYER, Registry, digest_of

ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecr-templates"
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
OTHER_KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/99999999-2222-3333-4444-555555555555"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "pull", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
    ],
}
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {
                "tagStatus": "untagged",
                "countType": "imageCountMoreThan",
                "countNumber": 3,
            },
            "action": {"type": "expire"},
        }
    ]
}
LAYER_BYTES = b"a layer that two images share"


@pytest.fixture
def registry(emulator: Emulator) -> Registry:
    return Registry(emulator)


def template(emulator: Emulator, prefix: str, *applied_for: str, **settings) -> None:
    emulator.ecr.create_repository_creation_template(
        prefix=prefix, appliedFor=list(applied_for) or ["CREATE_ON_PUSH"], **settings
    )


def start(registry: Registry, repository: str):
    return registry("POST", f"/v2/{repository}/blobs/uploads/")


# --- create on push ------------------------------------------------------------------------------


def test_without_a_template_nothing_is_created(emulator, registry):
    template(emulator, "prod")
    template(emulator, "cache", "PULL_THROUGH_CACHE", "REPLICATION")
    # by whole segments, below the prefix, and for this purpose
    for name in ("dev/app", "production/app", "prod", "cache/app"):
        answer = start(registry, name)
        assert answer.error == (404, "NAME_UNKNOWN")
        assert answer.message == (
            f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"
        )
    assert emulator.repositories() == {}


def test_everything_of_the_template_arrives(emulator, registry):
    template(
        emulator,
        "prod",
        customRoleArn=ROLE,
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": KEY},
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest*"}],
        resourceTags=[{"Key": "team", "Value": "a"}],
        repositoryPolicy=json.dumps(POLICY),
        lifecyclePolicy=json.dumps(LIFECYCLE),
    )
    registry.push("prod/app", "v1", LAYER_BYTES)
    got = emulator.repositories()["prod/app"]
    assert got["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": KEY}
    assert got["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert got["imageTagMutabilityExclusionFilters"] == [
        {"filterType": "WILDCARD", "filter": "latest*"}
    ]
    ecr = emulator.ecr
    tags = ecr.list_tags_for_resource(resourceArn=got["repositoryArn"])["tags"]
    assert tags == [{"Key": "team", "Value": "a"}]
    policy = ecr.get_repository_policy(repositoryName="prod/app")["policyText"]
    assert json.loads(policy) == POLICY
    lifecycle = ecr.get_lifecycle_policy(repositoryName="prod/app")["lifecyclePolicyText"]
    assert json.loads(lifecycle) == LIFECYCLE
    # the settings are in force from the first push on
    second = registry.put("prod/app", "v1", registry.image("prod/app", b"other"))
    assert second.error == (400, "TAG_INVALID")


def test_most_specific_prefix_wins_and_root_takes_the_rest(emulator, registry):
    template(emulator, "ROOT", imageTagMutability="MUTABLE")
    template(emulator, "prod", imageTagMutability="IMMUTABLE")
    template(
        emulator,
        "prod/team",
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "v*"}],
    )
    for name in ("any", "prod", "prod/app", "prod/team", "prod/team/app", "prod/teams/app"):
        assert start(registry, name).status == 202
    got = {name: r["imageTagMutability"] for name, r in emulator.repositories().items()}
    assert got == {
        "any": "MUTABLE",
        "prod": "MUTABLE",
        "prod/app": "IMMUTABLE",
        "prod/team": "IMMUTABLE",
        "prod/team/app": "MUTABLE_WITH_EXCLUSION",
        "prod/teams/app": "IMMUTABLE",
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"resourceTags": [{"Key": "team", "Value": "a"}]},
        {"encryptionConfiguration": {"encryptionType": "KMS"}},
        {"encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": KEY}},
    ],
)
def test_tags_and_kms_need_a_role(emulator, registry, settings):
    template(emulator, "ROOT")
    template(emulator, "prod", **settings)
    # the template is taken as it is, and a shorter one does not step in
    assert start(registry, "prod/app").error == (404, "NAME_UNKNOWN")
    assert registry.put("prod/app", "v1", {}).error == (404, "NAME_UNKNOWN")
    assert emulator.repositories() == {}
    emulator.ecr.update_repository_creation_template(prefix="prod", customRoleArn=ROLE)
    assert start(registry, "prod/app").status == 202
    assert set(emulator.repositories()) == {"prod/app"}


def test_reads_create_nothing(emulator, registry):
    template(emulator, "ROOT")
    unknown = digest_of(b"x")
    for method, path in (
        ("HEAD", f"blobs/{unknown}"),
        ("GET", f"blobs/{unknown}"),
        ("HEAD", "manifests/v1"),
        ("GET", "manifests/v1"),
        ("GET", "tags/list"),
        ("PATCH", "blobs/uploads/8a0c"),
        ("PUT", f"blobs/uploads/8a0c?digest={unknown}"),
    ):
        assert registry(method, f"/v2/new/app/{path}").status == 404
    assert registry("GET", f"/v2/new/app/referrers/{unknown}").status == 200
    assert emulator.repositories() == {}


def test_a_manifest_creates_too(emulator, registry):
    template(emulator, "ROOT", imageTagMutability="IMMUTABLE")
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    assert registry.put("new/app", "v1", index, INDEX).status == 201
    assert emulator.repositories()["new/app"]["imageTagMutability"] == "IMMUTABLE"


def test_without_a_token_nothing_is_created(emulator, registry):
    template(emulator, "ROOT")
    assert registry("POST", "/v2/new/app/blobs/uploads/", auth=None).status == 401
    assert emulator.repositories() == {}


def test_what_is_there_stays_as_it_is(emulator, registry):
    emulator.ecr.create_repository(repositoryName="prod/app")
    template(emulator, "prod", imageTagMutability="IMMUTABLE")
    registry.push("prod/app", "v1", LAYER_BYTES)
    assert emulator.repositories()["prod/app"]["imageTagMutability"] == "MUTABLE"
    # the template counts again once the repository is gone
    emulator.ecr.delete_repository(repositoryName="prod/app", force=True)
    registry.push("prod/app", "v1", LAYER_BYTES)
    assert emulator.repositories()["prod/app"]["imageTagMutability"] == "IMMUTABLE"


def test_many_pushes_at_once_create_one_repository(emulator, registry):
    template(emulator, "new", imageTagMutability="IMMUTABLE")
    pushes = 12
    barrier = threading.Barrier(pushes)

    def push(i: int) -> str:
        barrier.wait(10)
        return registry.push("new/app", f"v{i}", b"shared", f"layer {i}".encode())

    with concurrent.futures.ThreadPoolExecutor(pushes) as pool:
        digests = set(pool.map(push, range(pushes)))
    assert len(digests) == pushes
    assert set(emulator.repositories()) == {"new/app"}
    pages = emulator.ecr.get_paginator("describe_images").paginate(repositoryName="new/app")
    details = [d for page in pages for d in page["imageDetails"]]
    assert {d["imageDigest"] for d in details} == digests
    assert {t for d in details for t in d["imageTags"]} == {f"v{i}" for i in range(pushes)}


def test_one_of_many_pushes_of_an_immutable_tag_wins(emulator, registry):
    emulator.ecr.create_repository(repositoryName="app", imageTagMutability="IMMUTABLE")
    manifests = [registry.image("app", f"layer {i}".encode()) for i in range(8)]
    with concurrent.futures.ThreadPoolExecutor(len(manifests)) as pool:
        answers = list(pool.map(lambda m: registry.put("app", "v1", m), manifests))
    won = [a for a in answers if a.status == 201]
    assert len(won) == 1
    assert all(a.error == (400, "TAG_INVALID") for a in answers if a not in won)
    (detail,) = emulator.ecr.describe_images(repositoryName="app")["imageDetails"]
    assert detail["imageDigest"] == won[0].headers["Docker-Content-Digest"]


# --- blob mounting -------------------------------------------------------------------------------


@pytest.fixture
def mounting(emulator: Emulator) -> None:
    emulator.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")


@pytest.fixture
def source(emulator: Emulator, registry: Registry) -> str:
    """Where LAYER_BYTES are, in a pushed image."""
    emulator.ecr.create_repository(repositoryName="base/os")
    emulator.ecr.create_repository(repositoryName="team/app")
    registry.push("base/os", "v1", LAYER_BYTES)
    return "base/os"


DIGEST = digest_of(LAYER_BYTES)


def assert_upload_instead(registry: Registry, repository: str, source: str | None, digest=DIGEST):
    """Never an error: the client uploads, and that works."""
    answer = registry.mount(repository, digest, source)
    assert answer.status == 202
    assert answer.location.startswith(f"/v2/{repository}/blobs/uploads/")
    assert not registry.has(repository, digest)
    done = registry("PUT", f"{answer.location}?digest={DIGEST}", LAYER_BYTES)
    assert done.status == 201


def test_mount(emulator, registry, mounting, source):
    answer = registry.mount("team/app", DIGEST, source)
    assert answer.status == 201
    assert answer.location == f"/v2/team/app/blobs/{DIGEST}"
    assert answer.headers["Docker-Content-Digest"] == DIGEST
    assert registry("GET", answer.location).body == LAYER_BYTES
    # mounted already: as good, and nothing more is saved
    assert registry.mount("team/app", DIGEST, source).status == 201
    stats = emulator.control("GET", "stats")
    assert (stats["blobsMounted"], stats["bytesMounted"]) == (1, len(LAYER_BYTES))
    assert (stats["blobsUploaded"], stats["bytesUploaded"]) == (2, len(LAYER_BYTES) + len(b"{}"))
    registry.push("team/app", "v1", LAYER_BYTES)
    (detail,) = emulator.ecr.describe_images(repositoryName="team/app")["imageDetails"]
    assert detail["imageTags"] == ["v1"]


def test_mounting_is_off_until_enabled(emulator, registry, source):
    assert emulator.account_setting("BLOB_MOUNTING") == "DISABLED"
    assert_upload_instead(registry, "team/app", source)


def test_mount_needs_a_source(registry, mounting, source):
    assert_upload_instead(registry, "team/app", None)


@pytest.mark.parametrize("other", ["no/such", "team/app", "..", "a" * 300, "%00", "UPPER"])
def test_mount_from_elsewhere(registry, mounting, source, other):
    assert_upload_instead(registry, "team/app", other)


@pytest.mark.parametrize("digest", ["sha256:12", "x", "sha512:" + "0" * 128, "sha256:" + "0" * 64])
def test_mount_of_what_is_not_there(registry, mounting, source, digest):
    assert_upload_instead(registry, "team/app", source, digest)


def test_mount_needs_a_pushed_manifest_in_the_source(emulator, registry, mounting):
    for name in ("base/os", "team/app"):
        emulator.ecr.create_repository(repositoryName=name)
    registry.blob("base/os", LAYER_BYTES)
    assert_upload_instead(registry, "team/app", "base/os")
    # what was mounted into a repository is no source either until a manifest names it there
    registry.push("base/os", "v1", LAYER_BYTES)
    emulator.ecr.create_repository(repositoryName="team/two")
    emulator.ecr.create_repository(repositoryName="team/three")
    assert registry.mount("team/two", DIGEST, "base/os").status == 201
    assert_upload_instead(registry, "team/three", "team/two")


def test_deleted_image_is_no_source(emulator, registry, mounting, source):
    registry.push(source, "v2", b"another")
    emulator.ecr.batch_delete_image(repositoryName=source, imageIds=[{"imageTag": "v1"}])
    assert not registry.has(source, DIGEST)
    assert_upload_instead(registry, "team/app", source)


KMS, KMS_OTHER, KMS_AWS, AES = (
    {"encryptionType": "KMS", "kmsKey": KEY},
    {"encryptionType": "KMS", "kmsKey": OTHER_KEY},
    {"encryptionType": "KMS"},
    {"encryptionType": "AES256"},
)


@pytest.mark.parametrize(
    "source_has, target_has, is_mounted",
    [
        (AES, AES, True),
        (KMS, KMS, True),
        (KMS_AWS, KMS_AWS, True),
        (AES, KMS, False),
        (KMS, AES, False),
        (KMS, KMS_OTHER, False),
        (KMS, KMS_AWS, False),
    ],
)
def test_mount_needs_the_same_encryption(
    emulator, registry, mounting, source_has, target_has, is_mounted
):
    emulator.ecr.create_repository(repositoryName="from", encryptionConfiguration=source_has)
    emulator.ecr.create_repository(repositoryName="to", encryptionConfiguration=target_has)
    registry.push("from", "v1", LAYER_BYTES)
    if is_mounted:
        assert registry.mount("to", DIGEST, "from").status == 201
    else:
        assert_upload_instead(registry, "to", "from")


def test_what_is_mounted_stays(emulator, registry, mounting, source):
    assert registry.mount("team/app", DIGEST, source).status == 201
    emulator.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    assert registry.has("team/app", DIGEST)
    assert registry.mount("team/app", DIGEST, source).status == 202
    emulator.ecr.delete_repository(repositoryName=source, force=True)
    assert registry("GET", f"/v2/team/app/blobs/{DIGEST}").body == LAYER_BYTES
    image = registry.image("team/app")
    image["layers"] = [{"mediaType": LAYER, "digest": DIGEST, "size": len(LAYER_BYTES)}]
    assert registry.put("team/app", "v1", image).status == 201


def test_mount_creates_the_repository(emulator, registry, mounting, source):
    template(emulator, "new")
    assert registry.mount("new/app", DIGEST, source).status == 201
    assert "new/app" in emulator.repositories()
    template(emulator, "kms", customRoleArn=ROLE, encryptionConfiguration=KMS)
    assert_upload_instead(registry, "kms/app", source)
    assert emulator.repositories()["kms/app"]["encryptionConfiguration"] == KMS


# --- deletion ------------------------------------------------------------------------------------


def test_deletion_releases_blobs(emulator, registry):
    emulator.ecr.create_repository(repositoryName="app")
    first = registry.push("app", "v1", b"shared", b"only in the first")
    registry.push("app", "v2", b"shared")
    emulator.ecr.batch_delete_image(repositoryName="app", imageIds=[{"imageDigest": first}])
    assert registry.has("app", digest_of(b"shared"))
    assert not registry.has("app", digest_of(b"only in the first"))
    upload = registry.start("app")
    assert emulator.control("GET", "stats")["blobsStored"] == 2  # the layer and the config
    emulator.ecr.delete_repository(repositoryName="app", force=True)
    emulator.ecr.create_repository(repositoryName="app")
    assert not registry.has("app", digest_of(b"shared"))
    assert registry("GET", upload).error == (404, "BLOB_UPLOAD_UNKNOWN")
    stats = emulator.control("GET", "stats")
    assert (stats["blobsStored"], stats["bytesStored"], stats["uploadsOpen"]) == (0, 0, 0)
