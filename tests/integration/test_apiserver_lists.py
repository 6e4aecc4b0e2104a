# SPDX-License-Identifier: Apache-2.0
"""API servers that can list by a stream, that cannot, and that learn or forget it under an operator
that runs."""

import uuid

import pytest

from berth_test import objects
from berth_test.apiserver import start_again
from berth_test.kube import TEMPLATE
from berth_test.operator import Operator
from berth_test.wait import wait_for
from berth_test.wire import Asked

LEASE = ("Lease", "berth-operator", "default")
TEMPLATES = "repositorycreationtemplates"
# a reflector's delays, 0.8 s doubling to 30 s with as much of jitter, after an outage of seconds
RECOVERY_S = 15.0
WATCH_FAILS = "watching the API server fails, trying again"


def lists(operator: Operator) -> float:
    return operator.metrics_of("berth_informer_lists_total")


def known_templates(operator: Operator) -> float:
    return operator.metrics()[f'berth_informer_objects{{kind="{TEMPLATE}"}}']


def is_watch(asked: Asked) -> bool:
    return asked.is_watch and asked.is_of(TEMPLATES)


def is_stream_list(asked: Asked) -> bool:
    return is_watch(asked) and "sendInitialEvents=true" in asked.path


def is_page(asked: Asked) -> bool:
    return "limit=500" in asked.path and asked.is_of(TEMPLATES)


@pytest.fixture(autouse=True)
def no_lease(kube):
    """What an earlier operator left."""
    kube.delete(*LEASE)


def test_the_gate_of_stream_lists(kube, control_plane, emulator, wire, through_wire):
    """By a stream where the server can, else by pages; and a server that is upgraded, or put back,
    under an operator that runs."""

    def switch(*options: str) -> None:
        """Of the history that the operator has nothing is left."""
        with wire.away():
            # a revision that no bookmark has told the operator of
            note = {"metadata": {"annotations": {"test/switched": uuid.uuid4().hex}}}
            kube.merge("Namespace", "default", note)
            control_plane.kill_apiserver()
            control_plane.compact()
            start_again(control_plane, *options)

    kube.create(objects.settings(emulator))
    for i in range(3):
        kube.create(objects.template(f"t{i}"))
    operator = through_wire()
    for i in range(3):
        kube.wait_ready(TEMPLATE, f"t{i}")
    assert (len(wire.asked(is_stream_list)), len(wire.asked(is_page))) == (1, 0)
    assert operator.find_log(WATCH_FAILS) == []

    switch("--feature-gates=WatchList=false")
    wait_for(lambda: lists(operator) >= 4, RECOVERY_S, "both kinds are listed again")
    assert len(wire.asked(is_page)) == 1
    kube.merge(TEMPLATE, "t0", {"spec": {"description": "by pages"}})
    kube.wait_ready(TEMPLATE, "t0", RECOVERY_S)
    operator.stop()

    streams = len(wire.asked(is_stream_list))
    operator = through_wire()
    wait_for(lambda: lists(operator) == 2, 5, "both kinds are listed")
    assert len(wire.asked(is_stream_list)) == streams + 1, "it is asked once"
    assert len(wire.asked(is_page)) == 2
    assert operator.find_log(WATCH_FAILS) == []

    kube.delete(TEMPLATE, "t1")
    kube.wait_gone(TEMPLATE, "t1")
    switch()
    wait_for(lambda: lists(operator) >= 4, RECOVERY_S, "both kinds are listed again")
    assert known_templates(operator) == 2
    kube.merge(TEMPLATE, "t0", {"spec": {"description": "by a stream"}})
    kube.wait_ready(TEMPLATE, "t0", RECOVERY_S)
