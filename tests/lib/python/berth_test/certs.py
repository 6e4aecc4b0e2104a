# SPDX-License-Identifier: Apache-2.0
"""The webhook's certificates, looked at from outside: the Secret, caBundle, what is served, pairs
that somebody else provides, and a load of admission requests that must not fail."""

import base64
import contextlib
import pathlib
import socket
import ssl
import subprocess
import threading
import time
from typing import Any

from berth_test import objects, webhook
from berth_test.access import MountedAccount
from berth_test.balancer import Balancer
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import ApiError, Kube
from berth_test.operator import Operator
from berth_test.wait import wait_for

SECRET = "berth-webhook-certs"
NOTES = "webhook certificates"  # the log line of each step
_SECRETS = f"/api/v1/namespaces/{webhook.NAMESPACE}/secrets"
MANAGED = {"app.kubernetes.io/managed-by": "berth-operator"}


# --- the Secret ----------------------------------------------------------------------------------


def add_namespace(kube: Kube) -> None:
    with contextlib.suppress(ApiError):
        kube.create({"apiVersion": "v1", "kind": "Namespace",
                     "metadata": {"name": webhook.NAMESPACE}})  # fmt: skip


def secret(kube: Kube) -> dict | None:
    try:
        return kube.request("GET", f"{_SECRETS}/{SECRET}")
    except ApiError as e:
        if e.status != 404:
            raise
        return None


def part(kube: Kube, key: str) -> str:
    """Of the Secret, decoded; "" where it is not there."""
    found = (secret(kube) or {}).get("data", {}).get(key, "")
    return base64.b64decode(found).decode()


def remove_secret(kube: Kube) -> None:
    with contextlib.suppress(ApiError):
        kube.request("DELETE", f"{_SECRETS}/{SECRET}")


def put_secret(kube: Kube, data: dict[str, str], labels: dict | None = None, **top: Any) -> dict:
    """In the place of what is there, if anything is. data: not encoded."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET, "labels": labels or {}},
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()},
        **top,
    }
    if secret(kube):
        return kube.request("PUT", f"{_SECRETS}/{SECRET}", body)
    return kube.request("POST", _SECRETS, body)


# --- caBundle ------------------------------------------------------------------------------------


def bundles(kube: Kube) -> list[str]:
    """caBundle of each webhook, decoded."""
    found = [w["clientConfig"].get("caBundle", "") for w in webhook.live(kube)["webhooks"]]
    return [base64.b64decode(b).decode(errors="replace") for b in found]


def set_bundles(kube: Kube, *texts: str | None) -> None:
    """Of the first webhooks; None takes it away."""
    live = webhook.live(kube)
    for hook, text in zip(live["webhooks"], texts, strict=False):
        hook["clientConfig"].pop("caBundle", None)
        if text is not None:
            hook["clientConfig"]["caBundle"] = base64.b64encode(text.encode()).decode()
    kube.request("PUT", webhook.PATH, live)


def split(bundle: str) -> list[str]:
    """Its certificates."""
    end = "-----END CERTIFICATE-----\n"
    return [b + end for b in bundle.split(end) if "BEGIN" in b]


# --- what is served ------------------------------------------------------------------------------


def served(operator: Operator, bundle: str | None = None) -> str:
    """The certificate of a handshake, as PEM; bundle: has to verify it, and the address with it."""
    host, _, port = operator.address("webhook").rpartition(":")
    context = ssl.create_default_context(cadata=bundle)
    if bundle is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=host) as secured:
            return ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True))


def is_trusted(kube: Kube, operator: Operator) -> bool:
    """By every webhook of the live configuration."""
    try:
        return all(served(operator, b) for b in bundles(kube))
    except (OSError, ssl.SSLError, ValueError):
        return False


def expires_in(operator: Operator, use: str = "serving") -> float:
    name = f'berth_webhook_certificate_expiration_timestamp_seconds{{use="{use}"}}'
    return operator.metrics()[name] - time.time()


# --- pairs of somebody else ----------------------------------------------------------------------


class Authority:
    """A CA that openssl made, and pairs of it."""

    def __init__(self, directory: pathlib.Path, name: str, days: int = 2) -> None:
        """days: of its life from now; less than 0: it has expired."""
        self._files = directory / name
        self._files.mkdir()
        (self._files / "ca.ext").write_text(
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
            "subjectKeyIdentifier=hash\n"
        )
        self._run("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
                  f" -subj /CN={name} -keyout ca.key -out ca.csr")  # fmt: skip
        self._run(f"x509 -req -in ca.csr -signkey ca.key -days {days} -extfile ca.ext -out ca.crt")
        self.cert = self._read("ca.crt")
        self.key = self._read("ca.key")

    def _run(self, words: str) -> None:
        subprocess.run(["openssl", *words.split()], cwd=self._files, check=True,
                       capture_output=True)  # fmt: skip

    def _read(self, name: str) -> str:
        return (self._files / name).read_text()

    def pair(self, days: int = 1, name: str = "IP:127.0.0.1") -> dict[str, str]:
        """As MountedAccount.write() takes it."""
        self._run("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=leaf"
                  " -keyout leaf.key -out leaf.csr")  # fmt: skip
        (self._files / "leaf.ext").write_text(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            f"extendedKeyUsage=serverAuth\nsubjectAltName={name}\n"
        )
        self._run("x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial"
                  f" -days {days} -extfile leaf.ext -out leaf.crt")  # fmt: skip
        return {
            "tls_crt": self._read("leaf.crt"),
            "tls_key": self._read("leaf.key"),
            "ca_crt": self.cert,
        }


def short(ca: str, leaf: str, drain_s: int = 2, **over: Any) -> dict:
    """Configuration of an operator whose certificates live that long. API servers are given a
    quarter of the leaf's life to see a new caBundle."""
    life = {"dnsNames": ["127.0.0.1"], "caLifetime": ca, "leafLifetime": leaf, **over}
    return webhook.config(webhook={"drainSeconds": drain_s, "certs": life})


