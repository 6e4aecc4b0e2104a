# SPDX-License-Identifier: Apache-2.0
"""What the tests did that may change what the operator says: programs started, signalled and
stopped, rules of the emulator, changes in its ECR. The recorder asks it whether a condition that
went and came back had a reason to."""

import dataclasses
import threading
import time


@dataclasses.dataclass
class Cause:
    what: str
    began: float  # time.time()
    ended: float | None  # None: it still holds (a rule of the emulator)
    owner: object = None

    def holds_in(self, start: float, end: float) -> bool:
        return self.began <= end and (self.ended is None or self.ended >= start)


_lock = threading.Lock()
_causes: list[Cause] = []
_MOST = 100_000


def note(what: str) -> None:
    """Something that is done at this moment. Call it before doing it."""
    now = time.time()
    _add(Cause(what, now, now))


def begin(what: str, owner: object) -> None:
    """Something that goes on until end(owner)."""
    _add(Cause(what, time.time(), None, owner))


def end(owner: object) -> None:
    """Everything that owner began is over; that is a cause itself."""
    now = time.time()
    with _lock:
        for cause in _causes:
            if cause.ended is None and cause.owner is owner:
                cause.ended = now


def all_causes() -> list[Cause]:
    """In the order of their beginnings."""
    with _lock:
        return list(_causes)


def _add(cause: Cause) -> None:
    with _lock:
        _causes.append(cause)
        del _causes[:-_MOST]
