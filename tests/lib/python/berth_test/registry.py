# SPDX-License-Identifier: Apache-2.0
"""A client of the OCI registry API that hides nothing, for tests of the emulator's /v2/."""

import dataclasses
import hashlib
import http.client
import json
import urllib.parse

from berth_test.emulator import Emulator

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
UNKNOWN_DIGEST = "sha256:" + "0" * 64


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclasses.dataclass
class Response:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        """Status and code, of an answer in ECR's envelope."""
        assert self.headers["Content-Type"] == "application/json"
        (only,) = self.json()["errors"]
        assert set(only) == {"code", "message"}
        return self.status, only["code"]

    @property
    def message(self) -> str:
        return self.json()["errors"][0]["message"]

    @property
    def location(self) -> str:
        """The path of an absolute Location."""
        url = urllib.parse.urlsplit(self.headers["Location"])
        assert url.scheme == "http" and url.netloc
        return url.path


class Registry:
    """A client of /v2/ that shows everything."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        data = emulator.ecr.get_authorization_token()["authorizationData"][0]
        self.token = data["authorizationToken"]

    def __call__(self, method: str, path: str, body=None, auth: str | None = "", **headers):
        connection = http.client.HTTPConnection(self.emulator.registry, timeout=20)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if auth is not None:
            sent["Authorization"] = auth or f"Basic {self.token}"
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Response(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def start(self, repository: str) -> str:
        answer = self("POST", f"/v2/{repository}/blobs/uploads/")
        assert answer.status == 202, answer.body
        return answer.location

    def blob(self, repository: str, data: bytes) -> str:
        digest = digest_of(data)
        answer = self("PUT", f"{self.start(repository)}?digest={digest}", data)
        assert answer.status == 201, answer.body
        return digest

    def put(self, repository: str, reference: str, manifest, media_type=MANIFEST):
        data = json.dumps(manifest).encode() if isinstance(manifest, dict) else manifest
        return self(
            "PUT", f"/v2/{repository}/manifests/{reference}", data, Content_Type=media_type
        )

    def image(self, repository: str, *layers: bytes, **more) -> dict:
        """A manifest whose blobs are pushed."""
        return {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.descriptor(repository, b"{}", CONFIG),
            "layers": [self.descriptor(repository, data, LAYER) for data in layers],
            **more,
        }

    def descriptor(self, repository: str, data: bytes, media_type: str) -> dict:
        digest = self.blob(repository, data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def push(self, repository: str, tag: str, *layers: bytes, **more) -> str:
        answer = self.put(repository, tag, self.image(repository, *layers, **more))
        assert answer.status == 201, answer.body
        return answer.headers["Docker-Content-Digest"]

    def mount(self, repository: str, digest: str, source: str | None) -> Response:
        origin = f"&from={source}" if source else ""
        return self("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}{origin}")

    def has(self, repository: str, digest: str) -> bool:
        return self("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200
