# SPDX-License-Identifier: Apache-2.0
"""The documents name what there is: each reason of a condition, make targets, linked files."""

import pathlib
import re
import subprocess

import pytest

from berth_test import paths

_REASONS = paths.SOURCE / "pkg" / "api" / "reasons.c"
_NAMES = paths.SOURCE / "include" / "api" / "api.h"
_TROUBLESHOOTING = paths.SOURCE / "docs" / "troubleshooting.md"

_FENCE = re.compile(r"^```.*?^```[^\n]*$", re.M | re.S)
_CODE = re.compile(r"`[^`\n]*`|<code>.*?</code>")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.M)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_MAKE = re.compile(r"(?:^ {4}|`)make ([a-z][a-z-]*)", re.M)
_TARGET = re.compile(r"^([a-z][a-z-]*):(?!=)", re.M)


def documents() -> list[pathlib.Path]:
    if not (paths.SOURCE / ".git").exists():  # an archive of the sources
        found = sorted(paths.SOURCE.rglob("*.md"))
        return [f for f in found if not f.is_relative_to(paths.SOURCE / "build")]
    out = subprocess.run(
        ["git", "-C", paths.SOURCE, "ls-files", "-z", "--cached", "--others",
         "--exclude-standard", "*.md"],
        stdout=subprocess.PIPE, check=True, text=True,
    ).stdout  # fmt: skip
    files = [paths.SOURCE / name for name in out.split("\0") if name]
    return sorted(f for f in files if f.is_file())


def reasons() -> list[str]:
    """The names in the table of api_reasons(), by way of the macros that it uses."""
    words = dict(re.findall(r'#define (API_REASON_\w+)\s+"(\w+)"', _NAMES.read_text()))
    table = re.findall(r"\b(?:READY|SYNCED)\(\s*(API_REASON_\w+)", _REASONS.read_text())
    return [words[macro] for macro in table]


def without_code(text: str) -> str:
    """Without code blocks; in a heading or a link text, code is text like any other."""
    return _FENCE.sub("", text)


def anchors(path: pathlib.Path) -> set[str]:
    """As code hosting sites make them: lower case, no punctuation, blanks as hyphens."""
    found = set()
    for heading in _HEADING.findall(without_code(path.read_text())):
        text = _LINK.sub(lambda m: m[0][1 : m[0].index("]")], heading)
        found.add(re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-"))
    return found


def broken(path: pathlib.Path, target: str) -> str | None:
    """What is wrong with a relative link of path; None where nothing is."""
    name, _, anchor = target.partition("#")
    file = path if not name else (path.parent / name).resolve()
    if not file.is_relative_to(paths.SOURCE):
        return "leaves the project"
    if not file.exists():
        return "does not exist"
    if anchor and file.suffix == ".md" and anchor not in anchors(file):
        return "has no such heading"
    return None


def test_every_reason_is_explained():
    names = reasons()
    assert len(names) == _REASONS.read_text().count("API_REASON_") > 0
    headings = set(_HEADING.findall(_TROUBLESHOOTING.read_text()))
    assert [n for n in names if n not in headings] == []


def test_no_reason_is_explained_that_is_not_given():
    text = _TROUBLESHOOTING.read_text()
    headings = re.findall(r"^### (\w+)$", text, re.M)
    assert sorted(headings) == sorted(reasons())


@pytest.mark.parametrize("path", documents(), ids=lambda p: str(p.relative_to(paths.SOURCE)))
def test_links_resolve(path: pathlib.Path):
    text = _CODE.sub("code", without_code(path.read_text()))
    relative = [t for t in _LINK.findall(text) if not re.match(r"[a-z]+:", t)]
    problems = [f"{t} {why}" for t in relative if (why := broken(path, t))]
    assert problems == []


def test_make_targets_exist():
    targets = set(_TARGET.findall((paths.SOURCE / "Makefile").read_text()))
    named = {}
    for path in documents():
        for target in _MAKE.findall(path.read_text()):
            named.setdefault(target, str(path.relative_to(paths.SOURCE)))
    assert {"demo", "test"} <= set(named)
    assert {t: where for t, where in named.items() if t not in targets} == {}


@pytest.mark.parametrize(
    ("target", "want"),
    [
        ("", None),
        ("docs/architecture.md", None),
        ("docs/troubleshooting.md#alreadyexists", None),
        ("docs/nowhere.md", "does not exist"),
        ("docs/troubleshooting.md#nowhere", "has no such heading"),
        ("../outside.md", "leaves the project"),
    ],
)
def test_broken(target: str, want: str | None):
    assert broken(paths.SOURCE / "README.md", target) == want
