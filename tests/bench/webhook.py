# SPDX-License-Identifier: Apache-2.0
"""The webhook, measured beside what it cannot be faster than: nginx answering the same POST with a
constant, our own server doing so, and an API server that asks nobody."""

import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import ssl
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator

import bare
from berth_test import objects, paths, webhook
from berth_test.control_plane import ADMIN, ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import TEMPLATE, Kube
from berth_test.operator import Operator
from berth_test.process import Process, free_port
from berth_test.wait import wait_for

REPOSITORIES = 3
SMALL_BYTES, BIG_BYTES = 5000, 1_000_000
CONNECTIONS, MANY_CONNECTIONS = 8, 64
FIRST_CONTACTS = 10
ROUNDS = 3
DELAY_MS = 50
WORKERS, INLINE_BYTES = 2, 16 * 1024  # as the operator serves (cmd/berth-operator/webhook.c)
UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
CONSTANT = (
    '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":'
    f'{{"uid":"{UID}","allowed":true}}}}'
)
LABEL = "bench.berth.dev/webhook"
NGINX = """
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 100000000;
    client_max_body_size 7m;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {directory}/cert.pem;
        ssl_certificate_key {directory}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        default_type application/json;
        location / {{ return 200 '{constant}'; }}
    }}
}}
"""

Figures = dict[str, float]


# --- the servers ---------------------------------------------------------------------------------


