# SPDX-License-Identifier: Apache-2.0
"""Who the operator is: every way to authenticate against a real API server, rotation, and what is
said of credentials that are wrong until they are right. No restart in any of it.
"""

import base64
import pathlib
import sys

import pytest

from berth_test import access, objects
from berth_test.access import NAMESPACE, Audit
from berth_test.control_plane import ControlPlane
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.operator import Operator
from berth_test.wait import wait_for

WATCH = "watching the API server fails, trying again"
REFUSED = "the API server does not accept the operator's credentials"
RECOVERS_S = 20  # an informer's backoff after the failures that a test waits for


@pytest.fixture(scope="module")
def control_plane():
    with ControlPlane("RBAC", audit=True) as started:
        started.install_crds()
        access.apply(started, access.documented())
        yield started


@pytest.fixture
def audit(control_plane) -> Audit:
    return Audit(control_plane)


@pytest.fixture
def start(kube, control_plane, tmp_path):
    """Starts an operator with users[].user of its kubeconfig."""
    started: list[Operator] = []

    def begin(user: dict, cluster: dict | None = None, **options) -> Operator:
        path = access.kubeconfig(control_plane, tmp_path / "kubeconfig", user, cluster)
        started.append(Operator(path, **options))
        return started[-1]

    yield begin
    for operator in started:
        operator.__exit__(None)


def said(operator: Operator, *words: str, msg: str = WATCH) -> dict:
    """The newest line of that message, once it has the words."""

    def find() -> dict | None:
        lines = operator.find_log(msg)
        return lines[-1] if lines and all(w in lines[-1]["error"] for w in words) else None

    line = wait_for(find, 15, lambda: f"{msg}: {words}\n{operator.log_text()}")
    assert "" not in line.values(), f"an empty field: {line}"
    return line


def says_at_readyz(operator: Operator, words: str) -> None:
    def says() -> bool:
        status, text = operator.get("health", "/readyz")
        assert status == 503
        assert words in text, text
        return True

    wait_for(says, 10, f"/readyz says {words}")


def becomes_ready(operator: Operator) -> None:
    wait_for(operator.is_ready, RECOVERS_S, lambda: f"it is ready\n{operator.log_text()}")


