# SPDX-License-Identifier: Apache-2.0
"""A small client of the API server: what a test asks a hundred times costs a millisecond here and
a tenth of a second with kubectl (which ControlPlane.kubectl() runs where kubectl itself matters).
"""

import contextlib
import copy
import dataclasses
import http.client
import json
import socket
import ssl
import threading
import urllib.parse
from typing import Any

from berth_test.wait import wait_for

GROUP = "ecr.berth.dev"
VERSION = "v1alpha1"
SETTINGS = "RegistrySettings"
TEMPLATE = "RepositoryCreationTemplate"
FINALIZER = f"{GROUP}/finalizer"

_OURS = f"/apis/{GROUP}/{VERSION}"
_PATHS = {
    SETTINGS: f"{_OURS}/registrysettings",
    TEMPLATE: f"{_OURS}/repositorycreationtemplates",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "Namespace": "/api/v1/namespaces",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}
_NAMESPACED = {
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "Event": ("/apis/events.k8s.io/v1", "events"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "Pod": ("/api/v1", "pods"),
}


class ApiError(Exception):
    """A refusal of the API server."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


def path_of(kind: str, name: str | None = None, namespace: str | None = None) -> str:
    if kind in _PATHS:
        base = _PATHS[kind]
    else:
        prefix, plural = _NAMESPACED[kind]
        base = f"{prefix}/namespaces/{namespace}/{plural}" if namespace else f"{prefix}/{plural}"
    return base if name is None else f"{base}/{urllib.parse.quote(name)}"


@dataclasses.dataclass
class Watch:
    _socket: socket.socket
    lines: http.client.HTTPResponse  # an event in JSON each
    since: int  # the resourceVersion that it starts after

    def end(self) -> None:
        """Ends a read of another thread too."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


class Kube:
    """May be used from several threads; each has a connection of its own."""

    def __init__(self, host: str, port: int, ca_file: str, token: str) -> None:
        self._address = (host, port)
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._token = token
        self._local = threading.local()

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        """The decoded reply (text where it is not JSON). ApiError from 400 on."""
        data = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if data is not None:
            headers["Content-Type"] = content_type
        for attempt in (1, 2):  # an idle connection may have been closed by the server
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = http.client.HTTPSConnection(
                    *self._address, timeout=30, context=self._tls
                )
                self._local.connection = connection
            try:
                connection.request(method, path, data, headers)
                response = connection.getresponse()
                payload = response.read()
                break
            except (http.client.HTTPException, ConnectionError, OSError):
                connection.close()
                self._local.connection = None
                if attempt == 2:
                    raise
        self._local.warnings = [
            # 299 - "text", with \" and \\ in it, in UTF-8
            w.encode("latin-1").decode()
            .partition('"')[2].rpartition('"')[0].replace('\\"', '"').replace("\\\\", "\\")
            for w in response.headers.get_all("Warning") or []
        ]
        self._local.audit_id = response.headers.get("Audit-Id")
        is_json = response.headers.get_content_type() == "application/json"
        value = json.loads(payload) if is_json else payload.decode(errors="replace")
        if response.status >= 400:
            status = value if isinstance(value, dict) else {}
            raise ApiError(
                response.status,
                status.get("reason", response.reason),
                status.get("message", str(value)),
            )
        return value

    @property
    def warnings(self) -> list[str]:
        """What kubectl would have printed for this thread's last request."""
        return self._local.warnings

    @property
    def audit_id(self) -> str:
        """By which this thread's last request is known in the audit log."""
        return self._local.audit_id

    # --- objects ---------------------------------------------------------------------------------

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict | None:
        """None where it does not exist."""
        try:
            return self.request("GET", path_of(kind, name, namespace))
        except ApiError as e:
            if e.status == 404:
                return None
            raise

    def items(self, kind: str, namespace: str | None = None) -> list[dict]:
        return self.request("GET", path_of(kind, None, namespace))["items"]

    def create(self, obj: dict, dry_run: bool = False) -> dict:
        path = path_of(obj["kind"], None, obj["metadata"].get("namespace"))
        return self.request("POST", path + ("?dryRun=All" if dry_run else ""), obj)

    def apply(self, obj: dict, manager: str = "test") -> dict:
        """Server-side apply: a field that obj leaves out and we set before is removed."""
        meta = obj["metadata"]
        path = path_of(obj["kind"], meta["name"], meta.get("namespace"))
        query = urllib.parse.urlencode({"fieldManager": manager, "force": "true"})
        return self.request("PATCH", f"{path}?{query}", obj, "application/apply-patch+yaml")

    def merge(self, kind: str, name: str, patch: dict, namespace: str | None = None) -> dict:
        """A JSON merge patch."""
        return self.request(
            "PATCH", path_of(kind, name, namespace), patch, "application/merge-patch+json"
        )

    def replace(self, obj: dict) -> dict:
        meta = obj["metadata"]
        return self.request("PUT", path_of(obj["kind"], meta["name"], meta.get("namespace")), obj)

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """Asks for the deletion; fine where it does not exist."""
        try:
            self.request("DELETE", path_of(kind, name, namespace))
        except ApiError as e:
            if e.status != 404:
                raise

    def annotate(self, kind: str, name: str, **annotations: str | None) -> dict:
        """Keys without the group: annotate(TEMPLATE, "x", paused="true")."""
        full = {f"{GROUP}/{k.replace('_', '-')}": v for k, v in annotations.items()}
        return self.merge(kind, name, {"metadata": {"annotations": full}})

    def remove_all(self, kind: str, namespace: str | None = None) -> None:
        """Without anybody's finalizer: for cleaning up while no operator runs."""
        for obj in self.items(kind, namespace):
            meta = obj["metadata"]
            where = (kind, meta["name"], meta.get("namespace"))
            if meta.get("finalizers"):
                self.merge(where[0], where[1], {"metadata": {"finalizers": None}}, where[2])
            self.delete(*where)
        wait_for(lambda: not self.items(kind, namespace), 10, f"no {kind} is left")

    def install_crds(self, documents: list[dict]) -> None:
        for document in documents:
            self.apply(document)
        for document in documents:
            name = document["metadata"]["name"]
            wait_for(
                lambda name=name: condition_of(
                    self.get("CustomResourceDefinition", name), "Established"
                ).get("status")
                == "True",
                20,
                f"CRD {name} is established",
            )
            plural = path_of(document["spec"]["names"]["kind"])
            wait_for(lambda p=plural: self._is_served(p), 20, f"{plural} is served")

    def _is_served(self, path: str) -> bool:
        try:
            self.request("GET", path)
            return True
        except ApiError:
            return False

    def watch(self, kind: str, name: str) -> "Watch":
        """Changes of one object from now on. The caller ends it."""
        since = self.request("GET", path_of(kind))["metadata"]["resourceVersion"]
        return self.watch_from(kind, since, name)

    def watch_from(self, kind: str, since: str, name: str | None = None) -> "Watch":
        """Changes of one object, or of all of that kind, after that resourceVersion. The caller
        ends it. ApiError 410 where the server does not have them any more."""
        parameters = {"watch": "true", "resourceVersion": since}
        if name is not None:
            parameters["fieldSelector"] = f"metadata.name={name}"
        query = urllib.parse.urlencode(parameters)
        connection = http.client.HTTPSConnection(*self._address, timeout=300, context=self._tls)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        connection.request("GET", f"{path_of(kind)}?{query}", None, headers)
        socket_ = connection.sock
        response = connection.getresponse()
        if response.status != 200:
            raise ApiError(response.status, response.reason, response.read().decode())
        return Watch(socket_, response, int(since))

    # --- our objects' status ---------------------------------------------------------------------

    def condition(self, kind: str, name: str, type_: str) -> dict:
        """{} where there is none."""
        return condition_of(self.get(kind, name), type_)

    def wait_condition(
        self,
        kind: str,
        name: str,
        type_: str = "Ready",
        status: str = "True",
        reason: str | None = None,
        deadline_s: float = 20.0,
    ) -> dict:
        """Waits until the condition holds for the object's present generation; returns the
        object."""
        seen: dict = {}

        def check() -> dict | None:
            obj = self.get(kind, name)
            seen["object"] = obj
            if obj is None:
                return None
            observed = obj.get("status", {}).get("observedGeneration")
            found = condition_of(obj, type_)
            is_met = (
                observed == obj["metadata"]["generation"]
                and found.get("status") == status
                and found.get("observedGeneration", observed) == observed
                and (reason is None or found.get("reason") == reason)
            )
            return obj if is_met else None

        def describe() -> str:
            status_ = json.dumps((seen.get("object") or {}).get("status"), indent=2)
            return f"{kind} {name}: {type_}={status} {reason or ''}; its status is {status_}"

        return wait_for(check, deadline_s, describe)

    def wait_ready(self, kind: str, name: str, deadline_s: float = 20.0) -> dict:
        obj = self.wait_condition(kind, name, "Ready", "True", None, deadline_s)
        check_conditions(obj)
        return obj

    def wait_gone(self, kind: str, name: str, deadline_s: float = 20.0) -> None:
        wait_for(
            lambda: self.get(kind, name) is None,
            deadline_s,
            lambda: f"{kind} {name} is gone; it is {json.dumps(self.get(kind, name), indent=2)}",
        )

    def events_of(self, kind: str, name: str) -> list[dict]:
        return [
            e
            for e in self.items("Event", "default")
            if e.get("regarding", {}).get("kind") == kind and e["regarding"].get("name") == name
        ]


def condition_of(obj: dict | None, type_: str) -> dict:
    for condition in (obj or {}).get("status", {}).get("conditions") or []:
        if condition["type"] == type_:
            return copy.deepcopy(condition)
    return {}


def check_conditions(obj: dict) -> None:
    """What kstatus and people who wait on conditions rely on, of any object with a status."""
    status = obj.get("status", {})
    by_type = {c["type"]: c for c in status.get("conditions", [])}
    generation = obj["metadata"]["generation"]
    assert status["observedGeneration"] <= generation, "observedGeneration is of the future"
    for type_ in ("Ready", "Synced"):
        assert type_ in by_type, f"condition {type_} is missing: {status}"
    ready = by_type["Ready"]["status"]
    for type_ in ("Reconciling", "Stalled"):
        if type_ in by_type:
            assert by_type[type_]["status"] == "True", f"{type_} is present though not True"
            assert ready != "True", f"Ready and {type_} are both True: {status}"
    assert not {"Reconciling", "Stalled"} <= set(by_type), f"Reconciling and Stalled: {status}"
    if ready == "Unknown":
        assert "Reconciling" in by_type, f"Ready is Unknown, Reconciling not True: {status}"
    if ready == "True":
        for c in by_type.values():
            assert c.get("observedGeneration") == status["observedGeneration"], (
                f"{c['type']} is of another generation than the status: {status}"
            )
    for c in by_type.values():
        assert c.get("reason"), f"{c['type']} has no reason"
