# SPDX-License-Identifier: Apache-2.0
"""Connections to the API server that are cut within an event, or within the answer to a write. The
unit test test_informer_wire.c cuts at every byte; here the server and TLS are real, and what is
asked is what a user sees: the edit arrives, once, soon, and nothing goes round in a busy loop."""

import time

import pytest

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.wait import holds_for, wait_for
from berth_test.wire import Asked

UPDATE = "UpdateRepositoryCreationTemplate"
CREATE = "CreateRepositoryCreationTemplate"
TEMPLATES = "repositorycreationtemplates"
ALONE = {"leaderElection": {"enabled": False}}
# after one failure: 0.8 s and as much of jitter; and what a busy machine takes
ONE_RETRY_S = 1.6 + 3.0


def is_watch(asked: Asked) -> bool:
    return asked.is_watch and asked.is_of(TEMPLATES)


def is_patch(asked: Asked) -> bool:
    return asked.method == "PATCH" and asked.is_of(TEMPLATES)


def results(emulator: Emulator) -> list[tuple[str, str, int]]:
    return [(r.operation, r.body["prefix"], r.status) for r in emulator.operator_writes()]


# where the event ends that is cut, by its length on the wire. It ends in "\n\r\n": its own line,
# then its chunk's; the first line is the chunk's length.
PLACES = {
    "before": lambda n: 0,
    "in-the-length": lambda n: 1,
    "in-the-type": lambda n: 12,
    "early": lambda n: n // 4,
    "middle": lambda n: n // 2,
    "late": lambda n: 9 * n // 10,
    "before-the-newline": lambda n: n - 3,
    "after-the-newline": lambda n: n - 2,
    "in-the-chunks-end": lambda n: n - 1,
    "after": lambda n: n,
}


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_a_watch_that_is_cut_within_an_event(kube, emulator, wire, through_wire, end):
    """A new process for each place, so that each meets the shortest delay."""
    kube.create(objects.settings(emulator))
    kube.create(objects.template("edited"))
    for name, place in PLACES.items():
        operator = through_wire(config=ALONE)
        kube.wait_ready(TEMPLATE, "edited")
        kube.wait_ready(SETTINGS, "default")
        emulator.mark()
        before = len(wire.asked(is_watch))
        assert wire.cut_next_event(is_watch, place, end) == 1, "one watch is under way"
        kube.merge(TEMPLATE, "edited", {"spec": {"description": name}})
        kube.wait_ready(TEMPLATE, "edited", ONE_RETRY_S)
        assert results(emulator) == [(UPDATE, "edited", 200)], name
        assert emulator.template("edited")["description"] == name
        wait_for(lambda b=before: len(wire.asked(is_watch)) > b, ONE_RETRY_S, "watched again")
        watches = wire.asked(is_watch)[before:]
        assert len(watches) == 1 and "&resourceVersion=" in watches[0].path, watches
        assert operator.metrics_of("berth_informer_lists_total") == 2, "nothing is listed again"
        operator.stop()
    assert len(wire.cut_events) == len(PLACES)


def test_a_watch_that_is_cut_again_and_again(kube, emulator, wire, through_wire):
    """Each one after a few bytes: ever more seldom, said in the log, and over when it is over."""
    kube.create(objects.settings(emulator))
    kube.create(objects.template("edited"))
    operator = through_wire(config=ALONE)
    kube.wait_ready(TEMPLATE, "edited")
    fault = wire.add(is_watch, after=40, end="fin")
    began = time.monotonic()
    wire.cut_next_event(is_watch, lambda n: 7, "rst")
    kube.merge(TEMPLATE, "edited", {"spec": {"description": "cut"}})
    holds_for(lambda: fault.acted <= 5, 8.0, "0.8, 1.6, 3.2 s … at the least")
    assert fault.acted >= 2
    at = [a.at - began for a in wire.asked(is_watch) if a.at > began]
    assert all(later - earlier >= 0.8 for earlier, later in zip(at, at[1:])), at
    assert operator.process.cpu_seconds() < 2.0
    assert emulator.template("edited").get("description") is None
    wire.clear()
    kube.wait_ready(TEMPLATE, "edited", 2 * 12.8)
    assert emulator.template("edited")["description"] == "cut"


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_the_answer_to_a_patch_is_cut(kube, emulator, wire, through_wire, end):
    """Of the finalizer, of ownership, of the status: whether it was done nobody knows. What is made
    is made once, and whose it is stays known."""
    kube.create(objects.settings(emulator))
    operator = through_wire(config=ALONE)
    kube.wait_ready(SETTINGS, "default")
    # each of the first answers, at its begin and in its middle
    for turn, after in enumerate((0, 1, 200, 700)):
        fault = wire.add(is_patch, after=after, end=end, times=3)
        kube.create(objects.template(f"t{turn}", adoptionPolicy="Never"))
        obj = kube.wait_ready(TEMPLATE, f"t{turn}")
        assert fault.acted == 3
        assert obj["status"]["ownership"]["origin"] == "Created"
    assert results(emulator) == [(CREATE, f"t{i}", 200) for i in range(4)]
    assert operator.process.exit_code() is None
