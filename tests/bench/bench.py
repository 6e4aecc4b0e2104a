# SPDX-License-Identifier: Apache-2.0
"""make bench: a thousand templates, at the default rate and at the greatest. Prints a table, and
JSON with --json; fails where the counts of calls are not what they must be."""

import argparse
import dataclasses
import json
import sys

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--templates", type=int, default=1000)
    parser.add_argument("--rate", type=int, action="append", help="requests per second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = [run(options.templates, r) for r in options.rate or [GREATEST_RATE, DEFAULT_RATE]]

    if options.json:
        print(json.dumps([dataclasses.asdict(r) for r in results], indent=2))
    else:
        print(f"{'templates':>9} {'calls/s':>8} {'seconds':>8} {'CPU s':>6} {'RSS MiB':>8}"
              f" {'writes':>7} {'reads':>6} {'failed':>7} {'kube writes':>12}")  # fmt: skip
        for r in results:
            print(f"{r.templates:>9} {r.requests_per_second:>8} {r.seconds:>8.1f}"
                  f" {r.cpu_seconds:>6.2f} {r.peak_rss_kib / 1024:>8.1f} {r.writes:>7}"
                  f" {r.reads:>6} {r.failed_requests:>7} {r.kube_writes:>12}")  # fmt: skip
    # at the slow rate the drift interval passes meanwhile: its reads come on top
    too_many = [
        r
        for r in results
        if r.writes > r.templates or r.reads > READS_MOST + 2 * r.seconds / 10
    ]
    for r in too_many:
        print(f"too many calls: {r}", file=sys.stderr)
    return 1 if too_many else 0


if __name__ == "__main__":
    sys.exit(main())