def assert_silent_about(operator: Operator, *secrets: str) -> None:
    """Neither a secret nor a good piece of one is in anything that comes out."""
    shown = operator.process.log(1 << 20)
    shown += operator.get("health", "/readyz")[1] + operator.get("metrics", "/metrics")[1]
    for secret in secrets:
        piece = secret[len(secret) // 2 :][:24]
        assert piece and piece not in shown, "a secret came out"


def works(kube, emulator, name: str = "works") -> None:
    """It reads, leads and writes."""
    if kube.get(SETTINGS, "default") is None:
        kube.create(objects.settings(emulator))
    kube.create(objects.template(name))
    kube.wait_ready(TEMPLATE, name)


# --- certificates --------------------------------------------------------------------------------


def test_a_client_certificate_and_its_rotation(kube, emulator, control_plane, start, tmp_path):
    files = access.certificate(control_plane, tmp_path, "stranger")
    user = {"client-certificate": str(files[0]), "client-key": "client.key"}
    operator = start(user, wait=False)
    line = said(operator, 'User "stranger" cannot watch resource')
    assert line["hint"] == "grant the operator's user the roles of docs/running.md"
    key = files[1].read_text()
    access.certificate(control_plane, tmp_path)
    becomes_ready(operator)
    works(kube, emulator)
    # and while it runs: the new one is what its next requests come with
    access.certificate(control_plane, tmp_path, "another")
    said(operator, 'User "another" cannot', msg="the lease cannot be kept or read, trying again")
    access.certificate(control_plane, tmp_path)
    works(kube, emulator, "again")
    assert_silent_about(operator, key, files[1].read_text())


def test_certificates_as_data(kube, emulator, control_plane, start, tmp_path):
    cert, key = access.certificate(control_plane, tmp_path)
    user = {"client-certificate-data": in_base64(cert), "client-key-data": in_base64(key)}
    ca = {"certificate-authority-data": in_base64(control_plane.directory / "ca.crt")}
    operator = start(user, ca)
    works(kube, emulator)
    assert_silent_about(operator, key.read_text(), user["client-key-data"])


def in_base64(path: pathlib.Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_a_wrong_ca_that_is_put_right(kube, emulator, control_plane, start, tmp_path):
    """One that only looks right: it has the same subject and another key."""
    ca = access.replace(tmp_path / "ca.crt", access.another_authority(tmp_path))
    user = {"token": access.token(control_plane)}
    operator = start(user, {"certificate-authority": "ca.crt"}, wait=False)
    line = said(operator, "TLS failed")
    assert line["reason"] == "TLSFailed"
    assert "must be the CA of" in line["hint"]
    says_at_readyz(operator, line["hint"])
    access.replace(ca, (control_plane.directory / "ca.crt").read_text())
    becomes_ready(operator)
    works(kube, emulator)
    assert_silent_about(operator, user["token"])


# --- tokens --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "says", "hint"),
    [
        ("wrong", "Unauthorized (HTTP 401)", REFUSED),
        ("expired", "Unauthorized (HTTP 401)", REFUSED),
        ("empty", "does not hold a token", None),
        ("missing", "No such file or directory", None),
    ],
)
def test_a_bad_token_file_that_is_put_right(kube, control_plane, start, tmp_path, what, says, hint):
    path = tmp_path / "token"
    bad = {"wrong": "no-such-token-of-anybody", "empty": "\n",
           "expired": access.signed_token(control_plane, -60)}  # fmt: skip
    if what in bad:
        path.write_text(bad[what])
    operator = start({"tokenFile": "token"}, wait=False)
    line = said(operator, says)
    assert line.get("hint", "").startswith(hint or "")
    says_at_readyz(operator, hint or "the log says why")
    good = access.token(control_plane)
    access.replace(path, good + "\n")
    becomes_ready(operator)
    assert_silent_about(operator, good, *[b for b in bad.values() if b.strip()])


def test_a_token_that_is_signed_for_a_moment_is_accepted(control_plane):
    """So what is refused as expired above is refused for that alone."""
    assert access.is_accepted(control_plane, access.signed_token(control_plane, 60))


def test_a_token_file_that_rotates(kube, emulator, control_plane, start, tmp_path, audit):
    first = access.token(control_plane, bound_to="first")
    second = access.token(control_plane, bound_to="second")
    path = tmp_path / "token"
    path.write_text(first)
    operator = start({"tokenFile": str(path)})
    works(kube, emulator, "with-the-first")
    access.replace(path, second)
    wait_for(lambda: access.token_id(second) in audit.credentials(), 10, "the second is used")
    access.revoke(control_plane, "first")
    wait_for(lambda: not access.is_accepted(control_plane, first), 20, "the first is refused")
    audit.mark()
    works(kube, emulator, "with-the-second")
    assert audit.credentials() == {access.token_id(second)}
    assert not [line for line in operator.log_lines() if line["level"] in ("warn", "error")]
    # and one that is revoked before the next is there
    access.revoke(control_plane, "second")
    line = said(operator, "HTTP 401", msg="the lease cannot be kept or read, trying again")
    assert line["hint"].startswith(REFUSED)
    third = access.token(control_plane)
    access.replace(path, third)
    works(kube, emulator, "with-the-third")
    assert_silent_about(operator, first, second, third)


# --- plug-ins ------------------------------------------------------------------------------------

PLUGIN = f"""#!{sys.executable} -S
import datetime, json, pathlib, sys
here = pathlib.Path(__file__).parent
with open(here / "runs", "a") as runs:
    runs.write("x")
token = here / "token-of-the-plugin"
if not token.exists():
    sys.exit("not logged in: run the login of this test")
expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
print(json.dumps({{
    "apiVersion": "client.authentication.k8s.io/v1",
    "kind": "ExecCredential",
    "status": {{
        "token": token.read_text(),
        "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }},
}}))
"""


@pytest.fixture
def plugin(tmp_path) -> dict:
    path = tmp_path / "plugin"
    path.write_text(PLUGIN)
    path.chmod(0o700)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "./plugin",
            "interactiveMode": "Never",
            "installHint": "it is part of the test",
        }
    }


