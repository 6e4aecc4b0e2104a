# SPDX-License-Identifier: Apache-2.0
import headers
import pytest


def test_the_tree():
    problems = headers.check()
    assert not problems, "\n".join(problems)


def test_a_good_header(project):
    text = "#pragma once\n#include <stddef.h>\nsize_t a(void);\n"
    assert headers.check(project({"include/low/a.h": text})) == []


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("#pragma once\nsize_t a(void);\n", "unknown type name"),
        ("struct a {\n    int b;\n};\n", "redefinition"),
    ],
)
def test_a_bad_header(project, text, want):
    found = headers.check(project({"include/low/a.h": text}))
    assert len(found) == 1
    assert "include/low/a.h does not compile alone" in found[0]
    assert want in found[0]
