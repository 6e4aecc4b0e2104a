# SPDX-License-Identifier: Apache-2.0
"""The webhook's metrics: all series that there can be are there from the start, and what happens is
counted where the page says. (That the page is what is exported is in test_metrics.py.)"""

import concurrent.futures
import contextlib
import socket
import ssl

import pytest

from berth_test import exposition, objects
from berth_test.kube import TEMPLATE
from berth_test.operator import Operator
from berth_test.reviews import Reviewer
from berth_test.wait import wait_for

WEBHOOK = {
    "enabled": True,
    "address": "127.0.0.1:0",
    "drainSeconds": 0,
    "configuration": "",
    "certs": {"dnsNames": ["127.0.0.1"]},
}
REQUESTS = "berth_admission_requests_total"
DURATION = "berth_admission_duration_seconds"
CREATIONS = "berth_repository_creations_total"
ANSWERED = "berth_webhook_requests_answered_total"
PARKED = "berth_admission_parked_requests"
MIB = 1 << 20


@pytest.fixture
def operator(start_operator) -> Operator:
    return start_operator(config={"webhook": WEBHOOK})


@pytest.fixture
def reviewer(kube, emulator, operator) -> Reviewer:
    """With a template "team", and repositories team/there and elsewhere/there."""
    for name in ("team/there", "elsewhere/there"):
        emulator.ecr.create_repository(repositoryName=name)
    kube.create(objects.settings(emulator, registryHosts=[emulator.registry]))
    kube.create(objects.template("team", lifecyclePolicy=objects.lifecycle()))
    kube.wait_ready(TEMPLATE, "team")
    asked = Reviewer(operator.address("webhook"))
    wait_for(
        lambda: not asked.pod(f"{emulator.registry}/team/there").warnings, 10, "it is known"
    )
    return asked


def scrape(operator: Operator) -> dict[str, exposition.Family]:
    return exposition.parse(operator.get("metrics", "/metrics")[1])


def values(operator: Operator, name: str) -> dict[exposition.Labels, float]:
    return scrape(operator)[name].series()


def wait_value(operator: Operator, want: float, name: str, **labels: str) -> None:
    wait_for(
        lambda: scrape(operator)[name].value(**labels) == want,
        10,
        lambda: f"{name} {labels} is {want}: {values(operator, name)}",
    )


class Change:
    """Of the series of a metric since it was made."""

    def __init__(self, operator: Operator, *names: str) -> None:
        self._operator = operator
        self._before = {n: values(operator, n) for n in names}

    def of(self, name: str) -> dict[tuple[str, ...], float]:
        """Label values, by the order of the labels' names, to the difference, where there is one.
        No series is new."""
        before, now = self._before[name], values(self._operator, name)
        assert set(before) == set(now), f"new series of {name}: {set(now) - set(before)}"
        return {
            tuple(v for _, v in sorted(k)): now[k] - before[k] for k in now if now[k] != before[k]
        }


def connect(operator: Operator) -> socket.socket:
    host, _, port = operator.address("webhook").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def connect_tls(operator: Operator) -> ssl.SSLSocket:
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return tls.wrap_socket(connect(operator))


def test_all_series_are_there_from_the_start(operator):
    metrics, known = scrape(operator), exposition.documented_labels()
    requests = metrics[REQUESTS]
    assert set(requests.series().values()) == {0}
    for label in ("decision", "reason"):
        assert requests.label_values()[label] == known[label]
    assert metrics[DURATION].series() == {(("step", s),): 0 for s in known["step"]}
    assert metrics[CREATIONS].series() == {
        (("outcome", o),): 0 for o in ("created", "existed", "refused", "failed")
    }
    refused = metrics["berth_webhook_requests_refused_total"]
    assert refused.series() == {(("cause", "queue"),): 0, (("cause", "bytes"),): 0}
    assert metrics[PARKED].value() == 0
    expiry = metrics["berth_webhook_certificate_expiration_timestamp_seconds"]
    assert expiry.label_values()["use"] == known["use"]


