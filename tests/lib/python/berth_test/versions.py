# SPDX-License-Identifier: Apache-2.0
"""Every version of one object, as a watch brings them: what was written, and how often."""

import contextlib
import copy
import json
import threading
from typing import Any

from berth_test.kube import Kube, condition_of
from berth_test.wait import wait_for


class Versions:
    """Records from its start on (also an object that does not exist yet) until it is closed."""

    def __init__(self, kube: Kube, kind: str, name: str) -> None:
        self._kube, self._kind, self._name = kube, kind, name
        self._seen: list[dict] = []
        self._lock = threading.Lock()
        self._watch = kube.watch(kind, name)
        self._since = self._watch.since
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Versions":
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.end()
        self._thread.join(10)

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._watch.lines:
                event = json.loads(line)
                with self._lock:
                    self._seen.append(event["object"])

    def now(self) -> list[dict]:
        """Those that came so far."""
        with self._lock:
            return list(self._seen)

    def all(self) -> list[dict]:
        """Including the present one."""

        def caught_up() -> bool:
            present = self._kube.get(self._kind, self._name)
            if present is None:
                return True
            wanted = int(present["metadata"]["resourceVersion"])
            seen = [int(o["metadata"]["resourceVersion"]) for o in self.now()]
            return wanted <= self._since or (bool(seen) and max(seen) >= wanted)

        wait_for(caught_up, 10, f"the watch of {self._kind} {self._name} has caught up")
        return self.now()

    def mark(self) -> None:
        """What came before is not shown any more."""
        self.all()
        with self._lock:
            if self._seen:
                self._since = int(self._seen[-1]["metadata"]["resourceVersion"])
            self._seen.clear()

    def of_condition(self, type_: str = "Ready") -> list[tuple[str, str]]:
        """The statuses and reasons of a condition, one after the other; repetitions count once."""
        found: list[tuple[str, str]] = []
        for obj in self.all():
            condition = condition_of(obj, type_)
            value = (condition.get("status", ""), condition.get("reason", ""))
            if condition and (not found or found[-1] != value):
                found.append(value)
        return found


def assert_each_says_something_new(versions: list[dict]) -> None:
    """No write that changes nothing but the resourceVersion."""
    for before, after in zip(versions, versions[1:]):
        assert _content(before) != _content(after), f"written without a change: {after}"


def _content(obj: dict) -> dict[str, Any]:
    content = copy.deepcopy(obj)
    for field in ("resourceVersion", "managedFields"):
        content["metadata"].pop(field, None)
    return content
