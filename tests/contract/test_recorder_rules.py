# SPDX-License-Identifier: Apache-2.0
"""The judge of statuses and events can say no: for each rule a sequence that breaks only it. The
sequences begin as an operator's that is right, which must pass."""

import copy
from collections.abc import Callable

import pytest

from berth_test import event_rules, status_rules
from berth_test.causes import Cause
from berth_test.kube import FINALIZER, SETTINGS, TEMPLATE
from berth_test.recorder import documented_reasons
from berth_test.status_rules import kstatus
from berth_test.timeline import STATUS_MANAGER, Timeline, Version

T0 = 1_800_000_000.0  # 2027-01-15T08:00:00Z
DOCUMENTED = documented_reasons()


def stamp(at: float) -> str:
    seconds = int(T0 + at - 1_799_971_200)  # of that day
    return f"2027-01-15T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


def condition(type_: str, status: str, reason: str, at: float, generation: int = 1) -> dict:
    return {"type": type_, "status": status, "reason": reason, "message": f"because of {reason}",
            "observedGeneration": generation, "lastTransitionTime": stamp(at)}  # fmt: skip


def ready(at: float, generation: int = 1, since: float | None = None) -> list[dict]:
    since = at if since is None else since
    return [
        condition("Ready", "True", "Available", since, generation),
        condition("Synced", "True", "ReconcileSuccess", 0, generation),
    ]


def failing(at: float, reason: str = "AWSError", kind: str = "Reconciling") -> list[dict]:
    return [
        condition("Ready", "False", reason, at),
        condition("Synced", "False", "ReconcileError", at),
        condition(kind, "True", reason, at),
    ]


def creating(at: float) -> list[dict]:
    return [
        condition("Ready", "False", "Creating", at),
        condition("Synced", "True", "ReconcileSuccess", at),
        condition("Reconciling", "True", "Creating", at),
    ]


class Story:
    """Versions of one object as a watch brings them."""

    def __init__(self, kind: str = TEMPLATE) -> None:
        self.kind = kind
        self.versions: list[Version] = []
        self.obj: dict = {
            "apiVersion": "ecr.berth.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": "x", "uid": "u", "generation": 1, "managedFields": []},
            "spec": {"prefix": "x"},
            "status": {"observedGeneration": -1},
        }
        self.add(0)

    def add(self, at: float, type_: str = "MODIFIED", is_after_gap: bool = False) -> "Story":
        self.obj["metadata"]["resourceVersion"] = str(100 + len(self.versions))
        kind = "ADDED" if not self.versions else type_
        self.versions.append(Version(kind, copy.deepcopy(self.obj), T0 + at, is_after_gap))
        return self

    def status(self, at: float, conditions: list[dict], observed: int = 1, **more) -> "Story":
        """A write of the operator."""
        self.obj["status"] = {"observedGeneration": observed, "conditions": conditions, **more}
        self.owns(STATUS_MANAGER, at, "status")
        return self.add(at)

    def owns(self, manager: str, at: float, subresource: str = "", fields: dict | None = None):
        entries = self.obj["metadata"]["managedFields"]
        entries[:] = [e for e in entries if e["manager"] != manager]
        default = {"f:status": {}} if subresource else {"f:metadata": {"f:finalizers": {}}}
        entries.append({"manager": manager, "subresource": subresource, "time": stamp(at),
                        "fieldsV1": fields or default})  # fmt: skip
        return self

    def spec(self, at: float) -> "Story":
        self.obj["metadata"]["generation"] += 1
        self.owns("test", at, fields={"f:spec": {}})
        return self.add(at)

    def judge(self, causes: list[Cause] = (), documented=DOCUMENTED, **options) -> list[str]:
        context = status_rules.Context(documented, causes, secrets=["s3cr3t"])
        return status_rules.violations(Timeline(self.versions), context, **options)


