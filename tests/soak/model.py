# SPDX-License-Identifier: Apache-2.0
"""What the soak did, and what therefore must hold in AWS: the objects with every version of their
specs, the templates of others, and when what was paused. It knows Berth's documented rules and none
of its code."""

import dataclasses
import json
import random
from typing import Any

from berth_test import objects

# what a prefix is used for
PLAIN = "plain"  # one object at a time; foreign edits and deletions of the template
CONTESTED = "contested"  # several objects for one prefix
ADOPTED = "adopted"  # a template was there before the object, which takes it over
REFUSED = "refused"  # the same, and the object may not
FOREIGN = "foreign"  # a template that no object is for
REBUILT = "rebuilt"  # others delete the template and make it again
SPARE = "spare"  # of the other registry, which comes and goes as a whole
SPARE_TEMPLATES = 5

INVALID_LIFECYCLE = '{"rules":[]}'
# how old what an operator acts by may be: a watch that lags, a call that hangs
LAG_S = 45.0
# after this time an operator that runs must have seen an annotation
HELD_FROM_S = 15.0


def canonical(template: dict) -> dict:
    """A template as AWS shows it, or the request that makes it, where only the meaning counts."""
    encryption = {k: v for k, v in (template.get("encryptionConfiguration") or {}).items() if v}
    result: dict[str, Any] = {
        "prefix": template["prefix"].rstrip("/"),
        "appliedFor": sorted(template.get("appliedFor") or []),
        "description": template.get("description") or "",
        "customRoleArn": template.get("customRoleArn") or "",
        "imageTagMutability": template.get("imageTagMutability") or "MUTABLE",
        "filters": sorted(
            f["filter"] for f in template.get("imageTagMutabilityExclusionFilters") or []
        ),
        "encryption": encryption or {"encryptionType": "AES256"},
        "tags": {t["Key"]: t["Value"] for t in template.get("resourceTags") or []},
    }
    for name in ("repositoryPolicy", "lifecyclePolicy"):
        result[name] = json.loads(template.get(name) or "null")
    return result


@dataclasses.dataclass
class Version:
    """A spec from `since` until `until`; None: it still holds."""

    spec: dict
    since: float
    until: float | None = None

    @property
    def is_valid(self) -> bool:
        return self.spec.get("lifecyclePolicy") != INVALID_LIFECYCLE

    @property
    def may_delete(self) -> bool:
        return self.spec.get("deletionPolicy") != "Retain"

    def was_known_at(self, when: float) -> bool:
        return self.since <= when and (self.until is None or when <= self.until + LAG_S)


@dataclasses.dataclass
class Held:
    """Paused or read-only for a time."""

    annotation: str
    since: float
    until: float | None = None

    def surely_holds_at(self, when: float) -> bool:
        return self.since + HELD_FROM_S < when and (self.until is None or when < self.until)


@dataclasses.dataclass
class Entry:
    """One name of an object, which comes and goes."""

    name: str
    prefix: str
    kind: str
    versions: list[Version] = dataclasses.field(default_factory=list)
    held: list[Held] = dataclasses.field(default_factory=list)
    is_live: bool = False
    deleted: list[float] = dataclasses.field(default_factory=list)

    @property
    def spec(self) -> dict:
        return self.versions[-1].spec

    @property
    def is_valid(self) -> bool:
        return self.versions[-1].is_valid

    def is_held(self, annotation: str | None = None) -> bool:
        return any(
            h.until is None and annotation in (None, h.annotation) for h in self.held
        )

    def begin(self, spec: dict, now: float) -> None:
        if not self.is_live:
            self.unhold(now)
        if self.versions and self.versions[-1].until is None:
            self.versions[-1].until = now
        self.versions.append(Version(spec, now))
        self.is_live = True

    def end(self, now: float) -> None:
        self.versions[-1].until = now
        self.is_live = False
        self.deleted.append(now)

    def hold(self, annotation: str, now: float) -> None:
        self.held.append(Held(annotation, now))

    def unhold(self, now: float) -> None:
        for h in self.held:
            h.until = now if h.until is None else h.until


