# SPDX-License-Identifier: Apache-2.0
"""Clients with nothing around them: a kept connection, bytes out, bytes in. One is what the
operator is compared with (the writes that it does for a new template, by somebody who only writes
them), the other fills the emulator."""

import hashlib
import hmac
import http.client
import json
import queue
import re
import ssl
import threading
import time
import urllib.parse

from berth_test import objects
from berth_test.control_plane import ADMIN, ControlPlane
from berth_test.emulator import CREDENTIALS, Emulator
from berth_test.kube import FINALIZER, GROUP, TEMPLATE, VERSION, path_of

_VERSION = re.compile(rb'"resourceVersion":"(\d+)"')


class Connection:
    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._connection = (
            http.client.HTTPSConnection(host, port, timeout=60, context=tls)
            if tls
            else http.client.HTTPConnection(host, port, timeout=60)
        )

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:500]!r}")
        return text

    def close(self) -> None:
        self._connection.close()


# --- the writes of a new template --------------------------------------------------------------


class Writer:
    """What the operator writes for each new template: finalizer, ownership, status, event."""

    def __init__(self, cluster: ControlPlane, status: dict) -> None:
        self._cluster = cluster
        self._tls = ssl.create_default_context(cafile=str(cluster.directory / "ca.crt"))
        self._auth = {
            "Authorization": f"Bearer {cluster.token(ADMIN)}",
            "Accept": "application/json",
        }
        self._final = status
        working = {"status": "False", "reason": "Creating", "message": "being created in ECR"}
        self._first = {
            **{k: v for k, v in status.items() if k not in ("updatedAt", "repositories")},
            "conditions": [
                {**c, **working} for c in status["conditions"] if c["type"] in ("Ready", "Synced")
            ],
        }

    def _connect(self) -> Connection:
        return Connection("127.0.0.1", self._cluster.port, self._tls)

    def _patch(self, c: Connection, path: str, kind: str, body: dict) -> bytes:
        headers = {**self._auth, "Content-Type": f"application/{kind}"}
        return c.send("PATCH", path, headers, json.dumps(body).encode())

    def _apply(self, c: Connection, name: str, uid: str, version: str, status: dict) -> bytes:
        path = path_of(TEMPLATE, name) + "/status?fieldManager=berth-operator-status&force=true"
        metadata = {"name": name, "uid": uid, "resourceVersion": version}
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": TEMPLATE, "metadata": metadata,
                "status": status}  # fmt: skip
        return self._patch(c, path, "apply-patch+yaml", body)

    def _write(self, names: queue.SimpleQueue, events: queue.SimpleQueue) -> None:
        c = self._connect()
        while True:
            try:
                name, uid, version = names.get_nowait()
            except queue.Empty:
                break
            meta = {"uid": uid, "resourceVersion": version, "finalizers": [FINALIZER]}
            text = self._patch(c, path_of(TEMPLATE, name), "merge-patch+json", {"metadata": meta})
            version = _VERSION.search(text).group(1).decode()
            text = self._apply(c, name, uid, version, self._first)
            version = _VERSION.search(text).group(1).decode()
            self._apply(c, name, uid, version, self._final)
            events.put((name, uid))
        c.close()

    def _event(self, events: queue.SimpleQueue) -> None:
        c = self._connect()
        headers = {**self._auth, "Content-Type": "application/json"}
        while (item := events.get()) is not None:
            name, uid = item
            now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
            event = {
                "apiVersion": "events.k8s.io/v1", "kind": "Event",
                "metadata": {"name": f"{name}.bare", "namespace": "default"},
                "eventTime": now, "type": "Normal", "reason": "Created", "action": "Create",
                "note": f"created the template for prefix {name} in registry 123456789012",
                "reportingController": f"{GROUP}/berth-operator", "reportingInstance": "bare",
                "regarding": {"apiVersion": f"{GROUP}/{VERSION}", "kind": TEMPLATE, "name": name,
                              "uid": uid},
            }  # fmt: skip
            c.send("POST", path_of("Event", None, "default"), headers, json.dumps(event).encode())
        c.close()

    def seconds(self, name: str, templates: int, connections: int) -> float:
        """For templates made anew, over as many connections as the operator has workers, and one
        more for events. They are removed afterwards."""
        names: queue.SimpleQueue = queue.SimpleQueue()
        events: queue.SimpleQueue = queue.SimpleQueue()
        for i in range(templates):
            made = self._cluster.kube.create(
                objects.template(f"{name}-{i}", lifecyclePolicy=objects.lifecycle())
            )["metadata"]
            names.put((made["name"], made["uid"], made["resourceVersion"]))
        failures: list[BaseException] = []

        def run(target: object, *args: object) -> None:
            try:
                target(*args)
            except BaseException as e:  # told by who waits
                failures.append(e)

        writers = [
            threading.Thread(target=run, args=(self._write, names, events))
            for _ in range(connections)
        ]
        recorder = threading.Thread(target=run, args=(self._event, events))
        began = time.monotonic()
        for thread in (*writers, recorder):
            thread.start()
        for thread in writers:
            thread.join()
        written = time.monotonic() - began
        events.put(None)
        recorder.join()
        if failures:
            raise failures[0]
        self._cluster.kube.remove_all(TEMPLATE)
        return written


# --- filling the emulator ----------------------------------------------------------------------


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _signed(emulator: Emulator, target: str, body: bytes) -> dict[str, str]:
    """AWS' Signature Version 4 (botocore's takes ten times as long)."""
    host = urllib.parse.urlsplit(emulator.endpoint).netloc
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{now[:8]}/{emulator.region}/ecr/aws4_request"
    names = "host;x-amz-date;x-amz-target"
    payload = hashlib.sha256(body).hexdigest()
    canonical = (
        f"POST\n/\n\nhost:{host}\nx-amz-date:{now}\nx-amz-target:{target}\n\n{names}\n{payload}"
    )
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{CREDENTIALS['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    signature = _hmac(key, f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashed}").hex()
    credential = f"{CREDENTIALS['AWS_ACCESS_KEY_ID']}/{scope}"
    return {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Date": now,
        "X-Amz-Target": target,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names},"
        f" Signature={signature}",
    }


def make_repositories(emulator: Emulator, count: int, templates: int = 100) -> None:
    """steady-<n>/app-<i>, so that each template steady-<n> covers some."""
    url = urllib.parse.urlsplit(emulator.endpoint)
    c = Connection(url.hostname, url.port)
    target = "AmazonEC2ContainerRegistry_V20150921.CreateRepository"
    for i in range(count):
        body = json.dumps({"repositoryName": f"steady-{i % templates}/app-{i}"}).encode()
        c.send("POST", "/", _signed(emulator, target, body), body)
    c.close()
