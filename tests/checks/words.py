# SPDX-License-Identifier: Apache-2.0
"""Each source says its licence; no file names the place where it was written; what is left to do
has an issue."""

import pathlib
import re

from tree import ROOT, project_files

SPDX = "SPDX-License-Identifier: Apache-2.0"
_SOURCES = {".c", ".h", ".py", ".sh"}
# written so that this file does not match itself
_BANNED = [
    (re.compile("/wo" + "rk/"), "the path of a machine"),
    (re.compile(r"(?<![\w-])sha" + "red/"), "a path outside the project"),
]
_LEFT_TO_DO = re.compile(r"\b(TO" + "DO|FIX" + r"ME|X{3})\b(?!\(#[0-9]+\))")


def _check_file(path: pathlib.Path, where: pathlib.Path) -> list[str]:
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return []  # not text
    lines = text.splitlines()
    found = []
    is_source = path.suffix in _SOURCES or (lines and lines[0].startswith("#!"))
    if is_source and not any(SPDX in line for line in lines[:3]):
        found.append(f"{where}: the first lines lack {SPDX}")
    for number, line in enumerate(lines, 1):
        for pattern, what in _BANNED:
            if pattern.search(line):
                found.append(f"{where}:{number}: {what}: {line.strip()}")
        if path.suffix != ".md" and _LEFT_TO_DO.search(line):
            found.append(f"{where}:{number}: left to do without an issue: {line.strip()}")
    return found


def check(root: pathlib.Path = ROOT) -> list[str]:
    return [p for path in project_files(root) for p in _check_file(path, path.relative_to(root))]
