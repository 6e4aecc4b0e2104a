# SPDX-License-Identifier: Apache-2.0
import pytest
import words

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


def test_the_tree():
    problems = words.check()
    assert not problems, "\n".join(problems)


def test_what_is_allowed(project):
    root = project(
        {
            "pkg/a/a.c": SPDX + "// TO" + "DO(#12): later\n",
            "scripts/a": "#!/bin/bash\n# " + SPDX,
            "docs/a.md": "a rule about TO" + "DO\n",
            "data.bin": "\0",
        }
    )
    (root / "picture.png").write_bytes(b"\xff\xfe\x00")
    assert words.check(root) == []


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        ("pkg/a/a.c", "int a;\n", "the first lines lack SPDX"),
        ("scripts/a", "#!/bin/bash\n", "the first lines lack SPDX"),
        ("docs/a.md", "see /wo" + "rk/a\n", "the path of a machine"),
        ("docs/a.md", "see ../sha" + "red/a\n", "a path outside the project"),
        ("pkg/a/a.h", SPDX + "// TO" + "DO: later\n", "left to do without an issue"),
        ("Makefile", "# FIX" + "ME\n", "left to do without an issue"),
    ],
)
def test_what_is_not(project, name, text, want):
    found = words.check(project({name: text}))
    assert len(found) == 1
    assert want in found[0]
