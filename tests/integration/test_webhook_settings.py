# SPDX-License-Identifier: Apache-2.0
"""What the webhook does when: every row of the table in docs/reference/admission.md, at its default
and at every value of the setting that decides it, on a real API server under failurePolicy Fail.

A row is a case below, found by the row's own words: one that is added to the page and not here
fails, and the other way round. Each namespace has a rule of its own, so that all values are asked
for in one scene."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from berth_test import admissions, model, objects, webhook
from berth_test.admissions import Answer, Row, Scene, unique
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.wait import wait_for

OTHER_ACCOUNT = "210987654321"
TEMPLATES = ("team", "held", "changed", "beyond")
OTHER_HOST = "other.example"
UNMANAGED = "999999999999.dkr.ecr.eu-west-1.amazonaws.com"
ROWS = admissions.documented()
PARKED_MAX = 256
PARKED = "berth_admission_parked_requests"
METRIC = "berth_admission_requests_total"
ALLOWED = ["team/?*", "held/*", "changed/*"]  # a repository "beyond" is not
# in the warning, or in the denial
SAYS = {
    "ImageMissing": r"^image .+ is not there yet$",
    "Created": r"^repository .+ was created, its image is not there yet; template team$",
    "NotEnsured": r"^repository .+ does not exist, and is not created here$",
    "WouldCreate": r"^repository .+ would be created from template team$",
    "TemplateHeld": r"^repository .+ does not exist; paused or read-only is template held$",
    "ReadOnly": r"^repository .+ does not exist; read-only is RegistrySettings other$",
    "NotAllowed": r"^repository .+ does not exist and is beyond allowedPrefixes$",
    "Limited": r"^repository .+ was not created: too many a minute in namespace .+$",
    "Pending": r"^repository .+ is still being created",
    "Error": r"^repository .+: .*(AccessDenied|not authorized|did not answer in time)",
    "Refused": r"^repository .+ was not created: RepositoryCreationTemplate \"changed\" is paused",
    "Uncovered": r"^repository .+ does not exist and no template covers it$",
    "RegistryNotReady": r"^repository .+ was not looked up: RegistrySettings other: it is paused$",
    "Overloaded": r"^repository .+: too many requests wait for ECR$",
    "InvalidReference": r"^image .+: ECR can have no such repository$",
    "UnmanagedRegistry": rf"^registry {UNMANAGED} is not managed: no RegistrySettings names it$",
}

# the snapshot, or the reference itself, answers
WITHOUT_CALLS = {
    "Exists", "PullThrough", "RegistryNotReady", "Overloaded", "InvalidReference",
    "UnmanagedRegistry", "Foreign", "Placeholder",
}  # fmt: skip

Ask = Callable[[str], Answer]  # of a namespace, whose rule decides


@dataclasses.dataclass(frozen=True)
class Case:
    """during: what holds while it is asked; gives how to ask. base: of the namespace's rule."""

    during: Callable[[Scene], Any]
    base: dict
    reason_at_allow: str | None = None


CASES: dict[str, Case] = {}


def case(situation: str, reason_at_allow: str | None = None, **base: Any):
    def register(function):
        assert situation not in CASES
        CASES[situation] = Case(contextlib.contextmanager(function), base, reason_at_allow)
        return function

    return register


def slug(fields: dict) -> str:
    """The namespace whose rule has these fields."""
    return "-".join(f"{k}-{v}".lower() for k, v in fields.items()) or "default"


def values(row: Row) -> list[str]:
    if row.setting in ("", "ensureRepositories", "unmanagedRegistries"):
        return []  # those two: below
    return admissions.actions(row.setting)


def rules() -> list[dict]:
    wanted: dict[str, dict] = {}
    for row in ROWS:
        base = CASES[row.situation].base
        for fields in (base, *({**base, row.setting: v} for v in values(row))):
            if fields:
                wanted[slug(fields)] = {"namespaces": [slug(fields)], **fields}
    return list(wanted.values())


