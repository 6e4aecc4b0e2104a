# SPDX-License-Identifier: Apache-2.0
"""What ECR can do to the webhook while a workload waits, and what must come of it in any case."""

import contextlib
import dataclasses
from collections.abc import Iterator

from berth_test.emulator import Emulator
from berth_test.operator import Operator
from berth_test.reviews import ACTIONS, KNOWN, PARKED, TIMEOUT_S, Reviewer, image, is_whole
from berth_test.wait import SLOWNESS, wait_for

CALLS = ("DescribeRepositories", "CreateRepository", "SetRepositoryPolicy", "PutLifecyclePolicy")
IS_PENDING = "is still being created"


@dataclasses.dataclass(frozen=True)
class Fault:
    """effect: of calls of ours to these operations. says: the answer, where what was begun does not
    go on. denied_is_made: also where the answer is a denial, because ECR could be asked, and what
    was begun goes on; else nothing was begun."""

    name: str
    operations: tuple[str, ...]
    effect: dict
    says: str
    is_made: bool = True
    denied_is_made: bool = False


@contextlib.contextmanager
def in_force(emulator: Emulator, fault: Fault) -> Iterator[None]:
    """The listings of the registry's own thread name no repository and go on."""
    with contextlib.ExitStack() as stack:
        for operation in fault.operations:
            match = {"operation": operation, "userAgent": "berth* admission/*", "name": "team/*"}
            stack.enter_context(emulator.fault(match, **fault.effect))
        yield


def check(emulator: Emulator, operator: Operator, reviewer: Reviewer, fault: Fault) -> None:
    """A workload in each namespace, side by side."""
    repositories = {a: f"team/{fault.name}-{a.lower()}" for a in ACTIONS}
    with in_force(emulator, fault):
        answers = reviewer.together(
            [
                {"images": [image(emulator, repositories[a])], "namespace": a.lower()}
                for a in ACTIONS
            ]
        )
    for action, answer in zip(ACTIONS, answers, strict=True):
        assert answer.status == 200
        assert answer.seconds < TIMEOUT_S * SLOWNESS, answer
        if fault.name != "loses-answers":  # found again in time
            assert answer.action == action, answer
            texts = (fault.says, IS_PENDING) if fault.is_made else (fault.says,)
            assert action == "Allow" or any(t in answer.text for t in texts), answer
    made = [a for a in ACTIONS if fault.is_made and (a != "Deny" or fault.denied_is_made)]
    for action in made:
        wait_for(
            lambda a=action: is_whole(emulator, repositories[a]), 40, lambda: operator.log_text()
        )
    assert {repositories[a] for a in made} | {KNOWN} == set(emulator.repositories())
    for action in made:  # nobody else's calls; once each that was heard
        made_by = [
            r
            for r in emulator.operator_writes()
            if r.operation == "CreateRepository"
            and r.status == 200
            and r.body["repositoryName"] == repositories[action]
        ]
        assert len(made_by) <= 1
    assert operator.metrics_of(PARKED) == 0
