# SPDX-License-Identifier: Apache-2.0
"""The registry side of the emulator (/v2/), byte by byte over raw HTTP, against what ECR is
documented or was seen to answer."""

import base64
import json
import os
import socket

import pytest

from berth_test.emulator import ACCOUNT, Emulator
from berth_test.registry import INDEX, LAYER, MANIFEST, UNKNOWN_DIGEST, Registry, digest_of


@pytest.fixture
def registry(emulator: Emulator) -> Registry:
    return Registry(emulator)


@pytest.fixture
def app(emulator: Emulator) -> str:
    emulator.ecr.create_repository(repositoryName="team/app")
    return "team/app"


# --- authentication ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "auth",
    [
        None,
        "Bearer x",
        "Basic",
        "Basic !",
        "Basic " + base64.b64encode(b"AWS:wrong").decode(),
        "Basic " + base64.b64encode(b"AWS").decode(),
    ],
)
def test_without_a_token_there_is_a_challenge(emulator, registry, auth):
    for method, path in (("GET", "/v2/"), ("POST", "/v2/team/app/blobs/uploads/")):
        answer = registry(method, path, auth=auth)
        assert (answer.status, answer.body) == (401, b"Not Authorized\n")
        challenge = f'Basic realm="{emulator.endpoint}/",service="ecr.amazonaws.com"'
        assert answer.headers["Www-Authenticate"] == challenge
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert emulator.repositories() == {}


def test_user_must_be_aws(registry):
    password = base64.b64decode(registry.token).removeprefix(b"AWS:")
    other = base64.b64encode(b"admin:" + password).decode()
    assert registry("GET", "/v2/", auth=f"Basic {other}").status == 401


def test_base_answers_who_has_a_token(registry):
    assert registry("GET", "/v2/").status == 200
    assert registry("GET", "/v2").status == 200
    assert registry("HEAD", "/v2/").status == 200


# --- paths ---------------------------------------------------------------------------------------


def test_what_ecr_does_not_offer(registry, app):
    assert registry("DELETE", f"/v2/{app}/manifests/v1").error == (405, "UNSUPPORTED")
    assert registry("DELETE", f"/v2/{app}/blobs/{UNKNOWN_DIGEST}").error == (405, "UNSUPPORTED")
    answer = registry("POST", f"/v2/{app}/tags/list", b"x")
    assert answer.error == (405, "UNSUPPORTED")
    assert answer.headers["Allow"] == "GET"
    assert registry("GET", "/v2/nothing").error == (404, "UNSUPPORTED")


@pytest.mark.parametrize("name", ["UPPER", "a", "team//app", "-app", "team/app-", "x" * 257])
def test_names_that_ecr_refuses(emulator, registry, name):
    emulator.ecr.create_repository_creation_template(
        prefix="ROOT", appliedFor=["CREATE_ON_PUSH"]
    )
    for method, path in (
        ("POST", "blobs/uploads/"),
        ("PUT", "manifests/v1"),
        ("GET", "manifests/v1"),
        ("GET", "tags/list"),
    ):
        assert registry(method, f"/v2/{name}/{path}").error == (400, "NAME_INVALID")
    assert emulator.repositories() == {}


def test_unknown_repository(registry):
    want = f"The repository with name 'no/such' does not exist in the registry with id '{ACCOUNT}'"
    for method, path in (
        ("POST", "blobs/uploads/"),
        ("PATCH", "blobs/uploads/8a0c"),
        ("GET", f"blobs/{UNKNOWN_DIGEST}"),
        ("GET", "manifests/v1"),
        ("PUT", "manifests/v1"),
        ("GET", "tags/list"),
    ):
        answer = registry(method, f"/v2/no/such/{path}")
        assert answer.error == (404, "NAME_UNKNOWN")
        assert answer.message == want
    assert registry("HEAD", "/v2/no/such/manifests/v1").status == 404


# --- uploads -------------------------------------------------------------------------------------


