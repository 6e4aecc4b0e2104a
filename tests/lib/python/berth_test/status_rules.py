# SPDX-License-Identifier: Apache-2.0
"""What must hold of every status that was ever seen, and of each change: the invariants FAIL0001 to
FAIL0011 of fluxcd/pkg runtime/conditions/check, kstatus, and what docs/architecture.md promises.

Each rule takes a Timeline and yields what is wrong, as sentences. Rules know nothing of the
operator's sources: they judge by the objects alone."""

import re
from collections.abc import Callable, Iterator

from berth_test.causes import Cause
from berth_test.kube import FINALIZER, SETTINGS, TEMPLATE
from berth_test.timeline import OPERATOR_MANAGERS, Timeline, Version, same, seconds
from berth_test.wait import SLOWNESS

COUNTS = {
    SETTINGS: {"templates", "repositories", "blobMounting"},
    TEMPLATE: {"repositories"},
}
COUNTS_EVERY_S = 30.0
LATENCY_S = 2.0 * SLOWNESS  # of a watch, and of a write after it was decided
CAUSE_S = 0.5 * SLOWNESS  # a cause may be that much older than what was said before it
WRITE_MOST_S = 5.0 * SLOWNESS  # deciding to having written, while nobody disturbs
MESSAGE_MOST = 32768
OBSERVED_MOST_BYTES = 256
UNMANAGED_MOST = 20
ALWAYS = ("Ready", "Synced")
ABNORMAL = ("Reconciling", "Stalled")
NOT_SEEN = {"observedGeneration": -1}
CAMEL_CASE = re.compile(r"[A-Z][A-Za-z0-9]*")
# what may stand in no text that people read
SECRETS = re.compile(
    r"(AKIA|ASIA)[A-Z0-9]{12,}|X-Amz-(Security-Token|Signature)|Signature=|aws_secret|Bearer "
    r"|-----BEGIN|not-a-real-secret|(?i:password|secretaccesskey)"
)


class Context:
    """What rules need to know beside the object: causes, the reasons that are documented, and
    the other objects' timelines."""

    def __init__(
        self,
        documented: set[str],
        causes: list[Cause] = (),
        others: list[Timeline] = (),
        secrets: list[str] = (),
    ) -> None:
        self.documented = documented
        self.causes = list(causes)
        self.others = list(others)
        self.secrets = [s for s in secrets if s]

    def holds_secret(self, text: str) -> bool:
        return bool(SECRETS.search(text)) or any(s in text for s in self.secrets)

    def was_disturbed(self, start: float, end: float) -> bool:
        """Did a test stop or cut something that a write needs?"""
        return any(
            c.holds_in(start, end) and (c.what.startswith("signal") or is_of_the_wire(c))
            for c in self.causes
        )

    def has_process_changed(self, start: float, end: float) -> bool:
        """Did an operator start or end, or another one begin to lead?"""
        return any(
            start <= c.began <= end and ("berth-operator" in c.what or c.what.startswith("leader"))
            for c in self.causes
        )


def is_of_the_wire(cause: Cause) -> bool:
    """Answers of the API server may have been lost: what was sent is sent again."""
    is_signal = cause.what.startswith("signal") and cause.what.endswith("kube-apiserver")
    return is_signal or cause.what.startswith("cut:")


# --- kstatus, as Flux, Argo and Helm 4 compute it ------------------------------------------------


def kstatus(obj: dict) -> str:
    """The order of cli-utils pkg/kstatus/status for a kind that it does not know."""
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    status = obj.get("status") or {}
    observed = status.get("observedGeneration")
    if observed is not None and observed != obj["metadata"].get("generation"):
        return "InProgress"
    conditions = status.get("conditions") or []
    for c in conditions:
        if c.get("type") == "Reconciling" and c.get("status") == "True":
            return "InProgress"
        if c.get("type") == "Stalled" and c.get("status") == "True":
            return "Failed"
    for c in conditions:
        if c.get("type") == "Ready":
            return "Current" if c.get("status") == "True" else "InProgress"
    return "Current"


