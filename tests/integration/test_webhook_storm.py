# SPDX-License-Identifier: Apache-2.0
"""Many workloads at once that name repositories which do not exist: each is created once, whole and
from one version of its template, whatever becomes of the template meanwhile, and no workload fails.
On a real API server under failurePolicy Fail."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator

import pytest

from berth_test import model, objects, webhook
from berth_test.admissions import TAG, unique
from berth_test.balancer import Balancer
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, ApiError, Kube
from berth_test.operator import Operator
from berth_test.wait import wait_for

CLIENTS = 32
PODS, REPOSITORIES = 2000, 200
CREATE, EXISTS = "CreateRepository", "RepositoryAlreadyExistsException"
KNOWN = "known/a"
MADE, REFUSED = " was created, ", " was not created: "
COUNTER = "berth_admission_requests_total"


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane() as started:
        started.install_crds()
        namespace = {"name": webhook.NAMESPACE}
        started.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": namespace})
        yield started


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """With a repository that may be named to find out whether anybody is asked."""
    with Emulator() as started:
        started.ecr.create_repository(repositoryName=KNOWN)
        yield started
        model.assert_valid(started.operator_requests())


@pytest.fixture
def operators(kube: Kube, emulator: Emulator, control_plane: ControlPlane) -> Iterator[Callable]:
    """Starts so many behind one address."""
    spec = {"registryHosts": [emulator.registry], "admission": {"creationsPerMinute": 10000}}
    kube.create(objects.settings(emulator, **spec))
    with contextlib.ExitStack() as stack:
        balancer = stack.enter_context(Balancer())

        def start(count: int) -> list[Operator]:
            started = []
            for i in range(count):
                env = {"POD_NAME": f"pod-{i}"}
                operator = Operator(
                    control_plane.kubeconfig(), webhook.config(), env=env, wait=False
                )
                started.append(stack.enter_context(operator))
                wait_for(lambda o=operator: o.address("webhook"), 20, operator.log_text)
                balancer.put(f"pod-{i}", operator.address("webhook"), operator.is_ready)
            url = f"https://127.0.0.1:{balancer.port}/validate"
            webhook.install_url(kube, url, "--host", emulator.registry, failurePolicy="Fail")
            webhook.wait_trusted(kube)
            wait_for(lambda: balancer.ready_count() == count, 20, "all are ready")
            kube.wait_ready(SETTINGS, "default")
            wait_for(lambda: is_asked(started), 20, "the API server asks them")
            return started

        def is_asked(running: list[Operator]) -> bool:
            try:
                kube.create(webhook.pod(unique("probe"), f"{emulator.registry}/{KNOWN}"), True)
            except ApiError as e:
                raise AssertionError(str(e)) from None
            return sum(o.metrics_of(COUNTER) for o in running) > 0

        yield start
        webhook.remove(kube)


class Storm:
    """Pods from many clients; on_pod is called before each with its number."""

    def __init__(self, kube: Kube, on_pod: Callable[[int], None] = lambda _: None) -> None:
        self._kube, self._on_pod = kube, on_pod
        self._lock = threading.Lock()
        self.failed: list[str] = []
        self.warnings: dict[str, list[str]] = collections.defaultdict(list)  # by image

    def run(self, image_of: list[str]) -> None:
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self._create, range(len(image_of)), image_of))

    def _create(self, number: int, image: str) -> None:
        self._on_pod(number)
        try:
            self._kube.create(webhook.pod(unique("storm"), image))
        except Exception as e:  # whatever it is, it is a failure
            with self._lock:
                self.failed.append(str(e))
            return
        with self._lock:
            self.warnings[image] += self._kube.warnings


def creations(emulator: Emulator) -> collections.Counter:
    """Status and error of each CreateRepository, by how often."""
    calls = [r for r in emulator.operator_requests() if r.operation == CREATE]
    return collections.Counter((r.status, r.error) for r in calls)


def make_template(kube: Kube, name: str, prefix: str | None = None, days: int = 14, **spec) -> None:
    spec = {"lifecyclePolicy": objects.lifecycle(days), **spec}
    kube.create(objects.template(name, prefix, **spec))


@pytest.mark.parametrize("replicas", [1, 2])
def test_each_repository_is_created_once(kube, emulator, operators, replicas):
    running = operators(replicas)
    make_template(kube, "team", repositoryPolicy=objects.policy())
    kube.wait_ready(TEMPLATE, "team")
    each = PODS // REPOSITORIES
    # those who want the same come together
    wanted = [f"{emulator.registry}/team/r{i // each}:{i % each}" for i in range(PODS)]
    storm = Storm(kube)
    storm.run(wanted)
    assert storm.failed == []
    made = creations(emulator)
    assert made.pop((200, None)) == REPOSITORIES
    assert set(made) <= ({(400, EXISTS)} if replicas > 1 else set()), made
    names = {f"team/r{i}" for i in range(REPOSITORIES)}
    assert set(emulator.repositories()) == {*names, KNOWN}
    for operation in ("SetRepositoryPolicy", "PutLifecyclePolicy"):
        calls = [r for r in emulator.operator_writes() if r.operation == operation]
        assert sorted(r.body["repositoryName"] for r in calls) == sorted(names)
    answered = [o.metrics_of(COUNTER) for o in running]
    assert all(n > PODS / 10 for n in answered), f"one had nothing to do: {answered}"


# --- the template meanwhile ----------------------------------------------------------------------

DURING, AFTER = 300, 64


def settings_of_all(emulator: Emulator) -> collections.Counter:
    """What repositories have of their template, by how many: mutability, days of the lifecycle
    policy, tag."""
    seen: collections.Counter = collections.Counter()
    for name, found in emulator.repositories().items():
        if name == KNOWN:
            continue
        text = emulator.ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
        days = json.loads(text)["rules"][0]["selection"]["countNumber"]
        tags = emulator.ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
        (tag,) = [t["Value"] for t in tags if t["Key"] == TAG]
        seen[found["imageTagMutability"], days, tag] += 1
    return seen


@dataclasses.dataclass(frozen=True)
class Told:
    """What Pods were told, each of its own repository: of the storm in which the template changed,
    and of one after it had."""

    during: list[str]
    after: list[str]

    def count(self, **words: str) -> collections.Counter:
        """How many of the first have which words; there are no others."""
        found = collections.Counter({k: sum(w in t for t in self.during) for k, w in words.items()})
        assert found.total() == DURING, (found, self.during)
        return found

    def all_after(self, words: str) -> bool:
        return len(self.after) == AFTER and all(words in text for text in self.after)


def storm_while(
    kube: Kube, emulator: Emulator, change: Callable[[], None], settled: Callable[[], object]
) -> Told:
    """The change comes after a third of the first storm, the second when it has settled. What is
    told of each repository is true."""

    def on_pod(number: int) -> None:
        if number == DURING // 3:
            change()

    wanted = [f"team/s{i}" for i in range(DURING + AFTER)]
    storm = Storm(kube, on_pod)
    storm.run([f"{emulator.registry}/{name}" for name in wanted[:DURING]])
    settled()
    last = Storm(kube)
    last.run([f"{emulator.registry}/{name}" for name in wanted[DURING:]])
    assert storm.failed + last.failed == []
    told = {**storm.warnings, **last.warnings}
    there = set(emulator.repositories())
    for name in wanted:
        (text,) = told[f"{emulator.registry}/{name}"]
        assert (" was created, " in text) == (name in there), text
    assert creations(emulator) == {(200, None): len(there) - 1}
    return Told(*([w for (w,) in s.warnings.values()] for s in (storm, last)))


def test_a_template_that_is_edited(kube, emulator, operators):
    """No repository has something of both versions."""
    operators(1)
    make_template(kube, "team")
    kube.wait_ready(TEMPLATE, "team")

    def edit() -> None:
        spec = {"imageTagMutability": "IMMUTABLE", "lifecyclePolicy": objects.lifecycle(30)}
        kube.merge(TEMPLATE, "team", {"spec": spec})

    # time for the edit to come between a repository and its policy
    with emulator.fault({"operation": CREATE}, delayMs={"after": 20}):
        told = storm_while(kube, emulator, edit, lambda: kube.wait_ready(TEMPLATE, "team"))
    told.count(made=MADE)
    seen = settings_of_all(emulator)
    assert set(seen) == {("MUTABLE", 14, "team"), ("IMMUTABLE", 30, "team")}
    assert seen.total() == DURING + AFTER and seen["IMMUTABLE", 30, "team"] >= AFTER


def test_a_template_that_is_paused(kube, emulator, operators):
    operators(1)
    make_template(kube, "team")
    kube.wait_ready(TEMPLATE, "team")
    told = storm_while(
        kube,
        emulator,
        lambda: kube.annotate(TEMPLATE, "team", paused="true"),
        lambda: kube.wait_condition(TEMPLATE, "team", "Synced", "False", "ReconcilePaused"),
    )
    held = "; paused or read-only is template team"
    assert told.count(made=MADE, held=held, refused=REFUSED)["made"] > 0
    assert told.all_after(held)


def test_a_template_that_is_deleted(kube, emulator, operators):
    operators(1)
    make_template(kube, "team")
    kube.wait_ready(TEMPLATE, "team")
    told = storm_while(
        kube,
        emulator,
        lambda: kube.delete(TEMPLATE, "team"),
        lambda: kube.wait_gone(TEMPLATE, "team"),
    )
    uncovered = " no template covers it"
    assert told.count(made=MADE, uncovered=uncovered, refused=REFUSED)["made"] > 0
    assert told.all_after(uncovered)


def test_a_template_in_conflict_takes_over(kube, emulator, operators):
    """The second is in Conflict and nothing is made from it, until the first is deleted. While the
    template changes hands it is one of AWS's that no object owns."""
    operators(1)
    make_template(kube, "first", "team", 14)
    kube.wait_ready(TEMPLATE, "first")
    make_template(kube, "second", "team", 30, imageTagMutability="IMMUTABLE")
    kube.wait_condition(TEMPLATE, "second", "Ready", "False", "Conflict")
    told = storm_while(
        kube,
        emulator,
        lambda: kube.delete(TEMPLATE, "first"),
        lambda: kube.wait_ready(TEMPLATE, "second"),
    )
    told.count(made=MADE, refused=REFUSED)
    assert told.all_after("template second")
    seen = settings_of_all(emulator)
    first, second = ("MUTABLE", 14), ("IMMUTABLE", 30)
    assert seen[*first, "first"] > 0 and seen[*second, "second"] >= AFTER
    between = set(seen) - {(*first, "first"), (*second, "second")}
    assert between <= {(*first, "team"), (*second, "team")}, seen