class Model:
    """Entries by name; prefixes of others with what they hold."""

    def __init__(self, rng: random.Random, count: int) -> None:
        self._rng = rng
        self._serial = 0
        self.entries: dict[str, Entry] = {}
        self.foreign: dict[str, dict] = {}  # prefix to AWS's template, as it must stay
        # prefixes where a deletion may have left the template, as documented (see forget())
        self.uncertain: set[str] = set()
        self.registry_held: list[Held] = []
        spare = [f"{SPARE}-{i}" for i in range(SPARE_TEMPLATES)]
        self.spare = {name: Entry(name, name, SPARE) for name in spare}
        small = max(count // 20, 3)
        for i in range(count - 3 * (small // 2) - 3 * small):
            prefix = f"plain-{i}" if i % 3 else f"team-{i % 10}/app-{i}"
            self._add(f"plain-{i}", prefix, PLAIN)
        for i in range(small):
            self._add(f"adopted-{i}", f"adopted-{i}", ADOPTED)
            self._add(f"refused-{i}", f"refused-{i}", REFUSED)
            self._add(f"rebuilt-{i}", f"rebuilt-{i}", REBUILT)
        for i in range(small // 2):
            for who in "abc":
                self._add(f"contested-{i}-{who}", f"contested-{i}", CONTESTED)

    def _add(self, name: str, prefix: str, kind: str) -> None:
        self.entries[name] = Entry(name, prefix, kind)

    # --- choosing --------------------------------------------------------------------------------

    def choose(self, *kinds: str, is_live: bool | None = None) -> Entry | None:
        found = [
            e
            for e in self.entries.values()
            if e.kind in kinds and (is_live is None or e.is_live == is_live)
        ]
        return self._rng.choice(found) if found else None

    def live(self, prefix: str) -> list[Entry]:
        return [e for e in self.entries.values() if e.prefix == prefix and e.is_live]

    def prefixes(self) -> set[str]:
        return {e.prefix for e in self.entries.values()}

    def new_spec(self, entry: Entry) -> dict:
        """A valid one, whose description tells it from all others."""
        rng = self._rng
        self._serial += 1
        more: dict[str, Any] = {"description": f"{entry.name} {self._serial}"}
        if rng.random() < 0.4:
            more["lifecyclePolicy"] = objects.lifecycle(rng.randint(1, 365), rng.randint(1, 999))
        if rng.random() < 0.3:
            more["repositoryPolicy"] = objects.policy(f"{rng.randint(0, 10**12 - 1):012}")
        if rng.random() < 0.4:
            more["imageTagMutability"] = rng.choice(["MUTABLE", "IMMUTABLE"])
        elif rng.random() < 0.3:
            more["imageTagMutability"] = "IMMUTABLE_WITH_EXCLUSION"
            more["imageTagMutabilityExclusionFilters"] = [
                {"filterType": "WILDCARD", "filter": f"dev-{i}*"} for i in range(rng.randint(1, 5))
            ]
        if rng.random() < 0.3:
            more["customRoleARN"] = objects.ROLE
            more["resourceTags"] = [
                {"key": f"k{i}", "value": str(rng.randint(0, 99))} for i in range(rng.randint(1, 4))
            ]
        applied = ["CREATE_ON_PUSH", "PULL_THROUGH_CACHE", "REPLICATION"]
        more["appliedFor"] = sorted(rng.sample(applied, rng.randint(1, 3)))
        policy = rng.choice([None, None, "Delete", "Retain"])
        if entry.kind == PLAIN and policy:
            more["deletionPolicy"] = policy
        if entry.kind == CONTESTED:
            more["deletionPolicy"] = "Delete"
        more["adoptionPolicy"] = {REFUSED: rng.choice(["Never", "IfEqual"])}.get(
            entry.kind, "Always"
        )
        if entry.kind == PLAIN and entry.prefix not in self.uncertain:
            del more["adoptionPolicy"]
        return objects.template(entry.name, entry.prefix, **more)["spec"]

    # --- what is certain -------------------------------------------------------------------------

    def is_registry_held(self, annotation: str, now: float) -> bool:
        """Now or just before."""
        return any(
            h.annotation == annotation and (h.until is None or now < h.until + HELD_FROM_S)
            for h in self.registry_held
        )

    def forget(self, entry: Entry, has_finalizer: bool, now: float) -> None:
        """The object is deleted. Where the rules say that AWS is not called, or where nobody can
        say whether it is (without a finalizer, while read-only), the template may stay."""
        read_only = entry.is_held("read-only") or self.is_registry_held("read-only", now)
        policy = entry.spec.get("deletionPolicy")
        entry.end(now)  # a paused one stays until it is paused no more
        if not has_finalizer or read_only or policy == "Retain":
            self.uncertain.add(entry.prefix)
        elif policy == "Delete" and not self.live(entry.prefix):
            self.uncertain.discard(entry.prefix)

    def wanted(self, prefix: str) -> list[dict]:
        """What AWS may hold there, of a prefix with objects: one per object that may have won.
        Empty: nothing certain, or nothing at all (must_be_absent)."""
        return [
            canonical(objects.aws_template(e.spec)) for e in self.live(prefix) if e.is_valid
        ]

    def must_be_absent(self, prefix: str) -> bool:
        kinds = {e.kind for e in self.entries.values() if e.prefix == prefix}
        certain = not kinds & {ADOPTED, REFUSED, REBUILT}
        return certain and not self.live(prefix) and prefix not in self.uncertain
