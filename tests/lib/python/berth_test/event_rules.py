# SPDX-License-Identifier: Apache-2.0
"""What must hold of the operator's events: complete, short, documented, none said twice where a
series would do, no more than the limits, and no warning without news in Ready."""

import collections
import re
from collections.abc import Iterator

from berth_test.status_rules import CAMEL_CASE, Context
from berth_test.timeline import Timeline, seconds

SERIES_S = 360.0
BURST = 25
REFILL_S = 300.0
NOTE_MOST_BYTES = 1024
# what comes of a workload, not of the object
OF_ADMISSION = {"RepositoryCreationFailed"}
CONTROLLER = re.compile(r"ecr\.berth\.dev/[a-z-]+")


def _regarding(t: Timeline) -> tuple[str, str, str]:
    r = t.versions[0].obj.get("regarding") or {}
    return r.get("kind", ""), r.get("name", ""), r.get("uid", "")


def _said(t: Timeline) -> tuple:
    e = t.versions[0].obj
    return (*_regarding(t), e.get("type"), e.get("reason"), e.get("action"), e.get("note"))


def is_ours(t: Timeline) -> bool:
    return t.versions[0].obj.get("reportingController", "").startswith("ecr.berth.dev/")


def event_is_complete(t: Timeline, context: Context) -> Iterator[str]:
    e = t.versions[0].obj
    kind, name, uid = _regarding(t)
    if not (kind and name and uid):
        yield "regarding has no kind, name or uid"
    if not CONTROLLER.fullmatch(e.get("reportingController", "")) or not e.get("reportingInstance"):
        yield "reportingController or reportingInstance is wrong"
    if e.get("type") not in ("Normal", "Warning"):
        yield f"type {e.get('type')}"
    for field in ("reason", "action"):
        if not CAMEL_CASE.fullmatch(e.get(field, "")):
            yield f"{field} {e.get(field)!r} is not CamelCase"
    if e.get("reason") not in context.documented:
        yield f"reason {e.get('reason')} is not in docs/troubleshooting.md"
    if seconds(e.get("eventTime")) is None:
        yield "no eventTime"
    note = e.get("note", "")
    if not note.strip() or len(note.encode()) > NOTE_MOST_BYTES:
        yield f"note is empty or has {len(note.encode())} bytes"
    if context.holds_secret(note):
        yield "note holds a secret"


def series_counts(t: Timeline, _: Context) -> Iterator[str]:
    count, last = 1, seconds(t.versions[0].obj.get("eventTime")) or 0.0
    first = True
    for v in t.versions:
        if v.type == "DELETED":
            continue
        series = v.obj.get("series")
        if series is None:
            if count > 1:
                yield "its series is gone"
        elif first:
            count = series.get("count", 0)
        elif series.get("count", 0) <= count:
            yield f"series.count goes from {count} to {series.get('count')}"
        if series:
            count = series.get("count", 0)
            seen = seconds(series.get("lastObservedTime"))
            if count < 2:
                yield f"a series of {count}"
            if seen is None or seen < last:
                yield "lastObservedTime goes back, or is missing"
            last = seen or last
        first = False


def _last_said(t: Timeline) -> float:
    e = t.versions[-1].obj
    return seconds((e.get("series") or {}).get("lastObservedTime") or e.get("eventTime")) or 0.0


def none_is_repeated(all_: list[Timeline], context: Context) -> Iterator[tuple[Timeline, str]]:
    """One Event for one thing said, unless another process says it: that one does not know the
    series. What it reports happened (Normal) or is news (Warning: see below)."""
    seen: dict[tuple, Timeline] = {}
    for t in sorted(all_, key=lambda t: t.versions[0].at):
        before = seen.get(_said(t))
        seen[_said(t)] = t
        if before is None:
            continue
        began = seconds(t.versions[0].obj.get("eventTime")) or 0.0
        is_within = began - _last_said(before) <= SERIES_S
        if is_within and not context.has_process_changed(before.versions[0].at - 2.0, began + 2.0):
            yield t, f"said again {began - _last_said(before):.1f} s later as another Event"


