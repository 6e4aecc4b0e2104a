# SPDX-License-Identifier: Apache-2.0
"""The recorder: watches our kinds, events and the Lease of a control plane from the moment that the
CRDs are there, keeps every version of every object, and judges them (status_rules, event_rules).

It goes on where the API server restarts or a connection ends: a watch that is resumed misses
nothing, a list in its place is a gap, which the rules that compare neighbours know of.

A test that writes a status itself says so, for one object and with the reason: excuse(). What the
operator wrote to it is judged all the same."""

import dataclasses
import http.client
import json
import re
import threading
import time

from berth_test import causes, event_rules, paths, status_rules
from berth_test.kube import SETTINGS, TEMPLATE, ApiError, Kube, Watch, path_of
from berth_test.timeline import Timeline, Version
from berth_test.wait import SLOWNESS

EVENT, LEASE = "Event", "Lease"
_SENTINEL = "recorder-sentinel"
_RETRY_S = 0.1
_CATCH_UP_S = 20.0 * SLOWNESS
_APPLIES = re.compile(
    r'^apiserver_request_total\{(?=[^}]*code="200")(?=[^}]*group="ecr\.berth\.dev")'
    r'(?=[^}]*subresource="status")(?=[^}]*verb="APPLY")[^}]*\} (\S+)$',
    re.M,
)
_SHOWN_MOST = 20
_CALLS_MOST = 8  # of an operator under way at a time


def documented_reasons() -> set[str]:
    """Headings of the third level, and the first column of the table of events."""
    text = (paths.SOURCE / "docs" / "troubleshooting.md").read_text()
    headings = re.findall(r"^### (\w+)$", text, re.M)
    _, _, events = text.partition("\n## Events\n")
    rows = re.findall(r"^\| ([^|]+) \|", events.partition("\n## ")[0], re.M)
    return {*headings, *(w for row in rows for w in re.findall(r"`(\w+)`", row))}


@dataclasses.dataclass(frozen=True)
class Excuse:
    kind: str
    name: str
    why: str


class Recorder:
    """Records from its start to stop(); check() judges what came since the last check()."""

    def __init__(self, kube: Kube, secrets: list[str] = ()) -> None:
        self._kube = kube
        self._secrets = list(secrets)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._versions: dict[str, dict[str, list[Version]]] = {}  # kind, uid
        self._excuses: list[Excuse] = []
        self._applied = 0  # statuses of the operator since the start
        self._began = time.time()
        self._sent_before = self._sent()
        self.gaps = 0
        self._marks: set[str] = set()  # names of sentinels that went
        self._number = 0
        self._sources = [_Source(self, kind) for kind in (SETTINGS, TEMPLATE, EVENT, LEASE)]
        for source in self._sources:
            source.start()

    def stop(self) -> None:
        self._stopping.set()
        for source in self._sources:
            source.stop()

    # --- what tests use --------------------------------------------------------------------------

    def excuse(self, kind: str, name: str, why: str) -> None:
        """This test writes the status of that object itself."""
        assert why, "an excuse needs a reason"
        self._excuses.append(Excuse(kind, name, why))

    def excuse_sent(self, count: int, why: str) -> None:
        """This test applied a status that often that changed nothing."""
        assert why, "an excuse needs a reason"
        self._sent_before += count

    def timelines(self, kind: str) -> list[Timeline]:
        """Of every object that was seen since the last check."""
        with self._lock:
            return [Timeline(list(v)) for v in self._versions.get(kind, {}).values() if v]

    def check(self, with_events: bool = True) -> None:
        """AssertionError with what was violated and the sequence. Forgets what it judged, so the
        objects should be gone. All that was written before the call is judged."""
        self.catch_up()
        objects = self.timelines(SETTINGS) + self.timelines(TEMPLATE)
        events = self.timelines(EVENT)
        context = status_rules.Context(
            documented_reasons(), causes.all_causes(), objects, self._secrets
        )
        excused = {(e.kind, e.name) for e in self._excuses}
        with self._lock:
            self._versions.clear()
            self._excuses.clear()
        self._applied += sum(
            not t.is_foreign(v) for t in objects for v in t.status_writes()
        )  # fmt: skip
        complaints = []
        for t in objects:
            found = status_rules.violations(t, context, (t.kind, t.name) in excused)
            if found:
                complaints.append("\n".join([t.show(), *(f"    ! {f}" for f in found)]))
        for t, text in event_rules.violations(events, objects, context) if with_events else ():
            complaints.append(f"event {event_rules.show(t)}\n    ! {text}")
        assert not complaints, (
            f"{len(complaints)} objects or events break rules:\n"
            + "\n".join(complaints[:_SHOWN_MOST])
        )

    def check_sent(self) -> None:
        """At the end: as many statuses were sent as changed something, and where answers were cut
        off, once more for each. Only where no version was missed."""
        sent = self._sent() - self._sent_before
        again = sum(
            1 if "an answer" in c.what else _CALLS_MOST
            for c in causes.all_causes()
            if c.began >= self._began and status_rules.is_of_the_wire(c)
        )
        if not self.gaps:
            assert sent <= self._applied + again, (
                f"{sent:g} statuses were sent, and {self._applied} of them changed something"
            )

    def _sent(self) -> float:
        """As the API server counts them; it begins anew when it is started again."""
        text = self._kube.request("GET", "/metrics")
        return sum(float(n) for n in _APPLIES.findall(text))

    def catch_up(self) -> None:
        """Waits until everything that is written by now was recorded: an object of each kind is
        made and removed, and its end comes after everything else."""
        self._number += 1
        name = f"{_SENTINEL}-{self._number}"
        wanted = set()
        for kind in (SETTINGS, TEMPLATE, EVENT):
            try:
                self._kube.create(_sentinel(kind, name))
                self._kube.delete(kind, name, "default" if kind == EVENT else None)
            except ApiError as e:
                if e.status != 404:  # the CRD is not there
                    raise
                continue
            wanted.add(f"{kind}/{name}")
        end = time.monotonic() + _CATCH_UP_S
        while True:
            with self._lock:
                missing = wanted - self._marks
            if not missing:
                return
            assert time.monotonic() < end, f"the recorder has not caught up: {missing}"
            self._stopping.wait(0.005)

    # --- what the sources bring ------------------------------------------------------------------

    def _record(self, kind: str, version: Version) -> None:
        name = version.meta["name"]
        with self._lock:
            if name.startswith(_SENTINEL):
                if version.type == "DELETED":
                    self._marks.add(f"{kind}/{name}")
                return
            if kind == LEASE:
                return
            self.gaps += version.is_after_gap
            self._versions.setdefault(kind, {}).setdefault(version.meta["uid"], []).append(version)

    def _known(self, kind: str) -> dict[str, Version]:
        """The last version of each object that lives, by uid."""
        with self._lock:
            last = {uid: v[-1] for uid, v in self._versions.get(kind, {}).items() if v}
        return {uid: v for uid, v in last.items() if v.type != "DELETED"}