# --- the scene -----------------------------------------------------------------------------------


@contextlib.contextmanager
def annotated(s: Scene, kind: str, name: str, annotation: str) -> Iterator[None]:
    s.kube.annotate(kind, name, **{annotation: "true"})
    try:
        yield
    finally:
        s.kube.annotate(kind, name, **{annotation: None})


@contextlib.contextmanager
def stopped(emulator: Emulator) -> Iterator[None]:
    """It neither answers nor refuses."""
    emulator.process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        emulator.process.signal(signal.SIGCONT)


def warns(s: Scene, image: str, words: str) -> bool:
    return any(words in w for w in s.pod(image, query="?dryRun=All").warnings)


def seen(s: Scene, fault: int) -> int:
    return next(f["seen"] for f in s.emulator.faults() if f["id"] == fault)


def build(namespace: str, tag: str) -> dict:
    """What pushes."""
    return admissions.custom("kpack.io/v1alpha2", "Image", namespace, tag=tag)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with (
        ControlPlane(audit="writes") as control_plane,
        Emulator() as emulator,
        Emulator(account=OTHER_ACCOUNT) as other,
    ):
        control_plane.install_crds()
        kube = control_plane.kube
        admissions.install_crd(kube, "kpack.io", "Image", "v1alpha2")
        emulator.ecr.create_repository(repositoryName="there/a")
        emulator.ecr.create_pull_through_cache_rule(
            ecrRepositoryPrefix="hub", upstreamRegistryUrl="upstream.example"
        )
        admission = {"rules": rules()}
        spec = {"registryHosts": [OTHER_HOST], "admission": admission}
        kube.create(objects.settings(other, "other", **spec))
        for name in TEMPLATES:
            kube.create(objects.template(name, lifecyclePolicy=objects.lifecycle()))
        kube.create(objects.template("other", "team", registryRef={"name": "other"}))
        config = {"admission": {"allowedPrefixes": ALLOWED}}
        started = Scene(control_plane, emulator, config, (OTHER_HOST,), admission=admission)
        for rule in admission["rules"]:
            started.namespace(rule["namespaces"][0])
        started.namespace("parked")
        for name in (*TEMPLATES, "other"):
            kube.wait_ready(TEMPLATE, name)
        kube.annotate(TEMPLATE, "held", paused="true")
        kube.wait_condition(TEMPLATE, "held", "Synced", "False", "ReconcilePaused")
        for name in ("default", "other"):
            kube.wait_ready(SETTINGS, name)
        yield started
        started.check_counts()
        started.stop()
        model.assert_valid(emulator.operator_requests())


# --- the rows ------------------------------------------------------------------------------------


@case("The repository exists")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image("there/a"), namespace=ns)


@case("… and the image is not in it, for a workload that pulls", reason_at_allow="Exists")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image("there/a", "never-pushed"), namespace=ns)


@case("The repository is missing; a template for `CREATE_ON_PUSH` covers it")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image(unique("team/created")), namespace=ns)


@case(
    "… and `ensureRepositories` is `Never`, or `PushOnly` for one that pulls",
    ensureRepositories="Never",
)
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image(unique("team/off")), namespace=ns)


@case("… and `missingImage` is `Deny`, for one that pulls", missingImage="Deny")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image(unique("team/denied")), namespace=ns)


@case("… in a dry run")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image(unique("team/dry")), namespace=ns, query="?dryRun=All")


@case("… and the template is paused or read-only")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image(unique("held/a")), namespace=ns)


@case("… and the RegistrySettings is read-only")
def _(s: Scene) -> Iterator[Ask]:
    with annotated(s, SETTINGS, "other", "read_only"):
        wait_for(lambda: warns(s, f"{OTHER_HOST}/team/x", "read-only is"), 10, "it is read-only")
        yield lambda ns: s.pod(f"{OTHER_HOST}/{unique('team/read-only')}", namespace=ns)


