# SPDX-License-Identifier: Apache-2.0
"""A small project in a temporary directory, for showing that each check fails where it should."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture
def project(tmp_path: pathlib.Path):
    """project({"pkg/a/a.c": text, …}) writes these files and returns the root."""

    def write(files: dict[str, str]) -> pathlib.Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write
