# SPDX-License-Identifier: Apache-2.0
"""Connections to the API server that are slow, or silent, for lists, watches and writes: what can
go on goes on, nothing is decided by half of what there is, and SIGTERM ends it all the same. (That
a watch which falls silent is given up and made anew: test_informer_wire.c.)"""

import pytest

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.wait import holds_for, wait_for
from berth_test.wire import Asked

CREATE = "CreateRepositoryCreationTemplate"
TEMPLATES = "repositorycreationtemplates"
ALONE = {"leaderElection": {"enabled": False}}


def is_watch(asked: Asked) -> bool:
    return asked.is_watch and asked.is_of(TEMPLATES)


def is_patch(asked: Asked) -> bool:
    return asked.method == "PATCH" and asked.is_of(TEMPLATES)


def is_anything(_: Asked) -> bool:
    return True


def results(emulator: Emulator) -> list[tuple[str, str, int]]:
    return [(r.operation, r.body["prefix"], r.status) for r in emulator.operator_writes()]


# --- slow ----------------------------------------------------------------------------------------


def test_a_slow_watch(kube, emulator, wire, through_wire):
    """An event takes its time, and is no reason to begin anew."""
    kube.create(objects.settings(emulator))
    kube.create(objects.template("edited"))
    operator = through_wire(config=ALONE)
    kube.wait_ready(TEMPLATE, "edited")
    wire.add(is_watch, pace_s=0.05, piece=40)
    before = len(wire.asked(is_watch))
    wire.cut_next_event(is_watch, lambda n: 0, "fin")
    kube.merge(TEMPLATE, "edited", {"spec": {"description": "slow"}})
    kube.wait_ready(TEMPLATE, "edited", 20)
    assert len(wire.asked(is_watch)) == before + 1
    assert operator.metrics_of("berth_informer_lists_total") == 2


def test_slow_answers_to_everything(kube, emulator, wire, through_wire):
    """Lists, watches and patches, at some four kilobytes a second."""
    kube.create(objects.settings(emulator))
    kube.create(objects.template("slow"))
    wire.add(is_anything, pace_s=0.01, piece=40)
    through_wire(config=ALONE, wait=False)
    kube.wait_ready(TEMPLATE, "slow", 30)
    assert results(emulator) == [(CREATE, "slow", 200)]


# --- silent --------------------------------------------------------------------------------------


def test_a_watch_that_is_never_answered(kube, emulator, wire, through_wire):
    """Not ready, and nothing is decided by half of what there is."""
    kube.create(objects.settings(emulator))
    kube.create(objects.template("unseen"))
    wire.add(is_watch, after=0)
    operator = through_wire(config=ALONE, wait=False)
    wait_for(lambda: operator.find_log("serving", what="health"), 10, "it serves")
    wait_for(lambda: wire.asked(is_watch), 10, "it is asked")
    holds_for(lambda: operator.get("health", "/readyz")[0] == 503, 2.0, "it is not ready")
    assert emulator.operator_requests() == []
    assert len(wire.asked(is_watch)) == 1
    operator.stop()


def test_a_silent_answer_to_a_patch(kube, emulator, wire, through_wire):
    """One worker waits for it; others go on."""
    kube.create(objects.settings(emulator))
    through_wire(config=ALONE)
    kube.wait_ready(SETTINGS, "default")
    fault = wire.add(lambda a: is_patch(a) and "/stuck" in a.path, after=0, times=1)
    kube.create(objects.template("stuck"))
    wait_for(lambda: fault.acted == 1, 5, "its first write is not answered")
    for i in range(8):
        kube.create(objects.template(f"t{i}"))
    for i in range(8):
        kube.wait_ready(TEMPLATE, f"t{i}")


HOW = {"silent": {"after": 0}, "slow": {"pace_s": 0.05}, "half": {"after": 100}}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("phase", ["list", "watch", "patch"])
def test_sigterm(kube, emulator, wire, through_wire, phase, how):
    """In less than two seconds, also where the Lease cannot be given back; stop() asserts it."""
    kube.delete("Lease", "berth-operator", "default")
    kube.create(objects.settings(emulator))
    if phase == "list":
        wire.add(is_anything, **HOW[how])
        operator = through_wire(wait=False, config=ALONE)
        wait_for(lambda: len(wire.asked(lambda a: a.is_watch)) >= 2, 10, "it lists both kinds")
    else:
        operator = through_wire(config={})
        kube.wait_ready(SETTINGS, "default")
        fault = wire.add(is_patch if phase == "patch" else is_anything, **HOW[how])
        if phase == "watch":
            assert wire.silence(lambda a: a.is_watch) == 2
        else:
            kube.create(objects.template("going"))
            wait_for(lambda: fault.acted > 0, 10, "a write is under way")
    operator.stop()
    kube.delete("Lease", "berth-operator", "default")
