# SPDX-License-Identifier: Apache-2.0
"""AdmissionReviews put to the operator itself, without an API server between: for what depends on
time, and for many at once."""

import concurrent.futures
import dataclasses
import http.client
import json
import ssl
import time
import uuid
from typing import Any

from berth_test import objects, webhook
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, Kube
from berth_test.operator import Operator
from berth_test.wait import wait_for

TIMEOUT_S = 5
ACTIONS = ("Warn", "Deny", "Allow")  # of onError: of the namespaces by these names
KNOWN = "known/a"
PARKED = "berth_admission_parked_requests"


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int  # of HTTP
    seconds: float
    allowed: bool
    message: str  # of a denial
    warnings: list[str]
    audit: dict[str, str]
    uid: str
    closes: bool  # the connection

    @property
    def action(self) -> str:
        if not self.allowed:
            return "Deny"
        return "Warn" if self.warnings else "Allow"

    @property
    def text(self) -> str:
        """All that people see."""
        return "\n".join([self.message, *self.warnings])


class Reviewer:
    """Asks one operator. timeout_s: how long the API server would wait."""

    def __init__(self, address: str, timeout_s: int = TIMEOUT_S) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self.timeout_s = timeout_s
        # whom to trust is not what is tested here
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    def pod(self, *images: str, **options: Any) -> Answer:
        return self.ask(webhook.pod(f"pod-{uuid.uuid4().hex[:8]}", *images), **options)

    def ask(
        self,
        obj: dict,
        namespace: str = "default",
        dry_run: bool = False,
        timeout_s: int | None = None,
        group: str = "",
        version: str = "v1",
        patience_s: float | None = None,
    ) -> Answer:
        """patience_s: how long we wait for the answer, where not longer than the API server."""
        uid = str(uuid.uuid4())
        timeout_s = timeout_s or self.timeout_s
        request = {
            "uid": uid,
            "kind": {"group": group, "version": version, "kind": obj["kind"]},
            "namespace": namespace,
            "name": obj["metadata"]["name"],
            "operation": "CREATE",
            "object": obj,
            "dryRun": dry_run,
        }
        body = json.dumps(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        )
        began = time.monotonic()
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=patience_s or timeout_s + 30, context=self._tls
        )
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/validate?timeout={timeout_s}s", body, headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        closes = response.headers.get("Connection") == "close"
        return _answer(response.status, time.monotonic() - began, text, uid, closes)

    def together(self, calls: list[dict]) -> list[Answer]:
        """Pods side by side: each a dict of "images" and options of pod()."""

        def one(call: dict) -> Answer:
            return self.pod(*call["images"], **{k: v for k, v in call.items() if k != "images"})

        with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(one, calls))


def _answer(status: int, seconds: float, text: bytes, uid: str, closes: bool) -> Answer:
    if status != 200:
        return Answer(status, seconds, False, text.decode(), [], {}, uid, closes)
    review = json.loads(text)["response"]
    assert review["uid"] == uid
    return Answer(
        status,
        seconds,
        review["allowed"],
        review.get("status", {}).get("message", ""),
        review.get("warnings", []),
        review.get("auditAnnotations", {}),
        uid,
        closes,
    )


# --- an operator to ask --------------------------------------------------------------------------


def start_settings(kube: Kube, emulator: Emulator, **spec: Any) -> None:
    """With a namespace for each value of onError, and a template that has both policies."""
    rules = [{"namespaces": [a.lower()], "onError": a} for a in ACTIONS]
    spec.setdefault("admission", {"rules": rules, "creationsPerMinute": 10000})
    kube.create(objects.settings(emulator, registryHosts=[emulator.registry], **spec))
    kube.create(
        objects.template(
            "team", repositoryPolicy=objects.policy(), lifecyclePolicy=objects.lifecycle()
        )
    )


def prepare(kube: Kube, emulator: Emulator) -> None:
    """Before an operator is started."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": webhook.NAMESPACE}}
    kube.apply(namespace)
    emulator.ecr.create_repository(repositoryName=KNOWN)


def wait_served(kube: Kube, emulator: Emulator, operator: Operator) -> None:
    """A configuration that leads to it is in force: it is ready only then."""
    wait_for(lambda: operator.address("webhook"), 20, operator.log_text)
    webhook.install(kube, operator, "--host", emulator.registry)


def wait_open(kube: Kube, emulator: Emulator, operator: Operator) -> Reviewer:
    """It answers from its snapshot."""
    reviewer = Reviewer(operator.address("webhook"))

    def is_open() -> bool:
        try:
            answer = reviewer.pod(f"{emulator.registry}/{KNOWN}")
        except OSError as e:
            raise AssertionError(str(e)) from None
        return answer.action == "Allow" and answer.audit.get("source") == "snapshot"

    kube.wait_ready(SETTINGS, "default")
    kube.wait_ready(TEMPLATE, "team")
    wait_for(is_open, 20, operator.log_text)
    wait_for(operator.is_ready, 20, operator.log_text)
    return reviewer


def image(emulator: Emulator, repository: str) -> str:
    return f"{emulator.registry}/{repository}:1"


def is_whole(emulator: Emulator, repository: str) -> bool:
    """It has both policies; else an AssertionError says what is missing."""
    ecr = emulator.ecr
    try:
        ecr.get_repository_policy(repositoryName=repository)
        ecr.get_lifecycle_policy(repositoryName=repository)
    except (
        ecr.exceptions.RepositoryNotFoundException,
        ecr.exceptions.RepositoryPolicyNotFoundException,
        ecr.exceptions.LifecyclePolicyNotFoundException,
    ) as e:
        raise AssertionError(str(e)) from None
    return True
