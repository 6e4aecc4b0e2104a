# SPDX-License-Identifier: Apache-2.0
"""Each header compiles alone, and twice in a row."""

import concurrent.futures
import os
import pathlib
import subprocess

from tree import ROOT, c_files

_FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
          "-Wno-unused-function", "-fsyntax-only", "-x", "c", "-"]  # fmt: skip


def _compile(header: pathlib.Path, root: pathlib.Path) -> list[str]:
    parts = header.relative_to(root).parts
    directories = [root / "include", header.parent]
    argv = ["gcc", *(f"-I{d}" for d in directories), *_FLAGS]
    banned = root / "include" / "base" / "banned.h"
    if banned.exists():
        argv[1:1] = ["-include", str(banned)]
    line = f'#include "{header}"\n'
    done = subprocess.run(argv, input=line + line, text=True, capture_output=True)
    if done.returncode == 0:
        return []
    return [f"{header.relative_to(root)} does not compile alone:\n{done.stderr}"]


def check(root: pathlib.Path = ROOT) -> list[str]:
    headers = [
        p
        for p in c_files(root)
        if p.suffix == ".h" and p.relative_to(root).parts[0] in ("include", "pkg", "cmd")
    ]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda h: _compile(h, root), headers)
    return [problem for result in results for problem in result]
