# SPDX-License-Identifier: Apache-2.0
"""The recorded versions of one object in their order, who wrote them, and how they are shown."""

import copy
import dataclasses
import datetime
import json
from typing import Any

STATUS_MANAGER = "berth-operator-status"
OPERATOR_MANAGERS = "berth-operator"  # how their names begin


@dataclasses.dataclass(frozen=True)
class Version:
    """One line of a watch, or one object of a list that came in its place."""

    type: str  # ADDED, MODIFIED, DELETED
    obj: dict
    at: float  # time.time() when it came
    is_after_gap: bool = False  # versions before it may be missing

    @property
    def meta(self) -> dict:
        return self.obj["metadata"]

    @property
    def status(self) -> dict:
        return self.obj.get("status") or {}

    @property
    def generation(self) -> int:
        return self.meta.get("generation", 0)

    @property
    def observed(self) -> int | None:
        return self.status.get("observedGeneration")

    @property
    def conditions(self) -> dict[str, dict]:
        return {c.get("type", ""): c for c in self.status.get("conditions") or []}

    @property
    def is_deleting(self) -> bool:
        return "deletionTimestamp" in self.meta

    def managers(self) -> dict[tuple[str, str], str]:
        """Who owns what: (manager, subresource) to the entry as text."""
        return {
            (e.get("manager", ""), e.get("subresource", "")): json.dumps(e, sort_keys=True)
            for e in self.meta.get("managedFields") or []
        }

    def status_written(self) -> float | None:
        """When the operator's status was written, by the server's clock; whole seconds."""
        for entry in self.meta.get("managedFields") or []:
            if entry.get("manager") == STATUS_MANAGER and entry.get("subresource") == "status":
                return seconds(entry.get("time"))
        return None

    def content(self) -> Any:
        """What says something: without resourceVersion and managedFields; the order of lists does
        not count where the list is a set or a map."""
        content = copy.deepcopy(self.obj)
        for field in ("resourceVersion", "managedFields"):
            content["metadata"].pop(field, None)
        return _sorted(content)


def seconds(text: str | None) -> float | None:
    """Of RFC 3339 in UTC; None where it is none."""
    try:
        return datetime.datetime.fromisoformat((text or "").replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def same(a: Any, b: Any) -> bool:
    """Do two values of a status say the same?"""
    return _sorted(a) == _sorted(b)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _sorted(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(v) for v in value), key=lambda v: json.dumps(v, sort_keys=True))
    return value


class Timeline:
    """All versions of one uid."""

    def __init__(self, versions: list[Version]) -> None:
        self.versions = versions
        self.writers = _writers(versions)

    @property
    def kind(self) -> str:
        return self.versions[0].obj.get("kind", "")

    @property
    def name(self) -> str:
        return self.versions[0].meta["name"]

    def pairs(self) -> list[tuple[Version, Version]]:
        """Neighbours between which nothing is missing, without the end of the object."""
        return [
            (a, b)
            for a, b in zip(self.versions, self.versions[1:])
            if not b.is_after_gap and b.type != "DELETED"
        ]

    def is_foreign(self, version: Version) -> bool:
        """Was its status written by somebody else than the operator?"""
        return self.writers[id(version)] == "other"

    def status_writes(self) -> list[Version]:
        """Versions with another status than the one before."""
        return [b for a, b in self.pairs() if not same(a.status, b.status)]

    def show(self) -> str:
        lines = [f"{self.kind} {self.name}:"]
        for i, version in enumerate(self.versions):
            before = self.versions[i - 1] if i else None
            lines.append(f"  {i:3} {_line(version, before)}")
        return "\n".join(lines)


def _writers(versions: list[Version]) -> dict[int, str]:
    found: dict[int, str] = {}
    writer = ""
    for i, version in enumerate(versions):
        now = version.managers()
        before = versions[i - 1].managers() if i else {}
        changed = {m for (m, sub), text in now.items()
                   if sub == "status" and before.get((m, sub)) != text}  # fmt: skip
        if STATUS_MANAGER in changed:
            writer = "operator"
        elif changed:
            writer = "other"
        found[id(version)] = writer
    return found


def _line(version: Version, before: Version | None) -> str:
    clock = datetime.datetime.fromtimestamp(version.at, datetime.timezone.utc)
    words = [
        clock.strftime("%H:%M:%S.%f")[:-3],
        version.type + (" (after a gap)" if version.is_after_gap else ""),
        f"rv={version.meta.get('resourceVersion')}",
        f"generation={version.generation}/{version.observed}",
    ]
    if version.is_deleting:
        words.append("deleting")
    for c in version.status.get("conditions") or []:
        words.append(
            f"{c.get('type')}={c.get('status')}/{c.get('reason')}"
            f"(g{c.get('observedGeneration')} {str(c.get('lastTransitionTime'))[11:19]})"
        )
    if before is not None:
        changed = [
            k for k in sorted(version.status.keys() | before.status.keys())
            if version.status.get(k) != before.status.get(k)
        ]  # fmt: skip
        words.append(f"status: {', '.join(changed) or 'same'}")
        old, new = before.meta, version.meta
        other = [k for k in ("annotations", "finalizers", "labels") if old.get(k) != new.get(k)]
        words += [f"{k} changed" for k in other]
    return " ".join(words)
