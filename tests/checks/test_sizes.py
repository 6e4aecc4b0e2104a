# SPDX-License-Identifier: Apache-2.0
import pytest
import sizes


def c_function(lines: int) -> str:
    """A function of that many lines, signature and braces included."""
    return "static int\nanswer(void)\n{\n" + "    ;\n" * (lines - 4) + "}\n"


def python_function(lines: int) -> str:
    return "def answer():\n" + "    pass\n" * (lines - 1)


def test_the_tree():
    problems = sizes.check()
    assert not problems, "\n".join(problems)


def test_what_is_allowed(project):
    root = project(
        {
            "pkg/a/lines.c": "\n" * sizes.FILE_LINES,
            "pkg/a/function.c": "struct a {\n    int b;\n};\n" + c_function(sizes.FUNCTION_LINES),
            "pkg/a/function.py": python_function(sizes.FUNCTION_LINES),
            "pkg/a/columns.c": "x" * sizes.COLUMNS + "\n",
            "pkg/a/model_gen.c": "x" * 101 + "\n" * 601,
            "docs/page.md": "x" * 101 + "\n" * 601,
        }
    )
    assert sizes.check(root) == []


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        ("pkg/a/a.c", "\n" * 601, "pkg/a/a.c: 601 lines, at most 600"),
        ("pkg/a/a.c", "x" * 101 + "\n", "pkg/a/a.c:1: 101 columns, at most 100"),
        ("pkg/a/a.c", "\n" + c_function(81), "pkg/a/a.c:2: answer() has 81 lines, at most 80"),
        ("tests/a.py", python_function(81), "tests/a.py:1: answer() has 81 lines, at most 80"),
        ("scripts/a.sh", "#" * 101 + "\n", "scripts/a.sh:1: 101 columns, at most 100"),
    ],
)
def test_what_is_too_big(project, name, text, want):
    assert sizes.check(project({name: text})) == [want]
