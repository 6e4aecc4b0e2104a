# SPDX-License-Identifier: Apache-2.0
"""The end of a soak: everything is released, and then it has to become as declared, be quiet, have
lost nothing and leaked nothing."""

import time

from judge import complaints_at_the_end, expected_reasons
from model import SPARE
from world import STAYS, Sample, is_sanitized, sample

from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.wait import SLOWNESS, Timeout, wait_for

BY_ITSELF_S = 45.0  # what nothing holds back is as declared then: three reads and a call that hangs
ASKED_S = 60.0
QUIET_S = 22.0  # two reads
# what holds an object back longer, as documented: failed writes, rivals, values that AWS changes
PATIENT = {
    "AccessDenied", "AWSError", "Contended", "EndpointUnreachable", "NotConverging",
    "QuotaExceeded", "Throttled",
}  # fmt: skip
RSS_FACTOR, RSS_MORE_KIB = 1.10, 1024
# idle connections to AWS and to the API server are kept, a few more after many at once
DESCRIPTORS_MORE = 12
WARM_UP = 0.2


def objects_behind(soak) -> list[str]:
    """What is not as the model says, of the objects themselves."""
    found, objects = [], soak.objects()
    entries = soak.model.entries
    for name, entry in entries.items():
        obj = objects.get(name)
        if not entry.is_live:
            if obj is not None:
                found.append(f"{name} is still there: {soak.ready(obj)}")
            continue
        if obj is None:
            found.append(f"{name} is gone, and nobody deleted it")
            continue
        observed = obj.get("status", {}).get("observedGeneration")
        status, reason = soak.ready(obj)
        expected = expected_reasons(entry, soak.model)
        is_told = observed == obj["metadata"]["generation"]
        if not is_told or reason not in expected or (status == "True") != (reason == "Available"):
            found.append(f"{name} is {status} {reason}, expected {sorted(expected)}")
    for prefix in {e.prefix for e in entries.values() if e.is_live}:
        rivals = [e for e in soak.model.live(prefix) if e.name in objects]
        winners = [e.name for e in rivals if soak.ready(objects[e.name])[0] == "True"]
        if len(rivals) > 1 and len(winners) != 1:
            found.append(f"{prefix}: {winners} of {[e.name for e in rivals]} are Ready")
    return found


def all_behind(soak) -> list[str]:
    soak.world.look()
    templates = soak.world.registries["default"].emulator.templates()
    found = objects_behind(soak) + complaints_at_the_end(soak.model, templates)
    spare = sorted(soak.world.registries["spare"].emulator.templates())
    is_there = soak.world.kube_call(lambda: soak.world.kube.get(SETTINGS, SPARE)) is not None
    wanted = sorted(soak.model.spare) if is_there else []
    if spare != wanted:
        found.append(f"the spare registry has {spare}, wanted {wanted}")
    return found


def wait_converged(soak, seconds: float) -> None:
    last: list[str] = []

    def converged() -> bool:
        last[:] = all_behind(soak)
        return not last

    wait_for(converged, seconds, lambda: "\n  ".join(["all is as declared:", *last]), poll_s=0.5)


def wait_quiet(soak) -> Sample:
    """Nothing is written any more, to AWS or to our objects; returns what the operator holds."""
    world = soak.world

    def state() -> tuple:
        world.look()
        objects = soak.objects()
        versions = {n: o["metadata"]["resourceVersion"] for n, o in objects.items()}
        return world.judge.writes, versions

    def is_quiet() -> bool:
        before, end = state(), time.monotonic() + QUIET_S * SLOWNESS
        while time.monotonic() < end:
            time.sleep(1)
            if state() != before:
                return False
        return True

    wait_for(is_quiet, 100, "nothing is written any more")
    return sample(world.operator(STAYS).process)


def _release(soak) -> None:
    for text in soak.faults.end_due(everything=True):
        soak.note(text)
    soak.note(soak.edits.unhold_registry())
    for entry in soak.model.entries.values():
        if entry.is_held():
            soak.note(soak.edits._unhold(entry))
    # the registry as it was when the baseline was taken
    soak.note(soak.edits.apply_settings("default", 200, "ENABLED"))
    world = soak.world
    if world.kube_call(lambda: world.kube.get(SETTINGS, SPARE)) is None:
        soak.note(soak.edits.turn_spare())


