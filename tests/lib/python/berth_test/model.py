# SPDX-License-Identifier: Apache-2.0
"""botocore's model of ECR as the judge of what the operator sends."""

import functools
import re

import botocore.loaders
import botocore.model
import botocore.validate

from berth_test.emulator import Request



@functools.cache
def ecr_model() -> botocore.model.ServiceModel:
    loader = botocore.loaders.Loader()
    return botocore.model.ServiceModel(loader.load_service_model("ecr", "service-2"), "ecr")


def problems(request: Request) -> list[str]:
    """Why ECR's model refuses it: unknown operation or member, wrong type, bounds, enums, patterns.
    Empty where it is fine. (botocore itself checks neither enums nor patterns nor unknown members.)
    """
    model = ecr_model()
    is_unread = request.fault is not None or request.error == "InvalidSignatureException"
    if is_unread and request.body is None:
        return []  # refused or cut before the emulator took down what was sent
    if request.operation not in model.operation_names:
        return [f"ECR has no operation {request.operation}"]
    shape = model.operation_model(request.operation).input_shape
    body = request.body or {}
    report = botocore.validate.ParamValidator().validate(body, shape)
    found = [report.generate_report()] if report.has_errors() else []
    _walk(body, shape, request.operation, found)
    return found


def _walk(value: object, shape: botocore.model.Shape, path: str, found: list[str]) -> None:
    if shape.type_name == "structure":
        for name, member in (value or {}).items():
            if name not in shape.members:
                found.append(f"{path}: there is no member {name}")
            else:
                _walk(member, shape.members[name], f"{path}.{name}", found)
    elif shape.type_name == "list":
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max")
        if len(value) < low or (high is not None and len(value) > high):
            found.append(f"{path}: {len(value)} elements, allowed are {low} to {high}")
        for i, member in enumerate(value):
            _walk(member, shape.member, f"{path}[{i}]", found)
    elif shape.type_name == "string":
        enum, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max")
        if enum and value not in enum:
            found.append(f"{path}: {value!r} is none of {enum}")
        if pattern and not re.fullmatch(pattern, value):
            found.append(f"{path}: {value!r} does not match {pattern}")
        if len(value) < low or (high is not None and len(value) > high):
            found.append(f"{path}: {len(value)} characters, allowed are {low} to {high}")


def assert_valid(requests: list[Request]) -> None:
    bad = [
        f"{r.operation} {r.body}: {p}" for r in requests if r.api == "ecr" for p in problems(r)
    ]
    assert not bad, "requests that ECR's model refuses:\n" + "\n".join(bad)
