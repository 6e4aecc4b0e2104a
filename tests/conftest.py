# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the contract and integration tests.

One control plane per pytest process (ctest runs one process per file), a fresh emulator and a fresh
operator per test. Objects are removed after each test, so that a test may use any names.
"""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib" / "python"))

import pytest  # noqa: E402

from berth_test import kube as kube_module  # noqa: E402
from berth_test import model  # noqa: E402
from berth_test.control_plane import ControlPlane  # noqa: E402
from berth_test.emulator import Emulator  # noqa: E402
from berth_test.kube import Kube  # noqa: E402
from berth_test.operator import Operator  # noqa: E402
from berth_test.wire import Wire  # noqa: E402


@pytest.fixture(scope="session")
def control_plane():
    with ControlPlane() as started:
        started.install_crds()
        yield started


@pytest.fixture
def kube(control_plane: ControlPlane) -> Kube:
    """Its client; what a test leaves behind is removed. Every status and event that there was
    during the test is judged: see berth_test.recorder."""
    client = control_plane.kube
    yield client
    for kind in (kube_module.TEMPLATE, kube_module.SETTINGS):
        client.remove_all(kind)
    client.request("DELETE", kube_module.path_of("Event", None, "default"))
    if control_plane.recorder is not None:
        control_plane.recorder.check()


@pytest.fixture
def emulator():
    """Whatever the test is about, all that the operator sent must be what ECR's model accepts."""
    with Emulator() as started:
        yield started
        model.assert_valid(started.operator_requests())


@pytest.fixture
def start_operator(kube: Kube, control_plane: ControlPlane):
    """A function that starts one (arguments as of Operator). What runs at the end of the test is
    stopped, before the test's objects are removed."""
    started: list[Operator] = []

    def start(**options) -> Operator:
        operator = Operator(options.pop("kubeconfig", control_plane.kubeconfig()), **options)
        started.append(operator)
        return operator

    yield start
    errors = []
    for operator in started:
        try:
            operator.__exit__(None)
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


@pytest.fixture
def operator(start_operator) -> Operator:
    return start_operator()


@pytest.fixture
def wire(control_plane: ControlPlane) -> Wire:
    with Wire(control_plane) as started:
        yield started


@pytest.fixture
def through_wire(wire: Wire, start_operator, tmp_path: pathlib.Path):
    """As start_operator, for operators that reach the API server by the wire."""
    return functools.partial(start_operator, kubeconfig=wire.kubeconfig(tmp_path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if report.when == "call" and report.failed:
        for fixture in ("operator", "emulator"):
            value = item.funcargs.get(fixture)
            if value is not None:
                report.sections.append((f"log of the {fixture}", value.process.log(20000)))
    return report