def good() -> Story:
    return Story().status(1, creating(1)).status(2, [*ready(2)[:1], creating(1)[1]])


def a_cause(at: float, what: str = "a test calls Update") -> Cause:
    return Cause(what, T0 + at, T0 + at)


# --- what is right passes ------------------------------------------------------------------------


def test_good_ones_pass():
    story = good()
    synced = creating(1)[1]
    assert story.judge() == []
    story.spec(3)
    second = [{**c, "observedGeneration": 2} for c in (*ready(2)[:1], synced)]
    story.status(3.2, second, observed=2)
    story.obj["metadata"]["annotations"] = {"ecr.berth.dev/paused": "true"}
    story.add(4)
    paused = condition("Synced", "False", "ReconcilePaused", 4, 2)
    story.status(4.1, [second[0], paused], observed=2)
    story.spec(5)  # paused meanwhile: what stays is of generation 2
    story.status(5.1, [second[0], {**paused, "observedGeneration": 3}], observed=2)
    story.add(9, "DELETED")
    assert story.judge() == []


@pytest.mark.parametrize(
    ("reason", "kind", "want"),
    [("AWSError", "Reconciling", "InProgress"), ("Conflict", "Stalled", "Failed")],
)
def test_failing_ones_pass(reason, kind, want):
    story = Story().status(1, failing(1, reason, kind))
    assert story.judge() == []
    assert kstatus(story.versions[-1].obj) == want


def test_kstatus():
    obj = {"metadata": {"generation": 2}}
    assert kstatus(obj) == "Current", "kstatus takes what has no status for ready"
    obj["status"] = {"observedGeneration": -1}
    assert kstatus(obj) == "InProgress"
    obj["status"] = {"observedGeneration": 2, "conditions": ready(0, 2)}
    assert kstatus(obj) == "Current"
    obj["status"]["observedGeneration"] = 1
    assert kstatus(obj) == "InProgress"
    obj["metadata"]["deletionTimestamp"] = stamp(0)
    assert kstatus(obj) == "Terminating"


# --- one version ---------------------------------------------------------------------------------


def without(conditions: list[dict], *types: str) -> list[dict]:
    return [c for c in conditions if c["type"] not in types]


def changed(conditions: list[dict], type_: str, **changes) -> list[dict]:
    return [{**c, **changes} if c["type"] == type_ else c for c in conditions]


STATES: list[tuple[str, list[dict], dict, str]] = [
    ("no Ready", without(failing(1), "Ready", "Reconciling"), {}, "without condition Ready"),
    ("no Synced", without(failing(1), "Synced"), {}, "without condition Synced"),
    ("no conditions", [], {}, "without condition Ready"),
    ("two of a type", failing(1) + failing(1)[:1], {}, "two conditions of type Ready"),
    ("unknown type", [*failing(1), condition("Odd", "True", "AWSError", 1)], {}, "unknown"),
    ("both", failing(1) + failing(1, kind="Stalled")[2:], {}, "Reconciling and Stalled are both"),
    ("Ready and Stalled", [*ready(1), condition("Stalled", "True", "Available", 1)], {},
     "Ready and Stalled"),
    ("Ready and Reconciling", [*ready(1), condition("Reconciling", "True", "Available", 1)], {},
     "Ready and Reconciling"),
    ("not True", changed(failing(1), "Reconciling", status="False"), {}, "present though not True"),
    ("another reason", changed(failing(1), "Reconciling", reason="Throttled"), {},
     "does not carry reason"),
    ("Unknown", without(changed(failing(1), "Ready", status="Unknown"), "Reconciling"), {},
     "Ready is Unknown"),
    ("of the future", ready(1), {"observed": 2}, "is above generation"),
    ("condition of the future", changed(failing(1), "Ready", observedGeneration=2), {},
     "of Ready is above"),
    ("of no generation", changed(failing(1), "Ready", observedGeneration=None), {},
     "Ready has no observedGeneration"),
    ("of different ones", changed(ready(1), "Synced", observedGeneration=0), {},
     "Synced is of generation 0"),
    ("Ready of another", changed(ready(1), "Ready", observedGeneration=0), {}, "kstatus says"),
    ("not a word", changed(failing(1), "Synced", reason="reconcileError"), {}, "not CamelCase"),
    ("not documented", changed(failing(1), "Synced", reason="Unheard"), {}, "not in docs"),
    ("Ready of trouble", changed(ready(1), "Ready", reason="AWSError"), {}, "Ready is True with"),
    ("Synced of trouble", changed(ready(1), "Synced", reason="ReconcileError"), {},
     "Synced is True with"),
    ("no message", changed(ready(1), "Synced", message=""), {}, "Synced has no message"),
    ("long", changed(ready(1), "Synced", message="x" * 32769), {}, "32769 characters"),
    ("request id", changed(ready(1), "Synced", message="no (request id 7)"), {}, "a request id"),
    ("key", changed(ready(1), "Synced", message="AKIAIOSFODNN7EXAMPLE"), {}, "holds a secret"),
    ("token", changed(ready(1), "Synced", message="with s3cr3t"), {}, "holds a secret"),
    ("long drift", failing(1), {"drift": [{"field": "a", "observed": "x" * 257}]}, "256 bytes"),
    ("unmanaged", failing(1), {"templates": {"unmanaged": ["x"] * 21}}, "more than 20"),
]  # fmt: skip


