# SPDX-License-Identifier: Apache-2.0
"""The operator, as a process beside a control plane and an emulator."""

import copy
import json
import os
import pathlib
import tempfile
import urllib.error
import urllib.request

import yaml

from berth_test import paths
from berth_test.emulator import CREDENTIALS
from berth_test.process import Process
from berth_test.wait import SLOWNESS, wait_for

STOP_S = 2.0 * SLOWNESS  # SIGTERM to exit

BASE_CONFIG: dict = {
    "health": {"address": "127.0.0.1:0"},
    "metrics": {"address": "127.0.0.1:0"},
}


class Operator:
    """Started with its configuration file and a kubeconfig; stop() checks how it ends."""

    def __init__(
        self,
        kubeconfig: pathlib.Path | None,
        config: dict | None = None,
        env: dict[str, str] | None = None,
        directory: pathlib.Path | None = None,
        detached: bool = False,
        wait: bool = True,
        flags: tuple[str, ...] = (),
        wrapper: tuple[str | pathlib.Path, ...] = (),
        program: pathlib.Path | None = None,
    ) -> None:
        """kubeconfig None: it has to find its own. wrapper: a command that becomes the operator by
        exec. program: another build of it."""
        self._temporary = None
        if directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="berth-operator.")
            directory = pathlib.Path(self._temporary.name)
        self.config_file = directory / "config.yaml"
        self.config_file.write_text(yaml.safe_dump(_merged(BASE_CONFIG, config or {})))
        self._is_stopped = False
        self.process = Process(
            "berth-operator",
            [*wrapper, program or paths.binary("berth-operator"), "--config", self.config_file,
             *(("--kubeconfig", kubeconfig) if kubeconfig else ()), *flags],
            directory,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(directory),
                "AWS_EC2_METADATA_DISABLED": "true",
                **CREDENTIALS,
                **(env or {}),
            },
            detached=detached,
        )  # fmt: skip
        if wait:
            try:
                wait_for(self.is_ready, 20, lambda: f"the operator is ready\n{self.log_text()}")
            except BaseException:
                self.kill()
                raise

    def __enter__(self) -> "Operator":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._is_stopped:
            return
        if kind is None:
            self.stop()
        else:
            self.kill()

    # --- logs ------------------------------------------------------------------------------------

    def log_text(self) -> str:
        return self.process.log(20000)

    def log_lines(self) -> list[dict]:
        """Every line that is complete; each must be a JSON object with level, ts and msg."""
        lines = []
        for text in self.process.err.read_text().split("\n")[:-1]:
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                self.process.assert_no_sanitizer_report()
                raise AssertionError(f"not a JSON line: {text}") from None
            assert {"level", "ts", "msg"} <= set(line), f"incomplete log line: {text}"
            lines.append(line)
        return lines

    def find_log(self, msg: str, **fields: object) -> list[dict]:
        return [
            line
            for line in self.log_lines()
            if line["msg"] == msg and all(line.get(k) == v for k, v in fields.items())
        ]

    # --- endpoints -------------------------------------------------------------------------------

    def address(self, what: str) -> str | None:
        """Of "health" or "metrics"; None before it is served."""
        found = self.find_log("serving", what=what)
        return found[0]["address"] if found else None

    def get(self, what: str, path: str) -> tuple[int, str]:
        url = f"http://{self.address(what)}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def is_ready(self) -> bool:
        self.process.assert_running()
        return self.address("health") is not None and self.get("health", "/readyz")[0] == 200

    def metrics(self) -> dict[str, float]:
        """Sample with its labels, as it is written, to value."""
        samples = {}
        for line in self.get("metrics", "/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def metrics_of(self, name: str) -> float:
        """The sum of all samples of that name."""
        return sum(v for k, v in self.metrics().items() if k.partition("{")[0] == name)

    # --- the end ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """SIGTERM: it must end by itself with 0 within two seconds, every log line JSON."""
        self.process.assert_running()
        code, seconds = self.process.stop()
        self._is_stopped = True
        lines_are_json = self.log_lines() is not None
        text = self.log_text()
        self._cleanup()
        assert code == 0, f"the operator ended with {code}\n{text}"
        assert seconds < STOP_S, f"the operator took {seconds:.1f} s to stop\n{text}"
        assert lines_are_json

    def kill(self) -> None:
        """As a crash: no signal handler, no release of the Lease."""
        self.process.kill()
        self._is_stopped = True
        self._cleanup()

    def wait_exit(self, seconds: float = 10.0) -> int:
        """For an operator that should end by itself."""
        code = self.process.wait(seconds)
        assert code is not None, f"the operator still runs\n{self.log_text()}"
        self._is_stopped = True
        return code

    def _cleanup(self) -> None:
        if self._temporary:
            self._temporary.cleanup()
            self._temporary = None


def _merged(base: dict, over: dict) -> dict:
    """over on base, mapping by mapping; None removes a key."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result
