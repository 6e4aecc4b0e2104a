# SPDX-License-Identifier: Apache-2.0
"""Many templates at once: made, waited for, deleted by one call."""

import concurrent.futures

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import TEMPLATE, Kube, condition_of, path_of
from berth_test.wait import wait_for

DEADLINE_S = 120.0


def create_all(kube: Kube, prefix: str, count: int) -> None:
    def create(i: int) -> None:
        kube.create(objects.template(f"{prefix}{i}", lifecyclePolicy=objects.lifecycle()))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(count)))


def wait_all_ready(kube: Kube, emulator: Emulator, count: int) -> None:
    wait_for(
        lambda: emulator.control("GET", "stats")["templates"] == count,
        DEADLINE_S,
        f"{count} templates are in AWS",
        poll_s=0.2,
    )
    wait_for(
        lambda: all(
            condition_of(o, "Ready").get("status") == "True" for o in kube.items(TEMPLATE)
        ),
        DEADLINE_S,
        "all are Ready",
        poll_s=0.5,
    )


def delete_collection(kube: Kube) -> None:
    """What kubectl delete --all does, in one call."""
    kube.request("DELETE", path_of(TEMPLATE))


def wait_none_left(kube: Kube) -> None:
    wait_for(
        lambda: kube.request("GET", path_of(TEMPLATE) + "?limit=1")["items"] == [],
        DEADLINE_S,
        lambda: f"no object is left; there are {len(kube.items(TEMPLATE))}",
        poll_s=0.1,
    )