def kstatus_is_current_only_when_ready(v: Version, _: Context) -> Iterator[str]:
    ready = v.conditions.get("Ready", {})
    is_ready = ready.get("status") == "True" and ready.get("observedGeneration") == v.generation
    if kstatus(v.obj) == "Current" and not is_ready:
        yield f"kstatus says Current, and Ready is not True for generation {v.generation}"


# --- one version ---------------------------------------------------------------------------------


def conditions_are_complete(v: Version, _: Context) -> Iterator[str]:
    if v.status == NOT_SEEN:
        return
    if not v.status:
        yield "there is no status, not even the CRD's default"
    for type_ in ALWAYS:
        if type_ not in v.conditions:
            yield f"a status was written without condition {type_}"
    if v.observed is None:
        yield "a status was written without observedGeneration"


def conditions_are_unique(v: Version, _: Context) -> Iterator[str]:
    types = [c.get("type") for c in v.status.get("conditions") or []]
    for type_ in sorted({t for t in types if types.count(t) > 1}):
        yield f"two conditions of type {type_}"
    for type_ in types:
        if type_ not in (*ALWAYS, *ABNORMAL):
            yield f"an unknown condition {type_}"


def abnormal_ones_are_true_and_exclusive(v: Version, _: Context) -> Iterator[str]:
    found = [t for t in ABNORMAL if t in v.conditions]
    ready = v.conditions.get("Ready", {})
    for type_ in found:
        c = v.conditions[type_]
        if c.get("status") != "True":
            yield f"{type_} is present though not True"
        if ready.get("status") == "True":
            yield f"Ready and {type_} are both there"
        if (c.get("reason"), c.get("message")) != (ready.get("reason"), ready.get("message")):
            yield f"{type_} does not carry reason and message of Ready"
    if len(found) == len(ABNORMAL):
        yield "Reconciling and Stalled are both there"
    if ready.get("status") == "Unknown" and "Reconciling" not in found:
        yield "Ready is Unknown and Reconciling not True"


def generations_fit(v: Version, _: Context) -> Iterator[str]:
    if v.observed is None:
        return
    if v.observed > v.generation:
        yield f"observedGeneration {v.observed} is above generation {v.generation}"
    ready = v.conditions.get("Ready", {})
    for type_, c in v.conditions.items():
        observed = c.get("observedGeneration")
        if observed is None:
            yield f"{type_} has no observedGeneration"
        elif observed > v.generation:
            yield f"observedGeneration of {type_} is above generation {v.generation}"
        elif ready.get("status") == "True" and observed != v.observed and not _is_pause(c):
            yield f"Ready is True for {v.observed}, and {type_} is of generation {observed}"


def _is_pause(c: dict) -> bool:
    """Says that nothing was judged: it may be of a newer generation than what stays meanwhile."""
    return c.get("type") == "Synced" and c.get("reason") == "ReconcilePaused"


def reasons_fit(v: Version, context: Context) -> Iterator[str]:
    for type_, c in v.conditions.items():
        reason, status = c.get("reason", ""), c.get("status")
        if not CAMEL_CASE.fullmatch(reason):
            yield f"reason {reason!r} of {type_} is not CamelCase"
        if reason not in context.documented:
            yield f"reason {reason} of {type_} is not in docs/troubleshooting.md"
        if type_ == "Ready" and (status == "True") != (reason == "Available"):
            yield f"Ready is {status} with reason {reason}"
        if type_ == "Synced" and (status == "True") != (reason == "ReconcileSuccess"):
            yield f"Synced is {status} with reason {reason}"


def texts_fit(v: Version, context: Context) -> Iterator[str]:
    for type_, c in v.conditions.items():
        message = c.get("message", "")
        if not message.strip():
            yield f"{type_} has no message"
        if message != message.strip() or len(message) > MESSAGE_MOST:
            yield f"message of {type_} has blanks around it, or {len(message)} characters"
        if "request id" in message.lower():
            yield f"message of {type_} has a request id, which is another at each try"
        if context.holds_secret(message):
            yield f"message of {type_} holds a secret"
    for d in v.status.get("drift") or []:
        for side in ("desired", "observed"):
            if len(d.get(side, "").encode()) > OBSERVED_MOST_BYTES:
                yield f"drift of {d.get('field')}: {side} has more than {OBSERVED_MOST_BYTES} bytes"
    if len((v.status.get("templates") or {}).get("unmanaged") or []) > UNMANAGED_MOST:
        yield f"more than {UNMANAGED_MOST} unmanaged prefixes"