@case("… and it is beyond the operator's `admission.allowedPrefixes`")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image(unique("beyond/a")), namespace=ns)


@case("… and the namespace had its `creationsPerMinute`", creationsPerMinute=1)
def _(s: Scene) -> Iterator[Ask]:
    def ask(ns: str) -> Answer:
        assert s.pod(s.image(unique("team/within")), namespace=ns).check().reason == "Created"
        return s.pod(s.image(unique("team/limited")), namespace=ns)

    yield ask


@case("… and creating it takes longer than the API server waits")
def _(s: Scene) -> Iterator[Ask]:
    with s.emulator.fault(
        {"operation": "CreateRepository", "name": "team/slow*"}, delayMs={"after": 6000}
    ):
        asked: list[str] = []

        def ask(ns: str) -> Answer:
            asked.append(unique("team/slow"))
            return s.pod(s.image(asked[-1]), namespace=ns)

        yield ask
        wait_for(lambda: set(asked) <= set(s.emulator.repositories()), 15, "they are made later")


@case("… and ECR refuses to create it")
def _(s: Scene) -> Iterator[Ask]:
    with s.emulator.fault(
        {"operation": "CreateRepository", "name": "team/refused*"},
        deny={"action": "ecr:CreateRepository"},
    ):
        yield lambda ns: s.pod(s.image(unique("team/refused")), namespace=ns)


@case("… and the template or registry changed while it was asked for")
def _(s: Scene) -> Iterator[Ask]:
    rule = {"operation": "DescribeRepositories", "name": "changed/*"}
    with s.emulator.fault(rule, delayMs=3000) as number:

        def ask(ns: str) -> Answer:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                answer = pool.submit(s.pod, s.image(unique("changed/a")), namespace=ns)
                wait_for(lambda: seen(s, number), 5, "ECR is asked")
                s.kube.annotate(TEMPLATE, "changed", paused="true")
                return answer.result()

        yield ask


@case("The repository is missing; no template for `CREATE_ON_PUSH` covers it")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image(unique("uncovered/a")), namespace=ns)


@case(
    "… and `missingImage` is `Deny`, for one that pulls, and `uncoveredRepository` is not",
    missingImage="Deny",
    uncoveredRepository="Allow",
)
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image(unique("uncovered/denied")), namespace=ns)


@case("The name is under a pull-through cache rule")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(s.image("hub/library/missing"), namespace=ns)


@case("The repository may be missing, and ECR could not be asked or did not answer in time")
def _(s: Scene) -> Iterator[Ask]:
    with s.emulator.fault(
        {"operation": "DescribeRepositories", "name": "uncovered/unknown*"},
        deny={"action": "ecr:DescribeRepositories"},
    ):
        yield lambda ns: s.pod(s.image(unique("uncovered/unknown")), namespace=ns)


@case("The RegistrySettings is paused, stalled, being deleted or not read yet")
def _(s: Scene) -> Iterator[Ask]:
    with annotated(s, SETTINGS, "other", "paused"):
        wait_for(lambda: warns(s, f"{OTHER_HOST}/team/x", "it is paused"), 10, "it is paused")
        yield lambda ns: s.pod(f"{OTHER_HOST}/team/paused", namespace=ns)


@case("More than 256 requests wait for ECR")
def _(s: Scene) -> Iterator[Ask]:
    """They wait for one repository of an ECR that stands still, which is asked once."""
    waiting_for = unique("uncovered/hang")
    with (
        s.answers_within(30),
        concurrent.futures.ThreadPoolExecutor(PARKED_MAX) as pool,
        stopped(s.emulator),
    ):
        ask = functools.partial(s.pod, s.image(waiting_for), namespace="parked")
        waiting = [pool.submit(ask) for _ in range(PARKED_MAX)]
        wait_for(lambda: s.operator.metrics_of(PARKED) == PARKED_MAX, 20, "all are parked")
        yield lambda ns: s.pod(s.image(unique("team/overload")), namespace=ns)
    assert {w.result().check().reason for w in waiting} == {"Uncovered"}
    assert sum(len(w.result().calls) for w in waiting) == 1
    wait_for(lambda: s.operator.metrics_of(PARKED) == 0, 5, "nobody is parked")


