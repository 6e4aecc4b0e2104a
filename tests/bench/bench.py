# SPDX-License-Identifier: Apache-2.0
"""make bench: what the operator needs for a thousand templates that are new, for those that are as
declared, for nothing at all, how soon it starts and mends, and what the webhook costs. Prints a
table with the goal, the median of the runs, least and greatest, and writes the same as JSON with
every run.

    bench.py [MEASURE...] [--runs N] [--quick] [--json FILE]

Of two things that are compared both are measured in each run, so that a busy machine hits both. The
exit code is 1 where a median misses its goal; counts of calls must meet theirs in every run. A busy
machine misses goals of time for reasons of its own: the table begins with its load, and with
--quick only the counts decide."""

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Callable

import measures
from berth_test import paths


@dataclasses.dataclass(frozen=True)
class Goal:
    sign: str  # what the figure must be
    value: float
    is_count: bool = False  # of each run, not of the median

    def holds(self, figure: float) -> bool:
        return figure <= self.value if self.sign == "<=" else figure >= self.value

    def ratio(self, figure: float) -> float | None:
        """How much of the goal is used; above 1 it is missed."""
        over, under = (figure, self.value) if self.sign == "<=" else (self.value, figure)
        return over / under if under else None

    def __str__(self) -> str:
        return f"{self.sign} {round(self.value, 1):g}"


def most(value: float) -> Goal:
    return Goal("<=", value)


def count(value: float) -> Goal:
    return Goal("<=", value, is_count=True)


def least(value: float) -> Goal:
    return Goal(">=", value)


MB = 1e6 / 2**20  # in MiB, which is what is shown

GOALS: dict[str, dict[str, Goal]] = {
    "new": {
        "of the bare client's rate, %": least(60),
        "writes to ECR, per template": count(1),
        "reads of ECR": count(20),
        "failed calls": count(0),
    },
    "steady": {
        "reads beyond the pages of templates": count(0),
        "writes to ECR": count(0),
        "writes to the API server": count(0),
        "CPU, % of a core": most(1),
    },
    "memory": {
        "idle, anonymous, MiB": most(6 * MB),
        "idle, RSS, MiB": most(18 * MB),
        "templates, RSS, MiB": most(32 * MB),
        "repositories, RSS, MiB": most(64 * MB),
    },
    "start": {"first mend sent, ms": most(100)},
    "drift": {"p95, s": most(measures.DRIFT_INTERVAL_S + 1)},
    "webhook": {
        "of nginx's requests/s, %": least(35),
        "of the constant's requests/s, %": least(80),
        "p99, times nginx's": most(5),
        "1 MB, p50, ms": most(15),
        "64 connections, RSS, MiB": most(32 * MB),
        "Pod, p50 above the constant's, ms": most(0.3),
        "first contact, p50, ms": most(250),
    },
}
MEASURES: dict[str, Callable[[measures.Sizes], measures.Figures]] = {
    name: getattr(measures, name) for name in GOALS
}

FULL = measures.Sizes(
    templates=1000, repositories=10_000, many_repositories=100_000, steady_s=120, pods=500,
    load_s=2,
)
QUICK = measures.Sizes(
    templates=200, repositories=1000, many_repositories=5000, steady_s=20, pods=100, load_s=1
)
FULL_RUNS, QUICK_RUNS = 5, 1


@dataclasses.dataclass
class Row:
    measure: str
    figure: str
    goal: str | None
    median: float
    least: float
    greatest: float
    of_goal: float | None
    holds: bool | None
    is_count: bool


def row(measure: str, figure: str, values: list[float]) -> Row:
    goal = GOALS[measure].get(figure)
    median = statistics.median(values)
    judged = values if goal and goal.is_count else [median]
    return Row(
        measure,
        figure,
        str(goal) if goal else None,
        median,
        min(values),
        max(values),
        goal.ratio(median) if goal else None,
        all(map(goal.holds, judged)) if goal else None,
        bool(goal and goal.is_count),
    )


def print_head() -> None:
    print(f"{'':49} {'goal':>7} {'median':>9} {'least':>9} {'greatest':>9} {'of goal':>8}")


def print_rows(rows: list[Row]) -> None:
    for r in rows:
        of_goal = f"{100 * r.of_goal:.0f} %" if r.of_goal is not None else ""
        missed = "  MISSED" if r.holds is False else ""
        print(f"{r.measure + ': ' + r.figure:48.48} {r.goal or '':>8} {r.median:>9.2f}"
              f" {r.least:>9.2f} {r.greatest:>9.2f} {of_goal:>8}{missed}", flush=True)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measures", nargs="*", metavar="MEASURE", help=", ".join(MEASURES))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--quick", action="store_true", help="one run, smaller: does it work?")
    parser.add_argument("--json", type=pathlib.Path, default=paths.BUILD / "bench.json")
    for field in dataclasses.fields(measures.Sizes):
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, type=type(getattr(FULL, field.name)))
    options = parser.parse_args()
    unknown = set(options.measures) - set(MEASURES)
    if unknown:
        parser.error(f"no measure {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    given = {f.name: getattr(options, f.name) for f in dataclasses.fields(measures.Sizes)}
    sizes = dataclasses.replace(
        QUICK if options.quick else FULL, **{k: v for k, v in given.items() if v is not None}
    )
    runs = options.runs or (QUICK_RUNS if options.quick else FULL_RUNS)

    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "kernel": platform.release()}
    print(f"{runs} runs; {sizes.templates} templates; {machine['cores']} cores, load"
          f" {machine['load']:.1f} at the start", flush=True)  # fmt: skip
    print_head()
    rows: list[Row] = []
    samples: dict[str, list[measures.Figures]] = {}
    began = time.time()
    for name in options.measures or MEASURES:
        samples[name] = [MEASURES[name](sizes) for _ in range(runs)]
        new_rows = [row(name, f, [s[f] for s in samples[name]]) for f in samples[name][0]]
        print_rows(new_rows)
        rows += new_rows
    options.json.write_text(
        json.dumps(
            {
                "machine": machine,
                "sizes": dataclasses.asdict(sizes),
                "seconds": round(time.time() - began, 1),
                "figures": [dataclasses.asdict(r) for r in rows],
                "runs": samples,
            },
            indent=2,
        )
        + "\n"
    )
    missed = [r for r in rows if r.holds is False]
    print(f"{len(missed)} goals missed; every run is in {options.json}")
    return int(any(r.is_count or not options.quick for r in missed))


if __name__ == "__main__":
    sys.exit(main())
