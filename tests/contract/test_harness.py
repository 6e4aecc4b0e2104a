# SPDX-License-Identifier: Apache-2.0
"""The tests' own tools: a sanitizer's report in the log of a program fails the test."""

import pytest

from berth_test.process import Process
from berth_test.wait import wait_for

REPORTS = [
    "==4711==ERROR: AddressSanitizer: heap-use-after-free on address 0x6020",
    "==4711==ERROR: LeakSanitizer: detected memory leaks",
    "WARNING: ThreadSanitizer: data race (pid=4711)",
    "pkg/base/num.c:7:3: runtime error: signed integer overflow",
]


def _run(directory, line: str) -> Process:
    process = Process("prog", ["sh", "-c", 'echo "$0" >&2; sleep 60', line], directory)
    wait_for(lambda: process.err.read_text().endswith("\n"))
    return process


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("line", REPORTS)
def test_a_report_fails(tmp_path, line, end):
    process = _run(tmp_path, line)
    with pytest.raises(AssertionError, match=line.partition(":")[0]):
        getattr(process, end)()


def test_other_lines_do_not(tmp_path):
    _run(tmp_path, '{"level":"error","msg":"x","error":"a: runtime error: b"}').stop()
