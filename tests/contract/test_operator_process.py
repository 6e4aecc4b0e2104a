# SPDX-License-Identifier: Apache-2.0
"""The operator as a process without an API server: endpoints, failed starts, signals."""

import http.client
import signal
import socket
import subprocess

import pytest
import yaml

from berth_test import paths
from berth_test.operator import Operator
from berth_test.wait import wait_for


def write_kubeconfig(path, server: str):
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "x",
                "clusters": [{"name": "x", "cluster": {"server": server}}],
                "users": [{"name": "x", "user": {"token": "not-a-secret"}}],
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            }
        )
    )
    return path


@pytest.fixture
def silent():
    """An API server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server


@pytest.fixture
def kubeconfig(tmp_path, silent):
    return write_kubeconfig(
        tmp_path / "kubeconfig", f"http://127.0.0.1:{silent.getsockname()[1]}"
    )


@pytest.fixture
def operator(kubeconfig, tmp_path):
    with Operator(kubeconfig, directory=tmp_path, wait=False) as started:
        wait_for(lambda: started.address("metrics"), 10, started.log_text)
        yield started


def ask(operator: Operator, what: str, method: str, path: str, **more) -> tuple[int, dict, str]:
    host, _, port = operator.address(what).rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request(method, path, **more)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, body


def test_alive_but_not_ready_without_an_api_server(operator):
    assert ask(operator, "health", "GET", "/healthz")[::2] == (200, "ok")
    status, _, body = ask(operator, "health", "GET", "/readyz")
    assert status == 503
    wanted = "not ready: RegistrySettings and RepositoryCreationTemplate"
    wait_for(
        lambda: ask(operator, "health", "GET", "/readyz")[2].startswith(wanted),
        10,
        f"the probe says more than: {body}",
    )
    operator.process.assert_running()


def test_an_api_server_that_refuses_is_not_fatal(tmp_path, silent):
    silent.close()
    kubeconfig = write_kubeconfig(tmp_path / "refused", "http://127.0.0.1:1")
    with Operator(kubeconfig, directory=tmp_path, wait=False) as operator:
        wait_for(
            lambda: [x for x in operator.log_lines() if x["level"] == "warn"],
            10,
            "the log says that the API server cannot be reached",
        )
        assert ask(operator, "health", "GET", "/healthz")[0] == 200
        assert ask(operator, "health", "GET", "/readyz")[0] == 503


@pytest.mark.parametrize(
    ("what", "path", "body"),
    [
        ("health", "/", "not found; served here: /healthz, /readyz\n"),
        ("health", "/metrics", "not found; served here: /healthz, /readyz\n"),
        ("health", "/healthz/x", "not found; served here: /healthz, /readyz\n"),
        ("metrics", "/healthz", "not found; served here: /metrics\n"),
    ],
)
def test_unknown_paths(operator, what, path, body):
    assert ask(operator, what, "GET", path)[::2] == (404, body)


def test_methods(operator):
    status, headers, body = ask(operator, "health", "HEAD", "/healthz")
    assert (status, headers["content-length"], body) == (200, "2", "")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        status, headers, _ = ask(operator, "metrics", method, "/metrics", body="x")
        assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_metrics(operator):
    status, headers, body = ask(operator, "metrics", "GET", "/metrics")
    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert '\nberth_build_info{version="' in body
    samples = operator.metrics()
    assert samples["process_open_fds"] >= 3
    assert samples["process_max_fds"] >= samples["process_open_fds"]
    assert 1 << 20 < samples["process_resident_memory_bytes"] < 200 << 20
    assert samples["process_virtual_memory_bytes"] > samples["process_resident_memory_bytes"]
    assert samples["process_cpu_seconds_total"] > 0
    assert samples["process_start_time_seconds"] > 1.7e9
    lines = [x for x in body.splitlines() if x.startswith("# TYPE")]
    assert lines == sorted(lines)


def test_it_says_what_it_serves(operator):
    serving = operator.find_log("serving")
    assert [x["what"] for x in serving] == ["health", "metrics"]
    assert all(x["address"].startswith("127.0.0.1:") for x in serving)
    (starting,) = operator.find_log("starting")
    assert starting["config"] == str(operator.config_file)
    assert starting["server"].startswith("http://127.0.0.1:")
    assert "not-a-secret" not in operator.log_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(operator, number):
    operator.process.signal(number)
    assert operator.wait_exit(2) == 0, operator.log_text()
    assert operator.find_log("stopping", signal=int(number))
    assert operator.log_lines()[-1]["msg"] == "stopped"


def test_a_second_signal_ends_it_at_once(kubeconfig, tmp_path):
    """Both signals wait for a stopped process: it takes SIGINT first, and SIGTERM while it ends.
    Whether it has ended before is a race that it wins now and then: five attempts."""
    codes = []
    while 143 not in codes and len(codes) < 5:
        directory = tmp_path / str(len(codes))
        directory.mkdir()
        operator = Operator(kubeconfig, directory=directory, wait=False)
        try:
            wait_for(lambda o=operator: o.address("metrics"), 10, operator.log_text)
            for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
                operator.process.signal(number)
            codes.append(operator.wait_exit(5))
        except BaseException:
            operator.kill()
            raise
    assert 143 in codes
    assert set(codes) <= {0, 143}


def refused(tmp_path, config: dict, kubeconfig) -> subprocess.CompletedProcess:
    file = tmp_path / "refused.yaml"
    file.write_text(yaml.safe_dump(config))
    return subprocess.run(
        [paths.binary("berth-operator"), "--config", file, "--kubeconfig", kubeconfig],
        capture_output=True,
        text=True,
        timeout=10,
    )


def test_an_address_in_use(operator, tmp_path, kubeconfig):
    taken = operator.address("health")
    config = {"health": {"address": "127.0.0.1:0"}, "metrics": {"address": taken}}
    done = refused(tmp_path, config, kubeconfig)
    assert done.returncode == 1
    assert f"cannot listen on {taken} for metrics: the address is in use" in done.stderr


def test_a_kubeconfig_that_is_missing(tmp_path):
    config = {"health": {"address": "127.0.0.1:0"}, "metrics": {"address": "127.0.0.1:0"}}
    done = refused(tmp_path, config, tmp_path / "missing")
    assert done.returncode == 1
    assert str(tmp_path / "missing") in done.stderr
