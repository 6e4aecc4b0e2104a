# SPDX-License-Identifier: Apache-2.0
"""The operator is killed between the calls that make a repository: whoever leads next puts what is
missing within a minute, and touches nothing that somebody else made or set. Two replicas that are
asked for the same, and half of them restarted."""

import concurrent.futures
import contextlib
import json
from collections.abc import Callable, Iterator

import pytest

from berth_test import objects, reviews, webhook
from berth_test.admissions import TAG
from berth_test.emulator import Emulator
from berth_test.kube import TEMPLATE
from berth_test.operator import Operator
from berth_test.replicas import Replicas, emulator_for_all
from berth_test.reviews import KNOWN, Reviewer, image, is_whole
from berth_test.wait import holds_for, wait_for

COMPLETED_S = 60
THEIRS = objects.policy()
THEIRS["Statement"][0]["Sid"] = "Theirs"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with emulator_for_all() as started:
        yield started


@pytest.fixture
def replicas(kube, emulator, start_operator) -> Iterator[Replicas]:
    """Their Lease is in the namespace "default"."""
    reviews.prepare(kube, emulator)
    reviews.start_settings(kube, emulator)
    config = webhook.config(leaderElection=None)
    config.pop("leaderElection")

    def start(**options) -> Operator:
        return start_operator(config=config, wait=False, **options)

    yield Replicas(kube, start)
    webhook.remove(kube)


@pytest.fixture
def start(kube, emulator, replicas) -> Callable[[str], tuple[Operator, Reviewer]]:
    def one(name: str) -> tuple[Operator, Reviewer]:
        operator = replicas.start(name)
        reviews.wait_served(kube, emulator, operator)
        return operator, reviews.wait_open(kube, emulator, operator)

    return one


def tag(emulator: Emulator, repository: str, value: str) -> None:
    arn = emulator.repositories()[repository]["repositoryArn"]
    emulator.ecr.tag_resource(resourceArn=arn, tags=[{"Key": TAG, "Value": value}])


def make(emulator: Emulator, repository: str, value: str | None) -> None:
    """As an operator that was killed after CreateRepository; None: as somebody else."""
    emulator.ecr.create_repository(repositoryName=repository)
    if value is not None:
        tag(emulator, repository, value)


def policy_of(emulator: Emulator, repository: str) -> dict | None:
    ecr = emulator.ecr
    try:
        return json.loads(ecr.get_repository_policy(repositoryName=repository)["policyText"])
    except ecr.exceptions.RepositoryPolicyNotFoundException:
        return None


def lifecycle_of(emulator: Emulator, repository: str) -> dict | None:
    ecr = emulator.ecr
    try:
        text = ecr.get_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"]
    except ecr.exceptions.LifecyclePolicyNotFoundException:
        return None
    return json.loads(text)


