# SPDX-License-Identifier: Apache-2.0
"""An operator whose n-th HTTP call or allocation fails (tests/torture/torture.c), and what it goes
through meanwhile."""

import json
import mmap
import os
import pathlib
import struct
import subprocess
import time
from collections.abc import Callable

from berth_test import causes, objects, paths
from berth_test.emulator import Emulator, Request
from berth_test.fault_matrix import CREATE, DELETE, by_prefix
from berth_test.kube import SETTINGS, TEMPLATE, Kube, check_conditions
from berth_test.operator import Operator
from berth_test.wait import SLOWNESS, wait_for

PROGRAM = paths.BUILD / "tests" / "torture" / "torture-operator"
# of an HTTP call: enum mode of torture.c
MODES = {"refused": 1, "lost": 2, "unavailable": 3, "torn": 4}
ENDS = {"dies": 5, "dies-after": 6}
EXIT_DIED = 86
CONVERGE_S = 20
ONCE_S = 30
# struct torture: five numbers, what failed last, where allocations have failed
_NUMBERS = struct.Struct("=5q")
_WHAT = 512
_STACKS = 8192 * 8
# make test does every so many of the calls, make check each of them
STEP = int(os.environ.get("BERTH_TORTURE_STEP", "9"))


class Torture:
    """What the operator and the test share; env is for the operator."""

    def __init__(self, directory: pathlib.Path) -> None:
        path = directory / "torture"
        path.write_bytes(bytes(_NUMBERS.size + _WHAT + _STACKS))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.env = {"BERTH_TORTURE": str(path)}
        self._failed_before = 0

    def _set(self, index: int, value: int) -> None:
        self._map[index * 8 : index * 8 + 8] = struct.pack("=q", value)

    def _get(self, index: int) -> int:
        return struct.unpack("=q", self._map[index * 8 : index * 8 + 8])[0]

    def _begin(self, what: str) -> None:
        self._failed_before = self._get(4)
        causes.begin(what, self)

    def fail_calls(self, n: int, mode: str, more: int = 0) -> None:
        """The n-th HTTP call from now on, and so many more after it."""
        self._begin(f"calls are {mode}")
        self._set(2, {**MODES, **ENDS}[mode])
        self._set(0, n)
        self._set(1, more)

    def fail_allocation(self, n: int) -> None:
        """The n-th from now on of those at places where none has failed yet."""
        self._begin("allocations fail")
        self._set(3, n)

    def stop(self) -> bool:
        """No more faults. Was there one since they were asked for?"""
        for index in (1, 0, 3):
            self._set(index, 0)
        causes.end(self)
        failed = self._get(4) - self._failed_before
        for _ in range(failed):
            causes.note("cut: an answer of the API server")  # perhaps: it may have been AWS'
        return failed > 0

    def what(self) -> str:
        """The last that failed; of an allocation, who asked for it."""
        text = self._map[_NUMBERS.size : _NUMBERS.size + _WHAT].partition(b"\0")[0].decode()
        kind, *places = text.split()
        return f"{kind} by {callers(places)}" if kind == "allocation" else text


def start(
    kube: Kube, emulator: Emulator, start_operator: Callable[..., Operator], torture: Torture
) -> Operator:
    """With a registry that is read when somebody asks for it."""
    operator = start_operator(program=PROGRAM, env=torture.env)
    settings = {"blobMounting": "DISABLED"}
    kube.create(objects.settings(emulator, driftInterval="10m", accountSettings=settings))
    kube.wait_ready(SETTINGS, "default")
    return operator


def callers(places: list[str]) -> str:
    """Names of functions, the innermost first."""
    command = ["addr2line", "-i", "-f", "-s", "-e", PROGRAM, *places]
    lines = subprocess.run(command, text=True, capture_output=True, check=True).stdout.split("\n")
    return " < ".join(f"{f} ({at})" for f, at in zip(lines[::2], lines[1::2], strict=False))


def make_others(emulator: Emulator) -> dict:
    """Templates that no object names; so large that a list of them is no small allocation."""
    statements = [{**objects.policy()["Statement"][0], "Sid": f"s{i}"} for i in range(40)]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    for i in range(12):
        emulator.ecr.create_repository_creation_template(
            prefix=f"others-{i}", appliedFor=["REPLICATION"], repositoryPolicy=document
        )
    return emulator.templates()


