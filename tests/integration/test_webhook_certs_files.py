# SPDX-License-Identifier: Apache-2.0
"""The webhook's certificates that somebody else makes: a mounted Secret, as the kubelet swaps it,
whole and half, good and bad, in the modes provided and cert-manager."""

import time

import pytest

from berth_test import certs, webhook
from berth_test.access import MountedAccount
from berth_test.certs import NOTES, Authority, bundles, is_trusted, served
from berth_test.operator import Operator
from berth_test.wait import holds_for, wait_for

KEEP_FAILS = "webhook certificates cannot be kept, trying again"
WAIT = {"caLifetime": "60s", "leafLifetime": "20s"}  # new authorities are waited for 5 s


@pytest.fixture(autouse=True)
def clean(kube):
    certs.add_namespace(kube)
    yield
    webhook.remove(kube)
    assert certs.secret(kube) is None, "these modes have no Secret of their own"


@pytest.fixture
def mount(tmp_path) -> MountedAccount:
    return MountedAccount(tmp_path / "certs")


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path, "first")


def start(start_operator, mount, wait=True, **over) -> Operator:
    operator = start_operator(config=certs.provided(mount, **over), wait=wait)
    wait_for(lambda: operator.address("webhook"), 10, operator.log_text)
    return operator


def is_served(operator: Operator, pair: dict) -> bool:
    return served(operator) == pair["tls_crt"]


def failure(operator: Operator, *words: str) -> dict:
    def find() -> dict | None:
        lines = operator.find_log(KEEP_FAILS)
        return lines[-1] if lines and all(w in lines[-1]["error"] for w in words) else None

    return wait_for(find, 10, lambda: f"{words}\n{operator.log_text()}")


def test_provided(kube, start_operator, mount, authority):
    """Renewed by the same authority: at once, whoever is trusted beside it."""
    first, second = authority.pair(), authority.pair()
    mount.write(**first)
    operator = start(start_operator, mount)
    assert is_served(operator, first)
    webhook.install(kube, operator)
    wait_for(lambda: is_trusted(kube, operator), 10, "it is trusted")
    assert {tuple(certs.split(b)) for b in bundles(kube)} == {(authority.cert,)}
    mount.write(**second)
    wait_for(lambda: is_served(operator, second), 10, operator.log_text)
    assert is_trusted(kube, operator)
    assert len(operator.find_log(NOTES, what="certificate loaded")) == 2
    assert not operator.find_log(KEEP_FAILS)
    assert certs.expires_in(operator) == pytest.approx(24 * 3600, abs=120)


def test_another_authority_is_waited_for(kube, start_operator, mount, authority, tmp_path):
    """All three files change in one moment, as the kubelet does it: what API servers trust is
    served until they had the time to see the new one."""
    first, second = authority.pair(), Authority(tmp_path, "second").pair()
    mount.write(**first)
    operator = start(start_operator, mount, **WAIT)
    webhook.install(kube, operator)
    wait_for(lambda: is_trusted(kube, operator), 10, "it is trusted")
    mount.write(**second)
    wait_for(lambda: all(second["ca_crt"] in b for b in bundles(kube)), 10, operator.log_text)
    seen = time.monotonic()
    assert all(authority.cert in b for b in bundles(kube))
    assert is_served(operator, first)
    wait_for(lambda: is_served(operator, second), 20, operator.log_text)
    assert time.monotonic() - seen > 3
    assert is_trusted(kube, operator) and operator.is_ready()


