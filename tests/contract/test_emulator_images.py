# SPDX-License-Identifier: Apache-2.0
"""Images of the emulator through the control API, driven by botocore; layers come over /v2/."""

import json

import pytest
from botocore.exceptions import ClientError

from berth_test.emulator import ACCOUNT, Emulator
from berth_test.registry import CONFIG, INDEX, LAYER, MANIFEST, UNKNOWN_DIGEST, Registry, digest_of


@pytest.fixture
def registry(emulator: Emulator) -> Registry:
    return Registry(emulator)


@pytest.fixture
def app(emulator: Emulator) -> str:
    emulator.ecr.create_repository(repositoryName="team/app")
    return "team/app"


def code(call, *args, **kwargs) -> str:
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value.response["Error"]["Code"]


def text_of(manifest: dict) -> str:
    return json.dumps(manifest)


def tags_of(emulator: Emulator, app: str) -> dict:
    details = emulator.ecr.describe_images(repositoryName=app)["imageDetails"]
    return {d["imageDigest"]: d.get("imageTags") for d in details}


def test_put_describe_get(emulator, registry, app):
    text = text_of(registry.image(app, b"layer one", b"layer two"))
    digest = digest_of(text.encode())
    put = emulator.ecr.put_image(repositoryName=app, imageManifest=text, imageTag="v1")["image"]
    assert put == {
        "registryId": ACCOUNT,
        "repositoryName": app,
        "imageId": {"imageDigest": digest, "imageTag": "v1"},
        "imageManifest": text,
        "imageManifestMediaType": MANIFEST,
    }
    (detail,) = emulator.ecr.describe_images(repositoryName=app)["imageDetails"]
    assert detail.pop("imagePushedAt")
    assert detail == {
        "registryId": ACCOUNT,
        "repositoryName": app,
        "imageDigest": digest,
        "imageTags": ["v1"],
        "imageSizeInBytes": len(b"{}") + 2 * len(b"layer one"),
        "imageManifestMediaType": MANIFEST,
        "artifactMediaType": CONFIG,
        "imageStatus": "ACTIVE",
    }
    got = emulator.ecr.batch_get_image(
        repositoryName=app,
        imageIds=[{"imageTag": "v1"}, {"imageDigest": digest}, {"imageTag": "v2"}, {}],
    )
    assert [i["imageManifest"] for i in got["images"]] == [text, text]
    assert [f["failureCode"] for f in got["failures"]] == ["ImageNotFound", "MissingDigestAndTag"]
    assert got["failures"][0]["imageId"] == {"imageTag": "v2"}
    (detail,) = emulator.ecr.describe_images(repositoryName=app)["imageDetails"]
    assert detail["lastRecordedPullTime"]


def test_describe_names_what_is_not_there(emulator, app):
    with pytest.raises(ClientError) as caught:
        emulator.ecr.describe_images(repositoryName=app, imageIds=[{"imageTag": "t"}])
    error = caught.value.response["Error"]
    assert error["Code"] == "ImageNotFoundException"
    assert error["Message"] == (
        "The image with imageId {imageDigest:'null', imageTag:'t'} does not exist within the "
        f"repository with name '{app}' in the registry with id '{ACCOUNT}'"
    )


def test_put_again(emulator, registry, app):
    put = emulator.ecr.put_image
    one, two = (text_of(registry.image(app, layer)) for layer in (b"one", b"two"))
    put(repositoryName=app, imageManifest=one, imageTag="v1")
    assert code(put, repositoryName=app, imageManifest=one, imageTag="v1") == (
        "ImageAlreadyExistsException"
    )
    assert code(put, repositoryName=app, imageManifest=one) == "ImageAlreadyExistsException"
    put(repositoryName=app, imageManifest=one, imageTag="v2")
    put(repositoryName=app, imageManifest=two, imageTag="v1")
    assert tags_of(emulator, app) == {
        digest_of(one.encode()): ["v2"],
        digest_of(two.encode()): ["v1"],
    }


