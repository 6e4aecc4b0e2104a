# SPDX-License-Identifier: Apache-2.0
"""The webhook's certificates that it makes itself: the first start, what somebody does to the
Secret and to caBundle, and what others think of the certificates."""

import datetime
import re
import subprocess
import time

import pytest

from berth_test import certs, webhook
from berth_test.certs import NOTES, Authority, bundles, is_trusted, part, served
from berth_test.kube import Kube
from berth_test.operator import Operator
from berth_test.wait import holds_for, wait_for

KEEP_FAILS = "webhook certificates cannot be kept, trying again"
CONFIG = webhook.config()
DAY_S = 24 * 3600


@pytest.fixture(autouse=True)
def clean(kube: Kube):
    certs.add_namespace(kube)
    yield
    webhook.remove(kube)
    certs.remove_secret(kube)


@pytest.fixture
def operator(start_operator) -> Operator:
    return start_operator(config=CONFIG)


@pytest.fixture
def trusted(kube, operator) -> Operator:
    """With a configuration that trusts it."""
    webhook.install(kube, operator)
    wait_for(lambda: is_trusted(kube, operator), 10, "it is trusted")
    return operator


@pytest.fixture
def stranger(control_plane) -> str:
    """The certificate of a CA that is not ours: the API server's own."""
    return (control_plane.directory / "ca.crt").read_text()


def notes(*operators: Operator) -> list[str]:
    return [line["what"] for o in operators for line in o.find_log(NOTES)]


def short(ca: str = "60s", leaf: str = "20s", **webhook_over: object) -> dict:
    life = {"dnsNames": ["127.0.0.1"], "caLifetime": ca, "leafLifetime": leaf}
    return webhook.config(webhook={"certs": life, **webhook_over})


# --- the first start -----------------------------------------------------------------------------


def test_two_at_once_make_one_signer(kube, start_operator):
    webhook.install_url(kube, "https://127.0.0.1:1/validate")
    both = [start_operator(config=CONFIG, wait=False, env={"POD_NAME": n}) for n in ("a", "b")]
    for operator in both:
        wait_for(operator.is_ready, 20, operator.log_text)
        assert is_trusted(kube, operator)
    assert notes(*both) == ["signer created"]
    assert {len(certs.split(b)) for b in bundles(kube)} == {1}
    assert served(both[0]) != served(both[1]), "each pod has its own"
    created = certs.secret(kube)
    assert set(created["data"]) == {"tls.crt", "tls.key", "ca.crt"}
    assert created["metadata"]["labels"] == certs.MANAGED
    assert created["type"] == "Opaque"


def test_the_configuration_comes_later(kube, operator):
    """Nobody calls before: it is ready. Then it is told to trust."""
    assert operator.is_ready()
    live = webhook.install(kube, operator)
    assert len(live["webhooks"]) > 1
    wait_for(lambda: is_trusted(kube, operator), 10, "it is trusted")
    webhook.remove(kube)
    webhook.install(kube, operator)
    wait_for(lambda: is_trusted(kube, operator), 10, "another one too")


def test_not_ready_before_it_is_trusted(kube, start_operator, stranger):
    """The Secret and what it signs are there; the configuration trusts somebody else, and API
    servers that have not seen the change would refuse us: the wait is a quarter of the leaf's life.
    """
    config = short()
    first = start_operator(config=config)
    first.stop()
    webhook.install_url(kube, "https://127.0.0.1:1/validate")
    certs.set_bundles(kube, *[stranger] * 9)
    second = start_operator(config=config, wait=False)
    wait_for(lambda: second.address("webhook"), 10, second.log_text)
    wait_for(lambda: is_trusted(kube, second), 10, "caBundle has both")
    seen = time.monotonic()
    assert not second.is_ready()
    status, text = second.get("health", "/readyz")
    assert (status, "does not trust the webhook's certificate yet" in text) == (503, True)
    wait_for(second.is_ready, 20, second.log_text)
    assert time.monotonic() - seen > 4
    assert all(len(certs.split(b)) == 2 for b in bundles(kube))


# --- others look at the certificates -------------------------------------------------------------


def openssl(*words: object) -> str:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def of(path: object, *what: str) -> str:
    return openssl("x509", "-in", path, "-noout", *what)


