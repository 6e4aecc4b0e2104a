# SPDX-License-Identifier: Apache-2.0
"""How an operator with the webhook ends: the Lease goes to another replica at once, while requests
are answered for drainSeconds and those under way to their end; whatever hangs, it ends in time."""

import concurrent.futures
import contextlib
import http.client
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from berth_test import objects, webhook
from berth_test.balancer import Balancer
from berth_test.kube import SETTINGS, TEMPLATE, ApiError, Kube
from berth_test.operator import Operator
from berth_test.reviews import Reviewer
from berth_test.wait import SLOWNESS, wait_for

LEASE = ("Lease", "berth-operator", webhook.NAMESPACE)
LEASE_S = 2.0 * SLOWNESS  # SIGTERM to the Lease given back
HAND_OVER_S = 6.0  # others look for it every 2 to 4.4 s
CLOSE_S = 2.0 * SLOWNESS  # from the end of the last request to the end of the process
RETIRE_S = 3.5 * SLOWNESS  # of reconciling, where calls to both AWS and the API server hang
DRAIN_S = 3
KNOWN, MISSING = "team/there", "team/missing"
PROBE = {"operation": "DescribeRepositories", "userAgent": "*admission/*"}
CREATE_TEMPLATE = {"operation": "CreateRepositoryCreationTemplate"}
ANSWERED = "berth_admission_requests_total"


