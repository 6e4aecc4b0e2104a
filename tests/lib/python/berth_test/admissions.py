# SPDX-License-Identifier: Apache-2.0
"""Workloads put before a real API server with the webhook in force, and everything that is then
known of each: the answer, its warnings and audit annotations, the operator's line, and the calls to
ECR that were made for it."""

import contextlib
import dataclasses
import itertools
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import yaml

from berth_test import objects, paths, webhook
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator, Request
from berth_test.kube import SETTINGS, ApiError, Kube
from berth_test.operator import Operator
from berth_test.wait import wait_for

PAGE = paths.SOURCE / "docs" / "reference" / "admission.md"
LABEL = "ecr.berth.dev/admission"
TAG = "ecr.berth.dev/template"
_SUFFIX = ".ecr.berth.dev"
_CALLED = "berth_admission_requests_total"
_ASKED = re.compile(
    r'^apiserver_admission_webhook_request_total\{(?=[^}]*name="([a-z]+)\.ecr\.berth\.dev")[^}]*\}'
    r" (\S+)$",
    re.M,
)
_PLURALS = {"Box": "boxes"}
_unique = itertools.count()


@dataclasses.dataclass(frozen=True)
class Answer:
    """error: of the API server, None where it was admitted. audit: the annotations of each webhook
    that was called, by the first part of its name. line: of the operator's log, {} where it was
    not called."""

    scene: "Scene" = dataclasses.field(repr=False)
    object: dict | None = dataclasses.field(repr=False)
    error: ApiError | None
    warnings: list[str]
    audit: dict[str, dict[str, str]]
    line: dict

    @property
    def is_called(self) -> bool:
        return bool(self.audit)

    @property
    def decision(self) -> str:
        return self.line["decision"]

    @property
    def reason(self) -> str:
        return self.line["reason"]

    @property
    def calls(self) -> list[Request]:
        """To ECR, for this request, so far."""
        uid = self.line.get("uid", "nobody's")
        requests = self.scene.emulator.requests()
        return [r for r in requests if f"admission/{uid}" in r.user_agent]

    @property
    def operations(self) -> list[str]:
        return [c.operation for c in self.calls]

    @property
    def annotations(self) -> dict[str, str]:
        (only,) = self.audit.values()
        return only

    def check(self) -> "Answer":
        """What is told in several places is the same everywhere."""
        said = self.annotations
        assert said["decision"] == self.decision
        assert said.get("repositories", "") == self.line["repositories"]
        assert said["source"] == "ecr" or not self.calls, "calls, though the snapshot answered"
        assert int(said["milliseconds"]) == self.line["milliseconds"]
        assert (self.decision == "deny") == (self.error is not None), self
        assert (self.decision == "warn") <= bool(self.warnings), self
        assert all(len(w) <= 120 for w in self.warnings), self.warnings
        if self.error is not None:
            assert self.error.status == 403, self.error
            assert "denied the request: " in self.error.message
        return self