class _Source(threading.Thread):
    """Follows one kind."""

    def __init__(self, recorder: Recorder, kind: str) -> None:
        super().__init__(name=f"recorder {kind}", daemon=True)
        self._recorder, self._kind = recorder, kind
        self._watch: Watch | None = None
        self._leader: str | None = None
        self._going, self._is_idle = threading.Event(), threading.Event()
        self._going.set()
        self._since: str | None = self._list(is_first=True)

    def run(self) -> None:
        stopping = self._recorder._stopping
        while not stopping.is_set():
            if not self._going.is_set():
                self._is_idle.set()
                self._going.wait()
                self._is_idle.clear()
            try:
                if self._since is None:
                    self._since = self._list(is_first=False)
                self._follow()
            except (OSError, ValueError, KeyError, http.client.HTTPException, ApiError) as e:
                if isinstance(e, ApiError) and e.status == 410:
                    self._since = None
            stopping.wait(_RETRY_S)

    def stop(self) -> None:
        self._going.set()
        deadline = time.monotonic() + 10
        while self.is_alive() and time.monotonic() < deadline:
            self.cut()
            self.join(0.05)

    def stop_following(self) -> None:
        """Until follow_again(); nothing comes meanwhile."""
        self._going.clear()
        while not self._is_idle.wait(0.01):
            self.cut()

    def follow_again(self, from_list: bool) -> None:
        """from_list: as after an API server that has forgotten what was."""
        if from_list:
            self._since = None
        self._going.set()

    def cut(self) -> None:
        """Ends its connection; it makes another and goes on."""
        watch = self._watch
        if watch is not None:
            watch.end()

    def _list(self, is_first: bool) -> str:
        kube, recorder = self._recorder._kube, self._recorder
        found = kube.request("GET", path_of(self._kind))
        now = time.time()
        known = {} if is_first else recorder._known(self._kind)
        for item in found["items"]:
            item.setdefault("kind", self._kind)
            before = known.pop(item["metadata"]["uid"], None)
            if before is None:
                self._bring(Version("ADDED", item, now, is_after_gap=not is_first))
            elif before.meta["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._bring(Version("MODIFIED", item, now, is_after_gap=True))
        for gone in known.values():
            self._bring(Version("DELETED", gone.obj, now, is_after_gap=True))
        return found["metadata"]["resourceVersion"]

    def _follow(self) -> None:
        self._watch = self._recorder._kube.watch_from(self._kind, self._since)
        try:
            for line in self._watch.lines:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    self._since = None
                    return
                obj = event["object"]
                if event["type"] != "BOOKMARK":
                    self._bring(Version(event["type"], obj, time.time()))
                self._since = obj["metadata"]["resourceVersion"]
        finally:
            self._watch.end()

    def _bring(self, version: Version) -> None:
        if self._kind == LEASE:
            holder = (version.obj.get("spec") or {}).get("holderIdentity")
            if holder and holder != self._leader:
                causes.note(f"leader {holder}")
                self._leader = holder
        self._recorder._record(self._kind, version)


def _sentinel(kind: str, name: str) -> dict:
    """Valid, and paused, so that an operator that still runs does nothing with it."""
    meta = {"name": name, "annotations": {"ecr.berth.dev/paused": "true"}}
    if kind == EVENT:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": EVENT,
            "metadata": {"name": name, "namespace": "default"},
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "type": "Normal",
            "reason": "Sentinel",
            "action": "Record",
            "reportingController": "berth.test/recorder",
            "reportingInstance": "recorder",
            "regarding": {"apiVersion": "v1", "kind": "Namespace", "name": "default"},
        }
    spec = {"region": "eu-west-1"}
    if kind == TEMPLATE:
        spec = {
            "prefix": name,
            "appliedFor": ["CREATE_ON_PUSH"],
            "registryRef": {"name": _SENTINEL},
        }
    return {"apiVersion": "ecr.berth.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}
