# SPDX-License-Identifier: Apache-2.0
"""At most 600 lines a file, 80 a function, 100 columns; what is bigger lacks a concept. Generated
files (*_gen.*) are exempt, and nothing else is."""

import ast
import pathlib
import re

from tree import ROOT, is_generated, project_files

FILE_LINES = 600
FUNCTION_LINES = 80
COLUMNS = 100

_SUFFIXES = {".c", ".h", ".py", ".sh", ".cmake"}
_NAME = re.compile(r"(\w+)\s*\(")


def _c_functions(lines: list[str]) -> list[tuple[str, int, int]]:
    """Name, first and last line (from 1) of each function, by the braces in column 0 that
    clang-format puts there."""
    functions, start = [], None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            first = start
            while first > 1 and lines[first - 2].strip() and lines[first - 2][0] not in "#}/*":
                first -= 1
            signature = " ".join(lines[first - 1 : start - 1])
            name = _NAME.search(signature)
            functions.append((name[1] if name else "?", first, number))
            start = None
    return functions


def _python_functions(text: str) -> list[tuple[str, int, int]]:
    return [
        (node.name, node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _check_file(path: pathlib.Path, where: pathlib.Path) -> list[str]:
    text = path.read_text()
    lines = text.splitlines()
    found = []
    if len(lines) > FILE_LINES:
        found.append(f"{where}: {len(lines)} lines, at most {FILE_LINES}")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            found.append(f"{where}:{number}: {len(line)} columns, at most {COLUMNS}")
    functions = []
    if path.suffix in (".c", ".h"):
        functions = _c_functions(lines)
    elif path.suffix == ".py":
        functions = _python_functions(text)
    for name, first, last in functions:
        if last - first + 1 > FUNCTION_LINES:
            found.append(
                f"{where}:{first}: {name}() has {last - first + 1} lines, at most {FUNCTION_LINES}"
            )
    return found


def check(root: pathlib.Path = ROOT) -> list[str]:
    found = []
    for path in project_files(root):
        is_source = path.suffix in _SUFFIXES or path.name in ("CMakeLists.txt", "Makefile")
        if is_source and not is_generated(path):
            found += _check_file(path, path.relative_to(root))
    return found