@pytest.mark.parametrize(("conditions", "more", "want"), [s[1:] for s in STATES],
                         ids=[s[0] for s in STATES])  # fmt: skip
def test_a_bad_state_is_found(conditions, more, want):
    found = Story().status(1, conditions, **more).judge()
    assert any(want in text for text in found), found


def test_no_default_status():
    story = Story()
    del story.obj["status"]
    found = Story.judge(_restarted(story))
    assert any("no status" in text for text in found)
    assert any("kstatus says Current" in text for text in found)


def _restarted(story: Story) -> Story:
    story.versions.clear()
    return story.add(0)


def test_no_observed_generation():
    story = Story()
    story.obj["status"] = {"conditions": failing(1)}
    assert any("without observedGeneration" in t for t in _restarted(story).judge())


@pytest.mark.parametrize(
    ("manager", "subresource", "fields", "want"),
    [
        ("berth-operator", "", {"f:spec": {}}, "beside the finalizer"),
        ("berth-operator", "", {"f:metadata": {"f:annotations": {}}}, "beside the finalizer"),
        (STATUS_MANAGER, "status", {"f:status": {}, "f:spec": {}}, "with the status"),
    ],
)
def test_the_operator_writes_what_is_not_its(manager, subresource, fields, want):
    story = Story().owns(manager, 1, subresource, fields).add(1)
    assert any(want in t for t in story.judge())


def test_two_finalizers():
    story = Story()
    story.obj["metadata"]["finalizers"] = [FINALIZER, FINALIZER]
    assert any("twice" in t for t in story.add(1).judge())


# --- two versions --------------------------------------------------------------------------------


def test_a_write_without_a_change():
    story = Story().status(1, failing(1))
    assert story.owns(STATUS_MANAGER, 2, "status").add(2).judge() == [
        "2: a write that changes nothing"
    ]


def test_another_order_is_no_change():
    story = Story().status(1, failing(1)).status(2, failing(1)[::-1])
    assert any("changes nothing" in t for t in story.judge())


def test_somebody_else_may_own_the_same():
    story = Story().status(1, failing(1))
    assert story.owns("kubectl", 2, fields={"f:spec": {}}).add(2).judge() == []


def test_observed_generation_decreases():
    story = Story().spec(0.5)
    story.status(1, [{**c, "observedGeneration": 2} for c in failing(1)], observed=2)
    found = story.status(2, failing(1)).judge()
    assert any("goes from 2 to 1" in t for t in found)
    assert any("of Ready goes back" in t for t in found)


