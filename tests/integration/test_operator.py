# SPDX-License-Identifier: Apache-2.0
"""The operator as a process: start, endpoints, leadership, configuration, restart, end."""

import socket
import subprocess
import time

import pytest
import yaml

from berth_test import objects, paths
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.wait import holds_for, wait_for


def writes(emulator) -> list[str]:
    return [r.operation for r in emulator.operator_writes()]


def test_health(operator):
    assert operator.get("health", "/healthz")[0] == 200
    assert operator.get("health", "/readyz")[0] == 200
    assert operator.get("health", "/nothing")[0] == 404
    assert operator.log_lines()


def test_metrics(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.create(objects.template("measured"))
    kube.wait_ready(TEMPLATE, "measured")
    names = {sample.partition("{")[0] for sample in operator.metrics()}
    for wanted in (
        "controller_runtime_reconcile_total",
        "controller_runtime_reconcile_time_seconds_bucket",
        "workqueue_depth",
        "rest_client_requests_total",
        "berth_build_info",
        "berth_aws_api_requests_total",
    ):
        assert wanted in names, f"{wanted} is not among {sorted(names)}"


def test_promtool_has_nothing_to_say_about_the_metrics(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.create(objects.template("judged"))
    kube.wait_ready(TEMPLATE, "judged")
    status, text = operator.get("metrics", "/metrics")
    assert status == 200
    result = subprocess.run(
        [paths.promtool(), "check", "metrics"], input=text, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_aws_away_flips_neither_health_nor_readiness(kube, operator):
    with Emulator() as emulator:
        kube.create(objects.settings(emulator))
        kube.wait_ready(SETTINGS, "default")
    kube.annotate(SETTINGS, "default", reconcile_requested_at="now")
    kube.wait_condition(SETTINGS, "default", "Ready", "False")
    assert operator.get("health", "/healthz")[0] == 200
    assert operator.get("health", "/readyz")[0] == 200


@pytest.fixture
def populated(kube, emulator, operator):
    kube.create(objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"}))
    for i in range(5):
        kube.create(objects.everything(f"t-{i}"))
    for i in range(5):
        kube.wait_ready(TEMPLATE, f"t-{i}")
    kube.wait_ready(SETTINGS, "default")


COUNTS = ("templates", "repositories", "blobMounting")  # follow within 30 s, not at once


def statuses(kube) -> dict[str, dict]:
    return {
        f"{kind}/{o['metadata']['name']}": {
            k: v for k, v in o["status"].items() if k not in COUNTS
        }
        for kind in (SETTINGS, TEMPLATE)
        for o in kube.items(kind)
    }


def test_a_restart_writes_nothing(kube, emulator, operator, start_operator, populated):
    operator.stop()
    before = statuses(kube)
    emulator.mark()
    again = start_operator()
    wait_for(lambda: emulator.operator_requests(), 10, "the new process reads AWS")
    holds_for(lambda: writes(emulator) == [], 2.0, "nothing is written to AWS")
    after = statuses(kube)
    assert after == before, "a status was written although nothing changed"
    again.stop()


def test_a_crash_is_taken_over(kube, emulator, operator, start_operator, populated):
    """Nothing was put in order by the one that crashed."""
    operator.kill()
    emulator.mark()
    start_operator()
    kube.merge(TEMPLATE, "t-0", {"spec": {"description": "after the crash"}})
    kube.wait_ready(TEMPLATE, "t-0", deadline_s=25)
    assert writes(emulator) == ["UpdateRepositoryCreationTemplate"]


def test_it_stops_while_aws_does_not_answer(kube, emulator, operator):
    """A listener that accepts and says nothing: stop() checks that it takes less than 2 s."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        kube.create(objects.settings(emulator, endpoint=endpoint))
        silent.settimeout(10)
        connection, _ = silent.accept()
        with connection:
            operator.stop()


def test_every_write_is_a_line_in_the_log(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.create(objects.template("logged"))
    kube.wait_ready(TEMPLATE, "logged")
    (request,) = emulator.operator_writes()
    lines = [
        line
        for line in operator.log_lines()
        if "CreateRepositoryCreationTemplate" in map(str, line.values())
    ]
    assert len(lines) == 1, operator.log_text()
    assert any("logged" in str(v) for v in lines[0].values())
    assert request.user_agent.startswith("berth")


# --- what it refuses to start with ---------------------------------------------------------------


def run(*arguments: object, deadline_s: float = 5) -> subprocess.CompletedProcess:
    began = time.monotonic()
    done = subprocess.run(
        [paths.binary("berth-operator"), *map(str, arguments)],
        capture_output=True, text=True, timeout=deadline_s,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )  # fmt: skip
    assert time.monotonic() - began < 2, "a wrong start must be told at once"
    return done


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("helth: {}\n", "helth"),
        ("health: {adress: '127.0.0.1:0'}\n", "adress"),
        ("health: {address: nowhere}\n", "health.address"),
        ("health: [1]\n", "health"),
        ("health: {address: '127.0.0.1:0'\n", "config.yaml"),
        ("a: &x 1\nb: *x\n", "config.yaml"),
    ],
)
def test_a_wrong_configuration(tmp_path, control_plane, text, says):
    config = tmp_path / "config.yaml"
    config.write_text(text)
    done = run("--config", config, "--kubeconfig", control_plane.kubeconfig())
    assert done.returncode != 0
    assert says in done.stderr


def test_a_configuration_that_is_not_there(tmp_path, control_plane):
    missing = tmp_path / "missing.yaml"
    done = run("--config", missing, "--kubeconfig", control_plane.kubeconfig())
    assert done.returncode != 0
    assert str(missing) in done.stderr


def test_a_kubeconfig_that_is_not_there(tmp_path):
    missing = tmp_path / "missing.kubeconfig"
    done = run("--kubeconfig", missing)
    assert done.returncode != 0
    assert str(missing) in done.stderr


def test_a_kubeconfig_that_is_wrong(tmp_path):
    wrong = tmp_path / "wrong.kubeconfig"
    wrong.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "contexts": []}))
    done = run("--kubeconfig", wrong)
    assert done.returncode != 0
    assert str(wrong) in done.stderr


def test_an_unknown_flag():
    done = run("--colour")
    assert done.returncode == 2
    assert "--colour" in done.stderr


def test_help_and_version():
    done = run("--help")
    assert done.returncode == 0
    assert "--config" in done.stdout
    assert "--kubeconfig" in done.stdout
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.strip()