def test_what_is_asked_is_counted(emulator, operator, reviewer):
    host = emulator.registry
    change = Change(operator, REQUESTS, DURATION, CREATIONS, ANSWERED)
    created = Change(operator, "berth_repository_creation_duration_seconds")
    reviewer.pod(f"{host}/team/there:1")
    reviewer.pod(f"{host}/team/new:1", dry_run=True)
    reviewer.pod(f"{host}/team/new:1")
    reviewer.pod(f"{host}/elsewhere/there:1", f"{host}/elsewhere/missing:1")
    reviewer.pod("nginx")
    with connect_tls(operator) as s:
        s.sendall(
            b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )
        assert s.recv(100).startswith(b"HTTP/1.1 400 ")
    # decision, reason
    assert change.of(REQUESTS) == {
        ("allow", "Exists"): 1,
        ("warn", "WouldCreate"): 1,
        ("warn", "Created"): 1,
        ("warn", "Uncovered"): 1,
        ("allow", "Foreign"): 1,
        ("error", "Malformed"): 1,
    }
    assert change.of(DURATION) == {("decode",): 5, ("lookup",): 5, ("ecr",): 3, ("total",): 5}
    assert change.of(CREATIONS) == {("created",): 1}
    assert change.of(ANSWERED) == {(): 6}
    assert created.of("berth_repository_creation_duration_seconds") == {(): 1}


def test_who_waits_is_shown(emulator, operator, reviewer):
    change = Change(operator, REQUESTS, CREATIONS)
    slow = emulator.add_fault({"operation": "*", "userAgent": "*admission/*"}, delayMs=4000)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = [
            pool.submit(reviewer.pod, f"{emulator.registry}/team/w{i}:1", timeout_s=3)
            for i in range(3)
        ]
        wait_value(operator, 3, PARKED)
        metrics = scrape(operator)
        assert metrics["berth_webhook_requests_in_flight"].value() == 3
        assert metrics["berth_webhook_connections"].value() >= 3
        assert metrics["berth_webhook_max_connections"].value() > 256
        assert metrics["berth_webhook_requests_queued"].value() == 0
        assert [a.result().action for a in asked] == ["Warn"] * 3
    emulator.control("DELETE", f"faults/{slow}")
    for name in (PARKED, "berth_webhook_requests_in_flight", "berth_webhook_connections"):
        wait_value(operator, 0, name)
    assert sum(change.of(REQUESTS).values()) == 3
    assert {reason for _, reason in change.of(REQUESTS)} <= {"Pending", "Error"}
    # they are created all the same
    wait_for(lambda: change.of(CREATIONS) == {("created",): 3}, 30, "all are created")


def test_what_the_server_counts(emulator, operator, reviewer):
    # nobody shakes hands
    connect(operator).close()
    wait_value(operator, 1, "berth_webhook_failed_handshakes_total")
    # somebody does not wait for the answer
    slow = emulator.add_fault({"operation": "*", "userAgent": "*admission/*"}, delayMs=2000)
    with pytest.raises(TimeoutError):
        reviewer.pod(f"{emulator.registry}/team/late:1", patience_s=1)
    wait_value(operator, 1, "berth_webhook_answers_dropped_total")
    emulator.control("DELETE", f"faults/{slow}")
    # more bodies than there is room for
    head = (
        b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % (7 * MIB)
    )
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(connect_tls(operator)) for _ in range(3)]
        for peer in peers[:2]:
            peer.sendall(head + b" " * (6 * MIB))
        wait_value(operator, 12 * MIB, "berth_webhook_request_body_bytes")
        with contextlib.suppress(OSError):  # it may be closed before all of it is sent
            peers[2].sendall(head + b" " * (6 * MIB))
        assert peers[2].recv(100).startswith(b"HTTP/1.1 503 ")
        wait_value(operator, 1, "berth_webhook_requests_refused_total", cause="bytes")
    wait_value(operator, 0, "berth_webhook_request_body_bytes")
    assert scrape(operator)["berth_webhook_requests_timed_out_total"].value() == 0