@case("The host is the registry's, what follows is no repository that ECR could have")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(f"{s.emulator.registry}/team/UPPER", namespace=ns)


@case("An ECR host that no RegistrySettings stands for")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(f"{UNMANAGED}/team/a:1", namespace=ns)


@case("Another registry, or no host (`nginx`)")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.create(build(ns, "registry.elsewhere.example/team/a"))


@case("A placeholder (`$(params.IMAGE)`, `${TAG}`, `{{ .Values.image }}`)")
def _(s: Scene) -> Iterator[Ask]:
    yield lambda ns: s.pod(f"{s.emulator.registry}/team/$(params.NAME)", namespace=ns)


# --- what is the same of all ---------------------------------------------------------------------


def said(answer: Answer) -> list[str]:
    """What the user is told, one for each image."""
    if answer.error is None:
        return answer.warnings
    return answer.error.message.partition("denied the request: ")[2].split("; ")


def judge(answer: Answer, decision: str, reason: str) -> None:
    answer.check()
    assert (answer.decision, answer.reason) == (decision, reason), answer
    assert bool(answer.warnings) == (decision == "warn")
    if decision != "allow":
        (text,) = said(answer)
        assert re.search(SAYS[reason], text), text
    assert ("created" in answer.annotations) == (reason == "Created")


def counted(s: Scene) -> dict[tuple[str, str], float]:
    found = {}
    for key, value in s.operator.metrics().items():
        if match := re.fullmatch(METRIC + r'\{decision="(\w+)",reason="(\w+)"\}', key):
            found[match[1], match[2]] = value
    return found


def test_every_row_has_a_case_and_every_case_a_row():
    assert {r.situation for r in ROWS} == set(CASES)
    without_words = {"Exists", "PullThrough", "Foreign", "Placeholder"}
    assert {r.reason for r in ROWS} == set(SAYS) | without_words


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.reason)
def test_row(scene: Scene, row: Row):
    case_ = CASES[row.situation]
    default = re.match("allowed|warned|denied|created", row.default)[0]
    wanted = [(case_.base, default)]
    wanted += [({**case_.base, row.setting: v}, v.lower()) for v in values(row)]
    words = {"allowed": "allow", "warned": "warn", "denied": "deny", "created": "warn"}
    before = counted(scene)
    with case_.during(scene) as ask, concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
        answers = list(pool.map(lambda w: ask(slug(w[0])), wanted))
    tally: dict[tuple[str, str], float] = {}
    for answer, (_, word) in zip(answers, wanted, strict=True):
        decision = words.get(word, word)
        reason = row.reason
        if decision == "allow" and case_.reason_at_allow:
            reason = case_.reason_at_allow
        judge(answer, decision, reason)
        tally[decision, reason] = tally.get((decision, reason), 0) + 1
    after = counted(scene)
    for key, count in tally.items():
        assert after[key] - before.get(key, 0) >= count
    check_calls(scene, row, answers)


def check_calls(s: Scene, row: Row, answers: list[Answer]) -> None:
    repositories = s.emulator.repositories()
    for answer in answers:
        names = [n for n in answer.line["repositories"].split(",") if n]
        operations = answer.operations
        if row.reason in WITHOUT_CALLS:
            assert operations == [], answer
            assert answer.annotations["source"] == "snapshot"
        if "nothing is created" in row.default or row.reason == "WouldCreate":
            assert "CreateRepository" not in operations
            assert not set(names) & set(repositories)
        if row.reason == "Created":
            assert set(names) <= set(repositories)
            assert operations == ["DescribeRepositories", "CreateRepository", "PutLifecyclePolicy"]
