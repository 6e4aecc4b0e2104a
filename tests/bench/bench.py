# SPDX-License-Identifier: Apache-2.0
"""make bench: a thousand templates, at the default rate and at the greatest, and then what they
cost when nothing is to be done. Prints tables, and JSON with --json; fails where the counts of
calls are not what they must be."""

import argparse
import dataclasses
import json
import sys

import steady
from berth_test import kube as kube_module
from berth_test import scale
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.operator import Operator

DEFAULT_RATE, GREATEST_RATE = 10, 1000
READS_MOST = 20


def run(templates: int, rate: int) -> scale.Result:
    started: list[Operator] = []
    with ControlPlane() as cluster, Emulator() as emulator:
        cluster.install_crds()

        def start() -> Operator:
            started.append(Operator(cluster.kubeconfig()))
            return started[-1]

        try:
            return scale.measure(
                cluster.kube, emulator, start, templates, rate, 60 + 10 * templates / rate
            )
        finally:
            for operator in started:
                operator.kill()
            for kind in (kube_module.TEMPLATE, kube_module.SETTINGS):
                cluster.kube.remove_all(kind)


def run_steady(templates: int, repositories: int, seconds: float) -> steady.Steady:
    started: list[Operator] = []
    with ControlPlane() as cluster, Emulator() as emulator:
        cluster.install_crds()

        def start() -> Operator:
            started.append(Operator(cluster.kubeconfig()))
            return started[-1]

        try:
            return steady.measure(cluster.kube, emulator, start, templates, repositories, seconds)
        finally:
            for operator in started:
                operator.kill()
            for kind in (kube_module.TEMPLATE, kube_module.SETTINGS):
                cluster.kube.remove_all(kind)


def print_steady(r: steady.Steady) -> None:
    print(f"\nsteady state: {r.templates} templates, {r.repositories} repositories,"
          f" {r.seconds} s, {r.cycles} drift intervals")  # fmt: skip
    print(f"  reads {r.reads}, writes to ECR {r.aws_writes}, to the API server {r.kube_writes}"
          f" (beside the Lease), CPU {r.cpu_percent} % of a core")  # fmt: skip
    print(f"  RSS {r.rss_kib / 1024:.1f} MiB ({r.rss_anon_kib / 1024:.1f} anonymous); idle"
          f" {r.idle_rss_kib / 1024:.1f} MiB ({r.idle_rss_anon_kib / 1024:.1f})")  # fmt: skip
    print(f"  start to the first objects compared: {r.start_seconds:.2f} s, with the Lease")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--templates", type=int, default=1000)
    parser.add_argument("--rate", type=int, action="append", help="requests per second")
    parser.add_argument("--repositories", type=int, default=10_000)
    parser.add_argument("--steady", type=float, default=120.0, help="seconds; 0: not measured")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = [run(options.templates, r) for r in options.rate or [GREATEST_RATE, DEFAULT_RATE]]

    rest = (
        run_steady(options.templates, options.repositories, options.steady)
        if options.steady
        else None
    )
    if options.json:
        figures = {"new": [dataclasses.asdict(r) for r in results]}
        if rest:
            figures["steady"] = dataclasses.asdict(rest)
        print(json.dumps(figures, indent=2))
    else:
        print(f"{'templates':>9} {'calls/s':>8} {'seconds':>8} {'CPU s':>6} {'RSS MiB':>8}"
              f" {'writes':>7} {'reads':>6} {'failed':>7} {'kube writes':>12}")  # fmt: skip
        for r in results:
            print(f"{r.templates:>9} {r.requests_per_second:>8} {r.seconds:>8.1f}"
                  f" {r.cpu_seconds:>6.2f} {r.peak_rss_kib / 1024:>8.1f} {r.writes:>7}"
                  f" {r.reads:>6} {r.failed_requests:>7} {r.kube_writes:>12}")  # fmt: skip
        if rest:
            print_steady(rest)
    too_many = [
        r
        for r in results
        if r.writes > r.templates or r.reads > READS_MOST
    ]
    for r in too_many:
        print(f"too many calls: {r}", file=sys.stderr)
    if rest and (rest.aws_writes or rest.kube_writes):
        print(f"writes although nothing changed: {rest}", file=sys.stderr)
        return 1
    return 1 if too_many else 0


if __name__ == "__main__":
    sys.exit(main())
