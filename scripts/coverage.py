#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The coverage of what ran in a build with BERTH_COVERAGE, as report.txt and html/ in it, and
whether the files of tests/coverage.txt have what they must.

    scripts/coverage.py BUILD

Not counted: branches of asserts (they guard against our own mistakes), of STR_ARG() (a macro with
two conditions), of running out of memory, and those that the compiler makes for itself."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLOORS = ROOT / "tests" / "coverage.txt"
FLOOR = 95.0
_NO_MEMORY = r".*(OutOfMemory|YAML_MEMORY_ERROR|yaml_parser_initialize).*"


def gcovr(build: pathlib.Path) -> list[dict]:
    html = build / "html"
    html.mkdir(exist_ok=True)
    subprocess.run(
        [
            "gcovr", "--root", ROOT, "--filter", f"{ROOT}/pkg/", "--exclude", r".*_gen\.c",
            "--exclude-unreachable-branches", "--exclude-throw-branches",
            "--exclude-branches-by-pattern", r".*(\bassert\(|STR_ARG\().*",
            "--exclude-lines-by-pattern", _NO_MEMORY,
            "--json-summary", build / "summary.json",
            "--txt", build / "report.txt",
            "--html-details", html / "index.html",
            build,
        ],
        check=True,
    )  # fmt: skip
    return json.loads((build / "summary.json").read_text())["files"]


def floors() -> dict[str, tuple[float, float]]:
    """File to the least percentage of lines and of branches. A pattern that names no file is an
    error: it would hold nothing."""
    found = {}
    for line in FLOORS.read_text().splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        least = [float(w) for w in words[1:]] or [FLOOR, FLOOR]
        paths = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob(words[0]))
        if not paths or len(least) != 2:
            sys.exit(f"{FLOORS}: no such file, or not two numbers: {line}")
        found.update({path: (least[0], least[1]) for path in paths})
    return found


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    files = {f["filename"]: f for f in gcovr(pathlib.Path(sys.argv[1]).resolve())}
    failed = False
    print(f"{'lines':>6} {'branches':>8}")
    for path, (lines, branches) in floors().items():
        f = files.get(path, {"line_percent": 0.0, "branch_percent": 0.0})
        have = f["line_percent"], 100.0 if f["branch_percent"] is None else f["branch_percent"]
        is_low = have[0] < lines or have[1] < branches
        failed = failed or is_low
        note = f"   below {lines:g} and {branches:g}" if is_low else ""
        print(f"{have[0]:6.1f} {have[1]:8.1f}  {path}{note}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
