# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition with a deadline."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.05
# how many times slower than usual everything is (under a sanitizer: scripts/check.sh)
SLOWNESS = float(os.environ.get("BERTH_TEST_SLOWNESS", "1"))


class Timeout(AssertionError):
    """A condition did not hold in time; the message says which, and what was seen last."""


def wait_for(
    condition: Callable[[], T],
    deadline_s: float = 30.0,
    describe: str | Callable[[], str] = "the condition",
    poll_s: float = POLL_S,
) -> T:
    """Calls condition until it returns something true, and returns that.

    An AssertionError that condition raises counts as "not yet" and is what is shown at the end;
    any other exception is passed on at once.
    """
    deadline_s *= SLOWNESS
    end = time.monotonic() + deadline_s
    while True:
        error = None
        try:
            value = condition()
            if value:
                return value
        except AssertionError as e:
            error = e
        if time.monotonic() >= end:
            what = describe if isinstance(describe, str) else describe()
            detail = f": {error}" if error else ""
            raise Timeout(f"after {deadline_s:g} s still waiting for {what}{detail}") from error
        time.sleep(poll_s)


def holds_for(condition: Callable[[], bool], seconds: float, describe: str) -> None:
    """Fails as soon as condition is false; for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            raise AssertionError(f"{describe} did not hold for {seconds:g} s")
        time.sleep(POLL_S)
