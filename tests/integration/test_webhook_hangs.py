# SPDX-License-Identifier: Apache-2.0
"""ECR hangs while workloads wait for it, at one call or another: each is answered in time with what
onError says, and the repository is there, whole, when ECR answers again."""

from collections.abc import Iterator

import pytest

from berth_test import ecr_faults, reviews, webhook
from berth_test.ecr_faults import CALLS, IS_PENDING, Fault
from berth_test.operator import Operator
from berth_test.reviews import Reviewer

FAULTS = (
    Fault("hangs", CALLS, {"delayMs": 600000}, "answer in time"),
    Fault("hangs-creating", CALLS[1:], {"delayMs": 600000}, IS_PENDING, denied_is_made=True),
    Fault("hangs-at-policy", CALLS[2:], {"delayMs": 600000}, IS_PENDING, denied_is_made=True),
)


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