@contextlib.contextmanager
def killed_while_making(
    emulator: Emulator, operator: Operator, reviewer: Reviewer, repository: str, operation: str
) -> Iterator[None]:
    """kill -9 while `operation` hangs: ECR never sees it."""
    match = {"operation": operation, "name": repository, "userAgent": "berth*"}
    with (
        emulator.fault(match, cut="before"),
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        asked = pool.submit(reviewer.pod, image(emulator, repository), timeout_s=30)
        wait_for(lambda: any(f["acted"] for f in emulator.faults()), 10, f"{operation} is sent")
        operator.kill()
        with pytest.raises(OSError):
            asked.result()
    assert repository in emulator.repositories()
    yield


def test_a_crash_between_the_calls(kube, emulator, replicas, start):
    operator, reviewer = start("ann")
    with killed_while_making(emulator, operator, reviewer, "team/a", "SetRepositoryPolicy"):
        replicas.take("ann")
    make(emulator, "team/foreign", None)
    make(emulator, "team/other", "another-template")
    make(emulator, "team/theirs", "team")
    emulator.ecr.set_repository_policy(
        repositoryName="team/theirs", policyText=json.dumps(THEIRS)
    )
    start("ben")
    wait_for(lambda: is_whole(emulator, "team/a"), COMPLETED_S, "it is completed")
    wait_for(lambda: lifecycle_of(emulator, "team/theirs"), 20, "what is missing is put")
    assert policy_of(emulator, "team/theirs") == THEIRS
    for repository in ("team/foreign", "team/other", KNOWN):
        assert policy_of(emulator, repository) is None
        assert lifecycle_of(emulator, repository) is None
    wait_for(
        lambda: any(
            e["reason"] == "RepositoryCompleted" and "team/a " in e["note"]
            for e in kube.events_of(TEMPLATE, "team")
        ),
        10,
        "an event",
    )


def test_another_replica_completes_it(emulator, replicas, start):
    """Its own listing is older than the repository, and its next one is five minutes away."""
    operator, reviewer = start("ann")
    replicas.wait_leader(30)
    start("ben")
    with killed_while_making(emulator, operator, reviewer, "team/a", "PutLifecyclePolicy"):
        replicas.take("ann")
    wait_for(lambda: is_whole(emulator, "team/a"), COMPLETED_S, "the other completes it")


def test_what_a_template_has_since_got_is_not_brought_to_what_was_whole(
    kube, emulator, replicas, start
):
    """A lifecycle policy deletes images."""
    operator, reviewer = start("ann")
    kube.create(objects.template("plain"))
    kube.wait_ready(TEMPLATE, "plain")
    assert "was created" in reviewer.pod(image(emulator, "plain/a")).text
    operator.stop()
    replicas.take("ann")
    start("ben")
    kube.merge(TEMPLATE, "plain", {"spec": {"lifecyclePolicy": objects.lifecycle()}})
    wait_for(lambda: emulator.template("plain").get("lifecyclePolicy"), 20, "it is edited")
    make(emulator, "plain/b", "plain")  # from the edited one
    kube.annotate("RegistrySettings", "default", reconcile_requested_at="now")
    wait_for(lambda: lifecycle_of(emulator, "plain/b"), COMPLETED_S, "half-made, completed")
    holds_for(lambda: lifecycle_of(emulator, "plain/a") is None, 1, "whole without it")


def test_what_others_make_in_between_is_theirs(emulator, start):
    """After the look, before the creation."""
    _, reviewer = start("ann")
    match = {"operation": "CreateRepository", "userAgent": "berth*", "name": "team/a"}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with emulator.fault(match, delayMs=1500) as rule:
            asked = pool.submit(reviewer.pod, image(emulator, "team/a"))
            wait_for(
                lambda: any(f["id"] == rule and f["seen"] for f in emulator.faults()), 10, "it"
            )
            make(emulator, "team/a", None)
            answer = asked.result()
    assert answer.action == "Allow", answer
    assert policy_of(emulator, "team/a") is None
    assert lifecycle_of(emulator, "team/a") is None


def test_two_are_asked_for_the_same(emulator, start):
    """Each is made once, whole, and nobody's request fails."""
    both = [start("ann")[1], start("ben")[1]]
    match = {"operation": "CreateRepository", "userAgent": "berth*"}
    names = [f"team/r{i}" for i in range(10)]
    with emulator.fault(match, delayMs=100), concurrent.futures.ThreadPoolExecutor(40) as pool:
        asked = [
            pool.submit(r.pod, image(emulator, n), timeout_s=20)
            for n in names
            for r in both
            for _ in range(2)
        ]
        answers = [f.result() for f in asked]
    assert {a.status for a in answers} == {200}
    assert all(a.allowed and "was not" not in a.text for a in answers)
    calls = [r for r in emulator.operator_writes() if r.operation == "CreateRepository"]
    made = [r.body["repositoryName"] for r in calls if r.status == 200]
    assert sorted(made) == names
    assert {r.error for r in calls if r.status != 200} <= {"RepositoryAlreadyExistsException"}
    for name in names:
        wait_for(lambda n=name: is_whole(emulator, n), 20, "it is whole")
    puts = [r for r in emulator.operator_writes() if r.operation == "SetRepositoryPolicy"]
    assert len(puts) == len(names)


def test_half_of_them_are_restarted(emulator, replicas, start):
    """Those who stay answer on, and what the others had begun is made once and whole."""
    operator, first = start("ann")
    _, second = start("ben")
    match = {"operation": "PutLifecyclePolicy", "userAgent": "berth*"}
    names = [f"team/r{i}" for i in range(20)]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        with emulator.fault(match, delayMs=3000):
            asked = [
                pool.submit((first, second)[i % 2].pod, image(emulator, n), timeout_s=20)
                for i, n in enumerate(names)
            ]
            wait_for(lambda: len(emulator.repositories()) > len(names) // 2, 20, "they begin")
            code, _ = operator.process.stop(20)
        replicas.take("ann")
        answers = [f.result() for f in asked]
    assert code == 0
    operator.wait_exit()
    assert {a.status for a in answers} == {200}
    assert all(a.allowed for a in answers)
    start("cyd")
    for name in names:
        wait_for(lambda n=name: is_whole(emulator, n), COMPLETED_S, "it is whole")
    made = [
        r.body["repositoryName"]
        for r in emulator.operator_writes()
        if r.operation == "CreateRepository" and r.status == 200
    ]
    assert sorted(made) == sorted(names)