class Life:
    """Of one template and one account setting: declared, edited, changed by somebody else, mended,
    deleted; with what must hold at each step, however the calls in between fail."""

    def __init__(
        self, kube: Kube, emulator: Emulator, name: str, others: dict, note: str = ""
    ) -> None:
        """note: an annotation of the template, which makes it as large as that is."""
        self.kube, self.emulator, self.name, self.others = kube, emulator, name, others
        self.note = note

    def run(self) -> None:
        self.create()
        created = self.emulator.template(self.name)["createdAt"]
        self.edit()
        self.drift()
        self.setting()
        assert self.emulator.template(self.name)["createdAt"] == created, "it was made anew"
        self.delete()

    def create(self) -> None:
        template = objects.template(
            self.name,
            description="first",
            lifecyclePolicy=objects.lifecycle(),
            repositoryPolicy=objects.policy(),
            adoptionPolicy="Never",
        )
        template["metadata"]["annotations"] = {"note": self.note}
        self.kube.create(template)
        self.wait_ready("first")

    def edit(self) -> None:
        self.kube.merge(TEMPLATE, self.name, {"spec": {"description": "second"}})
        self.wait_ready("second")

    def drift(self) -> None:
        ecr = self.emulator.ecr
        ecr.update_repository_creation_template(prefix=self.name, description="drift")
        now = str(time.monotonic_ns())
        self.kube.annotate(TEMPLATE, self.name, reconcile_requested_at=now)
        wait_for(lambda: self._description() == "second", CONVERGE_S, "it is mended")
        self.wait_ready("second")

    def setting(self) -> None:
        is_on = self.emulator.account_setting("BLOB_MOUNTING") == "ENABLED"
        value = "DISABLED" if is_on else "ENABLED"
        patch = {"spec": {"accountSettings": {"blobMounting": value}}}
        self.kube.merge(SETTINGS, "default", patch)
        self.kube.wait_ready(SETTINGS, "default", CONVERGE_S)
        assert self.emulator.account_setting("BLOB_MOUNTING") == value

    def delete(self) -> None:
        self.kube.delete(TEMPLATE, self.name)
        self.kube.wait_gone(TEMPLATE, self.name, CONVERGE_S)
        assert self.emulator.templates() == self.others, "somebody else's templates changed"
        writes = by_prefix(self.emulator.operator_requests())[self.name]
        assert done(writes, CREATE) == 1, writes
        assert done(writes, DELETE) == 1, writes

    def wait_ready(self, description: str) -> None:
        obj = self.kube.wait_ready(TEMPLATE, self.name, CONVERGE_S)
        check_conditions(obj)
        objects.assert_equal_in_aws(obj["spec"], self.emulator.template(self.name))
        assert self._description() == description
        ownership = obj["status"]["ownership"]
        assert ownership["origin"] == "Created" and ownership["createdAt"]

    def _description(self) -> str | None:
        return self.emulator.template(self.name).get("description")


class Once:
    """Lives of operators that run once: in each of them one template is made, one is mended, one is
    deleted, which the one before has made, and a setting is put."""

    def __init__(
        self,
        kube: Kube,
        emulator: Emulator,
        torture: Torture,
        start_operator: Callable[..., Operator],
    ) -> None:
        self.kube, self.emulator = kube, emulator
        self._torture, self._start = torture, start_operator
        self.others = make_others(emulator)
        kube.create(objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"}))
        kube.create(objects.template("kept", description="as declared"))
        self.made = "made-0"
        kube.create(objects.template(self.made))
        assert self._run() == 0
        self.created = emulator.template("kept")["createdAt"]

    def _run(self) -> int:
        """Its exit code. Others that led are forgotten: who was failed while it gave the Lease back
        keeps it for 15 s."""
        self.kube.delete("Lease", "berth-operator", "default")
        operator = self._start(
            program=PROGRAM, env=self._torture.env, flags=("--once",), wait=False
        )
        code = operator.wait_exit(ONCE_S * SLOWNESS)
        operator.process.assert_no_sanitizer_report()
        operator.log_lines()  # they are JSON, all of them
        return code

    def each(self, mode: str, codes: tuple[int, ...]) -> list[str]:
        """Fails each call in turn; the run ends with one of the codes, and the next one, in which
        nothing fails, ends with all as declared. Returns what failed."""

        def run(n: int) -> None:
            before, self.made = self.made, f"made-{n}"
            self.emulator.ecr.update_repository_creation_template(prefix="kept", description="?")
            self.emulator.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
            self.kube.delete(TEMPLATE, before)
            self.kube.create(objects.template(self.made, adoptionPolicy="Never"))
            assert self._run() in codes
            self._torture.stop()
            assert self._run() == 0
            self._verify(before, self.made)

        return each(self._torture, lambda n: self._torture.fail_calls(n, mode), run)

    def _verify(self, before: str, made: str) -> None:
        aws = self.emulator.templates()
        assert self.kube.get(TEMPLATE, before) is None
        assert {k: v for k, v in aws.items() if k not in ("kept", made)} == self.others
        assert aws["kept"]["createdAt"] == self.created
        assert self.emulator.account_setting("BLOB_MOUNTING") == "ENABLED"
        self.kube.wait_ready(SETTINGS, "default", 1)
        for name in ("kept", made):
            obj = self.kube.wait_ready(TEMPLATE, name, 1)
            objects.assert_equal_in_aws(obj["spec"], aws[name])
            assert obj["status"]["ownership"]["origin"] == "Created"
        writes = by_prefix(self.emulator.operator_requests())
        assert done(writes[made], CREATE) == 1 and done(writes[made], DELETE) == 0
        assert done(writes[before], DELETE) == 1


def done(writes: list[Request], operation: str) -> int:
    return sum(r.operation == operation and r.status == 200 for r in writes)


def each(torture: Torture, arm: Callable[[int], None], run: Callable[[int], None]) -> list[str]:
    """Runs with the first, … call failing until a run has no such call; returns what failed."""
    failed = []
    n = 1
    while True:
        arm(n)
        try:
            run(n)
        except AssertionError as e:
            raise AssertionError(f"{n}: {torture.what()}: {e}") from e
        if not torture.stop():
            return failed
        failed.append(torture.what())
        n += STEP


def each_new(torture: Torture, arm: Callable[[int], None], run: Callable[[int], None]) -> list[str]:
    """Runs with one place after the other failing that has not failed before, until there is
    none."""
    failed = []
    while True:
        arm(1)
        try:
            run(len(failed))
        except AssertionError as e:
            raise AssertionError(f"{len(failed)}: {torture.what()}: {e}") from e
        if not torture.stop():
            return failed
        failed.append(torture.what())