def _ask_the_patient(soak) -> list[str]:
    """What is behind and says that it waits is asked; what does not say so is wrong."""
    wrong, objects = [], soak.objects()
    for line in all_behind(soak):
        name = line.split(" ")[0].rstrip(":")
        of_prefix = [e.name for e in soak.model.live(name)] or [name]
        for n in of_prefix:
            status, reason = soak.ready(objects.get(n, {}))
            if n in objects and reason in PATIENT:
                soak.edits.ask(TEMPLATE, n)
            else:
                wrong.append(f"{BY_ITSELF_S * SLOWNESS:g} s after the last fault: {line}")
    soak.edits.ask(SETTINGS, "default")
    return wrong


def settle(soak) -> list[str]:
    soak.say("the faults end")
    _release(soak)
    complaints: list[str] = []
    try:
        wait_converged(soak, BY_ITSELF_S)
    except Timeout:
        complaints += _ask_the_patient(soak)
        soak.say(f"asked who waits; {len(complaints)} do not say why they are behind")
    try:
        wait_converged(soak, ASKED_S)
    except Timeout as e:
        return [*soak.world.judge.complaints, *complaints, str(e)]
    soak.say("all is as declared")
    complaints += _epilogue(soak)
    soak.last = wait_quiet(soak)
    complaints += _leaks(soak)
    try:
        # an event may be out whose status an API server that hung never took
        soak.world.cluster.recorder.check(with_events=False)
    except AssertionError as e:
        complaints.append(f"the versions of the objects: {e}")
    for name in list(soak.world.replicas.running):
        soak.world.replicas.take(name).stop()  # in time, with 0, without a report of a sanitizer
    return soak.world.judge.complaints + complaints


def _epilogue(soak) -> list[str]:
    """A part of the objects goes while nothing fails: what is declared to stay stays as it is."""
    world, model = soak.world, soak.model
    before = world.registries["default"].emulator.templates()
    stay = {}
    live = [e for e in model.entries.values() if e.kind == "plain" and e.is_live and e.is_valid]
    for entry in live[::3]:
        obj = soak.objects()[entry.name]
        origin = obj["status"]["ownership"]["origin"]
        policy = entry.spec.get("deletionPolicy", "Delete" if origin == "Created" else "Retain")
        soak.note(soak.edits._delete(entry))
        model.uncertain.discard(entry.prefix)
        if policy == "Retain":
            stay[entry.prefix] = before[entry.prefix]
            model.uncertain.add(entry.prefix)
    wait_converged(soak, ASKED_S)
    after = world.registries["default"].emulator.templates()
    return [
        f"{prefix} was to be retained as {template}, AWS has {after.get(prefix)}"
        for prefix, template in stay.items()
        if after.get(prefix) != template
    ]


def _leaks(soak) -> list[str]:
    found, world, base, last = [], soak.world, soak.baseline, soak.last
    if last.threads != base.threads:
        found.append(f"{base.threads} threads before, {last.threads} after")
    if last.descriptors > base.descriptors + DESCRIPTORS_MORE:
        found.append(f"{base.descriptors} descriptors before, {last.descriptors} after")
    begin, end = soak.storm_began, soak.storm_ended
    middle = (begin + end) / 2
    first = world.median_kib(begin + (end - begin) * WARM_UP, middle)
    second = world.median_kib(middle, end)
    soak.halves = first, second
    if not is_sanitized() and second > first * RSS_FACTOR + RSS_MORE_KIB:
        found.append(f"RssAnon grows: {first:g} KiB, then {second:g} KiB (medians of the halves)")
    if (transitions := world.transitions()) + 1 < world.judge.switches:
        found.append(
            f"{world.judge.switches} changes of who writes, {transitions} of who holds the Lease"
        )
    return found


def print_summary(soak) -> None:
    judge = soak.world.judge
    print(f"\n{'edits':24} {'times':>6}   {'faults':24} {'times':>6}")
    rows = [sorted(soak.counts.items()), sorted(soak.faults.happened.items())]
    for i in range(max(map(len, rows))):
        cells = [r[i] if i < len(r) else ("", "") for r in rows]
        print("   ".join(f"{name.replace('_', ' '):24} {count:>6}" for name, count in cells))
    print(f"\nwrites to ECR {judge.writes}, of which {judge.refused_writes} failed; who writes"
          f" changed {judge.switches} times")  # fmt: skip
    if getattr(soak, "halves", None):
        first, second = soak.halves
        base, last = soak.baseline, soak.last
        print(f"{'':14} {'begin':>8} {'half':>8} {'half':>8} {'end':>8}")
        print(f"{'RssAnon KiB':14} {base.anon_kib:>8} {first:>8g} {second:>8g} {last.anon_kib:>8}")
        for what in ("descriptors", "threads"):
            print(f"{what:14} {getattr(base, what):>8} {'':8} {'':8} {getattr(last, what):>8}")
    print()