def test_upload_by_post_and_put(registry, app):
    data = os.urandom(100_000)
    start = registry("POST", f"/v2/{app}/blobs/uploads/")
    assert start.status == 202
    assert start.headers["Range"] == "0-0"
    assert start.location.startswith(f"/v2/{app}/blobs/uploads/")
    # ECR sends none (seen by clients that relied on it)
    assert start.headers["Docker-Upload-UUID"] is None
    done = registry("PUT", f"{start.location}?digest={digest_of(data)}", data)
    assert done.status == 201
    assert done.location == f"/v2/{app}/blobs/{digest_of(data)}"
    assert done.headers["Docker-Content-Digest"] == digest_of(data)
    got = registry("GET", done.location)
    assert (got.status, got.body) == (200, data)
    assert got.headers["Docker-Content-Digest"] == digest_of(data)


def test_monolithic_post(registry, app):
    data = b"layer"
    path = f"/v2/{app}/blobs/uploads/?digest={digest_of(data)}"
    assert registry("POST", path, data).status == 201
    assert registry.has(app, digest_of(data))
    # without a body it is an ordinary start
    assert registry("POST", path).status == 202
    assert registry("POST", path, b"other").error == (400, "DIGEST_INVALID")
    assert registry("POST", f"/v2/{app}/blobs/uploads/?digest=x").error == (400, "DIGEST_INVALID")


def test_chunked_transfer_is_decoded(registry, app):
    pieces = [os.urandom(n) for n in (1, 4096, 70_000)]
    location = registry.start(app)
    answer = registry("PATCH", location, iter(pieces))  # Transfer-Encoding: chunked
    assert (answer.status, answer.location) == (202, location)
    assert answer.headers["Range"] == "0-74096"
    digest = digest_of(b"".join(pieces))
    assert registry("PUT", f"{location}?digest={digest}").status == 201
    assert registry("GET", f"/v2/{app}/blobs/{digest}").body == b"".join(pieces)


def test_chunks_with_content_range(registry, app):
    location = registry.start(app)
    assert registry("PATCH", location, b"0123", Content_Range="0-3").status == 202
    for wrong in ("0-3", "5-8"):
        late = registry("PATCH", location, b"4567", Content_Range=wrong)
        assert late.error == (416, "RANGE_INVALID")
        assert late.headers["Range"] == "0-3"
        assert late.location == location
    short = registry("PATCH", location, b"45", Content_Range="4-7")
    assert short.error == (400, "SIZE_INVALID")
    short = registry("PATCH", location, iter([b"45"]), Content_Range="4-7")
    assert short.error == (400, "SIZE_INVALID")
    broken = registry("PATCH", location, b"45", Content_Range="4")
    assert broken.error == (400, "BLOB_UPLOAD_INVALID")
    status = registry("GET", location)
    assert (status.status, status.headers["Range"]) == (204, "0-3")
    # the last chunk may come with the PUT
    digest = digest_of(b"01234567")
    last = registry("PUT", f"{location}?digest={digest}", b"4567", Content_Range="4-7")
    assert last.status == 201
    assert registry("GET", f"/v2/{app}/blobs/{digest}").body == b"01234567"


def test_digest_of_an_upload(registry, app):
    location = registry.start(app)
    for query in ("", "?digest=", "?digest=sha256:12", f"?digest=sha512:{'0' * 128}"):
        assert registry("PUT", location + query, b"x").error == (400, "DIGEST_INVALID")
    wrong = registry("PUT", f"{location}?digest={UNKNOWN_DIGEST}", b"x")
    assert wrong.error == (400, "DIGEST_INVALID")
    # and that was the end of it
    assert registry("GET", location).error == (404, "BLOB_UPLOAD_UNKNOWN")


def test_empty_upload(registry, app):
    location = registry.start(app)
    answer = registry("PUT", f"{location}?digest={digest_of(b'')}")
    assert answer.error == (400, "BLOB_UPLOAD_INVALID")
    upload = location.rpartition("/")[2]
    assert answer.message == (
        f"The upload with id '{upload}' in the repository with name '{app}' in registry with id "
        f"'{ACCOUNT}' cannot be completed because it does not have any parts."
    )


def test_upload_given_up(registry, app):
    location = registry.start(app)
    assert registry("DELETE", location).status == 204
    assert registry("DELETE", location).error == (404, "BLOB_UPLOAD_UNKNOWN")
    assert registry("PATCH", location, b"x").error == (404, "BLOB_UPLOAD_UNKNOWN")


