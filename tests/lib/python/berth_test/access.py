# SPDX-License-Identifier: Apache-2.0
"""Who the operator is to an API server with RBAC: what docs/running.md has one apply, credentials
of its ServiceAccount of every kind, good and bad, and what it was seen to ask for.
"""

import base64
import contextlib
import copy
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import yaml

from berth_test import paths
from berth_test.control_plane import ControlPlane
from berth_test.kube import SETTINGS, ApiError, Kube
from berth_test.wait import wait_for

NAMESPACE = "berth-system"
ACCOUNT = "berth-operator"
LEASE = "berth-operator"
# of what the roles name
_NAMES = {
    "leases": LEASE,
    "secrets": "berth-webhook-certs",
    "validatingwebhookconfigurations": "berth",
}
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
_ISSUER = "https://kubernetes.default.svc"
_ACCOUNT_PATH = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}"
_SECRETS_PATH = f"/api/v1/namespaces/{NAMESPACE}/secrets"

# (namespace or "", group, resource with its subresource, verb)
Grant = tuple[str, str, str, str]


# --- what the document says ----------------------------------------------------------------------


def documented(section: str = "What it may do in Kubernetes") -> list[dict]:
    """The manifests of docs/running.md, as a reader would copy them; those for the webhook are in
    another section."""
    text = (paths.SOURCE / "docs" / "running.md").read_text()
    body = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", body, re.M | re.S)
    return list(yaml.safe_load_all(block))


def documented_commands() -> str:
    """How docs/running.md makes a kubeconfig for a try; it is written to berth.kubeconfig."""
    text = (paths.SOURCE / "docs" / "running.md").read_text()
    section = text.partition("## How it reaches the API server\n")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"^    (.*)$", section, re.M))


def apply(control_plane: ControlPlane, documents: list[dict]) -> None:
    control_plane.kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-",
        stdin=yaml.safe_dump_all(documents),
    )  # fmt: skip


def grants(documents: list[dict]) -> set[Grant]:
    """Every verb of every role, one by one."""
    return {
        (role["metadata"].get("namespace", ""), group, resource, verb)
        for role in documents
        for rule in role.get("rules", [])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def without(documents: list[dict], lost: Grant) -> list[dict]:
    """The documents less one verb of one resource."""
    left = copy.deepcopy(documents)
    namespace, group, resource, verb = lost
    for role in left:
        if "rules" not in role or role["metadata"].get("namespace", "") != namespace:
            continue
        role["rules"] = [
            {**rule, "resources": [r], "verbs": verbs}
            for rule in role["rules"]
            for r in rule["resources"]
            if (verbs := [v for v in rule["verbs"]
                          if not (rule["apiGroups"] == [group] and r == resource and v == verb)])
        ]  # fmt: skip
    assert grants(left) == grants(documents) - {lost}, f"{lost} is not granted"
    return left


def is_granted(kube: Kube, grant: Grant) -> bool:
    """Whether the API server would allow it to the operator now."""
    namespace, group, resource, verb = grant
    plural, _, subresource = resource.partition("/")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": USER,
            "resourceAttributes": {
                "namespace": namespace,
                "group": group,
                "resource": plural,
                "subresource": subresource,
                "verb": verb,
                "name": "" if verb == "create" else _NAMES.get(plural, ""),
            },
        },
    }
    answer = kube.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return answer["status"]["allowed"]


@contextlib.contextmanager
def lost(kube: Kube, documents: list[dict], *grants_: Grant) -> Iterator[None]:
    """The operator does without these; at the end it has all again."""
    left = documents
    for grant in grants_:
        left = without(left, grant)
    _apply_roles(kube, left)
    wait_for(lambda: not any(is_granted(kube, g) for g in grants_), 10, f"{grants_} are lost")
    try:
        yield
    finally:
        _apply_roles(kube, documents)
        wait_for(lambda: all(is_granted(kube, g) for g in grants_), 10, f"{grants_} are back")


def _apply_roles(kube: Kube, documents: list[dict]) -> None:
    for document in documents:
        if "rules" in document:
            kube.apply(document)


# --- what the API server saw ---------------------------------------------------------------------