def limits_hold(all_: list[Timeline], context: Context) -> Iterator[tuple[Timeline, str]]:
    """Writes of one object and reason: 25, then one in 5 minutes, of one process."""
    writes: dict[tuple, list[float]] = collections.defaultdict(list)
    owner: dict[tuple, Timeline] = {}
    for t in all_:
        e = t.versions[0].obj
        key = (*_regarding(t), e.get("reportingInstance"), e.get("reason"))
        writes[key] += [v.at for v in t.versions if v.type != "DELETED"]
        owner[key] = t
    for key, times in writes.items():
        times.sort()
        allowed = BURST + (times[-1] - times[0]) / REFILL_S + 1e-9
        processes = 1 + sum(
            "start berth-operator" in c.what and times[0] <= c.began <= times[-1]
            for c in context.causes
        )
        if len(times) > allowed * processes:
            yield owner[key], f"{len(times)} writes of reason {key[-1]}, allowed are {allowed:.0f}"


def warnings_are_news(
    all_: list[Timeline], objects: list[Timeline], context: Context
) -> Iterator[tuple[Timeline, str]]:
    """A warning is said no more often than its note came into the message of Ready (and once more
    for each process that ended between saying and writing it)."""
    came: collections.Counter = collections.Counter()
    for o in objects:
        before = None
        for v in o.versions:
            ready = v.conditions.get("Ready", {})
            said = (ready.get("reason"), ready.get("message"))
            if said != before:
                came[(v.meta.get("uid"), ready.get("message"))] += 1
            before = said
    said_count: collections.Counter = collections.Counter()
    for t in all_:
        e = t.versions[-1].obj
        if e.get("type") == "Warning":
            key = (_regarding(t)[2], e.get("note"))
            said_count[key] += (e.get("series") or {}).get("count", 1)
    known = {o.versions[0].meta.get("uid") for o in objects}
    gaps = {v.meta.get("uid") for o in objects for v in o.versions if v.is_after_gap}
    for t in all_:
        e = t.versions[-1].obj
        uid, note = _regarding(t)[2], e.get("note", "")
        is_news_of_ready = e.get("type") == "Warning" and e.get("reason") not in OF_ADMISSION
        if not is_news_of_ready or uid not in known or uid in gaps:
            continue
        matching = sum(
            n for (u, message), n in came.items()
            if u == uid and message and (message == note or message.startswith(note[:900]))
        )  # fmt: skip
        first, last = t.versions[0].at, t.versions[-1].at
        ends = sum(
            c.what.startswith("signal") and c.what.endswith("berth-operator")
            and first - 1.0 <= c.began <= last
            for c in context.causes
        )  # fmt: skip
        times = said_count[(uid, note)]
        if times > matching + (ends if matching else 0):
            yield t, f"said {times} times, and it came into Ready {matching} times"


def violations(
    all_: list[Timeline], objects: list[Timeline], context: Context
) -> list[tuple[Timeline, str]]:
    """(event, what is wrong). objects: the timelines of what the events may regard."""
    ours = [t for t in all_ if is_ours(t)]
    found = [
        (t, text)
        for t in ours
        for rule in (event_is_complete, series_counts)
        for text in rule(t, context)
    ]
    found += none_is_repeated(ours, context)
    found += limits_hold(ours, context)
    found += warnings_are_news(ours, objects, context)
    return found


def show(t: Timeline) -> str:
    e = t.versions[-1].obj
    kind, name, _ = _regarding(t)
    count = (e.get("series") or {}).get("count", 1)
    return (
        f"{e.get('eventTime')} {kind} {name} {e.get('type')} {e.get('reason')} "
        f"{e.get('action')} x{count} ({len(t.versions)} versions): {e.get('note')}"
    )
