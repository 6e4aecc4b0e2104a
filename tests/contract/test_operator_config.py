# SPDX-License-Identifier: Apache-2.0
"""The operator's command line and configuration file: what is accepted, and what is said about the
rest. Runs the binary; nothing is listened on and nothing is sent."""

import pathlib
import re
import subprocess

import pytest
import yaml

from berth_test import paths

DEFAULTS = paths.SOURCE / "config" / "berth-operator.yaml"
REFERENCE = paths.SOURCE / "docs" / "reference" / "operator-config.md"


def run(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [paths.binary("berth-operator"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=10,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )


def check(path: pathlib.Path, text: str) -> subprocess.CompletedProcess:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return run("--check-config", "--config", path)


HOW = "; write host:port, or :port for all addresses"

A_NAME = "must be a name: lower-case letters, digits, inner hyphens and dots"
KIND = "admission: {kinds: [{kind: Box, purpose: Pull, images: [.a]"

REFUSED = [
    (
        "helth: {}",
        'line 1, column 1: unknown key "helth" in the configuration; did you mean "health"?',
    ),
    (
        "hooks: {}",
        'line 1, column 1: unknown key "hooks" in the configuration; '
        "known are log, health, metrics, controller, leaderElection, webhook, admission",
    ),
    (
        "health:\n  adress: ':1'",
        'line 2, column 3: unknown key "adress" in health; did you mean "address"?',
    ),
    (
        "log: {level: info, Level: info}",
        'line 1, column 20: unknown key "Level" in log; did you mean "level"?',
    ),
    (
        "controller: {worker: 1}",
        'line 1, column 14: unknown key "worker" in controller; did you mean "workers"?',
    ),
    ("- health", "line 1, column 1: the configuration must be a map"),
    ("health: [1]", "line 1, column 9: health must be a map"),
    ("log: debug", "line 1, column 6: log must be a map"),
    (
        "log: {level: loud}",
        "line 1, column 14: log.level must be debug, info, warn or error",
    ),
    ("log: {level: [info]}", "line 1, column 14: log.level must be a text"),
    ("metrics: {address: null}", "line 1, column 20: metrics.address must be a text"),
    (
        "metrics: {resourceConditions: 'yes'}",
        "line 1, column 31: metrics.resourceConditions must be true or false, without quotes",
    ),
    (
        "metrics: {conditions: true}",
        'line 1, column 11: unknown key "conditions" in metrics; '
        "known are address, resourceConditions",
    ),
    (
        "health: {address: nowhere}",
        'line 1, column 19: health.address: cannot listen on "nowhere": the port is missing' + HOW,
    ),
    (
        "metrics:\n  address: 8080",
        'line 2, column 12: metrics.address: cannot listen on "8080": the port is missing' + HOW,
    ),
    (
        "health: {address: 'x:65536'}",
        'line 1, column 19: health.address: cannot listen on "x:65536": '
        "the port must be a number from 0 to 65535" + HOW,
    ),
    (
        "controller: {workers: 0}",
        "line 1, column 23: controller.workers must be a whole number from 1 to 64",
    ),
    (
        "leaderElection: {enabled: 1}",
        "line 1, column 27: leaderElection.enabled must be true or false, without quotes",
    ),
    (
        "leaderElection: {namespace: Berth}",
        "line 1, column 29: leaderElection.namespace must be the name of a namespace: lower-case "
        "letters, digits and inner hyphens, at most 63",
    ),
    (
        "controller: {workers: 65}",
        "line 1, column 23: controller.workers must be a whole number from 1 to 64",
    ),
    (
        "controller: {workers: four}",
        "line 1, column 23: controller.workers must be a whole number from 1 to 64",
    ),
    (
        "webhook: {certs: {mode: selfmanaged}}",
        "line 1, column 25: webhook.certs.mode must be self-managed, cert-manager or provided",
    ),
    ("webhook: {certs: {secret: ''}}", f"line 1, column 27: webhook.certs.secret {A_NAME}"),
    ("webhook: {certs: {secret: ../x}}", f"line 1, column 27: webhook.certs.secret {A_NAME}"),
    ("webhook: {certs: {secret: a.-b}}", f"line 1, column 27: webhook.certs.secret {A_NAME}"),
    (
        "webhook: {certs: {directory: ''}}",
        "line 1, column 30: webhook.certs.directory must be a directory",
    ),
    (
        "webhook: {certs: {dnsNames: [a, b c]}}",
        "line 1, column 33: webhook.certs.dnsNames must be a list of DNS names and addresses",
    ),
    (
        "webhook: {configuration: Berth}",
        f'line 1, column 26: webhook.configuration {A_NAME}; or "" for none',
    ),
    (
        "webhook: {certs: {leafLifetime: 1h, caLifetime: 1h}}",
        "line 1, column 18: webhook.certs.leafLifetime must be at most half of caLifetime",
    ),
    (
        f"{KIND}, group: example.com/v1}}]}}",
        "line 1, column 69: admission.kinds.group must be an API group without its version, "
        "such as example.com",
    ),
    (
        f"{KIND}, versions: ['*']}}]}}",
        "line 1, column 73: admission.kinds.versions must be a list of versions such as v1beta1; "
        "left out for all",
    ),
    (
        f"{KIND}, resource: Boxes}}]}}",
        "line 1, column 72: admission.kinds.resource must be the kind's plural in lower case, "
        "such as workloads",
    ),
    (
        "admission: {kinds: [{kind: v1/Box, purpose: Pull, images: [.a]}]}",
        "line 1, column 28: admission.kinds.kind must be a kind: letters and digits, "
        "such as Workload",
    ),
    (
        "admission: {kinds: [{kind: Box, purpose: Pull}]}",
        "line 1, column 21: an entry of admission.kinds must be complete: "
        "kind, images and purpose",
    ),
    (
        "admission: {kinds: [{kind: Box, purpose: Pull, images: ['.a[']}]}",
        'line 1, column 21: admission.kinds, images[0]: ".a[", column 4: '
        "in brackets must be *, a number, 'a name' or name=value",
    ),
    (
        "log: {level: info}\nlog: {level: debug}",
        'line 2, column 1: duplicate key "log" (first at line 1)',
    ),
    ("log: &x {level: info}", "line 1, column 6: anchors (&name) are not supported"),
    ("log: {}\n---\nlog: {}", "line 2, column 1: a second document is not supported"),
    ("log: \udcff", "line 1, column 6: invalid leading UTF-8 octet"),
]


@pytest.mark.parametrize(("text", "says"), REFUSED, ids=[text for text, _ in REFUSED])
def test_refused(tmp_path, text, says):
    path = tmp_path / "config.yaml"
    done = check(path, text)
    assert done.stderr == f"berth-operator: {path}: {says}\n"
    assert done.stdout == ""
    assert done.returncode == 1


ACCEPTED = [
    "",
    "# nothing\n",
    "---\n",
    "{}",
    "log:\nhealth:\nmetrics: {}\n",
    "log: {level: debug}",
    "log: {level: 'warn'}",
    "health: {address: '127.0.0.1:0'}",
    "health: {address: '[::1]:8081'}\nmetrics: {address: ':8080'}",
    "metrics: {address: localhost:1}",
    "metrics: {resourceConditions: false}",
    "controller: {workers: 1}",
    "controller: {workers: 64}",
    "leaderElection: {enabled: false}",
    "leaderElection: {enabled: true, namespace: berth-system}",
    "webhook:\n  certs:\nadmission:\n  kinds:\n",
    "webhook: {configuration: '', certs: {dnsNames: [127.0.0.1, '::1', a.b-c.svc], secret: a.b-c}}",
    f"{KIND}, group: example.com, versions: [v1, v1beta1], resource: boxes}}]}}",
    '{"log": {"level": "error"}, "controller": {"workers": 2}}',
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(tmp_path, text):
    path = tmp_path / "config.yaml"
    done = check(path, text)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}: ok\n", "")


def test_too_big(tmp_path):
    path = tmp_path / "config.yaml"
    done = check(path, "#" * (256 * 1024 + 1))
    assert done.returncode == 1
    assert f"{path} is larger than 262144 bytes" in done.stderr


def test_missing_file(tmp_path):
    done = run("--check-config", "--config", tmp_path / "missing.yaml")
    assert done.returncode == 1
    assert f"cannot open {tmp_path}/missing.yaml" in done.stderr


def flatten(value: object, path: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {path: value}
    return {
        k: v
        for key, member in value.items()
        for k, v in flatten(member, f"{path}.{key}" if path else key).items()
    }


def test_the_file_with_the_defaults_is_accepted_and_documented():
    assert run("--check-config", "--config", DEFAULTS).returncode == 0
    documented = dict(
        re.findall(r"^\| `([a-zA-Z.]+)` \| ([^|]+) \|", REFERENCE.read_text(), re.M)
    )
    values = flatten(yaml.safe_load(DEFAULTS.read_text()))
    # the reference says in words what these mean where they are not given
    words = {k for k, v in values.items() if v == []} | {"leaderElection.namespace"}
    assert words == {
        "leaderElection.namespace",
        "webhook.certs.dnsNames",
        "admission.allowedPrefixes",
        "admission.kinds",
    }
    assert documented.keys() == values.keys() | words
    assert {k: v.strip('`"') for k, v in documented.items() if k not in words} == {
        k: str(v).lower() if isinstance(v, bool) else str(v)
        for k, v in values.items()
        if k not in words
    }


FLAGS = [
    (["--colour"], "unknown flag --colour"),
    (["-h"], "unknown flag -h"),
    (["--conf", "x"], "unknown flag --conf"),
    (["--Config=x"], "unknown flag --Config=x"),
    (["config"], "unexpected argument config"),
    (["--config"], "a file must follow --config"),
    (["--config="], "a file must follow --config"),
    (["--config", ""], "a file must follow --config"),
    (["--config", "--check-config"], "a file must follow --config"),
    (["--kubeconfig"], "a file must follow --kubeconfig"),
    (["--check-config=true"], "no value is taken by --check-config"),
]


@pytest.mark.parametrize(("arguments", "says"), FLAGS, ids=[" ".join(a) for a, _ in FLAGS])
def test_wrong_flags(arguments, says):
    done = run(*arguments)
    assert done.stderr == f"berth-operator: {says}; berth-operator --help lists the flags\n"
    assert done.stdout == ""
    assert done.returncode == 2


def test_help_names_every_flag_and_version_is_the_projects():
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    flags = set(re.findall(r"--[a-z-]+", done.stdout))
    assert flags == {
        "--config",
        "--kubeconfig",
        "--once",
        "--check-config",
        "--version",
        "--help",
    }
    assert flags <= set(re.findall(r"--[a-z-]+", REFERENCE.read_text()))
    cmake = (paths.SOURCE / "CMakeLists.txt").read_text()
    version = re.search(r"project\(berth VERSION ([0-9.]+)", cmake)[1]
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"berth-operator {version}\n")


def test_both_forms_of_a_flag(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("")
    assert run(f"--config={path}", "--check-config").stdout == f"{path}: ok\n"
    assert run("--config", path, "--check-config").stdout == f"{path}: ok\n"
    assert run("--check-config").stdout == "defaults: ok\n"