def test_upload_of_another_repository(emulator, registry, app):
    emulator.ecr.create_repository(repositoryName="other")
    upload = registry.start(app).rpartition("/")[2]
    answer = registry("PATCH", f"/v2/other/blobs/uploads/{upload}", b"x")
    assert answer.error == (404, "BLOB_UPLOAD_UNKNOWN")


def test_broken_connection_is_resumed(emulator, registry, app):
    location = registry.start(app)
    host, port = emulator.registry.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as s:
        s.sendall(
            f"PATCH {location} HTTP/1.1\r\nHost: {emulator.registry}\r\n"
            f"Authorization: Basic {registry.token}\r\nContent-Length: 1000\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        # from here on the upload is this request's
        assert s.recv(4096).startswith(b"HTTP/1.1 100 ")
        s.sendall(b"a" * 600)
    # it is let go when the server sees the end, and what came is kept
    status = registry("GET", location)
    assert (status.status, status.headers["Range"]) == (204, "0-599")
    digest = digest_of(b"a" * 1000)
    last = registry("PUT", f"{location}?digest={digest}", b"a" * 400, Content_Range="600-999")
    assert last.status == 201, last.body


def test_refusal_is_told_before_the_body_to_who_waits(emulator, registry, app):
    host, port = emulator.registry.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as s:
        s.sendall(
            f"PATCH /v2/{app}/blobs/uploads/none HTTP/1.1\r\nHost: {emulator.registry}\r\n"
            f"Authorization: Basic {registry.token}\r\nContent-Length: 1000000\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert s.recv(4096).startswith(b"HTTP/1.1 404 ")


# --- blobs ---------------------------------------------------------------------------------------


def test_blob_in_parts(registry, app):
    data = os.urandom(1000)
    path = f"/v2/{app}/blobs/{registry.blob(app, data)}"
    head = registry("HEAD", path)
    assert (head.status, head.headers["Content-Length"], head.body) == (200, "1000", b"")
    assert head.headers["Docker-Content-Digest"] == digest_of(data)
    for header, want, part in (
        ("bytes=0-99", "bytes 0-99/1000", data[:100]),
        ("bytes=900-", "bytes 900-999/1000", data[900:]),
        ("bytes=-10", "bytes 990-999/1000", data[990:]),
    ):
        answer = registry("GET", path, Range=header)
        assert (answer.status, answer.body) == (206, part)
        assert answer.headers["Content-Range"] == want
    beyond = registry("GET", path, Range="bytes=1000-")
    assert beyond.error == (416, "RANGE_INVALID")
    assert beyond.headers["Content-Range"] == "bytes */1000"


def test_blob_belongs_to_its_repository(emulator, registry, app):
    emulator.ecr.create_repository(repositoryName="other")
    digest = registry.blob(app, b"secret")
    assert registry("GET", f"/v2/other/blobs/{digest}").error == (404, "BLOB_UNKNOWN")
    assert registry("GET", f"/v2/{app}/blobs/{UNKNOWN_DIGEST}").error == (404, "BLOB_UNKNOWN")
    assert registry("GET", f"/v2/{app}/blobs/sha256:zz").error == (400, "DIGEST_INVALID")
    assert registry("HEAD", f"/v2/other/blobs/{digest}").status == 404


# --- manifests -----------------------------------------------------------------------------------


def test_manifest_is_kept_byte_for_byte(emulator, registry, app):
    image = registry.image(app, b"layer one", b"layer two")
    data = (json.dumps(image, indent=7) + "\n\n").encode()
    digest = digest_of(data)
    done = registry.put(app, "v1", data, MANIFEST + "; charset=utf-8")
    assert done.status == 201, done.body
    assert done.location == f"/v2/{app}/manifests/{digest}"
    assert done.headers["Docker-Content-Digest"] == digest
    for reference in ("v1", digest):
        got = registry("GET", f"/v2/{app}/manifests/{reference}")
        assert (got.status, got.body) == (200, data)
        assert got.headers["Content-Type"] == MANIFEST
        assert got.headers["Docker-Content-Digest"] == digest
        head = registry("HEAD", f"/v2/{app}/manifests/{reference}")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == str(len(data))
    (detail,) = emulator.ecr.describe_images(repositoryName=app)["imageDetails"]
    assert (detail["imageDigest"], detail["imageTags"]) == (digest, ["v1"])


def test_unknown_manifest(registry, app):
    for reference in ("v1", UNKNOWN_DIGEST, "no:digest"):
        answer = registry("GET", f"/v2/{app}/manifests/{reference}")
        assert answer.error == (404, "MANIFEST_UNKNOWN")
        assert answer.message == "Requested image not found"


def test_accept(registry, app):
    registry.push(app, "v1", b"layer")
    path = f"/v2/{app}/manifests/v1"
    assert registry("GET", path, Accept=f"{INDEX}, {MANIFEST}").status == 200
    assert registry("GET", path, Accept="*/*").status == 200
    assert registry("GET", path, Accept=INDEX).error == (404, "MANIFEST_UNKNOWN")


def test_manifest_that_ecr_refuses(registry, app):
    image = registry.image(app, b"layer")
    for broken in (b"{", b"[]", b'"x"', b"", b"\xff"):
        answer = registry.put(app, "v1", broken)
        assert answer.error == (405, "UNSUPPORTED")
        assert answer.message == (
            "Invalid parameter at 'ImageManifest' failed to satisfy constraint: "
            "'Invalid JSON syntax'"
        )
    assert registry.put(app, UNKNOWN_DIGEST, image).error == (400, "DIGEST_INVALID")
    assert registry.put(app, "sha256:12", image).error == (400, "DIGEST_INVALID")
    for tag in (".v1", "a" * 129, "a%20b"):
        assert registry.put(app, tag, image).error == (400, "TAG_INVALID")
    big = json.dumps(image).encode().ljust(4 * 1024 * 1024 + 1)
    assert registry.put(app, "v1", big).error == (413, "SIZE_INVALID")
    assert registry.put(app, "v1", iter([big])).status == 413
    assert registry.put(app, "v1", big[:-1]).status == 201


def test_missing_layers(registry, app):
    image = registry.image(app, b"layer")
    gone = ["sha256:" + c * 64 for c in "ab"]
    image["layers"] += [{"mediaType": LAYER, "digest": d, "size": 1} for d in gone]
    answer = registry.put(app, "v1", image)
    assert answer.error == (404, "BLOB_UPLOAD_UNKNOWN")
    assert answer.message == (
        f"Layers with digests '[{gone[0]}, {gone[1]}]' required for pushing image into repository "
        f"with name '{app}' in the registry with id '{ACCOUNT}' do not exist"
    )
    assert registry("GET", f"/v2/{app}/manifests/v1").status == 404


def test_index_needs_its_children(registry, app):
    child = registry.push(app, "amd64", b"layer")
    entry = {"mediaType": MANIFEST, "digest": child, "size": 1}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    missing = {**index, "manifests": [entry, {**entry, "digest": UNKNOWN_DIGEST}]}
    assert registry.put(app, "v1", missing, INDEX).error == (404, "MANIFEST_BLOB_UNKNOWN")
    done = registry.put(app, "v1", index, INDEX)
    assert done.status == 201, done.body
    got = registry("GET", f"/v2/{app}/manifests/v1")
    assert (got.headers["Content-Type"], got.json()) == (INDEX, index)


def test_tag_moves_in_a_mutable_repository(registry, app):
    first = registry.push(app, "v1", b"one")
    second = registry.push(app, "v1", b"two")
    path = f"/v2/{app}/manifests"
    assert registry("HEAD", f"{path}/v1").headers["Docker-Content-Digest"] == second
    assert registry("HEAD", f"{path}/{first}").status == 200
    assert registry.put(app, "v1", registry.image(app, b"two")).status == 201


def immutable(tag: str, repository: str) -> str:
    return (
        f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be "
        "overwritten because the tag is immutable."
    )


@pytest.mark.parametrize(
    "mutability, filters, refused",
    [
        ("IMMUTABLE", [], ["v1", "latest"]),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest*"], ["v1"]),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], ["v1"]),
    ],
)
def test_immutable_tags(emulator, registry, mutability, filters, refused):
    more = {}
    if filters:
        more["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": f} for f in filters
        ]
    emulator.ecr.create_repository(
        repositoryName="fixed", imageTagMutability=mutability, **more
    )
    for tag in ("v1", "latest"):
        registry.push("fixed", tag, b"one")
    for tag in ("v1", "latest"):
        # ECR refuses an identical push as well (moby/buildkit#3776)
        for layer in (b"one", b"two"):
            answer = registry.put("fixed", tag, registry.image("fixed", layer))
            if tag in refused:
                assert answer.error == (400, "TAG_INVALID")
                assert answer.message == immutable(tag, "fixed")
            else:
                assert answer.status == 201
    # by digest nothing is overwritten
    data = json.dumps(registry.image("fixed", b"one")).encode()
    assert registry.put("fixed", digest_of(data), data).status == 201


# --- lists ---------------------------------------------------------------------------------------


def test_tags_are_paged(registry, app):
    assert registry("GET", f"/v2/{app}/tags/list").json() == {"name": app, "tags": []}
    for tag in ("c", "a", "b"):
        registry.push(app, tag, b"layer")
    every = registry("GET", f"/v2/{app}/tags/list")
    assert every.json() == {"name": app, "tags": ["a", "b", "c"]}
    assert every.headers["Link"] is None
    page = registry("GET", f"/v2/{app}/tags/list?n=2")
    assert page.json()["tags"] == ["a", "b"]
    assert page.headers["Link"] == f'</v2/{app}/tags/list?last=b&n=2>; rel="next"'
    rest = registry("GET", f"/v2/{app}/tags/list?last=b&n=2")
    assert (rest.json()["tags"], rest.headers["Link"]) == (["c"], None)
    assert registry("GET", f"/v2/{app}/tags/list?n=0").json()["tags"] == []
    for wrong in ("-1", "x", "99999999999999999999"):
        answer = registry("GET", f"/v2/{app}/tags/list?n={wrong}")
        assert answer.error == (400, "PAGINATION_NUMBER_INVALID")


def test_catalog(emulator, registry):
    for name in ("b/x", "a/x", "a/y"):
        emulator.ecr.create_repository(repositoryName=name)
    assert registry("GET", "/v2/_catalog").json() == {"repositories": ["a/x", "a/y", "b/x"]}
    page = registry("GET", "/v2/_catalog?n=1&last=a/x")
    assert page.json() == {"repositories": ["a/y"]}
    assert page.headers["Link"] == '</v2/_catalog?last=a/y&n=1>; rel="next"'


def test_referrers(registry, app):
    subject = registry.push(app, "v1", b"layer")
    image = registry.image(
        app,
        b"signature",
        artifactType="application/x.signature",
        subject={"mediaType": MANIFEST, "digest": subject, "size": 1},
        annotations={"by": "a test"},
    )
    data = json.dumps(image).encode()
    done = registry.put(app, digest_of(data), data)
    assert (done.status, done.headers["OCI-Subject"]) == (201, subject)
    got = registry("GET", f"/v2/{app}/referrers/{subject}")
    assert (got.status, got.headers["Content-Type"]) == (200, INDEX)
    want = {
        "mediaType": MANIFEST,
        "digest": digest_of(data),
        "size": len(data),
        "artifactType": "application/x.signature",
        "annotations": {"by": "a test"},
    }
    assert got.json() == {"schemaVersion": 2, "mediaType": INDEX, "manifests": [want]}
    other = registry("GET", f"/v2/{app}/referrers/{subject}?artifactType=x/y")
    assert (other.status, other.json()["manifests"]) == (200, [])
    assert other.headers["OCI-Filters-Applied"] == "artifactType"
    # no referrers, no image, no repository: an empty index all the same
    for path in (f"{app}/referrers/{UNKNOWN_DIGEST}", f"no/such/referrers/{UNKNOWN_DIGEST}"):
        empty = registry("GET", f"/v2/{path}")
        assert (empty.status, empty.json()["manifests"]) == (200, [])
