#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the unit tests notice when a decision changes? One small change at a time in the files that
decide, in a copy; a change that no test notices has to be explained in tests/mutants.txt.

    scripts/mutate.py BUILD [FILE...]

BUILD is a configured build directory (Ninja) where the unit tests are built. A mutant is compiled
with the command of its file and linked before the package's library, which then leaves that member
out; nothing in the source tree is touched."""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import resource
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXPLAINED = ROOT / "tests" / "mutants.txt"
# a mutant that does not end is noticed: by the processor's time, whatever else the machine does
TEST_CPU_S = 30
TEST_TIMEOUT_S = 300

# what is mutated, and the tests that have to notice: the next one runs where the one before did not
TARGETS = {
    "pkg/aws/retry.c": ["unit_aws_test_retry"],
    "pkg/certs/rotate.c": ["unit_certs_test_rotate"],
    "pkg/ecr/prefix.c": ["unit_ecr_test_prefix"],
    "pkg/kube/lease_decide.c": ["unit_kube_test_lease_decide", "unit_kube_test_lease_world"],
    "pkg/reconcile/conditions.c": ["unit_reconcile_test_conditions"],
    "pkg/reconcile/contention.c": ["unit_reconcile_test_contention"],
    "pkg/reconcile/template_decide.c": ["unit_reconcile_test_template_decide"],
    "pkg/registry/precedence.c": ["unit_registry_test_snapshot"],
}

_SIMPLE = [
    (r"==", "!="),
    (r"!=", "=="),
    (r"(?<![<-])<=", "<"),
    (r"(?<![<>-])>=", ">"),
    (r"(?<= )<(?= )", "<="),
    (r"(?<= )>(?= )", ">="),
    (r"&&", "||"),
    (r"\|\|", "&&"),
    (r"(?<= )\+(?= )", "-"),
    (r"(?<= )-(?= )", "+"),
    (r"(?<= )\*(?= )", "/"),
    (r"(?<= )/(?= )", "*"),
    (r"\+=", "-="),
    (r"-=", "+="),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"!(?=[\w(])", ""),
]
_NUMBER = re.compile(r"(?<![\w.])(\d+)(?![\w.])")
_ENUM_RESULT = re.compile(r"\breturn ([A-Z][A-Z0-9_]+);")
_CHOICE = re.compile(r"\? ([^?:;]+) : ([^?:;]+)(?=[;)])")
_ASSIGNMENT = re.compile(r"^\s+[*a-z][\w.>*-]*(\[\w+\])? [+-]?= .*;$")
_CODE = re.compile(
    r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?\*/|//[^\n]*|^#[^\n]*', re.S | re.M
)


@dataclasses.dataclass(frozen=True)
class Mutant:
    path: str
    number: int  # of the line, from 1
    before: str
    after: str
    text: str  # of the whole file

    @property
    def key(self) -> tuple[str, str, str]:
        return self.path, self.before.strip(), self.after.strip()

    def __str__(self) -> str:
        path, before, after = self.key
        return f"{path}:{self.number}\n- {before}\n+ {after}"


def _blanked(text: str) -> str:
    """The text with blanks where comments, literals and directives are."""
    return _CODE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def _changes(code: str, line: str, results: list[str]):
    """(begin, end, replacement) of each change of this line."""
    for pattern, replacement in _SIMPLE:
        for m in re.finditer(pattern, code):
            yield m.start(), m.end(), replacement
    for m in _NUMBER.finditer(code):
        yield m.start(), m.end(), str(int(m[1]) + 1)
    for m in _ENUM_RESULT.finditer(code):
        for other in results:
            if other != m[1]:
                yield m.start(1), m.end(1), other
    for m in _CHOICE.finditer(line):
        if code[m.start()] == "?":
            yield m.start(), m.end(), f"? {m[2]} : {m[1]}"
    if _ASSIGNMENT.match(code):
        yield len(line) - len(line.lstrip()), len(line), ";"


def mutants_of(path: str) -> list[Mutant]:
    text = (ROOT / path).read_text()
    lines = text.split("\n")
    code = _blanked(text).split("\n")
    results = sorted({m[1] for line in code for m in _ENUM_RESULT.finditer(line)})
    found = {}
    for i, line in enumerate(lines):
        for begin, end, replacement in _changes(code[i], line, results):
            after = line[:begin] + replacement + line[end:]
            if after.strip() == line.strip():
                continue
            whole = "\n".join([*lines[:i], after, *lines[i + 1 :]])
            found.setdefault((i, after), Mutant(path, i + 1, line, after, whole))
    return list(found.values())


def _limit_cpu() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (TEST_CPU_S, TEST_CPU_S))


class Workshop:
    """The commands of a build directory."""

    def __init__(self, build: pathlib.Path) -> None:
        self.build = build
        self._compile = {
            os.path.relpath(e["file"], ROOT): e["command"]
            for e in json.loads((build / "compile_commands.json").read_text())
        }
        self._link: dict[str, list[str]] = {}

    def prepare(self, targets: list[str]) -> None:
        subprocess.run(["ninja", "-C", self.build, "--quiet", *targets], check=True)
        for target in targets:
            done = subprocess.run(
                ["ninja", "-C", self.build, "-t", "commands", target],
                text=True, capture_output=True, check=True,
            )  # fmt: skip
            command = done.stdout.strip().split("\n")[-1]
            # cmake's form: ": && cc … && :"
            self._link[target] = shlex.split(command.removeprefix(": && ").removesuffix(" && :"))

    def compile(self, mutant: Mutant, directory: pathlib.Path) -> pathlib.Path | None:
        source, output = directory / "mutant.c", directory / "mutant.o"
        source.write_text(mutant.text)
        words = shlex.split(self._compile[mutant.path])
        words[words.index("-o") + 1] = str(output)
        words[words.index("-c") + 1] = str(source)
        done = subprocess.run([*words, "-w"], cwd=self.build, capture_output=True)
        return output if done.returncode == 0 else None

    def survives(self, target: str, obj: pathlib.Path, directory: pathlib.Path) -> bool:
        words = list(self._link[target])
        at = words.index("-o")
        program = directory / target
        words[at + 1] = str(program)
        first = next(i for i, w in enumerate(words) if w.endswith(".o") and i != at + 1)
        words.insert(first, str(obj))
        subprocess.run(words, cwd=self.build, check=True, capture_output=True)
        try:
            done = subprocess.run(
                [program], cwd=directory, capture_output=True, timeout=TEST_TIMEOUT_S,
                preexec_fn=_limit_cpu,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def is_sane(self, path: str) -> bool:
        """Do the tests pass with the file as it is? Else all mutants would count as noticed."""
        same = Mutant(path, 0, "", "", (ROOT / path).read_text())
        return self.judge(same) == "survived"

    def judge(self, mutant: Mutant) -> str:
        """"killed", "survived", or "refused" by the compiler."""
        with tempfile.TemporaryDirectory(prefix="berth-mutant.") as name:
            directory = pathlib.Path(name)
            obj = self.compile(mutant, directory)
            if obj is None:
                return "refused"
            is_alive = all(self.survives(t, obj, directory) for t in TARGETS[mutant.path])
            return "survived" if is_alive else "killed"


def explained() -> dict[tuple[str, str, str], str]:
    """Paragraphs of: the file, "- before", "+ after", and the reason."""
    found = {}
    text = re.sub(r"^#.*\n", "", EXPLAINED.read_text(), flags=re.M) if EXPLAINED.exists() else ""
    for paragraph in filter(str.strip, text.split("\n\n")):
        lines = paragraph.strip().split("\n")
        if len(lines) < 4 or not lines[1].startswith("- ") or not lines[2].startswith("+ "):
            sys.exit(f"{EXPLAINED}: not a file, a '-' line, a '+' line and a reason:\n{paragraph}")
        found[lines[0], lines[1][2:].strip(), lines[2][2:].strip()] = " ".join(lines[3:])
    return found


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    workshop = Workshop(pathlib.Path(sys.argv[1]).resolve())
    paths = sys.argv[2:] or list(TARGETS)
    workshop.prepare(sorted({t for path in paths for t in TARGETS[path]}))
    reasons = explained()
    unused = {key for key in reasons if key[0] in paths}
    unexplained = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path in paths:
            if not workshop.is_sane(path):
                sys.exit(f"{path}: its tests fail as it is: {' '.join(TARGETS[path])}")
            mutants = mutants_of(path)
            verdicts = list(pool.map(workshop.judge, mutants))
            alive = [m for m, v in zip(mutants, verdicts, strict=True) if v == "survived"]
            unused -= {m.key for m in alive}
            unexplained += [m for m in alive if m.key not in reasons]
            print(
                f"{path}: {verdicts.count('killed')} killed, {len(alive)} survived, "
                f"{sum(m.key in reasons for m in alive)} of them explained",
                flush=True,
            )
    for mutant in unexplained:
        print(f"\nno test notices:\n{mutant}")
    for path, before, after in sorted(unused):
        print(f"\ntests/mutants.txt explains what does not survive:\n{path}\n- {before}\n+ {after}")
    return 1 if unexplained or unused else 0


if __name__ == "__main__":
    sys.exit(main())
