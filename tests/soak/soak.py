# SPDX-License-Identifier: Apache-2.0
"""make soak: objects are edited at random while AWS fails, others change what is there, and
operators, emulator and API server die, hang and come back. Then all of that ends, and AWS must be
as the specs say, every write must be explained, and nothing may have leaked.

The same --seed gives the same series of edits and faults; how many of them there are in the time,
and what they meet, is the machine's."""

import argparse
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback

import settle
from edits import WEIGHTS, Edits
from faults import Faults
from model import Model
from world import DIES, STAYS, World

from berth_test.kube import condition_of


PROGRESS_S = 10.0
EDITS_PER_S = 5.0
FAULT_EVERY_S = 2.5
MOST_FAULTS = 4


class Soak:
    def __init__(self, options: argparse.Namespace, directory: pathlib.Path) -> None:
        self.options = options
        self.rng = random.Random(options.seed)
        self.model = Model(random.Random(options.seed + 1), options.objects)
        self.world = World(directory, self.model)
        self.edits = Edits(self.world, self.rng)
        self.faults = Faults(self.world, self.edits, random.Random(options.seed + 2))
        self.counts: dict[str, int] = {}
        self._journal = open(directory / "actions.log", "w", buffering=1)
        self._began = time.monotonic()

    def note(self, text: str | None) -> None:
        if text:
            self._journal.write(f"{time.time():.3f} {text}\n")

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.0f} s  {text}", flush=True)
        self.note(text)

    # --- phases ----------------------------------------------------------------------------------

    def run(self) -> list[str]:
        """The complaints."""
        with self.world:
            try:
                self._begin()
                self._storm()
                complaints = settle.settle(self)
            finally:
                self.note(traceback.format_exc() if sys.exc_info()[0] else "end")
            return complaints

    def _begin(self) -> None:
        """All objects, without faults: one Create each, and no call fails."""
        for name in (STAYS, DIES):
            self.world.replicas.start(name)
        self.edits.begin()
        self.edits.turn_spare()
        judge = self.world.judge
        settle.wait_converged(self, 90)
        self.world.look()
        if judge.refused_writes:
            raise AssertionError(f"{judge.refused_writes} writes failed before any fault")
        self.baseline = settle.wait_quiet(self)
        self.say(
            f"begin: {self.options.objects} objects, {judge.writes} writes, {self.baseline.threads}"
            f" threads, {self.baseline.descriptors} descriptors, {self.baseline.anon_kib} KiB"
        )

    def _storm(self) -> None:
        rng = self.rng
        self.storm_began = begin = time.monotonic()
        end = begin + self.options.duration
        next_edit = next_fault = begin
        next_progress = begin + PROGRESS_S
        while (now := time.monotonic()) < end:
            for text in self.faults.end_due():
                self.note(text)
            if now >= next_edit:
                self._edit(rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0])
                next_edit = max(next_edit + 1 / EDITS_PER_S, now)
            if now >= next_fault:
                if len(self.faults.open) < MOST_FAULTS:
                    self.note(self.faults.begin())
                next_fault = time.monotonic() + FAULT_EVERY_S
            self.world.look()
            if now >= next_progress:
                self._progress()
                next_progress = now + PROGRESS_S
            time.sleep(0.02)
        self.storm_ended = time.monotonic()

    def _edit(self, name: str) -> None:
        done = getattr(self.edits, name)()
        self.note(done)
        if done:
            self.counts[name] = self.counts.get(name, 0) + 1

    def _progress(self) -> None:
        live = sum(e.is_live for e in self.model.entries.values())
        s, judge = self.world.samples[-1], self.world.judge
        self.say(
            f"{live} objects, {sum(self.counts.values())} edits, {judge.writes} writes"
            f" ({judge.refused_writes} failed); {STAYS}: {s.anon_kib} KiB, {s.descriptors}"
            f" descriptors, {s.threads} threads; now: {', '.join(self.faults.open) or 'calm'}"
        )

    # --- what there is ---------------------------------------------------------------------------

    def ready(self, obj: dict) -> tuple[str, str]:
        condition = condition_of(obj, "Ready")
        return condition.get("status", ""), condition.get("reason", "")

    def objects(self) -> dict[str, dict]:
        return {o["metadata"]["name"]: o for o in self.world.templates()}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--duration", type=float, default=600, help="seconds of edits and faults")
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat it")
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--keep", action="store_true", help="keep the logs of a run that passed")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    return options


def main() -> int:
    options = parse()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-soak."))
    print(f"soak: {options.duration:g} s, {options.objects} objects, SEED={options.seed},"
          f" logs in {directory}", flush=True)  # fmt: skip
    soak = Soak(options, directory)
    try:
        complaints = soak.run()
    except (AssertionError, RuntimeError, OSError) as e:
        traceback.print_exc()
        complaints = [*soak.world.judge.complaints[:20], f"it broke off: {e}"]
    settle.print_summary(soak)
    for complaint in complaints[:40]:
        print(f"WRONG  {complaint}")
    if complaints:
        print(f"soak FAILED: {len(complaints)} complaints; logs of all processes and actions.log"
              f" are in {directory}; again: make soak SEED={options.seed}")  # fmt: skip
        return 1
    if options.keep:
        print(f"logs are in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    print("soak passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