def only_status_and_finalizer_are_written(v: Version, _: Context) -> Iterator[str]:
    for entry in v.meta.get("managedFields") or []:
        manager = entry.get("manager", "")
        if not manager.startswith(OPERATOR_MANAGERS):
            continue
        fields = entry.get("fieldsV1") or {}
        if entry.get("subresource", "") == "status":
            if set(fields) - {"f:status"}:
                yield f"{manager} writes {sorted(fields)} with the status"
            continue
        if set(fields) - {"f:metadata"} or set(fields.get("f:metadata", {})) - {"f:finalizers"}:
            yield f"{manager} writes {fields} beside the finalizer"
    ours = [f for f in v.meta.get("finalizers") or [] if f == FINALIZER]
    if len(ours) > 1:
        yield "our finalizer is there twice"


# --- two versions in a row -----------------------------------------------------------------------


def something_changes(a: Version, b: Version, _: Context) -> Iterator[str]:
    if a.content() != b.content():
        return
    old, new = a.managers(), b.managers()
    changed = {m for m, _sub in old.keys() | new.keys() if old.get((m, _sub)) != new.get((m, _sub))}
    if all(m.startswith(OPERATOR_MANAGERS) for m in changed):
        yield "a write that changes nothing"


def observed_never_decreases(a: Version, b: Version, _: Context) -> Iterator[str]:
    if (a.observed or 0) > (b.observed or 0):
        yield f"observedGeneration goes from {a.observed} to {b.observed}"
    for type_, c in b.conditions.items():
        before = a.conditions.get(type_, {}).get("observedGeneration") or 0
        if (c.get("observedGeneration") or 0) < before:
            yield f"observedGeneration of {type_} goes back from {before}"


def transition_times_fit(a: Version, b: Version, context: Context) -> Iterator[str]:
    written = b.status_written()
    for type_, c in b.conditions.items():
        now, old = seconds(c.get("lastTransitionTime")), a.conditions.get(type_)
        if now is None:
            yield f"{type_} has no lastTransitionTime"
            continue
        then = seconds(old.get("lastTransitionTime")) if old else None
        if old and old.get("status") == c.get("status"):
            if now != then:
                yield f"lastTransitionTime of {type_} moves though its status stays"
            continue
        if then is not None and now < then:
            yield f"lastTransitionTime of {type_} goes back"
        if written is None or same(a.status, b.status):
            continue
        if now > written + 1 or (
            written - now > WRITE_MOST_S and not context.was_disturbed(now, written)
        ):
            yield (
                f"{type_} changed when the status was written, and its lastTransitionTime is "
                f"{written - now:g} s before"
            )


# --- all versions of an object -------------------------------------------------------------------


def counts_are_rare(t: Timeline, context: Context) -> Iterator[str]:
    """Counts alone change a status at most every 30 s; the first write of a process is free,
    because it does not know when another one wrote."""
    last: Version | None = None
    for a, b in zip(t.versions, t.versions[1:]):
        if b.is_after_gap or b.type == "DELETED" or t.is_foreign(b):
            last = None
            continue
        if same(a.status, b.status):
            continue
        changed = {
            k
            for k in a.status.keys() | b.status.keys()
            if not same(a.status.get(k), b.status.get(k))
        }
        if last is not None and changed <= COUNTS.get(t.kind, set()):
            passed = b.at - last.at
            is_early = passed < COUNTS_EVERY_S - LATENCY_S
            if is_early and not context.has_process_changed(last.at - LATENCY_S, b.at):
                yield (
                    f"{', '.join(sorted(changed))} alone written {passed:.1f} s after the status "
                    f"before (rv={b.meta.get('resourceVersion')})"
                )
        last = b


