# SPDX-License-Identifier: Apache-2.0
"""The files of the project, for the checks."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def project_files(root: pathlib.Path = ROOT) -> list[pathlib.Path]:
    """What is in git or would be added to it; every file where root is no repository."""
    if (root / ".git").exists():
        out = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            stdout=subprocess.PIPE, check=True,
        ).stdout.decode()  # fmt: skip
        names = [name for name in out.split("\0") if name]
    else:
        names = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
        names = [name for name in names if not name.startswith("build/")]
    return sorted(root / name for name in names if (root / name).is_file())


def c_files(root: pathlib.Path = ROOT) -> list[pathlib.Path]:
    return [p for p in project_files(root) if p.suffix in (".c", ".h")]


def is_generated(path: pathlib.Path) -> bool:
    return path.stem.endswith("_gen")
