# SPDX-License-Identifier: Apache-2.0
"""skopeo against the emulator: what an ordinary client pushes comes back byte for byte, is created
from a template, is mounted where the client knows a source; and size costs no memory."""

import base64
import gzip
import hashlib
import json
import os
import pathlib
import subprocess
import tarfile

import pytest

from berth_test import images
from berth_test.emulator import Emulator
from berth_test.registry import UNKNOWN_DIGEST, Registry

LARGE_LAYER_MIB = 300
# of the emulator, with a layer of LARGE_LAYER_MIB pushed and pulled through it
PEAK_RSS_KIB = 32 * 1024


class Skopeo:
    """With configuration and blob cache of its own."""

    def __init__(self, emulator: Emulator, state: pathlib.Path) -> None:
        self._registry = emulator.registry
        self._state = state
        data = emulator.ecr.get_authorization_token()["authorizationData"][0]
        self._credentials = base64.b64decode(data["authorizationToken"]).decode()

    def run(self, *args: str, credentials: str | None = None) -> subprocess.CompletedProcess:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._state),
            "XDG_DATA_HOME": str(self._state),
            "TMPDIR": str(self._state),
            "_CONTAINERS_ROOTLESS_UID": "1000",  # else root's cache is in /var/lib
        }
        filled = [a.format(creds=credentials or self._credentials) for a in args]
        return subprocess.run(
            ["skopeo", "--insecure-policy", *filled], env=env, text=True, capture_output=True
        )

    def copy_to(self, layout: pathlib.Path, image: str, *options: str, **more):
        repository = f"docker://{self._registry}/{image}"
        return self.run(
            "copy", *options, "--dest-tls-verify=false", "--dest-creds", "{creds}",
            f"oci:{layout}:latest", repository, **more,
        )  # fmt: skip

    def copy_from(self, image: str, layout: pathlib.Path, *options: str):
        repository = f"docker://{self._registry}/{image}"
        return self.run(
            "copy", *options, "--src-tls-verify=false", "--src-creds", "{creds}",
            repository, f"oci:{layout}:latest",
        )  # fmt: skip

    def query(self, command: str, image: str, *options: str):
        done = self.run(
            command, *options, "--tls-verify=false", "--creds", "{creds}",
            f"docker://{self._registry}/{image}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def skopeo(emulator: Emulator, tmp_path: pathlib.Path) -> Skopeo:
    state = tmp_path / "skopeo"
    state.mkdir()
    return Skopeo(emulator, state)


def assert_done(done: subprocess.CompletedProcess) -> None:
    assert done.returncode == 0, done.stderr


def blobs_of(layout: pathlib.Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (layout / "blobs" / "sha256").iterdir()}


def mounts(emulator: Emulator) -> list[dict]:
    """What the request log says of each attempt to mount."""
    return [r.body for r in emulator.requests() if r.api == "v2" and r.body and "mount" in r.body]


def create_from(emulator: Emulator, prefix: str, **settings) -> None:
    emulator.ecr.create_repository_creation_template(
        prefix=prefix, appliedFor=["CREATE_ON_PUSH"], **settings
    )


def test_push_and_pull(emulator, skopeo, tmp_path):
    create_from(emulator, "team")
    layers = [images.random_layer(n, f"file-{n}") for n in (1, 70_000, 3_000_000)]
    digest = images.write_layout(tmp_path / "image", layers)
    assert_done(skopeo.copy_to(tmp_path / "image", "team/app:v1"))
    assert set(emulator.repositories()) == {"team/app"}
    assert_done(skopeo.copy_from("team/app:v1", tmp_path / "by-tag"))
    assert_done(skopeo.copy_from(f"team/app@{digest}", tmp_path / "by-digest"))
    pushed = blobs_of(tmp_path / "image")
    assert blobs_of(tmp_path / "by-tag") == pushed
    assert blobs_of(tmp_path / "by-digest") == pushed


def test_pushed_again_nothing_is_sent(emulator, skopeo, tmp_path):
    create_from(emulator, "team")
    images.write_layout(tmp_path / "image", [images.random_layer(1000)])
    assert_done(skopeo.copy_to(tmp_path / "image", "team/app:v1"))
    emulator.mark()
    assert_done(skopeo.copy_to(tmp_path / "image", "team/app:v2"))
    assert not [r for r in emulator.requests() if "/blobs/uploads/" in r.operation]
    assert skopeo.query("list-tags", "team/app")["Tags"] == ["v1", "v2"]


def test_other_manifest_formats(emulator, skopeo, tmp_path):
    create_from(emulator, "team")
    images.write_layout(tmp_path / "image", [images.random_layer(1000)])
    assert_done(skopeo.copy_to(tmp_path / "image", "team/app:docker", "--format", "v2s2"))
    raw = skopeo.query("inspect", "team/app:docker", "--raw")
    assert raw["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert_done(skopeo.copy_from("team/app:docker", tmp_path / "back", "--format", "oci"))


def test_index_with_all_its_images(emulator, skopeo, tmp_path):
    create_from(emulator, "team")
    base = images.random_layer(100_000)
    for arch in ("amd64", "arm64"):
        layers = [base, images.random_layer(1000)]
        images.write_layout(tmp_path / arch, layers)
        assert_done(skopeo.copy_to(tmp_path / arch, f"team/app:{arch}"))
    registry = Registry(emulator)
    entries = []
    for arch in ("amd64", "arm64"):
        head = registry("GET", f"/v2/team/app/manifests/{arch}")
        entries.append(
            {
                "mediaType": head.headers["Content-Type"],
                "digest": head.headers["Docker-Content-Digest"],
                "size": len(head.body),
                "platform": {"architecture": arch, "os": "linux"},
            }
        )
    media_type = "application/vnd.oci.image.index.v1+json"
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
    assert registry.put("team/app", "all", index, media_type).status == 201
    assert_done(skopeo.copy_from("team/app:all", tmp_path / "all", "--all"))
    pulled = blobs_of(tmp_path / "all")
    for arch in ("amd64", "arm64"):
        assert blobs_of(tmp_path / arch).items() <= pulled.items()


def test_shared_layer_is_mounted(emulator, skopeo, tmp_path):
    create_from(emulator, "team")
    base = images.random_layer(500_000, "base")
    for name in ("one", "two", "three"):
        images.write_layout(tmp_path / name, [base, images.random_layer(100, name)])
    emulator.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    assert_done(skopeo.copy_to(tmp_path / "one", "team/one:v1"))
    assert mounts(emulator) == []
    # skopeo offers to mount what it knows the compression of. A push tells it that only where it
    # has read the blob's end before the reply is there (a race, on loopback); a pull always does.
    assert_done(skopeo.copy_from("team/one:v1", tmp_path / "one-back"))
    assert_done(skopeo.copy_to(tmp_path / "two", "team/two:v1"))
    (mount,) = mounts(emulator)
    assert mount == {"mount": base.digest, "from": "team/one", "mounted": True}
    stats = emulator.control("GET", "stats")
    assert (stats["blobsMounted"], stats["bytesMounted"]) == (1, len(base.blob))
    assert stats["blobLinks"] == stats["blobsStored"] + 1
    assert_done(skopeo.copy_from("team/two:v1", tmp_path / "two-back"))
    assert blobs_of(tmp_path / "two-back") == blobs_of(tmp_path / "two")
    # switched off, the layer is uploaded, and what is mounted stays
    emulator.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    emulator.mark()
    assert_done(skopeo.copy_to(tmp_path / "three", "team/three:v1"))
    attempts = mounts(emulator)
    assert attempts and all(not a["mounted"] and a["why"] == "disabled" for a in attempts)
    for name in ("two", "three"):
        assert_done(skopeo.copy_from(f"team/{name}:v1", tmp_path / f"{name}-again"))
        assert blobs_of(tmp_path / f"{name}-again") == blobs_of(tmp_path / name)


def test_what_people_see(emulator, skopeo, tmp_path):
    images.write_layout(tmp_path / "image", [images.random_layer(1000)])
    other = tmp_path / "other"
    images.write_layout(other, [images.random_layer(1000)])
    refused = skopeo.copy_to(tmp_path / "image", "team/app:v1")
    assert refused.returncode != 0
    assert "name unknown: The repository with name 'team/app' does not exist" in refused.stderr
    create_from(emulator, "team", imageTagMutability="IMMUTABLE")
    assert_done(skopeo.copy_to(tmp_path / "image", "team/app:v1"))
    refused = skopeo.copy_to(other, "team/app:v1")
    assert refused.returncode != 0
    assert "tag invalid: The image tag 'v1' already exists in the 'team/app'" in refused.stderr
    refused = skopeo.copy_to(other, "team/app:v2", credentials="AWS:wrong")
    assert refused.returncode != 0
    # skopeo 1.9 and 1.18 say it in their own words
    said = ("Not Authorized", "unauthorized", "authentication required")
    assert any(words in refused.stderr for words in said), refused.stderr
    missing = skopeo.copy_from(f"team/app@{UNKNOWN_DIGEST}", tmp_path / "missing")
    assert missing.returncode != 0
    assert "manifest unknown" in missing.stderr


# --- size ----------------------------------------------------------------------------------------


class HashingFile:
    """A file that knows its SHA-256."""

    def __init__(self, path: pathlib.Path) -> None:
        self._file = open(path, "wb")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def close(self) -> str:
        self._file.close()
        return self._hash.hexdigest()


class Noise:
    """Random bytes, made as they are read."""

    def read(self, n: int) -> bytes:
        return os.urandom(n)


def write_large_layout(directory: pathlib.Path, mib: int) -> str:
    """An image with one layer of that size, gzip without compression; the layer's digest."""
    images.write_layout(directory, [])
    blobs = directory / "blobs" / "sha256"
    out = HashingFile(blobs / "layer")
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=0, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w|") as archive:
            info = tarfile.TarInfo("noise")
            info.size = mib * 1024 * 1024
            archive.addfile(info, Noise())
    layer = out.close()
    (blobs / "layer").rename(blobs / layer)
    index = json.loads((directory / "index.json").read_text())
    entry = index["manifests"][0]
    manifest = json.loads((blobs / entry["digest"].removeprefix("sha256:")).read_text())
    manifest["layers"] = [
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": f"sha256:{layer}",
            "size": out.size,
        }
    ]
    data = json.dumps(manifest).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    entry.update(digest=f"sha256:{digest}", size=len(data))
    (directory / "index.json").write_text(json.dumps(index))
    return layer


def hash_of(path: pathlib.Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def test_memory_does_not_grow_with_the_layer(emulator, skopeo, tmp_path):
    create_from(emulator, "team")
    layer = write_large_layout(tmp_path / "image", LARGE_LAYER_MIB)
    assert_done(skopeo.copy_to(tmp_path / "image", "team/large:v1"))
    assert_done(skopeo.copy_from("team/large:v1", tmp_path / "back"))
    assert hash_of(tmp_path / "back" / "blobs" / "sha256" / layer) == layer
    peak = emulator.process.peak_rss_kib()
    assert 0 < peak < PEAK_RSS_KIB, f"{peak} KiB"