def dates(path: object) -> list[float]:
    found = re.findall(r"=(.+) GMT", of(path, "-dates"))
    form = "%b %d %H:%M:%S %Y"
    utc = datetime.timezone.utc
    return [datetime.datetime.strptime(t, form).replace(tzinfo=utc).timestamp() for t in found]


def test_openssl_has_nothing_against_them(kube, start_operator, tmp_path):
    names = ["berth-webhook.berth-system.svc", "127.0.0.1", "::1"]
    config = webhook.config(webhook={"certs": {"dnsNames": names}})
    operator = start_operator(config=config, env={"POD_NAME": "pod-" + "x" * 80})
    ca, leaf = tmp_path / "ca.pem", tmp_path / "leaf.pem"
    ca.write_text(part(kube, "ca.crt"))
    leaf.write_text(served(operator, part(kube, "ca.crt")))  # Python's ssl verifies it
    for more in (("-verify_hostname", names[0]), ("-verify_ip", "127.0.0.1"),
                 ("-verify_ip", "::1")):  # fmt: skip
        openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", ca, *more, leaf)
    text = of(leaf, "-text")
    assert "DNS:berth-webhook.berth-system.svc, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1" \
        in text  # fmt: skip
    assert re.search(r"X509v3 Basic Constraints: critical\s+CA:FALSE", text)
    assert re.search(r"X509v3 Key Usage: critical\s+Digital Signature\n", text)
    assert re.search(r"X509v3 Extended Key Usage: *\s+TLS Web Server Authentication\n", text)
    assert "NIST CURVE: P-256" in text
    text = of(ca, "-text")
    assert re.search(r"X509v3 Basic Constraints: critical\s+CA:TRUE, pathlen:0", text)
    assert re.search(r"X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign\n", text)
    for path in (ca, leaf):
        assert len(of(path, "-serial").strip().partition("=")[2]) == 32, "128 random bits"
    now = time.time()
    (ca_from, ca_to), (leaf_from, leaf_to) = dates(ca), dates(leaf)
    for begin in (ca_from, leaf_from):
        assert 3600 <= now - begin < 3660 + 60, "clocks may be an hour late"
    assert ca_to - now == pytest.approx(365 * DAY_S, abs=60)
    assert leaf_to - now == pytest.approx(7 * DAY_S, abs=60)
    assert leaf_to == pytest.approx(now + certs.expires_in(operator), abs=2)
    assert ca_to == pytest.approx(now + certs.expires_in(operator, "signer"), abs=2)


# --- what somebody does to the Secret ------------------------------------------------------------

GARBAGE = {"tls.crt": "garbage", "tls.key": "garbage", "ca.crt": "garbage"}


@pytest.mark.parametrize("how", ["deleted", "emptied", "garbage", "key-lost"])
def test_a_lost_signer_is_restored(kube, trusted, how):
    """From memory: what is served stays, and stays trusted."""
    before, leaf = part(kube, "tls.crt"), served(trusted)
    if how == "deleted":
        certs.remove_secret(kube)
    elif how == "key-lost":
        certs.put_secret(kube, {"tls.crt": before}, certs.MANAGED)
    else:
        certs.put_secret(kube, GARBAGE if how == "garbage" else {}, certs.MANAGED)
    wait_for(lambda: "signer restored" in notes(trusted), 10, trusted.log_text)
    wait_for(lambda: part(kube, "tls.crt") == before and part(kube, "tls.key"), 5, "it is back")
    assert served(trusted) == leaf
    assert is_trusted(kube, trusted)
    assert trusted.is_ready()


def test_a_restart_finds_garbage(kube, trusted, start_operator):
    """Nobody remembers the signer: there is a new one, which is trusted beside the old."""
    trusted.stop()
    certs.put_secret(kube, GARBAGE, certs.MANAGED)
    operator = start_operator(config=short())
    assert notes(operator)[0] == "signer created"
    assert is_trusted(kube, operator)
    assert all(len(certs.split(b)) == 2 for b in bundles(kube))


