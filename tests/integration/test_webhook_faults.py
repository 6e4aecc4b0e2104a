# SPDX-License-Identifier: Apache-2.0
"""ECR is slow, throttles, denies, is down or answers garbage while workloads wait for it: each is
answered in time with what onError says, and the repository is there afterwards where it can be."""

from collections.abc import Iterator

import pytest

from berth_test import ecr_faults, reviews, webhook
from berth_test.ecr_faults import CALLS, IS_PENDING, Fault
from berth_test.operator import Operator
from berth_test.reviews import Reviewer, image, is_whole

FAULTS = [
    Fault("slow", CALLS, {"delayMs": 2000}, IS_PENDING, denied_is_made=True),
    Fault("throttles", CALLS, {"fail": {"status": 400, "type": "ThrottlingException"}},
          "ThrottlingException"),
    Fault("fails", CALLS[1:], {"fail": {"status": 500}}, IS_PENDING, denied_is_made=True),
    Fault("denies", CALLS[1:2], {"deny": {"action": "ecr:CreateRepository"}},
          "CreateRepository: AccessDeniedException", is_made=False),
    Fault("is-down", CALLS, {"cut": "before"}, "DescribeRepositories"),
    Fault("loses-answers", CALLS[1:2], {"cut": "after"}, "", denied_is_made=True),
    # what is asked is done, only the answer is unclear
    Fault("html", CALLS, {"garbage": "html"}, IS_PENDING, denied_is_made=True),
    Fault("truncated", CALLS, {"garbage": "truncated-json"}, IS_PENDING, denied_is_made=True),
]  # fmt: skip


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


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_what_ecr_does_to_us_is_answered_in_time(emulator, operator, reviewer, fault):
    ecr_faults.check(emulator, operator, reviewer, fault)


def test_a_repository_that_is_not_shown_at_once(emulator, reviewer):
    """RepositoryNotFound for what we have just made, as often as it takes."""
    for number, operation in enumerate(("SetRepositoryPolicy", "PutLifecyclePolicy")):
        match = {"operation": operation, "userAgent": "berth*", "count": 3}
        effect = {"status": 400, "type": "RepositoryNotFoundException"}
        with emulator.fault(match, fail=effect):
            answer = reviewer.pod(image(emulator, f"team/lag{number}"), timeout_s=20)
        assert "was created" in answer.text, answer
        assert is_whole(emulator, f"team/lag{number}")


def test_reads_that_are_behind(emulator, reviewer):
    """ECR answers as it would have five seconds ago: what we made is not made twice, and not taken
    for missing."""
    match = {"operation": "DescribeRepositories", "userAgent": "berth*"}
    with emulator.fault(match, stale={"ms": 5000}):
        first = reviewer.pod(image(emulator, "team/stale"))
        assert "was created" in first.text
        again = reviewer.together([{"images": [image(emulator, "team/stale")]}] * 8)
    assert {a.action for a in again} == {"Allow"}
    creates = [r for r in emulator.operator_writes() if r.operation == "CreateRepository"]
    assert len(creates) == 1