@pytest.mark.parametrize(
    ("after", "want"),
    [
        (changed(failing(1), "Ready", lastTransitionTime=stamp(3)), "though its status stays"),
        (changed(failing(1), "Ready", lastTransitionTime=None), "has no lastTransitionTime"),
        (changed(ready(0), "Ready", lastTransitionTime=stamp(-9)), "goes back"),
        (changed(ready(0), "Ready", lastTransitionTime=stamp(99)), "before"),
    ],
)
def test_transition_times(after, want):
    story = Story().status(1, failing(1)).status(3, after)
    assert any(want in t for t in story.judge()), story.judge()


def test_a_transition_is_dated_long_before():
    late = 1 + 2 * status_rules.WRITE_MOST_S
    story = Story().status(1, creating(1))
    story.status(late, [*ready(1)[:1], creating(1)[1]])
    assert any("its lastTransitionTime is" in t for t in story.judge())
    assert story.judge([a_cause(2, "signal 19 to kube-apiserver")]) == []


# --- all versions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "counts"),
    [(TEMPLATE, {"repositories": 2}), (SETTINGS, {"templates": {"managed": 2}}),
     (SETTINGS, {"blobMounting": []})],
)  # fmt: skip
def test_counts_are_written_too_often(kind, counts):
    def story(at: float, **more) -> Story:
        return Story(kind).status(1, failing(1)).status(at, failing(1), **counts, **more)

    assert len(story(20).judge()) == 1
    assert "alone written 19.0 s after" in story(20).judge()[0]
    assert story(31).judge() == []
    assert story(20, region="x").judge() == [], "with something else it may"
    assert story(20).judge([a_cause(10, "start berth-operator")]) == []
    assert len(story(20).judge([a_cause(10, "start ecr-emulator")])) == 1


def flapping() -> Story:
    story = Story()
    synced = creating(1)[1]
    story.status(1, [*ready(1)[:1], synced])
    story.status(10, [*creating(10)[:1], synced, creating(10)[2]])
    return story.status(20, [*ready(20)[:1], synced])


def test_flapping():
    found = flapping().judge()
    assert any("Ready goes from True/Available to False/Creating and back" in t for t in found)
    assert flapping().judge([a_cause(9)]) == []
    assert flapping().judge([a_cause(-9)]) != [], "too early to be the cause"
    assert flapping().judge([Cause("rule", T0 - 9, None)]) == [], "goes on all the time"


def test_each_return_has_a_cause_of_its_own():
    story = flapping()
    synced = creating(1)[1]
    story.status(30, [*creating(30)[:1], synced, creating(30)[2]])
    story.status(40, [*ready(40)[:1], synced])
    assert story.judge([a_cause(9)]) != []
    assert story.judge([a_cause(9), a_cause(15), a_cause(25), a_cause(35)]) == []


def test_what_was_missed_is_not_judged():
    """Neighbours with a gap between them are no neighbours."""
    story = Story().status(1, failing(1))
    story.obj["status"]["observedGeneration"] = 0
    assert [t for t in story.add(2, is_after_gap=True).judge() if "goes from" in t] == []


def test_an_excuse_is_for_what_others_wrote():
    story = Story()
    story.obj["status"] = {"observedGeneration": 1, "conditions": []}
    story.owns("python", 1, "status").add(1)
    assert story.judge() != []
    assert story.judge(is_excused=True) == []
    story.status(2, without(failing(2), "Synced"))
    assert any("Synced" in t for t in story.judge(is_excused=True))


# --- events --------------------------------------------------------------------------------------