class Scene:
    """An operator with the webhook in force beside a control plane with audit="writes"."""

    def __init__(
        self,
        control_plane: ControlPlane,
        emulator: Emulator,
        config: dict | None = None,
        hosts: tuple[str, ...] = (),
        **settings: Any,
    ) -> None:
        """hosts: of other RegistrySettings than "default", whose spec settings is for."""
        self.control_plane, self.emulator = control_plane, emulator
        self.kube = control_plane.kube
        self.hosts = (emulator.registry, *hosts)
        if settings:
            settings.setdefault("registryHosts", [emulator.registry])
            self.kube.apply(objects.settings(emulator, **settings))
        self._namespaces: set[str] = set()
        self.namespace(webhook.NAMESPACE)
        self._asked_before = asked(self.kube)
        self._elsewhere = 0.0  # answered by other operators
        self.operator = self._start(config)
        self._audit = _Tail(control_plane.directory / "audit.log")

    @contextlib.contextmanager
    def configured(self, admission: dict) -> Iterator[None]:
        """Another operator in the place of this one, with another section "admission"."""
        usual = self.operator
        self.operator = self._start({"admission": admission})
        yield
        self._elsewhere += self.operator.metrics_of(_CALLED)
        self.operator.stop()
        self.operator = usual
        self._install(usual)

    def _start(self, config: dict | None) -> Operator:
        config = webhook.config(**(config or {}))
        operator = Operator(self.control_plane.kubeconfig(), config, wait=False)
        try:
            wait_for(lambda: operator.address("webhook"), 20, operator.log_text)
            self._install(operator)
            wait_for(operator.is_ready, 20, operator.log_text)
        except BaseException:
            operator.kill()
            raise
        return operator

    def _install(self, operator: Operator) -> None:
        flags = [f for host in self.hosts for f in ("--host", host)]
        flags += ["--config", str(operator.config_file)]
        webhook.install(self.kube, operator, *flags, failurePolicy="Fail")
        webhook.wait_trusted(self.kube)
        before = operator.metrics_of(_CALLED)
        wait_for(
            lambda: self._ask_whatever() or operator.metrics_of(_CALLED) > before,
            10,
            "the API server asks the webhook",
        )

    def _ask_whatever(self) -> None:
        """A new configuration takes a moment. What is asked for has no host that is known."""
        obj = webhook.pod(unique("probe"), f"{self.emulator.registry}/$(probe)")
        try:
            self.kube.create(obj, dry_run=True)
        except ApiError as e:
            raise AssertionError(str(e)) from None

    @contextlib.contextmanager
    def answers_within(self, seconds: int) -> Iterator[None]:
        """The API server waits so long; 5 seconds outside."""
        self._set_timeout(seconds)
        try:
            yield
        finally:
            self._set_timeout(5)

    def _set_timeout(self, seconds: int) -> None:
        live = webhook.live(self.kube)
        patch = [
            {"op": "replace", "path": f"/webhooks/{i}/timeoutSeconds", "value": seconds}
            for i in range(len(live["webhooks"]))
        ]
        self.kube.request("PATCH", webhook.PATH, patch, "application/json-patch+json")

    def stop(self) -> None:
        webhook.remove(self.kube)
        self.operator.stop()

    # --- asking ----------------------------------------------------------------------------------

    def namespace(self, name: str, **labels: str) -> str:
        if name not in self._namespaces:
            self._namespaces.add(name)
            self.kube.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": {"name": name, "labels": labels},
                }
            )
        return name

    def create(self, obj: dict, query: str = "") -> Answer:
        return self.ask("POST", path_of(obj, "") + query, obj, obj)

    def replace(self, obj: dict, subresource: str = "", query: str = "") -> Answer:
        return self.ask("PUT", path_of(obj, subresource=subresource) + query, obj, obj)

    def patch(
        self, obj: dict, patch: dict | list, subresource: str = "", query: str = ""
    ) -> Answer:
        """A merge patch, or a JSON patch."""
        kind = "merge-patch" if isinstance(patch, dict) else "json-patch"
        path = path_of(obj, subresource=subresource) + query
        return self.ask("PATCH", path, obj, patch, f"application/{kind}+json")

    def apply(self, obj: dict, query: str = "") -> Answer:
        path = path_of(obj) + "?fieldManager=test&force=true" + query
        return self.ask("PATCH", path, obj, obj, "application/apply-patch+yaml")

    def pod(self, *images: str, namespace: str = "default", query: str = "", **spec: Any) -> Answer:
        obj = webhook.pod(unique("pod"), *images, namespace=namespace, **spec)
        return self.create(obj, query)

    def image(self, repository: str, tag: str = "1") -> str:
        return f"{self.emulator.registry}/{repository}:{tag}"

    def ask(
        self, method: str, path: str, obj: dict, body: Any, content_type: str = "application/json"
    ) -> Answer:
        log = _Tail(self.operator.process.err)
        result, error = None, None
        try:
            result = self.kube.request(method, path, body, content_type)
        except ApiError as e:
            error = e
        warnings, audit_id = self.kube.warnings, self.kube.audit_id
        event = wait_for(lambda: self._audit.find(auditID=audit_id), 10, "the audit event")
        audit = _annotations(event)
        line: dict = {}
        if audit:
            wanted = {"msg": "admission", "name": obj["metadata"].get("name", "")}
            line = wait_for(lambda: log.find(**wanted), 10, lambda: f"a line of {wanted}")
        return Answer(self, result, error, warnings, audit, line)

    # --- the whole -------------------------------------------------------------------------------

    def check_counts(self) -> None:
        """The API server asked as often as the operator answered: nothing was asked twice, and
        nothing failed."""
        count = sum(asked(self.kube).values()) - sum(self._asked_before.values())
        answered = self.operator.metrics_of(_CALLED)
        assert count == answered + self._elsewhere
        timed = self.operator.metrics()
        for step in ("decode", "lookup", "total"):
            assert timed[f'berth_admission_duration_seconds_count{{step="{step}"}}'] == answered
        wait_for(lambda: len(self.operator.find_log("admission")) == answered, 5, "a line of each")


