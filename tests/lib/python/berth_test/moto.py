# SPDX-License-Identifier: Apache-2.0
"""moto's server as a process: an ECR that others wrote, beside ours. It has repositories and no
repository creation templates."""

import pathlib
import re
import sys
import tempfile
from typing import Any

from berth_test.emulator import ACCOUNT, CREDENTIALS, REGION, client_of
from berth_test.process import Process
from berth_test.wait import wait_for

_SERVES = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")


class Moto:
    """It has account and region of the emulator, so that objects.settings() takes it for one."""

    def __init__(self) -> None:
        self.account, self.region = ACCOUNT, REGION
        self._temporary = tempfile.TemporaryDirectory(prefix="berth-moto.")
        directory = pathlib.Path(self._temporary.name)
        self.process = Process(
            "moto",
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            directory,
            env={"PATH": "/usr/bin:/bin", "HOME": str(directory), "MOTO_ACCOUNT_ID": ACCOUNT,
                 "AWS_DEFAULT_REGION": REGION, "PYTHONDONTWRITEBYTECODE": "1", **CREDENTIALS},
        )  # fmt: skip
        try:
            self.endpoint: str = wait_for(
                self._address, 30, lambda: f"moto's server\n{self.process.log()}"
            )
            self.ecr = self.client("ecr")
            self.ecr.describe_repositories()  # it loads a service at its first request
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "Moto":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _address(self) -> str | None:
        self.process.assert_running()
        found = _SERVES.search(self.process.err.read_text() + self.process.out.read_text())
        return found[1] if found else None

    def client(self, service: str) -> Any:
        return client_of(self.endpoint, self.region, service)

    def asked(self) -> list[str]:
        """A line of its access log for each request so far."""
        return [line for line in self.process.err.read_text().splitlines() if '"POST ' in line]

    def stop(self) -> None:
        self.process.kill()  # a development server: it has nothing to finish
        self._temporary.cleanup()