@pytest.mark.parametrize(
    "data",
    [{"tls.crt": "somebody's", "tls.key": "somebody's"}, {"ca.crt": "somebody's"}],
    ids=["pair", "authority"],
)
@pytest.mark.parametrize("type_", ["Opaque", "kubernetes.io/tls"])
def test_a_secret_of_somebody_else_is_left_alone(kube, start_operator, data, type_):
    if type_ != "Opaque":
        data = {"tls.crt": "", "tls.key": "", **data}
    certs.put_secret(kube, data, {"app": "other"}, type=type_)
    version = certs.secret(kube)["metadata"]["resourceVersion"]
    operator = start_operator(config=CONFIG, wait=False)
    line = wait_for(lambda: operator.find_log(KEEP_FAILS), 10, operator.log_text)[0]
    assert line["reason"] == "ForeignSecret"
    assert "was filled by somebody else and is left alone" in line["error"]
    assert certs.secret(kube)["metadata"]["resourceVersion"] == version
    assert not operator.is_ready()
    assert "has no certificate yet" in operator.get("health", "/readyz")[1]
    certs.remove_secret(kube)
    wait_for(operator.is_ready, 10, operator.log_text)


def test_an_expired_signer_is_replaced(kube, start_operator, tmp_path):
    expired = Authority(tmp_path, "expired", days=-1)
    data = {"tls.crt": expired.cert, "tls.key": expired.key, "ca.crt": expired.cert}
    certs.put_secret(kube, data, certs.MANAGED)
    webhook.install_url(kube, "https://127.0.0.1:1/validate")
    operator = start_operator(config=CONFIG)
    assert notes(operator)[0] == "signer created"
    assert is_trusted(kube, operator)
    assert expired.cert not in bundles(kube)[0]


def test_a_signer_of_another_is_followed_without_a_gap(kube, start_operator, tmp_path):
    """A backup is restored, or another cluster's Secret: a valid signer that API servers do not
    know. What is served changes only once they were told, and had the time to see it."""
    operator = start_operator(config=short())
    webhook.install(kube, operator)
    wait_for(lambda: is_trusted(kube, operator), 10, "it is trusted")
    leaf = served(operator)
    other = Authority(tmp_path, "other")
    certs.put_secret(
        kube, {"tls.crt": other.cert, "tls.key": other.key, "ca.crt": other.cert}, certs.MANAGED
    )
    wait_for(lambda: all(other.cert in b for b in bundles(kube)), 10, "it is trusted at once")
    seen = time.monotonic()
    assert served(operator) == leaf
    holds_for(lambda: is_trusted(kube, operator), 2, "what is served is trusted")
    wait_for(lambda: served(operator) != leaf, 20, operator.log_text)
    assert time.monotonic() - seen > 4
    served(operator, other.cert)
    assert is_trusted(kube, operator) and operator.is_ready()


# --- what somebody does to caBundle --------------------------------------------------------------


@pytest.mark.parametrize("webhooks", ["all", "one"])
@pytest.mark.parametrize("how", ["removed", "garbage", "another", "glued"])
def test_ca_bundle_is_mended(kube, trusted, stranger, how, webhooks):
    ours = part(kube, "ca.crt")
    text = {
        "removed": None,
        "garbage": "garbage",
        "another": stranger,
        # OpenSSL reads both, an API server neither
        "glued": stranger.rstrip("\n") + ours,
    }[how]
    certs.set_bundles(kube, *[text] * (9 if webhooks == "all" else 1))
    wait_for(lambda: all(ours in certs.split(b) for b in bundles(kube)), 10, trusted.log_text)
    assert is_trusted(kube, trusted)
    changed = [len(certs.split(b)) for b in bundles(kube)]
    assert changed[0] == (2 if how in ("another", "glued") else 1), "others are kept for a while"
    assert webhooks == "one" and changed[1:] == [1] * len(changed[1:]) or len(set(changed)) == 1
    version = webhook.live(kube)["metadata"]["resourceVersion"]
    holds_for(
        lambda: webhook.live(kube)["metadata"]["resourceVersion"] == version, 1, "it is done once"
    )


def test_what_is_as_wanted_is_not_written(kube, trusted, stranger):
    """In another order, with words between."""
    ours = part(kube, "ca.crt")
    certs.set_bundles(kube, *[f"# theirs\n{stranger}\n# ours\n{ours}"] * 9)
    version = webhook.live(kube)["metadata"]["resourceVersion"]
    holds_for(
        lambda: webhook.live(kube)["metadata"]["resourceVersion"] == version, 2, "it is let be"
    )