def test_bad_pairs_are_not_served(kube, start_operator, mount, authority, tmp_path):
    good, another = authority.pair(), authority.pair()
    foreign = Authority(tmp_path, "foreign").pair()
    expired = authority.pair(days=-1)
    mount.write(**good)
    operator = start(start_operator, mount)
    for pair, words in (
        ({**another, "tls_key": good["tls_key"]}, "the private key is not the certificate's"),
        ({**another, "tls_crt": "garbage"}, "tls.crt: the certificate cannot be read"),
        ({**another, "tls_key": "garbage"}, "its private key cannot be read"),
        ({**foreign, "ca_crt": authority.cert}, "was signed by no certificate of ca.crt"),
        (expired, "tls.crt has expired"),
        ({**another, "ca_crt": "garbage"}, "there is no valid certificate to put into caBundle"),
        ({"tls_crt": "x" * 100_000, "tls_key": "x", "ca_crt": authority.cert}, "tls.crt"),
    ):
        mount.write(**pair)
        failure(operator, words)
        assert is_served(operator, good)
        assert operator.is_ready()
    assert "PRIVATE" not in operator.log_text()
    mount.write(**another)
    wait_for(lambda: is_served(operator, another), 10, operator.log_text)


def test_nothing_is_there_yet(kube, start_operator, mount, authority):
    """The directory is missing, then empty, then half full; it is read when it is whole."""
    mount.directory.rmdir()
    operator = start(start_operator, mount, wait=False)
    failure(operator, "tls.crt")
    assert not operator.is_ready()
    assert "has no certificate yet" in operator.get("health", "/readyz")[1]
    with pytest.raises(OSError):
        served(operator)
    pair = authority.pair()
    mount.directory.mkdir()
    mount.write(tls_crt=pair["tls_crt"])
    failure(operator, "tls.key")
    assert not operator.is_ready()
    mount.write(**pair)
    wait_for(operator.is_ready, 10, operator.log_text)
    assert is_served(operator, pair)


def test_what_is_mounted_vanishes(kube, start_operator, mount, authority):
    """What is served stays in memory."""
    pair = authority.pair()
    mount.write(**pair)
    operator = start(start_operator, mount)
    mount.write()
    failure(operator, "tls.crt")
    assert is_served(operator, pair) and operator.is_ready()


def test_without_an_authority_ca_bundle_is_not_ours(kube, start_operator, mount, authority):
    """No ca.crt: somebody else keeps caBundle, or the certificate is of a public authority."""
    pair = authority.pair()
    del pair["ca_crt"]
    mount.write(**pair)
    operator = start(start_operator, mount)
    webhook.install(kube, operator)
    holds_for(lambda: bundles(kube)[0] == "", 3, "caBundle stays away")


def test_a_chain(kube, start_operator, mount, tmp_path, authority):
    """Of a CA between; ca.crt has the root alone."""
    pair = authority.pair()
    pair["tls_crt"] += authority.cert
    mount.write(**pair)
    operator = start(start_operator, mount)
    served(operator, authority.cert)


def test_cert_manager(kube, start_operator, mount, authority, tmp_path):
    """Its injector keeps caBundle: nothing of ours is written there, whatever ca.crt says, and
    readiness does not wait for it."""
    pair = authority.pair()
    mount.write(**pair)
    operator = start(start_operator, mount, mode="cert-manager")
    webhook.install(kube, operator)
    version = webhook.live(kube)["metadata"]["resourceVersion"]
    holds_for(
        lambda: webhook.live(kube)["metadata"]["resourceVersion"] == version, 3, "it is let be"
    )
    assert operator.is_ready()
    renewed = Authority(tmp_path, "renewed").pair()
    mount.write(**renewed)
    wait_for(lambda: is_served(operator, renewed), 10, operator.log_text)
    assert webhook.live(kube)["metadata"]["resourceVersion"] == version


def test_provided_goes_on_without_the_api_server(kube, through_wire, wire, mount, authority):
    """A pair of the same authority is served also while the API server cannot be reached."""
    first, second = authority.pair(), authority.pair()
    mount.write(**first)
    operator = through_wire(config=certs.provided(mount))
    webhook.install(kube, operator)
    wait_for(lambda: is_trusted(kube, operator), 10, "it is trusted")
    with wire.away():
        mount.write(**second)
        wait_for(lambda: is_served(operator, second), 10, operator.log_text)
        assert operator.is_ready()