def nothing_flaps(t: Timeline, context: Context) -> Iterator[str]:
    """A condition that goes from A to B and back to A within a generation had a cause for each
    return: a change of the object, of its registry or rival, in AWS, of a process."""
    for type_ in (*ALWAYS, *ABNORMAL):
        seen: list[tuple[Version, tuple]] = []
        used = 0.0
        for v in t.versions:
            if v.is_after_gap or (seen and seen[-1][0].generation != v.generation):
                seen = []
            c = v.conditions.get(type_)
            value = (c.get("status"), c.get("reason")) if c else ("absent",)
            if v.status == NOT_SEEN or t.is_foreign(v):
                seen = []
                continue
            if seen and seen[-1][1] == value:
                continue
            seen.append((v, value))
            if len(seen) < 3 or seen[-3][1] != value:
                continue
            start, end = max(seen[-3][0].at - CAUSE_S, used), v.at
            cause = _cause_in(t, context, start, end)
            if cause is None:
                yield (
                    f"{type_} goes from {'/'.join(map(str, value))} to "
                    f"{'/'.join(map(str, seen[-2][1]))} and back without a cause "
                    f"(rv={v.meta.get('resourceVersion')})"
                )
            else:
                used = cause


def _cause_in(t: Timeline, context: Context, start: float, end: float) -> float | None:
    """When the first unused cause was (what goes on is never used up)."""
    times = [c.began for c in context.causes if start < c.began <= end]
    times += [at for at in _changes(t, context) if start < at <= end]
    if times:
        return min(times)
    if any(c.ended != c.began and c.holds_in(start, end) for c in context.causes):
        return start
    return None


def _intent(v: Version) -> tuple:
    return (v.generation, v.meta.get("annotations"), v.is_deleting, v.type == "DELETED")


def _prefix(t: Timeline) -> str:
    return (t.versions[0].obj.get("spec") or {}).get("prefix", "").rstrip("/")


def _changes(t: Timeline, context: Context) -> Iterator[float]:
    """When this object, a registry or a rival changed what it asks for or whether it is Ready."""
    for other in {id(o): o for o in (*context.others, t)}.values():
        is_self = other.versions is t.versions
        is_registry = other.kind == SETTINGS
        if not (is_self or is_registry or _prefix(other) == _prefix(t)):
            continue
        before = None
        for v in other.versions:
            now = (_intent(v),)
            if not is_self:
                ready = v.conditions.get("Ready", {})
                now = (_intent(v), ready.get("status"), bool(v.status.get("ownership")))
            is_creation = is_self and before is None  # led to the first A
            if now != before and not is_creation:
                yield v.at
            before = now


STATE_RULES: list[Callable[[Version, Context], Iterator[str]]] = [
    kstatus_is_current_only_when_ready,
    conditions_are_complete,
    conditions_are_unique,
    abnormal_ones_are_true_and_exclusive,
    generations_fit,
    reasons_fit,
    texts_fit,
    only_status_and_finalizer_are_written,
]
PAIR_RULES = [something_changes, observed_never_decreases, transition_times_fit]
SEQUENCE_RULES = [counts_are_rare, nothing_flaps]


def violations(t: Timeline, context: Context, is_excused: bool = False) -> list[str]:
    """What is wrong with an object's versions. is_excused: a test writes its status, and only what
    the operator wrote is judged."""
    places: dict[str, list[int]] = {}

    def skip(v: Version) -> bool:
        return is_excused and t.is_foreign(v)

    def add(i: int, texts: Iterator[str]) -> None:
        for text in texts:
            places.setdefault(text, []).append(i)

    number = {id(v): i for i, v in enumerate(t.versions)}
    for i, v in enumerate(t.versions):
        if not skip(v):
            for rule in STATE_RULES:
                add(i, rule(v, context))
    for a, b in t.pairs():
        if not skip(a) and not skip(b):
            for rule in PAIR_RULES:
                add(number[id(b)], rule(a, b, context))
    found = [f"{', '.join(map(str, i[:8]))}: {text}" for text, i in places.items()]
    for rule in SEQUENCE_RULES:
        found += list(rule(t, context))
    return found