def provided(mount: MountedAccount, **over: Any) -> dict:
    """Configuration of an operator that reads that directory."""
    certs = {"mode": "provided", "directory": str(mount.directory), **over}
    return webhook.config(webhook={"certs": certs})


# --- a load --------------------------------------------------------------------------------------


class Load(threading.Thread):
    """Asks for the admission of a Pod again and again; what fails is kept."""

    def __init__(self, kube: Kube, host: str, per_s: float = 5.0) -> None:
        super().__init__()
        self._kube, self._host, self._pause_s = kube, host, 1 / per_s
        self._stopping = threading.Event()
        self.count = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._stopping.wait(self._pause_s):
            self.count += 1
            pod = webhook.pod(f"p{self.count}", f"{self._host}/team/x{self.count % 7}:1")
            try:
                self._kube.create(pod, dry_run=True)
            except Exception as e:  # whatever it is, it is a failure
                self.failures.append(f"{time.strftime('%T')} request {self.count}: {e}")

    def __enter__(self) -> "Load":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.join()


class Fleet:
    """Operators behind one address, under a configuration that fails where they do not answer.
    New ones are started by the thread that made this: a child dies with the thread it is of."""

    def __init__(self, control_plane: ControlPlane, emulator: Emulator) -> None:
        self.control_plane, self.kube = control_plane, control_plane.kube
        self.balancer = Balancer()
        self.operators: dict[str, Operator] = {}
        self._host = emulator.endpoint.split("//")[1]
        add_namespace(self.kube)
        self.kube.create(objects.settings(emulator, registryHosts=[self._host]))
        self.kube.create(objects.template("team"))

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        webhook.remove(self.kube)
        self.balancer.__exit__()
        for operator in self.operators.values():
            operator.kill()

    def install(self) -> None:
        url = f"https://127.0.0.1:{self.balancer.port}/validate"
        webhook.install_url(self.kube, url, "--host", self._host, failurePolicy="Fail")

    def load(self, per_s: float = 5.0) -> Load:
        return Load(self.control_plane.client(), self._host, per_s)

    def start(self, name: str, config: dict) -> Operator:
        operator = Operator(
            self.control_plane.kubeconfig(), config, wait=False, env={"POD_NAME": name}
        )
        self.operators[name] = operator
        wait_for(lambda: operator.address("webhook"), 20, lambda: operator.log_text())
        self.balancer.put(name, operator.address("webhook"), operator.is_ready)
        return operator

    def wait_ready(self, count: int) -> None:
        wait_for(lambda: self.balancer.ready_count() == count, 60,
                 lambda: f"{count} are ready\n" + self._words())  # fmt: skip

    def stop(self, name: str) -> None:
        """As a rollout does it: SIGTERM, and it serves on for drainSeconds."""
        operator = self.operators.pop(name)
        code, _ = operator.process.stop(60)
        self.balancer.remove(name)
        text = operator.log_text()
        operator.kill()
        assert code == 0, text

    def replace(self, name: str, config: dict) -> None:
        """The new one is ready before the old one goes: as a Deployment does it."""
        self.start(f"{name}-new", config)
        self.wait_ready(len(self.operators))
        self.stop(name)
        operator = self.operators.pop(f"{name}-new")
        self.balancer.remove(f"{name}-new")
        self.operators[name] = operator
        self.balancer.put(name, operator.address("webhook"), operator.is_ready)

    def _words(self) -> str:
        return "\n".join(
            f"{name}: {o.get('health', '/readyz')[1]}" for name, o in self.operators.items()
        )