@pytest.mark.parametrize(
    "mutability, filters, moves",
    [
        ("MUTABLE", [], {"latest", "v1"}),
        ("IMMUTABLE", [], set()),
        ("IMMUTABLE_WITH_EXCLUSION", ["lat*"], {"latest"}),
        ("MUTABLE_WITH_EXCLUSION", ["v*", "x"], {"latest"}),
    ],
)
def test_which_tags_move(emulator, registry, app, mutability, filters, moves):
    arguments = {"imageTagMutabilityExclusionFilters": [
        {"filterType": "WILDCARD", "filter": f} for f in filters]} if filters else {}  # fmt: skip
    emulator.ecr.put_image_tag_mutability(
        repositoryName=app, imageTagMutability=mutability, **arguments
    )
    put = emulator.ecr.put_image
    one, two = (text_of(registry.image(app, layer)) for layer in (b"one", b"two"))
    for tag in ("latest", "v1"):
        put(repositoryName=app, imageManifest=one, imageTag=tag)
        if tag in moves:
            put(repositoryName=app, imageManifest=two, imageTag=tag)
        else:
            assert code(put, repositoryName=app, imageManifest=two, imageTag=tag) == (
                "ImageTagAlreadyExistsException"
            )
            # the same again is another error
            assert code(put, repositoryName=app, imageManifest=one, imageTag=tag) == (
                "ImageAlreadyExistsException"
            )


def test_refused_manifests(emulator, registry, app):
    put = emulator.ecr.put_image
    image = registry.image(app, b"one")
    unknown = {"mediaType": LAYER, "digest": UNKNOWN_DIGEST, "size": 1}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [unknown]}
    without_type = {k: v for k, v in image.items() if k != "mediaType"}
    for manifest, want in (
        ("{", "InvalidParameterException"),
        ("{}", "InvalidParameterException"),
        (text_of(without_type), "InvalidParameterException"),
        (text_of({**image, "mediaType": "text/plain"}), "InvalidParameterException"),
        (text_of({**image, "schemaVersion": 1}), "InvalidParameterException"),
        (text_of({**image, "layers": [unknown]}), "LayersNotFoundException"),
        (text_of(index), "ReferencedImagesNotFoundException"),
    ):
        assert code(put, repositoryName=app, imageManifest=manifest, imageTag="v1") == want
    assert code(
        put, repositoryName=app, imageManifest=text_of(image), imageDigest=UNKNOWN_DIGEST
    ) == "ImageDigestDoesNotMatchException"  # fmt: skip
    assert code(put, repositoryName="x/y", imageManifest="{}") == "RepositoryNotFoundException"
    assert tags_of(emulator, app) == {}
    put(repositoryName=app, imageManifest=text_of(without_type), imageManifestMediaType=MANIFEST)


def test_layers_of_another_repository_do_not_count(emulator, registry, app):
    emulator.ecr.create_repository(repositoryName="team/other")
    text = text_of(registry.image("team/other", b"one"))
    assert code(emulator.ecr.put_image, repositoryName=app, imageManifest=text) == (
        "LayersNotFoundException"
    )


def push_index(emulator, registry, app) -> tuple[str, str]:
    child = text_of(registry.image(app, b"child layer"))
    emulator.ecr.put_image(repositoryName=app, imageManifest=child)
    digest = digest_of(child.encode())
    index = text_of(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{"mediaType": MANIFEST, "digest": digest, "size": len(child)}],
        }
    )
    emulator.ecr.put_image(repositoryName=app, imageManifest=index, imageTag="multi")
    return digest_of(index.encode()), digest


def test_index(emulator, registry, app):
    index, child = push_index(emulator, registry, app)
    details = emulator.ecr.describe_images(repositoryName=app)["imageDetails"]
    sizes = {d["imageDigest"]: d["imageSizeInBytes"] for d in details}
    assert sizes[index] == sizes[child] > 0
    delete = emulator.ecr.batch_delete_image
    refused = delete(repositoryName=app, imageIds=[{"imageDigest": child}])
    assert refused["imageIds"] == []
    assert refused["failures"][0]["failureCode"] == "ImageReferencedByManifestList"
    # the index first, then the image
    done = delete(repositoryName=app, imageIds=[{"imageDigest": index}, {"imageDigest": child}])
    assert done["failures"] == []
    assert tags_of(emulator, app) == {}


def test_delete_by_tag_and_by_digest(emulator, registry, app):
    ecr = emulator.ecr
    text = text_of(registry.image(app, b"one"))
    digest = digest_of(text.encode())
    for tag in ("a", "b", "c"):
        ecr.put_image(repositoryName=app, imageManifest=text, imageTag=tag)
    answer = ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageTag": "a"}])
    assert answer["imageIds"] == [{"imageDigest": digest, "imageTag": "a"}]
    assert tags_of(emulator, app) == {digest: ["b", "c"]}
    answer = ecr.batch_delete_image(
        repositoryName=app,
        imageIds=[
            {"imageDigest": digest, "imageTag": "x"},
            {"imageDigest": "nonsense"},
            {"imageDigest": UNKNOWN_DIGEST},
        ],
    )
    codes = [f["failureCode"] for f in answer["failures"]]
    assert codes == ["ImageNotFound", "InvalidImageDigest", "ImageNotFound"]
    answer = ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageDigest": digest}])
    assert answer["imageIds"] == [{"imageDigest": digest, "imageTag": t} for t in ("b", "c")]
    assert tags_of(emulator, app) == {}
    # the last tag takes the image along, and its layers are no longer there
    assert code(ecr.put_image, repositoryName=app, imageManifest=text) == "LayersNotFoundException"
    ecr.put_image(
        repositoryName=app, imageManifest=text_of(registry.image(app, b"one")), imageTag="a"
    )
    ecr.batch_delete_image(repositoryName=app, imageIds=[{"imageTag": "a"}])
    assert tags_of(emulator, app) == {}