def asked(kube: Kube) -> dict[str, float]:
    """How often the API server called each of our webhooks."""
    counts: dict[str, float] = {}
    for name, value in _ASKED.findall(kube.request("GET", "/metrics")):
        counts[name] = counts.get(name, 0) + float(value)
    return counts


class _Tail:
    """Lines of JSON that are written to a file, from now on."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def find(self, **fields: Any) -> dict | None:
        if not self._path.exists():
            return None
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            lines = file.read().split(b"\n")
        for text in lines[:-1]:
            line = json.loads(text)
            if all(line.get(k) == v for k, v in fields.items()):
                return line
        return None


def _annotations(event: dict) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for key, value in event.get("annotations", {}).items():
        name, _, what = key.partition("/")
        if name.endswith(_SUFFIX):
            found.setdefault(name.removesuffix(_SUFFIX), {})[what] = value
    return found


def unique(what: str) -> str:
    """A name that nobody has used."""
    return f"{what}-{next(_unique)}"


def path_of(obj: dict, name: str | None = None, subresource: str = "") -> str:
    """name "": of the collection."""
    version, meta = obj["apiVersion"], obj["metadata"]
    plural = _PLURALS.get(obj["kind"], obj["kind"].lower() + "s")
    base = f"/api{'s' if '/' in version else ''}/{version}/namespaces/{meta['namespace']}/{plural}"
    name = meta["name"] if name is None else name
    return "/".join(part for part in (base, name, subresource) if part)


def crd(group: str, kind: str, *versions: str) -> dict:
    """A kind of somebody else's, with whatever they put into its spec. The first is stored."""
    plural = _PLURALS.get(kind, kind.lower() + "s")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[0],
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
                for version in versions
            ],
        },
    }


def install_crd(kube: Kube, group: str, kind: str, *versions: str) -> None:
    document = crd(group, kind, *versions)
    kube.apply(document)
    plural = document["spec"]["names"]["plural"]
    for version in versions:
        path = f"/apis/{group}/{version}/{plural}"
        wait_for(lambda path=path: _is_served(kube, path), 20, f"{path} is served")


def _is_served(kube: Kube, path: str) -> bool:
    try:
        return kube.request("GET", path) is not None
    except ApiError:
        return False


def custom(api: str, kind: str, namespace: str = "default", **spec: Any) -> dict:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": unique(kind.lower()), "namespace": namespace},
        "spec": spec,
    }


# --- the table of the page -----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Row:
    situation: str
    setting: str  # the field that decides; "" where none does
    default: str
    reason: str


def documented() -> list[Row]:
    """"What happens when"."""
    section = PAGE.read_text().partition("\n## What happens when\n")[2].partition("\n## ")[0]
    rows = []
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| Situation"):
            cells = [c.strip() for c in line.strip("|").split(" | ")]
            assert len(cells) == 4, line
            setting = re.match(r"`(?:admission\.)?(\w+)`", cells[1])
            rows.append(
                Row(cells[0], setting[1] if setting else "", cells[2], cells[3].strip(" `"))
            )
    return rows


def actions(field: str) -> list[str]:
    """The values of a field of spec.admission, from the CRD."""
    for crd in yaml.safe_load_all(paths.CRDS.read_text()):
        if crd["spec"]["names"]["kind"] == SETTINGS:
            spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
            return spec["properties"]["admission"]["properties"][field]["enum"]
    raise AssertionError(f"no {SETTINGS}")