class Audit:
    """Of a ControlPlane(audit=True)."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._path = control_plane.directory / "audit.log"
        self._offset = 0
        self.mark()

    def mark(self) -> None:
        """What came before is not shown any more."""
        self._offset = self._path.stat().st_size if self._path.exists() else 0

    def requests(self) -> Iterator[dict]:
        """Of the operator."""
        data = self._path.read_bytes()[self._offset :] if self._path.exists() else b""
        for line in data.split(b"\n")[:-1]:
            event = json.loads(line)
            if event["user"]["username"] == USER:
                yield event

    def credentials(self) -> set[str]:
        """The tokens that it was known by: see token_id()."""
        extra = "authentication.kubernetes.io/credential-id"
        return {c for e in self.requests() for c in e["user"].get("extra", {}).get(extra, [])}

    def used(self, decision: str = "allow") -> set[Grant]:
        """What was asked for and allowed, or forbidden ("forbid"). A request that is for no
        resource has its path in place of one."""
        found = set()
        for event in self.requests():
            if event["annotations"].get("authorization.k8s.io/decision") != decision:
                continue
            ref = event.get("objectRef", {})
            resource = ref.get("resource", event["requestURI"])
            if "subresource" in ref:
                resource += f"/{ref['subresource']}"
            grant = (ref.get("namespace", ""), ref.get("apiGroup", ""), resource, event["verb"])
            found.add(grant)
        return found


# --- credentials ---------------------------------------------------------------------------------


def token(control_plane: ControlPlane, bound_to: str | None = None) -> str:
    """A token of the ServiceAccount, good for an hour. bound_to: a Secret that is made for it;
    revoke() of that ends it."""
    spec: dict[str, Any] = {"audiences": [_ISSUER], "expirationSeconds": 3600}
    if bound_to:
        secret = control_plane.kube.request(
            "POST",
            _SECRETS_PATH,
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": bound_to}},
        )
        spec["boundObjectRef"] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "name": bound_to,
            "uid": secret["metadata"]["uid"],
        }
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": spec,
    }
    answer = control_plane.kube.request("POST", f"{_ACCOUNT_PATH}/token", review)
    return answer["status"]["token"]


def token_id(token_: str) -> str:
    claims = token_.split(".")[1]
    return "JTI=" + json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["jti"]


def is_accepted(control_plane: ControlPlane, token_: str) -> bool:
    client = Kube("127.0.0.1", control_plane.port, str(control_plane.directory / "ca.crt"), token_)
    try:
        client.items(SETTINGS)
        return True
    except ApiError as e:
        assert e.status == 401
        return False


def revoke(control_plane: ControlPlane, secret: str) -> None:
    """The API server remembers a token that it accepted for 10 s."""
    control_plane.kube.request("DELETE", f"{_SECRETS_PATH}/{secret}")


def signed_token(control_plane: ControlPlane, expires_in_s: int) -> str:
    """A genuine token that ends when the test wants; the API server itself gives none below ten
    minutes."""
    uid = control_plane.kube.request("GET", _ACCOUNT_PATH)["metadata"]["uid"]
    now = int(time.time())
    expires = now + expires_in_s
    claims = {
        "iss": _ISSUER,
        "aud": [_ISSUER],
        "sub": USER,
        "iat": min(now, expires) - 1,
        "nbf": min(now, expires) - 1,
        "exp": expires,
        "kubernetes.io": {
            "namespace": NAMESPACE,
            "serviceaccount": {"name": ACCOUNT, "uid": uid},
        },
    }
    parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "ES256"}, claims)]
    text = ".".join(parts)
    return f"{text}.{_base64url(_signature(control_plane.directory, text.encode()))}"


def certificate(
    control_plane: ControlPlane, directory: pathlib.Path, user: str = USER
) -> tuple[pathlib.Path, pathlib.Path]:
    """A client certificate of that user and its key; replaces those that are there."""
    authority = control_plane.directory
    made = directory / "new.crt", directory / "new.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-CA", authority / "ca.crt", "-CAkey", authority / "ca.key",
         "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", f"/CN={user}", "-keyout", made[1], "-out", made[0],
         "-addext", "basicConstraints=critical,CA:FALSE",
         "-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=clientAuth"],
        check=True, capture_output=True,
    )  # fmt: skip
    return tuple(m.rename(directory / f"client{m.suffix}") for m in made)


def another_authority(directory: pathlib.Path) -> str:
    """The certificate of a CA with the name of the control plane's, and another key."""
    made = directory / "another-ca.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=berth-test-ca", "-keyout", "/dev/null",
         "-out", made],
        check=True, capture_output=True,
    )  # fmt: skip
    return made.read_text()


def replace(path: pathlib.Path, text: str) -> pathlib.Path:
    """In one step, as whoever rotates a file does it."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    return new.rename(path)


class MountedAccount:
    """What the kubelet projects into a pod: links through ..data, which is swapped."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self._count = 0
        directory.mkdir()

    def write(self, **files: str) -> None:
        """Keys with "_" for the dot of a name: ca_crt."""
        self._count += 1
        version = self.directory / f"..version_{self._count}"
        version.mkdir()
        for key, text in files.items():
            name = key.replace("_", ".")
            (version / name).write_text(text)
            link = self.directory / name
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}")
        new = self.directory / "..data_tmp"
        new.symlink_to(version.name)
        new.rename(self.directory / "..data")
        old = self.directory / f"..version_{self._count - 1}"
        if old.exists():
            shutil.rmtree(old)

    def wrapper(self) -> tuple[str, ...]:
        """For Operator: it finds this where a pod has it, in a mount namespace of its own."""
        script = (
            'set -e; where=/var/run/secrets/kubernetes.io/serviceaccount; '
            'mount -t tmpfs none "$(readlink -f /var/run)"; mkdir -p "$where"; '
            'mount --bind "$1" "$where"; shift; exec "$@"'
        )
        root = () if os.geteuid() == 0 else ("--map-root-user",)
        return ("unshare", *root, "--mount", "sh", "-c", script, "sh", str(self.directory))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signature(directory: pathlib.Path, data: bytes) -> bytes:
    """RFC 7515 wants r and s as they are; openssl writes SEQUENCE { INTEGER r, INTEGER s }."""
    key = directory / "service-account.key"
    der = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", key], input=data, capture_output=True, check=True
    ).stdout
    numbers, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        numbers += der[at + 2 : at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return numbers


def kubeconfig(
    control_plane: ControlPlane,
    path: pathlib.Path,
    user: dict,
    cluster: dict | None = None,
) -> pathlib.Path:
    """user as in users[].user; cluster replaces the certificate-authority."""
    trust = cluster or {"certificate-authority": str(control_plane.directory / "ca.crt")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "berth",
                "cluster": {"server": f"https://127.0.0.1:{control_plane.port}", **trust},
            }
        ],
        "users": [{"name": "operator", "user": user}],
        "contexts": [
            {
                "name": "berth",
                "context": {"cluster": "berth", "user": "operator", "namespace": NAMESPACE},
            }
        ],
        "current-context": "berth",
    }
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path