def test_list_filters_and_pages(emulator, registry, app):
    ecr = emulator.ecr
    texts = [text_of(registry.image(app, b"%d" % i)) for i in range(4)]
    digests = [digest_of(t.encode()) for t in texts]
    for i, text in enumerate(texts):
        ecr.put_image(repositoryName=app, imageManifest=text, imageTag=f"t{i}")
    ecr.put_image(repositoryName=app, imageManifest=texts[0], imageTag="t3")  # moves it
    pairs = [(digests[0], "t0"), (digests[0], "t3"), (digests[1], "t1"), (digests[2], "t2")]
    pairs.append((digests[3], None))

    def listed(**more) -> list:
        pages = ecr.get_paginator("list_images").paginate(
            repositoryName=app, PaginationConfig={"PageSize": 2}, **more
        )
        ids = [i for page in pages for i in page["imageIds"]]
        return [(i["imageDigest"], i.get("imageTag")) for i in ids]

    assert listed() == pairs
    assert listed(filter={"tagStatus": "TAGGED"}) == pairs[:4]
    assert listed(filter={"tagStatus": "UNTAGGED"}) == pairs[4:]
    assert listed(filter={"tagStatus": "ANY"}) == pairs
    pages = ecr.get_paginator("describe_images").paginate(
        repositoryName=app, PaginationConfig={"PageSize": 3}
    )
    assert [[d["imageDigest"] for d in p["imageDetails"]] for p in pages] == [
        digests[:3],
        digests[3:],
    ]
    untagged = ecr.describe_images(repositoryName=app, filter={"tagStatus": "UNTAGGED"})
    assert [d["imageDigest"] for d in untagged["imageDetails"]] == digests[3:]
    assert "imageTags" not in untagged["imageDetails"][0]
    archived = ecr.describe_images(repositoryName=app, filter={"imageStatus": "ARCHIVED"})
    assert archived["imageDetails"] == []


def test_repository_with_images_is_not_deleted(emulator, registry, app):
    text = text_of(registry.image(app, b"one"))
    emulator.ecr.put_image(repositoryName=app, imageManifest=text, imageTag="v1")
    assert emulator.control("GET", "stats")["blobsStored"] == 2
    assert code(emulator.ecr.delete_repository, repositoryName=app) == (
        "RepositoryNotEmptyException"
    )
    emulator.ecr.delete_repository(repositoryName=app, force=True)
    stats = emulator.control("GET", "stats")
    assert (stats["images"], stats["blobsStored"], stats["manifestBytes"]) == (0, 0, 0)


def test_large_manifest(emulator, registry, app):
    """Up to 4 MiB, whatever escaping makes of it."""
    image = registry.image(app, b"one")
    filler = 4 * 1024 * 1024 - len(text_of({**image, "annotations": {"x": ""}}))
    largest = text_of({**image, "annotations": {"x": "a" * filler}})
    assert len(largest) == 4 * 1024 * 1024
    emulator.ecr.put_image(repositoryName=app, imageManifest=largest, imageTag="big")
    got = emulator.ecr.batch_get_image(repositoryName=app, imageIds=[{"imageTag": "big"}])
    assert got["images"][0]["imageManifest"] == largest
    assert code(
        emulator.ecr.put_image, repositoryName=app, imageManifest=largest + " "
    ) == "InvalidParameterException"  # fmt: skip
    quotes = filler // 2
    quoted = text_of({**image, "annotations": {"x": '"' * quotes}})
    assert len(quoted) > 4 * 1024 * 1024 - 2
    emulator.ecr.put_image(repositoryName=app, imageManifest=quoted, imageTag="quoted")
    got = emulator.ecr.batch_get_image(repositoryName=app, imageIds=[{"imageTag": "quoted"}])
    assert got["images"][0]["imageManifest"] == quoted
