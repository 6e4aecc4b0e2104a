# SPDX-License-Identifier: Apache-2.0
"""berth-operator webhook-manifest: what it prints for which arguments, and what it says about wrong
ones. Whether the API server takes that and calls the webhook is of the integration tests."""

import json
import pathlib
import re
import subprocess

import pytest
import yaml

from berth_test import paths

LONG = "a." * 130


def run(*arguments: str, **over: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [paths.binary("berth-operator"), "webhook-manifest", *arguments],
        **{"capture_output": True, "text": True, "timeout": 10, **over},
    )


def printed(*arguments: str) -> dict:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return yaml.safe_load(done.stdout)


def namespaces(manifest: dict) -> set[str]:
    return {w["clientConfig"]["service"]["namespace"] for w in manifest["webhooks"]}


def test_the_one_in_manifests_is_what_it_prints():
    assert run().stdout == (paths.SOURCE / "manifests" / "webhook.yaml").read_text()


def test_name_and_namespace_are_those_of_the_configuration(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("webhook: {configuration: other}\nleaderElection: {namespace: ops}\n")
    manifest = printed("--config", str(path))
    assert manifest["metadata"]["name"] == "other"
    assert namespaces(manifest) == {"ops"}
    for w in manifest["webhooks"]:
        left_out = w["namespaceSelector"]["matchExpressions"][0]["values"]
        assert left_out == ["kube-system", "kube-node-lease", "ops"]
    # nobody's caBundle is kept: it has a name all the same
    path.write_text("webhook: {configuration: ''}\n")
    manifest = printed("--config", str(path), "--namespace", "here")
    assert manifest["metadata"]["name"] == "berth"
    assert namespaces(manifest) == {"here"}
    assert namespaces(printed()) == {"berth-system"}


def test_both_forms_of_a_flag():
    wanted = run("--host", "reg.example.com", "--failure-policy", "Fail")
    assert wanted.returncode == 0
    assert run("--host=reg.example.com", "--failure-policy=Fail").stdout == wanted.stdout


def test_every_host_is_asked_about_however_long_and_many():
    hosts = [f"h{i}.{LONG}"[:252] + "z" for i in range(100)]  # 253 characters are the most
    arguments = [a for h in hosts for a in ("--host", h)]
    expressions = [
        c["expression"]
        for w in printed(*arguments)["webhooks"]
        for c in w.get("matchConditions", [])
        if c["name"] == "names-an-ecr-image"
    ]
    assert len(expressions) == 3
    for expression in expressions:
        assert expression.endswith(")/'))")
        for host in hosts:
            assert "|" + host.replace(".", "\\.") + "(:443)?" in expression, host
    done = run(*arguments, "--host", "one.more")
    assert (done.returncode, done.stdout) == (2, "")
    assert "too many --host" in done.stderr


WRONG = [
    (["--hosts", "x"], "unknown flag --hosts"),
    (["-h"], "unknown flag -h"),
    (["reg.example.com"], "unexpected argument reg.example.com"),
    (["--host"], "a value must follow --host"),
    (["--host="], "a value must follow --host"),
    (["--host", "--config"], "a value must follow --host"),
    (["--failure-policy", "ignore"], "--failure-policy is Ignore or Fail, not ignore"),
    (["--namespace", "Foo Bar"], "no name of a namespace is Foo Bar"),
    (["--namespace", "a" * 64], "no name of a namespace is " + "a" * 64),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG, ids=[json.dumps(a) for a, _ in WRONG])
def test_wrong_arguments(arguments, says):
    done = run(*arguments)
    name = "berth-operator webhook-manifest"
    assert done.stderr == f"{name}: {says}; {name} --help lists the flags\n"
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("host", ["https://reg.example.com", "reg.example.com/x", "Reg", "a b"])
def test_wrong_hosts(host):
    done = run("--host", host)
    assert f'host "{host}": must be a host name' in done.stderr
    assert (done.returncode, done.stdout) == (1, "")


def test_help_names_every_flag():
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    flags = set(re.findall(r"--[a-z-]+", done.stdout))
    assert flags == {"--host", "--config", "--namespace", "--failure-policy", "--help"}


def test_half_of_it_is_no_success():
    with pathlib.Path("/dev/full").open("w") as full:
        done = run(capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert "could not be written" in done.stderr
