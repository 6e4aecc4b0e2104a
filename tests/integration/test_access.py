# SPDX-License-Identifier: Apache-2.0
"""What the operator may do: the roles of docs/running.md are enough and not too much, and what is
missing is said and goes on by itself once it is granted.

The API server has no streaming lists here, so that "list" is asked for too; other tests have them.
"""

import contextlib
import os
import subprocess
import time

import pytest

from berth_test import access, objects
from berth_test.access import LEASE, NAMESPACE, Audit
from berth_test.control_plane import ControlPlane
from berth_test.kube import FINALIZER, GROUP, SETTINGS, TEMPLATE
from berth_test.operator import Operator
from berth_test.wait import holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
PUT = "PutAccountSetting"
ROLES = access.documented()
HINT = "grant the operator's user the roles of docs/running.md"
PLURAL = {SETTINGS: "registrysettings", TEMPLATE: "repositorycreationtemplates"}


def ours(kind: str, verb: str, subresource: str = "") -> access.Grant:
    return "", GROUP, PLURAL[kind] + subresource, verb


def event(verb: str) -> access.Grant:
    return "default", "events.k8s.io", "events", verb


def lease(verb: str) -> access.Grant:
    return NAMESPACE, "coordination.k8s.io", "leases", verb


@pytest.fixture(scope="module")
def control_plane():
    with ControlPlane("RBAC", audit=True, flags=("--feature-gates=WatchList=false",)) as started:
        started.install_crds()
        access.apply(started, ROLES)
        yield started


@pytest.fixture(scope="module")
def kubeconfig(control_plane, tmp_path_factory):
    path = tmp_path_factory.mktemp("access") / "kubeconfig"
    return access.kubeconfig(control_plane, path, {"token": access.token(control_plane)})


@pytest.fixture
def audit(control_plane) -> Audit:
    return Audit(control_plane)


@pytest.fixture
def operator(kube, kubeconfig):
    with Operator(kubeconfig) as started:
        yield started


@pytest.fixture
def without(kube, control_plane):
    """A context in which the operator lacks some rights. It must have asked for all of them, and
    for nothing else that it does not have."""

    @contextlib.contextmanager
    def lose(*grants: access.Grant):
        with access.lost(kube, ROLES, *grants):
            audit = Audit(control_plane)
            yield
            wait_for(
                lambda: audit.used("forbid") >= set(grants), 10, f"{grants} are asked for in vain"
            )
            assert audit.used("forbid") == set(grants)

    return lose


def said(operator: Operator, msg: str, *words: str) -> dict:
    """The line of the log; it says what to do."""

    def find() -> dict | None:
        for line in operator.find_log(msg):
            if all(word in line["error"] for word in words):
                return line
        return None

    line = wait_for(find, 10, lambda: f"{msg}: {words}\n{operator.log_text()}")
    assert line["hint"] == HINT
    return line


@contextlib.contextmanager
def changed_during(kube, emulator, operation: str, kind: str, name: str):
    """Whoever creates the object inside: it changes while the operator writes to ECR for it, so
    that the status which it writes next meets another resourceVersion."""
    match = {"operation": operation, "userAgent": "berth*"}
    with emulator.fault(match, delayMs=700) as rule:
        yield
        wait_for(
            lambda: any(f["acted"] for f in emulator.faults() if f["id"] == rule),
            10,
            f"{operation} is sent",
        )
        kube.annotate(kind, name, touched=str(time.monotonic_ns()))


def drift(kube, emulator, name: str) -> None:
    """Asking on the object itself also says that nobody contends with us for it."""
    emulator.ecr.update_repository_creation_template(prefix=name, description="changed")
    kube.annotate(TEMPLATE, name, reconcile_requested_at=str(time.monotonic_ns()))
    wait_for(lambda: not emulator.template(name).get("description"), 10, f"{name} is mended")


def mends(kube, name: str) -> int:
    """As the event of it counts them."""
    found = [e for e in kube.events_of(TEMPLATE, name) if e["reason"] == "DriftCorrected"]
    return max((e.get("series", {}).get("count", 1) for e in found), default=0)


