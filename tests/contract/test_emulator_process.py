# SPDX-License-Identifier: Apache-2.0
"""ecr-emulator as a program: flags, the line it prints, TLS, what it leaves behind."""

import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading

import botocore.session
import pytest

from berth_test import paths
from berth_test.emulator import Emulator
from berth_test.registry import Registry


def run(*flags: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [paths.binary("ecr-emulator"), *flags], text=True, capture_output=True, timeout=20
    )


def test_help_and_version():
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for flag in ("--listen", "--account", "--region", "--credentials", "--tls-cert", "--behavior"):
        assert flag in done.stdout
    done = run("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"ecr-emulator \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize(
    "flags, names",
    [
        (["--nonsense"], "--nonsense"),
        (["--listen"], "--listen"),
        (["more"], "more"),
        (["--listen", "localhost:0"], "localhost:0"),
        (["--listen", "127.0.0.1"], "127.0.0.1"),
        (["--listen", "127.0.0.1:65536"], "65536"),
        (["--account", "12345"], "12345"),
        (["--region", "US EAST"], "US EAST"),
        (["--credentials", "key"], "KEY:SECRET"),
        (["--credentials", ":secret"], "KEY:SECRET"),
        (["--tls-cert", "x"], "--tls-key"),
        (["--behavior", "x"], "NAME=VALUE"),
        (["--behavior", "x=y"], "--help"),
        (["--behavior", "patch-status=203"], "202|201"),
        (["--behavior", "tag-invalid-status=500"], "400..499"),
    ],
)
def test_wrong_usage(flags, names):
    done = run(*flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert names in done.stderr


def test_port_in_use(emulator):
    done = run("--listen", emulator.registry)
    assert (done.returncode, done.stdout) == (1, "")
    assert "in use" in done.stderr and "port 0" in done.stderr


def test_missing_files(tmp_path):
    done = run("--tls-cert", str(tmp_path / "c"), "--tls-key", str(tmp_path / "k"))
    assert done.returncode == 1
    assert str(tmp_path / "c") in done.stderr


def test_no_secret_in_errors():
    done = run("--credentials", "key:very-secret", "--account", "x")
    assert done.returncode == 2
    assert "very-secret" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_leaves_nothing(tmp_path, number):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    process = subprocess.Popen(
        [paths.binary("ecr-emulator"), "--blob-dir", blobs], stdout=subprocess.PIPE, text=True
    )
    try:
        line = json.loads(process.stdout.readline())
        assert line == {"endpoint": f"http://{line['registry']}", "registry": line["registry"]}
        host, port = line["registry"].split(":")
        assert host == "127.0.0.1"
        assert len(list(blobs.iterdir())) == 1
        # an open connection does not hold it up
        with socket.create_connection((host, int(port))):
            process.send_signal(number)
            assert process.wait(10) == 0
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert list(blobs.iterdir()) == []


def test_another_account_and_region():
    with Emulator(account="210987654321", region="ap-south-2") as emulator:
        repository = emulator.ecr.create_repository(repositoryName="a/b")["repository"]
        assert repository["repositoryArn"] == "arn:aws:ecr:ap-south-2:210987654321:repository/a/b"
        assert emulator.client("sts").get_caller_identity()["Account"] == "210987654321"


@pytest.mark.parametrize(
    "region, partition", [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_partitions(region, partition):
    with Emulator(region=region) as emulator:
        repository = emulator.ecr.create_repository(repositoryName="a/b")["repository"]
        assert repository["repositoryArn"].startswith(f"arn:{partition}:ecr:{region}:")


def test_ipv6():
    with Emulator(listen="[::1]:0") as emulator:
        assert emulator.registry.startswith("[::1]:")
        assert emulator.ecr.describe_registry()["registryId"] == emulator.account


@pytest.fixture
def certificate(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=emulator", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_tls(certificate):
    cert, key = certificate
    with Emulator("--tls-cert", str(cert), "--tls-key", str(key)) as emulator:
        assert emulator.endpoint == f"https://{emulator.registry}"
        ecr = botocore.session.Session().create_client(
            "ecr", region_name=emulator.region, endpoint_url=emulator.endpoint, verify=str(cert),
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        (data,) = ecr.get_authorization_token()["authorizationData"]
        assert data["proxyEndpoint"] == emulator.endpoint
        context = ssl.create_default_context(cafile=str(cert))
        connection = http.client.HTTPSConnection(emulator.registry, context=context, timeout=10)
        basic = {"Authorization": f"Basic {data['authorizationToken']}"}
        connection.request("GET", "/v2/", None, basic)
        assert connection.getresponse().status == 200
        connection.close()


def test_key_of_another_certificate(certificate, tmp_path):
    cert, _ = certificate
    other = tmp_path / "other.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-out", other],
        check=True, capture_output=True,
    )  # fmt: skip
    done = run("--tls-cert", str(cert), "--tls-key", str(other))
    assert done.returncode != 0
    assert "certificate" in done.stderr


def test_many_callers_at_once(emulator):
    """Each creates what it alone knows and one that all want: exactly one of them gets that."""
    failures, won = [], []

    def work(i: int) -> None:
        try:
            ecr = emulator.client("ecr")
            for n in range(5):
                ecr.create_repository(repositoryName=f"own-{i}/{n}")
            try:
                ecr.create_repository(repositoryName="wanted/by-all")
                won.append(i)
            except ecr.exceptions.RepositoryAlreadyExistsException:
                pass
        except Exception as e:  # noqa: BLE001
            failures.append(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(won) == 1
    assert len(emulator.repositories()) == 61


def test_tables_are_those_of_the_model():
    """What the emulator checks requests against is what botocore's model says today."""
    script = paths.SOURCE / "scripts" / "gen-emulator-model.py"
    done = subprocess.run([sys.executable, script, "--check"], text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_registry_tokens_reach_v2(emulator):
    registry = Registry(emulator)
    emulator.ecr.create_repository(repositoryName="a/b")
    registry.push("a/b", "v1", b"layer")
    (entry,) = [r for r in emulator.requests() if r.operation.startswith("PUT /v2/a/b/manifests")]
    assert (entry.api, entry.status) == ("v2", 201)
