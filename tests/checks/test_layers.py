# SPDX-License-Identifier: Apache-2.0
import layers
import pytest

TABLE = "low: <uthash.h>\nmid: low\ntop: mid low\n"


def test_the_tree():
    problems = layers.check()
    assert not problems, "\n".join(problems)


def test_a_good_project(project):
    root = project(
        {
            "tests/layers.txt": TABLE,
            "include/low/a.h": "#include <stddef.h>\n",
            "pkg/low/a.c": '#include "low/a.h"\n#include "a_priv.h"\n#include <uthash.h>\n',
            "pkg/low/a_priv.h": "",
            "pkg/mid/b.c": '#include "low/a.h"\n',
            "tests/unit/low/test_a.c": '#include "a_priv.h"\n#include <cmocka.h>\n',
        }
    )
    assert layers.check(root) == []


@pytest.mark.parametrize(
    ("name", "text", "want"),
    [
        ("pkg/low/a.c", '#include "mid/b.h"\n', "low may not include mid"),
        ("include/low/a.h", '#include "top/b.h"\n', "low may not include top"),
        ("tests/unit/low/test_a.c", '#include "mid/b.h"\n', "low may not include mid"),
        ("pkg/mid/b.c", "#include <uthash.h>\n", "<uthash.h> is not a header of package mid"),
        ("pkg/mid/b.c", "#include <curl/curl.h>\n", "<curl/curl.h> is not a header"),
        ("pkg/mid/b.c", "#include <cmocka.h>\n", "<cmocka.h> is not a header"),
        ("include/low/a.h", "#include <uthash.h>\n", "a public header includes <uthash.h>"),
        ("include/low/a.h", '#include "a_priv.h"\n', "a public header includes a private one"),
        ("pkg/mid/b.c", '#include "../low/a_priv.h"\n', "is no header of package mid"),
        ("pkg/mid/b.c", '#include "a_priv.h"\n', "is no header of package mid"),
        ("pkg/other/c.c", "", "package other is not in tests/layers.txt"),
    ],
)
def test_a_bad_include(project, name, text, want):
    found = layers.check(project({"tests/layers.txt": TABLE, name: text}))
    assert len(found) == 1
    assert want in found[0]


def test_a_cycle(project):
    root = project({"tests/layers.txt": "a: b\nb: c\nc: a\n"})
    assert layers.check(root) == ["tests/layers.txt: a cycle: a -> b -> c -> a"]


def test_an_unknown_package(project):
    root = project({"tests/layers.txt": "a: b\n"})
    assert layers.check(root) == ["tests/layers.txt: a names b, which is no package"]