def blob_mounting(emulator) -> dict:
    return objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"})


def test_the_documented_roles_are_what_a_life_needs(kube, emulator, kubeconfig, audit):
    with Operator(kubeconfig):
        with changed_during(kube, emulator, PUT, SETTINGS, "default"):
            kube.create(blob_mounting(emulator))
        kube.wait_ready(SETTINGS, "default")
        with changed_during(kube, emulator, CREATE, TEMPLATE, "life"):
            kube.create(objects.template("life"))
        kube.wait_ready(TEMPLATE, "life")
        assert kube.get(TEMPLATE, "life")["metadata"]["finalizers"] == [FINALIZER]
        drift(kube, emulator, "life")
        drift(kube, emulator, "life")
        wait_for(lambda: mends(kube, "life") == 2, 10, "the event counts both mends")
        kube.delete(TEMPLATE, "life")
        kube.wait_gone(TEMPLATE, "life")
        kube.delete(SETTINGS, "default")
        kube.wait_gone(SETTINGS, "default")
        assert not emulator.templates()
    assert not kube.get("Lease", LEASE, NAMESPACE)["spec"].get("holderIdentity")
    assert audit.used("forbid") == set()
    assert audit.used() == access.grants(ROLES)
    leases = [e["objectRef"] for e in audit.requests() if e["objectRef"]["resource"] == "leases"]
    assert {ref.get("name", LEASE) for ref in leases} == {LEASE}


@pytest.mark.parametrize(
    ("settings_verb", "template_verb"), [("list", "watch"), ("watch", "list")]
)
def test_without_list_or_watch_it_is_not_ready(
    kube, emulator, kubeconfig, without, settings_verb, template_verb
):
    kube.create(objects.settings(emulator))
    lost = ours(SETTINGS, settings_verb), ours(TEMPLATE, template_verb)
    with contextlib.ExitStack() as stack:
        with without(*lost):
            operator = stack.enter_context(Operator(kubeconfig, wait=False))
            for _, _, plural, verb in lost:
                said(operator, "watching the API server fails, trying again", f"{verb} {plural}",
                     f'cannot {verb} resource "{plural}"', access.USER)  # fmt: skip
            wait_for(lambda: HINT in operator.get("health", "/readyz")[1], 10, "/readyz says why")
            assert operator.get("health", "/readyz")[0] == 503
        wait_for(operator.is_ready, 15, "it is ready with the role, without a restart")
        kube.wait_ready(SETTINGS, "default")


def test_without_the_lease_it_waits(kube, emulator, kubeconfig, without):
    kube.create(objects.settings(emulator))
    kube.delete("Lease", LEASE, NAMESPACE)
    msg = "the lease cannot be kept or read, trying again"
    with contextlib.ExitStack() as stack:
        with without(lease("get")):
            operator = stack.enter_context(Operator(kubeconfig))
            line = said(operator, msg, f"get leases {NAMESPACE}/{LEASE}", 'cannot get resource "le')
            assert f'in the namespace "{NAMESPACE}"' in line["error"]
            assert line["reason"] == "Forbidden"
            assert not emulator.operator_writes()
        with without(lease("create")):
            said(operator, msg, f"create leases {NAMESPACE}", 'cannot create resource "le')
        kube.wait_ready(SETTINGS, "default")
        with without(lease("update")):
            said(operator, msg, f"update leases {NAMESPACE}/{LEASE}", 'cannot update resource "le')


def test_the_documented_kubeconfig(kube, emulator, control_plane, tmp_path, audit):
    path = f"{control_plane.kubectl_path.parent}:{os.environ['PATH']}"
    env = {"PATH": path, "HOME": str(tmp_path), "KUBECONFIG": str(control_plane.kubeconfig())}
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", access.documented_commands()],
        cwd=tmp_path, env=env, check=True, capture_output=True,
    )  # fmt: skip
    with Operator(tmp_path / "berth.kubeconfig"):
        kube.create(objects.settings(emulator))
        kube.wait_ready(SETTINGS, "default")
    assert audit.used() and not audit.used("forbid")


