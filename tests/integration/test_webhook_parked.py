# SPDX-License-Identifier: Apache-2.0
"""Workloads that wait for ECR: who names a repository that is known does not notice them, more than
can wait are answered at once, and so are all when what they wait for goes, or the operator does.
How many repositories a namespace can have made."""

import concurrent.futures
import contextlib
import signal
import statistics
from collections.abc import Iterator

import pytest

from berth_test import objects, reviews, webhook
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.operator import Operator
from berth_test.reviews import ACTIONS, KNOWN, PARKED, TIMEOUT_S, Answer, Reviewer, image
from berth_test.wait import SLOWNESS, wait_for

PARKED_MAX = 256


@pytest.fixture
def operator(kube, emulator, start_operator) -> Iterator[Operator]:
    reviews.prepare(kube, emulator)
    started = start_operator(config=webhook.config(), wait=False)
    reviews.wait_served(kube, emulator, started)
    yield started
    webhook.remove(kube)


@pytest.fixture
def reviewer(kube, emulator, operator) -> Reviewer:
    reviews.start_settings(kube, emulator)
    return reviews.wait_open(kube, emulator, operator)


# --- many that wait ------------------------------------------------------------------------------


def percentile(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def known_ones(emulator: Emulator, reviewer: Reviewer, count: int) -> list[Answer]:
    """One after the other: the time of each is its own."""
    answers = [reviewer.pod(f"{emulator.registry}/{KNOWN}") for _ in range(count)]
    assert {a.action for a in answers} == {"Allow"}
    assert {a.audit["source"] for a in answers} == {"snapshot"}
    return answers


@contextlib.contextmanager
def parked(
    emulator: Emulator, operator: Operator, reviewer: Reviewer, count: int, timeout_s: int
) -> Iterator[list[concurrent.futures.Future]]:
    """So many wait for a repository each, which ECR does not answer for."""
    match = {"operation": "DescribeRepositories", "name": "team/p*", "userAgent": "berth*"}
    pool = concurrent.futures.ThreadPoolExecutor(count)
    with emulator.fault(match, delayMs=timeout_s * 1000 + 30000):
        waiting = [
            pool.submit(
                reviewer.pod,
                image(emulator, f"team/p{i}"),
                namespace=ACTIONS[i % 3].lower(),
                timeout_s=timeout_s,
            )
            for i in range(count)
        ]
        wait_for(lambda: operator.metrics_of(PARKED) == count, 20, operator.log_text)
        yield waiting
        concurrent.futures.wait(waiting)
    pool.shutdown()


def test_known_repositories_do_not_notice(emulator, operator, reviewer):
    known_ones(emulator, reviewer, 50)  # warm
    before = percentile([a.seconds for a in known_ones(emulator, reviewer, 300)])
    with parked(emulator, operator, reviewer, 200, 10) as waiting:
        during = percentile([a.seconds for a in known_ones(emulator, reviewer, 300)])
        assert not any(f.done() for f in waiting), "all of them waited all the time"
    print(f"p99 of known repositories: {during / before:.2f} of the undisturbed")
    # a machine that is busy makes both slower, and its moments fall on one of them: one that waited
    # for ECR, or for a worker that does, would take seconds
    assert during < max(10 * before, 0.5 * SLOWNESS)
    for number, future in enumerate(waiting):
        answer = future.result()
        assert answer.action == ACTIONS[number % 3]
        assert answer.seconds < 10 * SLOWNESS


def test_more_than_can_wait_are_answered_at_once(emulator, operator, reviewer):
    with parked(emulator, operator, reviewer, PARKED_MAX, 10) as waiting:
        for action in ACTIONS:
            answer = reviewer.pod(image(emulator, "team/more"), namespace=action.lower())
            assert answer.action == action
            assert action == "Allow" or "too many requests wait for ECR" in answer.text
            assert answer.seconds < TIMEOUT_S / 2
        assert known_ones(emulator, reviewer, 5)
        assert not any(f.done() for f in waiting)
    assert {f.result().status for f in waiting} == {200}
    answer = reviewer.pod(image(emulator, "team/more"))
    assert "was created" in answer.text


# --- limits --------------------------------------------------------------------------------------


def test_creations_per_minute(kube, emulator, operator):
    admission = {
        "creationsPerMinute": 3,
        "rules": [{"prefixes": ["team/many/*"], "creationsPerMinute": 5}],
    }
    reviews.start_settings(kube, emulator, admission=admission)
    reviewer = reviews.wait_open(kube, emulator, operator)
    asked = [{"images": [image(emulator, f"team/r{i}")], "namespace": "one"} for i in range(10)]
    answers = reviewer.together(asked)
    made = [a for a in answers if "was created;" in a.text or "was created," in a.text]
    limited = [a for a in answers if "too many a minute in namespace one" in a.text]
    assert (len(made), len(limited)) == (3, 7)
    # an image that ECR refuses, or that is there, is none that was created
    assert reviewer.pod(f"{emulator.registry}/{KNOWN}", namespace="one").action == "Allow"
    asked = [
        {"images": [image(emulator, f"team/many/r{i}")], "namespace": "one"} for i in range(10)
    ]
    texts = [a.text for a in reviewer.together(asked)]
    assert sum("was created" in t and "not created" not in t for t in texts) == 5
    other = reviewer.pod(image(emulator, "team/of-another"), namespace="two")
    assert "was created" in other.text
    assert len(emulator.repositories()) == 1 + 3 + 5 + 1


# --- what changes while they wait ----------------------------------------------------------------


def test_the_registry_is_deleted_while_they_wait(kube, emulator, operator, reviewer):
    """It can be: the template that covers them is AWS's own."""
    kube.delete(TEMPLATE, "team")
    kube.wait_gone(TEMPLATE, "team")
    emulator.ecr.create_repository_creation_template(prefix="team", appliedFor=["CREATE_ON_PUSH"])
    kube.annotate(SETTINGS, "default", reconcile_requested_at="now")
    wait_for(
        lambda: "would be created" in reviewer.pod(image(emulator, "team/x"), dry_run=True).text,
        20,
        "AWS's own template covers it",
    )
    match = {"operation": "DescribeRepositories", "name": "team/*", "userAgent": "berth*"}
    with (
        emulator.fault(match, delayMs=60000),
        concurrent.futures.ThreadPoolExecutor(20) as pool,
    ):
        waiting = [
            pool.submit(
                reviewer.pod,
                image(emulator, f"team/w{i}"),
                namespace=ACTIONS[i % 3].lower(),
                timeout_s=25,
            )
            for i in range(20)
        ]
        wait_for(lambda: operator.metrics_of(PARKED) == 20, 10, "they wait")
        kube.delete(SETTINGS, "default")
        answers = [f.result() for f in waiting]
    # who may go on without ECR is told that nothing is made for them
    assert [a.action for a in answers] == [("Warn", "Deny", "Warn")[i % 3] for i in range(20)]
    assert all("RegistrySettings \"default\"" in a.text for a in answers)
    # what was asked for is cut: nobody waits for the end of their time
    assert max(a.seconds for a in answers) < 20
    assert set(emulator.repositories()) == {KNOWN}
    gone = reviewer.pod(image(emulator, "team/y"))
    assert gone.action == "Allow"  # nobody's registry


def test_the_template_is_edited_between_the_calls(kube, emulator, operator, reviewer):
    """What is made is of one version of its template."""
    match = {"operation": "SetRepositoryPolicy", "userAgent": "berth*"}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with emulator.fault(match, fail={"status": 500}):
            asked = pool.submit(reviewer.pod, image(emulator, "team/edited"), timeout_s=25)
            wait_for(lambda: "team/edited" in emulator.repositories(), 10, "it is made")
            kube.merge(TEMPLATE, "team", {"spec": {"lifecyclePolicy": objects.lifecycle(99)}})
            wait_for(lambda: "99 days" in emulator.template("team")["lifecyclePolicy"], 20, "edit")
        answer = asked.result()
    assert "was created" in answer.text
    policy = emulator.ecr.get_lifecycle_policy(repositoryName="team/edited")
    assert "14 days" in policy["lifecyclePolicyText"]
    later = reviewer.pod(image(emulator, "team/later"))
    assert "was created" in later.text
    policy = emulator.ecr.get_lifecycle_policy(repositoryName="team/later")
    assert "99 days" in policy["lifecyclePolicyText"]


def test_sigterm_while_they_wait(emulator, operator, reviewer):
    """Nobody's connection is cut."""
    with parked(emulator, operator, reviewer, 60, 6) as waiting:
        operator.process.signal(signal.SIGTERM)
        answers = [f.result() for f in waiting]
    assert {a.status for a in answers} == {200}
    assert [a.action for a in answers] == [ACTIONS[i % 3] for i in range(60)]
    assert operator.wait_exit() == 0


def test_more_images_than_are_looked_at(emulator, reviewer):
    """An object is never refused for its size: what is looked at is, and the rest is told."""
    many = [image(emulator, f"other/x{i}") for i in range(2100)]
    answer = reviewer.pod(*many, dry_run=True)
    assert (answer.status, answer.action) == (200, "Warn")
    assert "more than 2048 images: the rest was not looked at" in answer.warnings[0]
