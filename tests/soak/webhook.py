# SPDX-License-Identifier: Apache-2.0
"""The other part of make soak: two operators behind one address, under failurePolicy Fail, rotate
certificates (a signer lives 60 s, a pod's own 20 s), one of them restarts again and again, and five
admissions a second are asked for. None may fail."""

import argparse
import sys
import time

from berth_test import certs
from berth_test.certs import NOTES, Fleet, served
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator

PER_S = 5.0
RESTART_EVERY_S = 15.0
LIFE = certs.short("60s", "20s")


def soak(fleet: Fleet, seconds: float) -> list[str]:
    """The complaints."""
    begun = time.monotonic()
    steps: set[tuple[str, str]] = set()
    leaves: set[str] = set()
    restarts = 0

    def look() -> None:
        for operator in fleet.operators.values():
            steps.update((line["ts"], line["what"]) for line in operator.find_log(NOTES))
            leaves.add(served(operator))

    for name in ("stays", "restarts"):
        fleet.start(name, LIFE)
    fleet.install()
    fleet.wait_ready(2)
    with fleet.load(PER_S) as load:
        while (left := begun + seconds - time.monotonic()) > 0:
            look()
            time.sleep(min(left, RESTART_EVERY_S))
            if left > RESTART_EVERY_S:
                look()
                fleet.stop("restarts")
                fleet.start("restarts", LIFE)
                fleet.wait_ready(2)
                restarts += 1
    look()
    promoted = sum(what == "signer promoted" for _, what in steps)
    print(f"{load.count} admissions, {len(load.failures)} failed; {promoted} signers replaced,"
          f" {len(leaves)} certificates served, {restarts} restarts")  # fmt: skip
    complaints = [f"failed: {f}" for f in load.failures]
    if load.count < PER_S * seconds / 4:
        complaints.append(f"only {load.count} admissions in {seconds:.0f} s")
    if promoted < (seconds - 60) // 60 or len(leaves) < seconds / 20:
        complaints.append("certificates did not rotate as often as they should")
    return complaints


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--duration", type=float, default=300.0, help="in seconds")
    options = parser.parse_args()
    with ControlPlane() as control_plane, Emulator() as emulator:
        control_plane.install_crds()
        with Fleet(control_plane, emulator) as fleet:
            try:
                complaints = soak(fleet, options.duration)
            except BaseException:
                for operator in fleet.operators.values():
                    print(operator.log_text(), file=sys.stderr)
                raise
            if complaints:
                for operator in fleet.operators.values():
                    print(operator.log_text(), file=sys.stderr)
    for complaint in complaints[:20]:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