def test_a_plugin(kube, emulator, control_plane, start, tmp_path, plugin, audit):
    token, runs = tmp_path / "token-of-the-plugin", tmp_path / "runs"
    operator = start(plugin, wait=False)
    line = said(operator, "credential plug-in", "not logged in: run the login of this test")
    assert "hint: it is part of the test" in line["error"]
    says_at_readyz(operator, "the log says why")
    wrong = "no-such-token-of-the-plugin"
    access.replace(token, wrong)
    assert said(operator, "HTTP 401")["hint"].startswith(REFUSED)
    first, second = access.token(control_plane), access.token(control_plane)
    access.replace(token, first)
    becomes_ready(operator)
    works(kube, emulator)
    count = runs.stat().st_size
    access.replace(token, second)
    wait_for(lambda: access.token_id(second) in audit.credentials(), 10, "the second is used")
    assert runs.stat().st_size > count
    audit.mark()
    works(kube, emulator, "again")
    assert audit.credentials() == {access.token_id(second)}
    assert_silent_about(operator, wrong, first, second)


def test_a_plugin_is_run_when_it_was_refused(kube, control_plane, start, tmp_path, plugin):
    """And not for a new CA: what it costs to run one nobody knows, it may ask a person."""
    token, runs, ca = (tmp_path / n for n in ("token-of-the-plugin", "runs", "ca.crt"))
    text = PLUGIN.replace("seconds=2", "hours=1")
    access.replace(tmp_path / "plugin", text).chmod(0o700)
    access.replace(token, "no-such-token-of-the-plugin")
    access.replace(ca, (control_plane.directory / "ca.crt").read_text())
    operator = start(plugin, {"certificate-authority": "ca.crt"}, wait=False)
    said(operator, "HTTP 401")
    access.replace(token, access.token(control_plane))
    becomes_ready(operator)
    wait_for(lambda: operator.find_log("leading"), 10, "all of its threads have what they need")
    count = runs.stat().st_size
    access.replace(ca, access.another_authority(tmp_path))
    said(operator, "TLS failed", msg="the lease cannot be kept or read, trying again")
    access.replace(ca, (control_plane.directory / "ca.crt").read_text())
    began = renewed(kube)
    wait_for(lambda: renewed(kube) != began, 10, "the Lease is renewed again")
    assert runs.stat().st_size == count


def renewed(kube) -> str:
    return kube.get("Lease", access.LEASE, NAMESPACE)["spec"]["renewTime"]


# --- in a pod ------------------------------------------------------------------------------------


def test_in_a_pod(kube, emulator, control_plane, tmp_path, audit):
    account = access.MountedAccount(tmp_path / "mounted")
    ca = (control_plane.directory / "ca.crt").read_text()
    first, second = access.token(control_plane), access.token(control_plane)
    account.write(token="not-yet", ca_crt=ca, namespace=NAMESPACE)
    env = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(control_plane.port),
        "POD_NAME": "berth-operator-0",
    }
    kube.delete("Lease", access.LEASE, NAMESPACE)
    with Operator(None, env=env, wrapper=account.wrapper(), wait=False) as operator:
        assert said(operator, "HTTP 401")["hint"].startswith(REFUSED)
        assert operator.find_log("starting", kubeconfig="in-cluster")
        account.write(token=first, ca_crt=ca, namespace=NAMESPACE)
        becomes_ready(operator)
        works(kube, emulator)
        lease = kube.get("Lease", access.LEASE, NAMESPACE)
        assert lease["spec"]["holderIdentity"].startswith("berth-operator-0_")
        account.write(token=second, ca_crt=ca, namespace=NAMESPACE)
        wait_for(lambda: access.token_id(second) in audit.credentials(), 10, "the second is used")
        audit.mark()
        works(kube, emulator, "again")
        assert audit.credentials() == {access.token_id(second)}
        assert_silent_about(operator, first, second)
