# SPDX-License-Identifier: Apache-2.0
"""The examples, pointed at an emulator instead of AWS."""

import copy
import pathlib

import yaml

from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS


def documents(path: pathlib.Path) -> list[dict]:
    return [d for d in yaml.safe_load_all(path.read_text()) if d]


def load(directory: pathlib.Path, emulator: Emulator) -> list[dict]:
    """All objects of an example. Only where the registry is differs from the files."""
    found = [d for path in sorted(directory.glob("*.yaml")) for d in documents(path)]
    if not found:
        raise FileNotFoundError(f"there is no example in {directory}")
    return [_pointed_at(d, emulator) if d["kind"] == SETTINGS else d for d in found]


def write(objects: list[dict], directory: pathlib.Path) -> None:
    for i, obj in enumerate(objects):
        (directory / f"{i:02}-{obj['kind']}.yaml").write_text(yaml.safe_dump(obj))


def _pointed_at(settings: dict, emulator: Emulator) -> dict:
    settings = copy.deepcopy(settings)
    spec = settings["spec"]
    spec["region"] = emulator.region
    spec["endpoint"] = emulator.endpoint
    spec["registryHosts"] = [emulator.registry]
    if "accountID" in spec:
        spec["accountID"] = emulator.account
    # stays in the cloud: roles to assume, other endpoints
    for field in ("assumeRole",):
        spec.pop(field, None)
    return settings