def event(at: float = 1, number: int = 1, **changes) -> Timeline:
    series = changes.pop("series", [None])
    versions = []
    for i, s in enumerate(series):
        obj = {
            "metadata": {"name": f"x.{number}", "uid": f"e{number}"},
            "eventTime": stamp(at),
            "type": "Normal",
            "reason": "Updated",
            "action": "Update",
            "note": "description",
            "reportingController": "ecr.berth.dev/operator",
            "reportingInstance": "pod",
            "regarding": {"kind": TEMPLATE, "name": "x", "uid": "u"},
            **changes,
        }
        if s:
            obj["series"] = {"count": s[0], "lastObservedTime": stamp(s[1])}
        versions.append(Version("MODIFIED" if i else "ADDED", obj, T0 + at + i))
    return Timeline(versions)


def judge_events(*events: Timeline, objects=(), causes=()) -> list[str]:
    context = status_rules.Context(DOCUMENTED, causes, secrets=["s3cr3t"])
    return [text for _, text in event_rules.violations(list(events), list(objects), context)]


def test_good_events_pass():
    assert judge_events(event()) == []
    assert judge_events(event(series=[None, (2, 3), (5, 9)])) == []
    assert judge_events(event(), event(number=2, note="another")) == []
    assert judge_events(event(), event(at=500, number=2)) == [], "the series was over"
    assert judge_events(event(reportingController="node", reason="odd thing")) == []


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({"reason": "Unheard"}, "not in docs"),
        ({"reason": "updated"}, "not CamelCase"),
        ({"action": ""}, "not CamelCase"),
        ({"type": "Error"}, "type Error"),
        ({"note": ""}, "note is empty"),
        ({"note": "x" * 1025}, "1025 bytes"),
        ({"note": "s3cr3t"}, "holds a secret"),
        ({"eventTime": None}, "no eventTime"),
        ({"reportingInstance": ""}, "reportingInstance"),
        ({"regarding": {"kind": TEMPLATE, "name": "x"}}, "no kind, name or uid"),
        ({"series": [(1, 2)]}, "a series of 1"),
        ({"series": [None, (3, 3), (3, 4)]}, "goes from 3 to 3"),
        ({"series": [None, (2, 3), (3, 2)]}, "goes back"),
        ({"series": [None, (2, 3), None]}, "its series is gone"),
    ],
)
def test_a_bad_event_is_found(changes, want):
    found = judge_events(event(**changes))
    assert any(want in text for text in found), found


def test_a_repeated_event():
    found = judge_events(event(), event(at=200, number=2))
    assert found == ["said again 199.0 s later as another Event"]
    again = (event(), event(at=200, number=2))
    assert judge_events(*again, causes=[a_cause(100, "start berth-operator")]) == []


def test_a_flood():
    events = [event(at=i, number=i, note=f"n{i}") for i in range(25)]
    assert judge_events(*events) == []
    assert "26 writes" in judge_events(*events, event(at=30, number=99, note="n99"))[0]
    assert judge_events(*events, event(at=330, number=99, note="n99")) == []
    other = event(at=30, number=99, note="n99", reportingInstance="another-pod")
    assert judge_events(*events, other) == [], "each process has its own"
    patched = event(series=[None, *((n, n) for n in range(2, 28))])
    assert any("27 writes" in t for t in judge_events(patched))


def test_a_warning_without_news():
    story = Timeline(Story().status(1, failing(1)).versions)
    note = "because of AWSError"

    def warning(**changes) -> Timeline:
        return event(type="Warning", reason="AWSError", note=note, **changes)

    assert judge_events(warning(), objects=[story]) == []
    found = judge_events(warning(series=[None, (2, 3)]), objects=[story])
    assert found == ["said 2 times, and it came into Ready 1 times"]
    found = judge_events(
        event(type="Warning", reason="AWSError", note="never said"), objects=[story]
    )
    assert found == ["said 1 times, and it came into Ready 0 times"]
    of_a_workload = event(type="Warning", reason="RepositoryCreationFailed", note="of a workload")
    assert not any("Ready" in text for text in judge_events(of_a_workload, objects=[story]))
