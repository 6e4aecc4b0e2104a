# SPDX-License-Identifier: Apache-2.0
"""Where things are: the source tree, the build, the cache."""

import os
import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[4]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", SOURCE / "build")).resolve()
BIN = BUILD / "bin"
EXAMPLES = SOURCE / "examples"
CRDS = SOURCE / "manifests" / "crds.yaml"


def binary(name: str) -> pathlib.Path:
    path = BIN / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built: make build")
    return path


def control_plane_dir() -> pathlib.Path:
    """The directory of kube-apiserver, etcd and kubectl, built first where it is missing."""
    script = SOURCE / "scripts" / "control-plane.sh"
    out = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=True).stdout
    return pathlib.Path(out.strip())


def promtool() -> pathlib.Path:
    script = SOURCE / "scripts" / "promtool.sh"
    out = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=True).stdout
    return pathlib.Path(out.strip())