def make_certificate(directory: pathlib.Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip


@contextlib.contextmanager
def nginx(directory: pathlib.Path) -> Iterator[tuple[str, int]]:
    """Its address, and the process that serves."""
    port = free_port()
    text = NGINX.format(directory=directory, port=port, constant=CONSTANT)
    (directory / "nginx.conf").write_text(text)
    argv = ["nginx", "-c", directory / "nginx.conf", "-p", directory]
    process = Process("nginx", argv, directory)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        wait_for(lambda: process.assert_running() or children.read_text(), 10, process.log)
        yield f"127.0.0.1:{port}", int(children.read_text().split()[0])
    finally:
        process.stop()


@contextlib.contextmanager
def constant(directory: pathlib.Path) -> Iterator[tuple[str, int]]:
    """Our server with nothing behind it."""
    subprocess.run(["cmake", "--build", paths.BUILD, "--target", "bench_webhook_constant"],
                   check=True, capture_output=True)  # fmt: skip
    child = subprocess.Popen(
        [paths.binary("bench_webhook_constant"), directory / "cert.pem", directory / "key.pem",
         str(WORKERS), str(INLINE_BYTES)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield child.stdout.readline().strip(), child.pid
    finally:
        child.stdin.close()
        child.wait(10)


class World:
    """An operator that knows its repositories, beside an API server that asks it nothing yet."""

    def __init__(self, cluster: ControlPlane, emulator: Emulator) -> None:
        self.cluster, self.kube, self.emulator = cluster, cluster.kube, emulator
        self.host = emulator.registry
        cluster.install_crds()
        self.kube.create(namespace(webhook.NAMESPACE))
        self.kube.create(objects.settings(emulator, registryHosts=[self.host],
                                          admission={"creationsPerMinute": 10_000}))  # fmt: skip
        self.kube.create(
            objects.template("team", repositoryPolicy=objects.policy(),
                             lifecyclePolicy=objects.lifecycle())
        )  # fmt: skip
        for i in range(REPOSITORIES):
            emulator.ecr.create_repository(repositoryName=f"team/x{i}")
        self.operator = Operator(cluster.kubeconfig(), webhook.config())
        self.kube.wait_ready(TEMPLATE, "team")
        self.address = self.operator.address("webhook")
        wait_for(lambda: self.decided(self.ask()) == "allow", 20, "the repositories are known")

    def images(self) -> list[str]:
        return [f"{self.host}/team/x{i}:1" for i in range(REPOSITORIES)]

    def ask(self) -> dict:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host, _, port = self.address.rpartition(":")
        c = bare.Connection(host, int(port), context)
        headers = {"Content-Type": "application/json"}
        reply = c.send("POST", "/validate", headers, review(self, SMALL_BYTES))
        c.close()
        return json.loads(reply)["response"]

    @staticmethod
    def decided(response: dict) -> str:
        return response["auditAnnotations"]["decision"] if not response.get("warnings") else "warn"


@contextlib.contextmanager
def world() -> Iterator[World]:
    with ControlPlane(record=False) as cluster, Emulator() as emulator:
        w = World(cluster, emulator)
        try:
            yield w
        finally:
            w.operator.kill()


def namespace(name: str, **labels: str) -> dict:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def review(w: World, size: int) -> bytes:
    """Of a Pod as an API server sends one, with variables until it has that size."""
    pod = webhook.pod("p", *w.images())
    fields = {f"f:{k}": {} for k in ("image", "imagePullPolicy", "name", "resources", "env")}
    pod["metadata"]["managedFields"] = [
        {"manager": "kubectl-create", "operation": "Update", "apiVersion": "v1",
         "time": "2024-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {
             "f:containers": {f'k:{{"name":"c{i}"}}': fields for i in range(REPOSITORIES)}}}}
    ]  # fmt: skip
    for c in pod["spec"]["containers"]:
        c |= {"imagePullPolicy": "Always", "terminationMessagePath": "/dev/termination-log",
              "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}, "env": []}  # fmt: skip
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    request = {
        "uid": UID, "kind": kind, "resource": resource, "requestKind": kind,
        "requestResource": resource, "name": "p", "namespace": "default", "operation": "CREATE",
        "userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
        "object": pod, "oldObject": None, "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }  # fmt: skip
    whole = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
    left = size - len(json.dumps(whole, separators=(",", ":")))
    for i in range(size):
        variable = {"name": f"VARIABLE_{i}", "value": "x" * 30}
        left -= len(json.dumps(variable, separators=(",", ":"))) + 1
        if left < 0:
            break
        pod["spec"]["containers"][i % REPOSITORIES]["env"].append(variable)
    return json.dumps(whole, separators=(",", ":")).encode()


# --- requests a second ---------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


class Load:
    """wrk on one core."""

    def __init__(self, directory: pathlib.Path, seconds: float) -> None:
        self._directory, self._seconds = directory, seconds

    def run(self, target: tuple[str, int], body: bytes, connections: int = CONNECTIONS) -> Figures:
        address, pid = target
        script = self._directory / "post.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = [==[{body.decode()}]==]\n'
            'wrk.headers["Content-Type"] = "application/json"\n'
        )
        before = cpu_seconds(pid)
        out = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{self._seconds:g}s", "--latency", "-s", script,
             f"https://{address}/validate"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        if "Non-2xx" in out or "Socket errors" in out:
            raise RuntimeError(out)

        def latency(percentile: int) -> float:
            return milliseconds(re.search(rf"^ +{percentile}% +(\S+)$", out, re.M)[1])

        count = int(re.search(r"(\d+) requests in", out)[1])
        return {
            "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "p50": latency(50),
            "p99": latency(99),
            "cpu": 1e6 * (cpu_seconds(pid) - before) / count,
        }


def steps(operator: Operator) -> dict[str, tuple[float, float]]:
    """Seconds and requests so far."""
    metrics = operator.metrics()
    name = "berth_admission_duration_seconds"
    return {
        step: tuple(metrics.get(f'{name}_{p}{{step="{step}"}}', 0.0) for p in ("sum", "count"))
        for step in ("decode", "lookup", "total")
    }


def resident_mib(pid: int) -> float:
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


class Peak:
    """The most memory that a process has while the body of the with statement runs."""

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._pid, self._end = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._end.wait(0.02):
            self.mib = max(self.mib, resident_mib(self._pid))

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def in_turn(load: Load, targets: list[tuple[str, int]], body: bytes) -> list[Figures]:
    """The medians of each, measured one after the other, again and again."""
    rounds = [[load.run(target, body) for target in targets] for _ in range(ROUNDS)]
    return [
        {key: statistics.median(r[i][key] for r in rounds) for key in rounds[0][i]}
        for i in range(len(targets))
    ]


def rates(w: World, directory: pathlib.Path, seconds: float) -> Figures:
    small, load = review(w, SMALL_BYTES), Load(directory, seconds)
    ours = (w.address, w.operator.process.pid)
    with nginx(directory) as theirs, constant(directory) as bare_server:
        for target in (theirs, bare_server, ours):  # what is done once is done before
            Load(directory, 1).run(target, small)
        before = steps(w.operator)
        of_nginx, of_constant, of_ours = in_turn(load, [theirs, bare_server, ours], small)
        after = steps(w.operator)
    big = load.run(ours, review(w, BIG_BYTES), 1)
    with Peak(ours[1]) as peak:
        many = load.run(ours, small, MANY_CONNECTIONS)
    took = {
        f"{step}, µs a request": 1e6 * (s - before[step][0]) / (n - before[step][1])
        for step, (s, n) in after.items()
    }
    return {
        "of nginx's requests/s, %": 100 * of_ours["rate"] / of_nginx["rate"],
        "of the constant's requests/s, %": 100 * of_ours["rate"] / of_constant["rate"],
        "p99, times nginx's": of_ours["p99"] / of_nginx["p99"],
        "requests/s": of_ours["rate"],
        "constant, requests/s": of_constant["rate"],
        "nginx, requests/s": of_nginx["rate"],
        "CPU, µs a request": of_ours["cpu"],
        "constant, CPU, µs a request": of_constant["cpu"],
        "nginx, CPU, µs a request": of_nginx["cpu"],
        **took,
        "p99, ms": of_ours["p99"],
        "1 MB, p50, ms": big["p50"],
        "64 connections, requests/s": many["rate"],
        "64 connections, RSS, MiB": peak.mib,
    }


# --- through the API server ----------------------------------------------------------------------


def install(kube: Kube, name: str, client: dict, *flags: str) -> None:
    """Asked about Pods of the namespace of that name only."""
    configuration = webhook.manifest(*flags)
    configuration["metadata"]["name"] = name
    for entry in configuration["webhooks"]:
        entry["clientConfig"] = client
        entry["failurePolicy"] = "Fail"
        entry["namespaceSelector"] = {"matchLabels": {LABEL: name}}
    kube.request("POST", webhook.PATH.rpartition("/")[0], configuration)


class Pods:
    """Creates them, one after the other, over one connection."""

    def __init__(self, w: World) -> None:
        tls = ssl.create_default_context(cafile=str(w.cluster.directory / "ca.crt"))
        self._connection = bare.Connection("127.0.0.1", w.cluster.port, tls)
        self._headers = {
            "Authorization": f"Bearer {w.cluster.token(ADMIN)}",
            "Content-Type": "application/json",
        }

    def create_ms(self, where: str, name: str, *images: str) -> float:
        body = json.dumps(webhook.pod(name, *images, namespace=where)).encode()
        path = f"/api/v1/namespaces/{where}/pods"
        began = time.perf_counter()
        self._connection.send("POST", path, self._headers, body)
        return 1000 * (time.perf_counter() - began)

    def close(self) -> None:
        self._connection.close()


NONE, CONST, OURS = "none", "constant", "berth"


def through(w: World, directory: pathlib.Path, count: int) -> Figures:
    """One Pod after the other in three namespaces, so that what else the machine does hits all."""
    for name in (NONE, CONST, OURS):
        w.kube.create(namespace(name, **{LABEL: name}))
    authority = base64.b64encode((directory / "cert.pem").read_bytes()).decode()
    pods, figures, took = Pods(w), {}, {name: [] for name in (NONE, CONST, OURS)}
    with constant(directory) as (address, _):
        client = {"url": f"https://{address}/validate", "caBundle": authority}
        install(w.kube, CONST, client, "--host", w.host)
        install(w.kube, OURS, {"url": f"https://{w.address}/validate"}, "--host", w.host)
        webhook.wait_trusted(w.kube)
        asked = w.operator.metrics_of("berth_admission_requests_total")

        def is_in_force() -> bool:
            for name in took:
                pods.create_ms(name, f"warm-{time.monotonic_ns()}", *w.images())
            return w.operator.metrics_of("berth_admission_requests_total") >= asked + 20

        wait_for(is_in_force, 30, "the API server asks the webhook")
        for i in range(count):
            for at in range(len(took)):
                name = list(took)[(at + i) % len(took)]
                took[name].append(pods.create_ms(name, f"pod-{i}", *w.images()))
        figures = first_contact(w, pods)
        w.kube.request("DELETE", f"{webhook.PATH.rpartition('/')[0]}/{CONST}")
    pods.close()

    def above(other: str) -> float:
        """Of Pods that were created one right after the other."""
        return statistics.median(a - b for a, b in zip(took[OURS], took[other], strict=True))

    return {
        "Pod, p50 above the constant's, ms": above(CONST),
        "Pod, p50 above no webhook's, ms": above(NONE),
        "Pod, no webhook, p50, ms": statistics.median(took[NONE]),
        **figures,
    }


def first_contact(w: World, pods: Pods) -> Figures:
    """Each Pod names a repository that is not there, and every call to ECR takes its time."""
    took = []
    with w.emulator.fault(delayMs=DELAY_MS):
        for i in range(FIRST_CONTACTS):
            image = f"{w.host}/team/new-{i}:1"
            took.append(pods.create_ms(OURS, f"first-{i}", image))
    for i in range(FIRST_CONTACTS):
        name = {"repositoryName": f"team/new-{i}"}
        w.emulator.ecr.get_repository_policy(**name)
        w.emulator.ecr.get_lifecycle_policy(**name)
    calls = [r for r in w.emulator.operator_requests() if r.operation == "CreateRepository"]
    if len(calls) != FIRST_CONTACTS:
        raise RuntimeError(f"{len(calls)} repositories were created")
    return {"first contact, p50, ms": statistics.median(took), "first contact, most, ms": max(took)}


def measure(pods: int, seconds: float) -> Figures:
    for tool in ("wrk", "nginx", "openssl"):
        if shutil.which(tool) is None:
            raise RuntimeError(f"{tool} is missing: apt-get install wrk nginx-light openssl")
    with tempfile.TemporaryDirectory(prefix="berth-bench.") as path, world() as w:
        directory = pathlib.Path(path)
        make_certificate(directory)
        return {**rates(w, directory, seconds), **through(w, directory, pods)}