@pytest.fixture
def cluster(kube: Kube, emulator) -> Kube:
    """With a registry, a template "team" and one repository of it."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": webhook.NAMESPACE}}
    kube.apply(namespace)
    kube.delete(*LEASE)
    emulator.ecr.create_repository(repositoryName=KNOWN)
    kube.create(objects.settings(emulator, registryHosts=[emulator.registry], driftInterval="10m"))
    kube.create(objects.template("team"))
    return kube


@pytest.fixture
def serving(cluster: Kube, emulator, start_operator) -> Iterator[Callable[..., Operator]]:
    """Starts an operator whose webhook API servers trust and which knows the registry."""

    def start(drain_s: int = DRAIN_S, **options) -> Operator:
        config = webhook.config(webhook={"drainSeconds": drain_s})
        operator = start_operator(config=config, wait=False, **options)
        wait_for(lambda: operator.address("webhook"), 20, operator.log_text)
        if not is_installed(cluster):
            webhook.install(cluster, operator, "--host", emulator.registry, failurePolicy="Ignore")
        wait_for(operator.is_ready, 20, operator.log_text)
        cluster.wait_ready(TEMPLATE, "team")
        wait_for(
            lambda: ask(operator, emulator, KNOWN).action == "Allow", 10, "the repository is known"
        )
        return operator

    yield start
    webhook.remove(cluster)


def is_installed(kube: Kube) -> bool:
    with contextlib.suppress(ApiError):
        return bool(webhook.live(kube))
    return False


def ask(operator: Operator, emulator, repository: str, timeout_s: int = 5):
    reviewer = Reviewer(operator.address("webhook"), timeout_s)
    return reviewer.pod(f"{emulator.registry}/{repository}:1")


def is_given_back(kube: Kube) -> bool:
    return not kube.get(*LEASE)["spec"].get("holderIdentity")


def wait_acted(emulator, rule: int) -> None:
    wait_for(
        lambda: any(r["id"] == rule and r["acted"] for r in emulator.faults()),
        10,
        "a request meets the rule",
    )


@contextlib.contextmanager
def frozen_apiserver(control_plane, kube: Kube) -> Iterator[None]:
    """It accepts connections and says nothing."""
    (api,) = [p for p in control_plane.processes if p.name == "kube-apiserver"]
    api.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        api.signal(signal.SIGCONT)
        wait_for(lambda: is_answering(kube), 10, "kube-apiserver answers again")
        kube.delete(*LEASE)


def is_answering(kube: Kube) -> bool:
    with contextlib.suppress(OSError):
        return kube.request("GET", "/readyz") == "ok"
    return False


def connect(operator: Operator) -> http.client.HTTPSConnection:
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    host, _, port = operator.address("webhook").rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=30, context=tls)
    connection.connect()
    return connection


class Ending:
    """SIGTERM now; times count from here."""

    def __init__(self, operator: Operator, number: int = signal.SIGTERM) -> None:
        self._operator = operator
        self._began = time.monotonic()
        operator.process.signal(number)

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def wait_exit(self, within_s: float) -> int:
        return self._operator.wait_exit(max(0.1, within_s - self.seconds()))


# --- the good case -------------------------------------------------------------------------------


def test_the_lease_is_given_back_and_requests_are_answered(cluster, emulator, serving):
    operator = serving()
    ending = Ending(operator)
    readiness, given_back_s = None, None
    while ending.seconds() < DRAIN_S - 1:
        answer = ask(operator, emulator, KNOWN)
        assert (answer.status, answer.action) == (200, "Allow"), answer
        if given_back_s is not None:
            assert answer.closes, "peers are told to come back elsewhere"
        readiness = operator.get("health", "/readyz")
        assert readiness == (503, "not ready: stopping\n")
        if given_back_s is None and is_given_back(cluster):
            given_back_s = ending.seconds()
    assert given_back_s is not None, "the Lease is held during the drain"
    assert given_back_s < LEASE_S
    # it still creates what is missing
    answer = ask(operator, emulator, MISSING)
    assert (answer.audit["created"], answer.closes) == (MISSING, True), answer
    assert MISSING in emulator.repositories()
    assert ending.wait_exit(DRAIN_S + CLOSE_S) == 0
    assert ending.seconds() >= DRAIN_S
    assert operator.find_log("stopped", code=0)
    assert not operator.find_log("admission requests were cut")


def test_another_takes_the_lease_meanwhile(cluster, emulator, serving):
    first = serving(drain_s=60, env={"POD_NAME": "first"})
    second = serving(drain_s=0, env={"POD_NAME": "second"})
    Ending(first)
    wait_for(
        lambda: second.metrics_of("leader_election_master_status") == 1, HAND_OVER_S, "it leads"
    )
    assert first.process.exit_code() is None, "the other serves on"
    assert ask(first, emulator, KNOWN).action == "Allow"
    cluster.create(objects.template("later"))
    cluster.wait_ready(TEMPLATE, "later")
    assert ask(first, emulator, KNOWN).closes
    first.kill()


def test_a_kept_connection_is_told_to_close(emulator, serving):
    operator = serving()
    with contextlib.closing(connect(operator)) as kept:

        def post() -> tuple[int, str | None]:
            """What is no review is answered too."""
            kept.request("POST", "/validate", "{}", {"Content-Type": "application/json"})
            response = kept.getresponse()
            response.read()
            return response.status, response.headers.get("Connection")

        assert post() == post() == (400, None)
        Ending(operator)
        wait_for(lambda: operator.get("health", "/readyz")[0] == 503, 5, "it is stopping")
        assert post() == (400, "close")
    assert operator.wait_exit(DRAIN_S + CLOSE_S) == 0


def test_peers_without_a_request_do_not_hold_it(serving):
    """An open connection, one without a handshake, one with half of its headers."""
    operator = serving(drain_s=0)
    host, _, port = operator.address("webhook").rpartition(":")
    with (
        contextlib.closing(connect(operator)),
        contextlib.closing(connect(operator)) as half,
        socket.create_connection((host, int(port))) as silent,
    ):
        half.sock.sendall(b"POST /validate HTTP/1.1\r\nHost: x\r\n")
        assert silent
        assert Ending(operator).wait_exit(CLOSE_S) == 0
    assert not operator.find_log("admission requests were cut")


# --- requests under way --------------------------------------------------------------------------


def test_a_request_in_flight_is_finished(emulator, serving):
    """It waits for ECR when the time to drain is over."""
    operator = serving(drain_s=0)
    rule = emulator.add_fault(PROBE, delayMs=1500)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, operator, emulator, MISSING)
        wait_acted(emulator, rule)
        ending = Ending(operator)
        answer = asked.result()
    assert answer.audit["created"] == MISSING, answer
    assert MISSING in emulator.repositories()
    assert ending.wait_exit(1.5 + CLOSE_S) == 0
    assert not operator.find_log("admission requests were cut")


def test_a_request_that_waits_for_a_hanging_ecr(emulator, serving):
    """It is answered by its deadline, as onError says, and its call does not hold the end."""
    operator = serving(drain_s=0)
    rule = emulator.add_fault({"operation": "*", "userAgent": "*admission/*"}, delayMs=60000)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, operator, emulator, MISSING, timeout_s=3)
        wait_acted(emulator, rule)
        ending = Ending(operator)
        answer = asked.result()
        answered_s = ending.seconds()
    assert (answer.status, answer.action) == (200, "Warn"), answer
    assert answer.seconds < 3
    assert ending.wait_exit(answered_s + CLOSE_S) == 0


# --- what hangs ----------------------------------------------------------------------------------


def test_a_reconciliation_that_hangs_holds_nobody(cluster, emulator, serving):
    """The Lease is not given back while a write may be under way: it runs out."""
    operator = serving()
    rule = emulator.add_fault(CREATE_TEMPLATE, delayMs=60000)
    cluster.create(objects.template("hangs"))
    wait_acted(emulator, rule)
    ending = Ending(operator)
    while ending.seconds() < DRAIN_S - 1:
        assert ask(operator, emulator, KNOWN).action == "Allow"
    assert not is_given_back(cluster)
    assert ending.wait_exit(DRAIN_S + CLOSE_S) == 0


def test_an_api_server_that_hangs_holds_nobody(cluster, control_plane, emulator, serving):
    operator = serving()
    with frozen_apiserver(control_plane, cluster):
        ending = Ending(operator)
        while ending.seconds() < DRAIN_S - 1:
            assert ask(operator, emulator, KNOWN).action == "Allow"
        assert ending.wait_exit(DRAIN_S + CLOSE_S) == 0


def test_all_that_hangs_together_and_no_time_to_drain(cluster, control_plane, emulator, serving):
    operator = serving(drain_s=0)
    rule = emulator.add_fault({"operation": "*", "userAgent": "berth*"}, delayMs=60000)
    cluster.create(objects.template("hangs"))
    wait_acted(emulator, rule)
    with frozen_apiserver(control_plane, cluster):
        assert Ending(operator).wait_exit(RETIRE_S + CLOSE_S) == 0


def test_before_there_is_a_certificate(cluster, control_plane, start_operator):
    """Nobody was told to call it: nobody has to learn that it goes."""
    with frozen_apiserver(control_plane, cluster):
        config = webhook.config(webhook={"drainSeconds": 60})
        operator = start_operator(config=config, wait=False)
        wait_for(lambda: operator.address("webhook"), 20, operator.log_text)
        assert Ending(operator).wait_exit(RETIRE_S + CLOSE_S) == 0
    assert operator.find_log("stopped without waiting for a call that is not answered") or (
        operator.find_log("stopped")
    )


# --- signals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(cluster, serving, number):
    operator = serving(drain_s=60)
    Ending(operator, number)
    wait_for(lambda: is_given_back(cluster), LEASE_S, "the Lease is given back")
    operator.process.signal(number)
    assert operator.wait_exit(0.5 * SLOWNESS) == 128 + number


def test_once_serves_no_webhook(cluster, emulator, start_operator):
    config = webhook.config(webhook={"drainSeconds": 60})
    operator = start_operator(config=config, wait=False, flags=("--once",))
    assert operator.wait_exit(20 * SLOWNESS) == 0
    assert operator.address("webhook") is None
    assert set(emulator.templates()) == {"team"}


# --- a crash -------------------------------------------------------------------------------------


class Load:
    """Pods through the API server from some threads, each with its beginning."""

    def __init__(self, kube: Kube, image: str) -> None:
        self._kube, self._image = kube, image
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self.admitted: list[float] = []
        self.failed: list[tuple[float, str]] = []

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            runs = [pool.submit(self._run, i) for i in range(4)]
            try:
                yield self
            finally:
                self._ends.set()
            for run in runs:
                run.result()

    def _run(self, number: int) -> None:
        while not self._ends.is_set():
            began, error = time.monotonic(), None
            try:
                self._kube.create(webhook.pod(f"load-{number}", self._image), dry_run=True)
            except ApiError as e:
                error = str(e)
            with self._lock:
                if error is None:
                    self.admitted.append(began)
                else:
                    self.failed.append((began, error))

    def wait_more(self, count: int) -> None:
        before = len(self.admitted)
        wait_for(lambda: len(self.admitted) >= before + count, 20, "requests are admitted")


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
def test_kill_one_of_two(cluster, emulator, serving, policy):
    """Only what was on its way to it fails, and under Ignore nothing does."""
    with Balancer() as balancer:
        url = f"https://127.0.0.1:{balancer.port}/validate"
        webhook.install_url(cluster, url, "--host", emulator.registry, failurePolicy=policy)
        running = {n: serving(0, env={"POD_NAME": n}) for n in ("first", "second")}
        for name, operator in running.items():
            balancer.put(name, operator.address("webhook"), operator.is_ready)
        wait_for(lambda: balancer.ready_count() == 2, 10, "both are ready")
        before = {n: o.metrics_of(ANSWERED) for n, o in running.items()}
        with Load(cluster, f"{emulator.registry}/{KNOWN}:1").running() as load:
            wait_for(
                lambda: all(o.metrics_of(ANSWERED) > before[n] + 5 for n, o in running.items()),
                20,
                "both are asked",
            )
            assert load.failed == []
            running["first"].kill()
            wait_for(lambda: balancer.ready_count() == 1, 10, "it is known that one is gone")
            noticed = time.monotonic()
            load.wait_more(50)
        assert [f for f in load.failed if f[0] > noticed] == []
        # a connection each, and what was begun until it was noticed
        assert len(load.failed) == 0 if policy == "Ignore" else len(load.failed) < 50, load.failed
        assert all("failed calling webhook" in error for _, error in load.failed), load.failed
        assert cluster.wait_ready(SETTINGS, "default")
