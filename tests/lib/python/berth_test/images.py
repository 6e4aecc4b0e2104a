# SPDX-License-Identifier: Apache-2.0
"""Small OCI images made up here, and pushing them with skopeo."""

import base64
import dataclasses
import gzip
import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile

from berth_test.emulator import Emulator

_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclasses.dataclass(frozen=True)
class Layer:
    blob: bytes
    diff_id: str
    media_type: str

    @property
    def digest(self) -> str:
        return _digest(self.blob)


def random_layer(size: int, name: str = "data", is_gzipped: bool = True) -> Layer:
    """A layer with one file of random bytes. One that is not gzipped is gzipped by skopeo, on its
    way; then it surely offers to mount it the next time (what is pushed as it is, it offers only
    where it has read the blob's end before the reply is there: a race, on loopback)."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = size
        archive.addfile(info, io.BytesIO(os.urandom(size)))
    blob = tar.getvalue()
    if not is_gzipped:
        return Layer(blob, _digest(blob), _LAYER)
    return Layer(gzip.compress(blob, 1, mtime=0), _digest(blob), _LAYER + "+gzip")


def write_layout(directory: pathlib.Path, layers: list[Layer], tag: str = "latest") -> str:
    """An OCI image layout with one image of these layers; returns its manifest's digest."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(data: bytes, media_type: str) -> dict:
        digest = _digest(data)
        (blobs / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": put(json.dumps(config).encode(), _CONFIG),
        "layers": [put(layer.blob, layer.media_type) for layer in layers],
    }
    entry = put(json.dumps(manifest).encode(), _MANIFEST)
    entry["annotations"] = {"org.opencontainers.image.ref.name": tag}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return entry["digest"]


def push(
    emulator: Emulator, layout: pathlib.Path, repository: str, state: pathlib.Path, tag="latest"
) -> str:
    """skopeo copy to the emulator's registry; what it says. state keeps skopeo's knowledge of
    where which blob is (what makes it mount), away from the user's own."""


    token = emulator.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(state),
        "XDG_DATA_HOME": str(state),
        "TMPDIR": str(state),
        "_CONTAINERS_ROOTLESS_UID": "1000",  # else root's cache is in /var/lib
    }
    done = subprocess.run(
        [
            "skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false",
            "--dest-creds", base64.b64decode(token).decode(),
            f"oci:{layout}:{tag}", f"docker://{emulator.registry}/{repository}:{tag}",
        ],
        env=env, text=True, capture_output=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise AssertionError(f"skopeo could not push to {repository}: {done.stderr}{done.stdout}")
    return done.stdout + done.stderr


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
