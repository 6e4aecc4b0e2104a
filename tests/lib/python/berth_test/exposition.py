# SPDX-License-Identifier: Apache-2.0
"""Prometheus' text format 0.0.4, read strictly, and the page that documents what is exported."""

import dataclasses
import math
import pathlib
import re

from berth_test import paths

PAGE = paths.SOURCE / "docs" / "reference" / "metrics.md"

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HEAD = re.compile(rf"# (HELP|TYPE) ({_NAME}) (.*)")
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_NUMBER = re.compile(r"[+-]?Inf|NaN|-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?")

Labels = tuple[tuple[str, str], ...]


@dataclasses.dataclass
class Family:
    name: str
    type: str
    help: str
    samples: dict[tuple[str, Labels], float] = dataclasses.field(default_factory=dict)

    def series(self) -> dict[Labels, float]:
        """Labels to value; of a histogram, to the count."""
        suffix = "_count" if self.type == "histogram" else ""
        return {k[1]: v for k, v in self.samples.items() if k[0] == self.name + suffix}

    def value(self, **labels: str) -> float | None:
        """The sum of all series that have these labels; None where there is none."""
        found = [v for k, v in self.series().items() if labels.items() <= dict(k).items()]
        return sum(found) if found else None

    @property
    def label_names(self) -> set[str]:
        return {name for _, labels in self.samples for name, _ in labels} - {"le"}

    def label_values(self) -> dict[str, set[str]]:
        values: dict[str, set[str]] = {}
        for labels in self.series():
            for name, value in labels:
                values.setdefault(name, set()).add(value)
        return values


def _labels(text: str | None) -> Labels:
    found, at = [], 0
    while text and at < len(text):
        match = _LABEL.match(text, at)
        assert match, f"labels cannot be read: {text}"
        value = re.sub(r"\\[\\\"n]", lambda m: _ESCAPES[m[0]], match[2])
        found.append((match[1], value))
        at = match.end()
    assert len({n for n, _ in found}) == len(found), f"a label twice: {text}"
    return tuple(found)


def _number(text: str) -> float:
    assert _NUMBER.fullmatch(text), f"no number: {text}"
    return float(text)


def _check_histogram(family: Family) -> None:
    buckets: dict[Labels, list[tuple[float, float]]] = {}
    for (name, labels), value in family.samples.items():
        if name == f"{family.name}_bucket":
            bound = _number(dict(labels)["le"])
            rest = tuple(kv for kv in labels if kv[0] != "le")
            buckets.setdefault(rest, []).append((bound, value))
    assert buckets, f"{family.name} has no buckets"
    for labels, series in buckets.items():
        bounds, counts = zip(*series, strict=True)
        assert list(bounds) == sorted(set(bounds)), f"buckets of {family.name} are out of order"
        assert list(counts) == sorted(counts), f"buckets of {family.name} are not cumulative"
        assert bounds[-1] == math.inf
        assert counts[-1] == family.samples[f"{family.name}_count", labels]
        assert (f"{family.name}_sum", labels) in family.samples


def parse(text: str) -> dict[str, Family]:
    """Every rule of the format that a scraper may rely on is asserted."""
    assert text.endswith("\n")
    families: dict[str, Family] = {}
    help_of: tuple[str, str] | None = None
    family: Family | None = None
    for line in text.splitlines():
        if head := _HEAD.fullmatch(line):
            kind, name, rest = head.groups()
            if kind == "HELP":
                assert name not in families, f"{name} is there twice"
                help_of = (name, rest.replace("\\n", "\n").replace("\\\\", "\\"))
                continue
            assert help_of and help_of[0] == name, f"TYPE of {name} does not follow its HELP"
            assert rest in ("counter", "gauge", "histogram"), line
            family = families[name] = Family(name, rest, help_of[1])
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample, f"a line that cannot be read: {line}"
        assert family, f"a sample before its TYPE: {line}"
        suffixes = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
        name, labels = sample[1], _labels(sample[2])
        assert name in [family.name + s for s in suffixes], f"{name} is among {family.name}"
        assert (name, labels) not in family.samples, f"twice: {line}"
        family.samples[name, labels] = _number(sample[3])
    for family in families.values():
        names = {frozenset(n for n, _ in labels) - {"le"} for _, labels in family.samples}
        assert len(names) == 1, f"{family.name} has series with other labels: {names}"
        if family.type == "histogram":
            _check_histogram(family)
        if family.type == "counter":
            assert all(v >= 0 for v in family.samples.values())
    return families


# --- the page ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    type: str
    labels: frozenset[str]
    meaning: str


def _table_rows(text: str, columns: int) -> list[list[str]]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return [row for row in rows if len(row) == columns]


def documented(page: pathlib.Path = PAGE) -> dict[str, Row]:
    rows = [
        Row(name.strip("`"), type_, frozenset(re.findall(r"`(\w+)`", labels)), meaning)
        for name, type_, labels, meaning in _table_rows(page.read_text(), 4)
    ]
    assert len({r.name for r in rows}) == len(rows), "a metric is documented twice"
    return {r.name: r for r in rows}


def documented_labels(page: pathlib.Path = PAGE) -> dict[str, set[str] | None]:
    """The values that a label may have; None where it may have any of a kind."""
    labels: dict[str, set[str] | None] = {}
    for names, values in _table_rows(page.read_text(), 2):
        without_remarks = re.sub(r" \([^)]*\)", "", values)
        is_closed = re.fullmatch(r"`\w+`(, `\w+`)*", without_remarks)
        for name in re.findall(r"`(\w+)`", names):
            labels[name] = set(re.findall(r"`(\w+)`", without_remarks)) if is_closed else None
    return labels


def alert_rules(page: pathlib.Path = PAGE) -> str:
    (block,) = re.findall(r"^```yaml\n(groups:.*?)^```$", page.read_text(), re.M | re.S)
    return block