def test_a_lease_in_a_namespace_without_the_role(kube, kubeconfig):
    """It is asked for where the configuration says, not where the kubeconfig's context is."""
    config = {"leaderElection": {"namespace": "elsewhere"}}
    with Operator(kubeconfig, config=config) as operator:
        line = said(operator, "the lease cannot be kept or read, trying again", "elsewhere")
        assert 'in the namespace "elsewhere"' in line["error"]


def test_a_registry_waits_for_what_it_may_not(kube, emulator, operator, without):
    with without(ours(SETTINGS, "patch", "/status")):
        kube.create(blob_mounting(emulator))
        said(operator, "cannot write the status", "apply registrysettings/status default",
             'cannot patch resource "registrysettings/status"')  # fmt: skip
        holds_for(lambda: not emulator.operator_writes(), 0.5, "nothing is written to ECR")
    kube.wait_ready(SETTINGS, "default")
    with without(ours(SETTINGS, "patch")):
        kube.create(objects.template("first"))
        said(operator, "cannot change the finalizer", "patch registrysettings default",
             'cannot patch resource "registrysettings"')  # fmt: skip
        assert not emulator.templates()
    kube.wait_ready(TEMPLATE, "first")
    with without(ours(SETTINGS, "get")):
        with changed_during(kube, emulator, PUT, SETTINGS, "default"):
            kube.merge(
                SETTINGS, "default", {"spec": {"accountSettings": {"blobMounting": "DISABLED"}}}
            )
        said(operator, "cannot write the status", 'cannot get resource "registrysettings"')
    kube.wait_ready(SETTINGS, "default")


def test_a_template_waits_for_what_it_may_not(kube, emulator, operator, without):
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")
    with without(ours(TEMPLATE, "patch")):
        kube.create(objects.template("unfinalized"))
        said(operator, "cannot change the finalizer", "patch repositorycreationtemplates unf")
        assert not emulator.operator_writes()
    kube.wait_ready(TEMPLATE, "unfinalized")
    emulator.mark()
    with without(ours(TEMPLATE, "patch", "/status")):
        kube.create(objects.template("untold"))
        said(operator, "cannot write the status", "apply repositorycreationtemplates/status untold")
        # what nobody could know to be ours is not made
        assert not emulator.operator_writes()
    kube.wait_ready(TEMPLATE, "untold")
    with without(ours(TEMPLATE, "get")):
        with changed_during(kube, emulator, CREATE, TEMPLATE, "unread"):
            kube.create(objects.template("unread"))
        said(operator, "cannot write the status", 'cannot get resource "repositorycreationtem')
    kube.wait_ready(TEMPLATE, "unread")
    with without(ours(TEMPLATE, "patch")):
        kube.delete(TEMPLATE, "unread")
        wait_for(lambda: "unread" not in emulator.templates(), 10, "it is deleted in ECR")
        said(operator, "cannot change the finalizer", "patch repositorycreationtemplates unread")
    kube.wait_gone(TEMPLATE, "unread")


def test_events_that_are_refused_hold_nothing_up(kube, emulator, operator, without):
    kube.create(objects.settings(emulator))
    with without(event("create")):
        for name in ("one", "two", "three"):
            kube.create(objects.template(name))
            kube.wait_ready(TEMPLATE, name)
        said(operator, "an event is not sent", "create events default",
             'cannot create resource "events"')  # fmt: skip
        wait_for(
            lambda: operator.metrics_of("berth_events_dropped_total") >= 3, 10, "three are counted"
        )
        assert len(operator.find_log("an event is not sent")) == 1, "each refusal is a line"
    drift(kube, emulator, "one")
    wait_for(lambda: mends(kube, "one") == 1, 10, "events come with the role")
    with without(event("patch")):
        drift(kube, emulator, "one")
        said(operator, "an event is not sent", "patch events default/one",
             'cannot patch resource "events"')  # fmt: skip
    drift(kube, emulator, "one")
    wait_for(lambda: mends(kube, "one") == 3, 10, "the series goes on, with what was held back")
