# SPDX-License-Identifier: Apache-2.0
"""Is what the operators did explained by what the soak did? Over the emulator's log of requests,
entry by entry. Pure: it is given the log and the model, and returns complaints."""

import dataclasses

from model import FOREIGN, HELD_FROM_S, PLAIN, REBUILT, REFUSED, Entry, Model, canonical

from berth_test import model as ecr_model
from berth_test import objects
from berth_test.emulator import Request

CREATE = "CreateRepositoryCreationTemplate"
UPDATE = "UpdateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"
PUT = "PutAccountSetting"


@dataclasses.dataclass(frozen=True)
class Seen:
    """A request and when the emulator saw it; `registry` tells the emulators apart."""

    when: float
    request: Request
    registry: str = "default"


class Judge:
    """Fed with the log in order; `complaints` grows."""

    def __init__(self, world: Model) -> None:
        self._model = world
        self._makers: dict[str, str] = {}  # prefix to "us", "them"; not known after a gap
        self._writer = ""
        self.switches = 0  # of who writes
        self.writes = 0
        self.refused_writes = 0
        self.complaints: list[str] = []

    def gap(self) -> None:
        """Entries of the log were lost."""
        self._makers.clear()

    def feed(self, seen: Seen, settings: list[dict]) -> None:
        """settings: every spec.accountSettings that was ever declared."""
        r = seen.request
        if r.api != "ecr" or r.body is None:  # a connection that broke before anything was read
            return
        if r.is_ours:
            for problem in ecr_model.problems(r):
                self._complain(seen, f"ECR's model refuses it: {problem}")
        if not r.is_write:
            return
        if r.is_ours:
            self._feed_ours(seen, settings)
        if r.status == 200 and r.operation in (CREATE, DELETE):
            self._note_maker(seen)

    def _complain(self, seen: Seen, why: str) -> None:
        r = seen.request
        self.complaints.append(
            f"{seen.when:.3f} {r.operation} {r.body} by {r.key_id} ({r.status}): {why}"
        )

    def _feed_ours(self, seen: Seen, settings: list[dict]) -> None:
        r = seen.request
        self.writes += 1
        self.refused_writes += r.status >= 400
        if seen.registry == "default" and r.key_id != self._writer:
            self.switches += self._writer != ""
            self._writer = r.key_id
        if seen.registry == "default" and self._is_registry_held(seen.when):
            self._complain(seen, "the registry is paused or read-only")
        if r.operation == PUT:
            self._judge_setting(seen, settings)
        elif r.operation in (CREATE, UPDATE):
            self._judge_state(seen)
        elif r.operation == DELETE:
            self._judge_delete(seen)
        else:
            self._complain(seen, "Berth has no use for this operation")

    def _is_registry_held(self, when: float) -> bool:
        return any(h.surely_holds_at(when) for h in self._model.registry_held)

    def _entries(self, seen: Seen) -> list[Entry]:
        prefix = seen.request.body.get("prefix", "").rstrip("/")
        entries = self._model.entries if seen.registry == "default" else self._model.spare
        return [e for e in entries.values() if e.prefix == prefix]

    def _judge_setting(self, seen: Seen, settings: list[dict]) -> None:
        body = seen.request.body
        ours = {"BLOB_MOUNTING": "blobMounting"}.get(body.get("name", ""))
        if not any(s.get(ours) == body.get("value") for s in settings if ours):
            self._complain(seen, "no version of the RegistrySettings says so")

    def _judge_state(self, seen: Seen) -> None:
        """It must be what a version of the spec says that held then or a moment before."""
        entries = self._entries(seen)
        if not entries:
            return self._complain(seen, "no object is for this prefix")
        sent = canonical(seen.request.body)
        fitting = [
            v
            for e in entries
            for v in e.versions
            if v.was_known_at(seen.when)
            and v.is_valid
            and canonical(objects.aws_template(v.spec)) == sent
        ]
        if not fitting:
            self._complain(seen, "it is what no object said then")
        self._judge_held(seen, entries)
        is_done = seen.request.status == 200
        if is_done and all(e.kind == REFUSED for e in entries):
            self._complain(seen, "the template is somebody else's")

    def _judge_delete(self, seen: Seen) -> None:
        """Its object was deleted and wanted that, and it is a template that Berth may delete."""
        entries = self._entries(seen)
        last = [
            [v for v in e.versions if v.until in e.deleted and v.until <= seen.when][-1:]
            for e in entries
        ]
        allowed = any(v.may_delete for versions in last for v in versions)
        if not allowed:
            return self._complain(seen, "no object that was deleted wants that")
        self._judge_held(seen, entries)
        kinds = {e.kind for e in entries}
        prefix = entries[0].prefix
        if seen.request.status != 200:
            return None
        if kinds & {FOREIGN, REFUSED}:
            return self._complain(seen, "the template is somebody else's")
        if REBUILT in kinds and self._makers.get(prefix) == "them":
            return self._complain(seen, "somebody else made this one")
        return None

    def _judge_held(self, seen: Seen, entries: list[Entry]) -> None:
        """Only where the prefix has one object: else another one may be what it is done for."""
        if len(entries) == 1 and any(h.surely_holds_at(seen.when) for h in entries[0].held):
            self._complain(seen, f"paused or read-only for more than {HELD_FROM_S} s")

    def _note_maker(self, seen: Seen) -> None:
        for entry in self._entries(seen):
            if seen.request.operation == DELETE:
                self._makers.pop(entry.prefix, None)
            else:
                self._makers[entry.prefix] = "us" if seen.request.is_ours else "them"


def complaints_at_the_end(world: Model, templates: dict[str, dict]) -> list[str]:
    """AWS's templates by prefix against the specs and the templates of others."""
    found = []
    seen = {prefix: canonical(t) for prefix, t in templates.items()}
    for prefix, template in world.foreign.items():
        if templates.get(prefix) != template:
            found.append(
                f"{prefix} is not Berth's and was {template}, AWS has {templates.get(prefix)}"
            )
    for prefix in sorted(world.prefixes() - set(world.foreign)):
        live, wanted = world.live(prefix), world.wanted(prefix)
        if world.must_be_absent(prefix):
            if prefix in seen:
                found.append(f"{prefix}: its object is gone, AWS still has {seen[prefix]}")
        elif live and wanted and len(wanted) == len(live) and seen.get(prefix) not in wanted:
            held = differences_of(wanted, seen.get(prefix))
            found.append(f"{prefix}: AWS is not as {[e.name for e in live]} says: {held}")
    known = world.prefixes() | set(world.foreign)
    found += [f"{prefix}: nobody asked for it" for prefix in sorted(set(seen) - known)]
    return found


def differences_of(wanted: list[dict], seen: dict | None) -> str:
    if seen is None:
        return "AWS has none"
    return " or ".join(
        ", ".join(f"{k}: wanted {w[k]!r}, AWS has {seen[k]!r}" for k in w if w[k] != seen[k])
        for w in wanted
    )


def expected_reasons(entry: Entry, world: Model) -> set[str]:
    """Of Ready at the end; "Available" is Ready=True."""
    if not entry.is_valid:
        return {"InvalidSpec"}
    if entry.kind == REFUSED:
        return {"AlreadyExists"}
    if entry.kind == PLAIN or len(world.live(entry.prefix)) == 1:
        return {"Available"}
    return {"Available", "Conflict"}
