# SPDX-License-Identifier: Apache-2.0
"""docs/reference/ecr-emulator.md: its flags and behaviors are those of the program, and each of its
examples runs."""

import json
import re
import subprocess

import pytest

from berth_test import paths

PAGE = (paths.SOURCE / "docs" / "reference" / "ecr-emulator.md").read_text()
HELP = subprocess.run(
    [paths.binary("ecr-emulator"), "--help"], text=True, capture_output=True, check=True
).stdout
RULES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.S)]
SCRIPTS = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
# what a rule may have besides match
EFFECTS = {
    "throttle", "fail", "deny", "quota", "delayMs", "cut", "garbage", "stale", "normalise",
    "skewMs", "expire",
}  # fmt: skip


def test_flags():
    flags = set(re.findall(r"--[a-z][a-z-]*", HELP))
    table = PAGE[PAGE.index("## Flags") : PAGE.index("## Behaviors")]
    assert set(re.findall(r"--[a-z][a-z-]*", table)) == flags


def test_behaviors():
    printed = dict(re.findall(r"^  ([a-z-]+)=(\S+)$", HELP[HELP.index("Behaviors") :], re.M))
    table = PAGE[PAGE.index("## Behaviors") : PAGE.index("## State that stays")]
    told = {}
    for name, values in re.findall(r"^\| `([a-z-]+)` \| (.*?) \|", table, re.M):
        words = re.findall(r"`([^`]+)`", values)
        told[name] = (".." if " to " in values else "|").join(words)
    assert told == printed


def test_every_effect_has_an_example():
    assert {name for rule in RULES for name in rule if name != "match"} == EFFECTS


@pytest.mark.parametrize("rule", RULES, ids=json.dumps)
def test_rules(emulator, rule):
    number = emulator.add_fault(**{"match": None, **rule})
    assert emulator.faults() == [{"id": number, "seen": 0, "acted": 0, "rule": rule}]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts(emulator, script):
    emulator.ecr.create_repository(repositoryName="a/b")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": "/usr/bin:/bin", "EMULATOR": emulator.endpoint},
        text=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert emulator.faults() == []
