# SPDX-License-Identifier: Apache-2.0
"""The emulator of ECR, as a process, and the clients that tests drive it with: botocore and aws."""

import contextlib
import dataclasses
import datetime
import functools
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator
from typing import Any

import botocore.config
import botocore.session

from berth_test import causes, paths
from berth_test.process import Process
from berth_test.wait import wait_for

ACCOUNT = "123456789012"
REGION = "eu-west-1"
# what the emulator accepts unless told otherwise
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
_READS = ("Describe", "Get", "List", "BatchGet", "BatchCheck", "Validate")


@dataclasses.dataclass(frozen=True)
class Request:
    """One line of the emulator's request log."""

    operation: str
    api: str
    status: int
    error: str | None
    body: dict | None
    user_agent: str
    fault: int | None = None  # the id of the rule that it fell under
    key_id: str = ""  # the access key id that it was signed with

    @property
    def is_write(self) -> bool:
        return self.api == "ecr" and not self.operation.startswith(_READS)

    @property
    def is_ours(self) -> bool:
        return self.user_agent.startswith("berth")


class Emulator:
    """One account and region on a port of its own."""

    def __init__(
        self,
        *options: str,
        directory: pathlib.Path | None = None,
        detached: bool = False,
        account: str = ACCOUNT,
        region: str = REGION,
        listen: str = "127.0.0.1:0",
    ) -> None:
        self.account, self.region = account, region
        self._temporary = None
        if directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="berth-emulator.")
            directory = pathlib.Path(self._temporary.name)
        self.process = Process(
            "ecr-emulator",
            [paths.binary("ecr-emulator"), "--listen", listen, "--account", account,
             "--region", region, *options],
            directory,
            env={**os.environ, "TMPDIR": str(directory)},
            detached=detached,
        )  # fmt: skip
        ready = wait_for(self._first_line, 10, lambda: f"the emulator\n{self.process.log()}")
        self.endpoint: str = ready["endpoint"]
        self.registry: str = urllib.parse.urlsplit(self.endpoint).netloc
        self._mark = 0
        if options and any(not o.startswith("--credentials") for o in options):
            causes.begin(f"an emulator with {options}", self)

    def __enter__(self) -> "Emulator":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _first_line(self) -> dict | None:
        self.process.assert_running()
        line, newline, _ = self.process.out.read_text().partition("\n")
        return json.loads(line) if newline else None

    def stop(self) -> None:
        causes.end(self)
        self.process.stop()
        if self._temporary:
            self._temporary.cleanup()

    def kill(self) -> None:
        """SIGKILL: what it kept with --data is for the next one."""
        causes.end(self)
        self.process.kill()
        if self._temporary:
            self._temporary.cleanup()

    # --- what clients see ------------------------------------------------------------------------

    @functools.cached_property
    def ecr(self) -> Any:
        """A botocore client that does not retry."""
        return self.client("ecr")

    def client(self, service: str, key_id: str = "test", secret: str = "test") -> Any:
        client = client_of(self.endpoint, self.region, service, key_id, secret)
        client.meta.events.register("before-call", _note_change)
        return client

    def aws(self, *args: str) -> Any:
        """Runs `aws ecr ARGS` and returns its decoded output (None where there is none)."""
        causes.note(f"aws {args[:1]}")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            **CREDENTIALS,
        }
        aws = pathlib.Path(sys.executable).parent / "aws"
        done = subprocess.run(
            [sys.executable, aws, "ecr", *args, "--output", "json"],
            env=env, text=True, capture_output=True,
        )  # fmt: skip
        if done.returncode != 0:
            raise AssertionError(f"aws ecr {' '.join(args)} failed: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def templates(self) -> dict[str, dict]:
        """All templates by prefix, without the trailing slash that AWS may show."""
        pages = self.ecr.get_paginator("describe_repository_creation_templates").paginate()
        return {
            t["prefix"].rstrip("/"): t
            for page in pages
            for t in page.get("repositoryCreationTemplates", [])
        }

    def template(self, prefix: str) -> dict | None:
        return self.templates().get(prefix)

    def repositories(self) -> dict[str, dict]:
        pages = self.ecr.get_paginator("describe_repositories").paginate()
        return {r["repositoryName"]: r for page in pages for r in page["repositories"]}

    def account_setting(self, name: str) -> str:
        return self.ecr.get_account_setting(name=name)["value"]

    # --- what only an emulator has ---------------------------------------------------------------

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """A call of /_emulator/."""
        if method == "POST" and path == "faults":
            causes.begin(f"rule {body}", self)
        elif method != "GET":
            causes.note(f"{method} {path}")
            causes.end(self)
        url = urllib.parse.urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, f"/_emulator/{path}", data)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status >= 300:
            raise AssertionError(f"{method} /_emulator/{path}: {response.status} {text}")
        return json.loads(text) if text.strip() else None

    def add_fault(self, match: dict | None = None, **effect: Any) -> int:
        """Adds a rule, such as add_fault({"operation": "Describe*"}, fail={"status": 503})."""
        rule = {"match": match, **effect} if match else effect
        return self.control("POST", "faults", rule)["id"]

    @contextlib.contextmanager
    def fault(self, match: dict | None = None, **effect: Any) -> Iterator[int]:
        """A rule for the time of a with statement."""
        number = self.add_fault(match, **effect)
        try:
            yield number
        finally:
            self.control("DELETE", f"faults/{number}")

    def faults(self) -> list[dict]:
        """The rules in order: id, seen, acted, rule."""
        return self.control("GET", "faults")

    def requests(self) -> list[Request]:
        """Every request since mark() (or since the start), the oldest first."""
        return [_request(e) for e in self._log(self._mark)]

    def requests_after(self, seq: int) -> list[tuple[int, float, Request]]:
        """The log without mark(): number, time (of the Unix epoch) and request of each."""
        return [(e["seq"], _seconds(e["time"]), _request(e)) for e in self._log(seq)]

    def _log(self, after: int) -> list[dict]:
        return self.control("GET", f"requests?after={after}")

    def mark(self) -> None:
        """What came before is not shown by requests() any more."""
        log = self._log(self._mark)
        self._mark = log[-1]["seq"] if log else self._mark

    def operator_requests(self) -> list[Request]:
        return [r for r in self.requests() if r.is_ours]

    def operator_writes(self) -> list[Request]:
        return [r for r in self.operator_requests() if r.is_write]


def _note_change(model: Any, **_: Any) -> None:
    if not model.name.startswith(_READS):
        causes.note(f"a test calls {model.name}")


def client_of(
    endpoint: str, region: str, service: str, key_id: str = "test", secret: str = "test"
) -> Any:
    """A botocore client that does not retry."""
    return _session().create_client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def _request(entry: dict) -> Request:
    return Request(
        operation=entry["operation"],
        api=entry["api"],
        status=entry["status"],
        error=entry.get("error"),
        body=entry.get("body"),
        user_agent=entry.get("userAgent") or "",
        fault=entry.get("fault"),
        key_id=entry.get("accessKeyId") or "",
    )


def _seconds(time: str) -> float:
    return datetime.datetime.fromisoformat(time).timestamp()


@functools.cache
def _session() -> botocore.session.Session:
    """One for all clients: reading the model takes a tenth of a second."""
    session = botocore.session.Session()
    # nothing of the user's own AWS configuration is read
    session.set_config_variable("config_file", "/nonexistent")
    session.set_config_variable("credentials_file", "/nonexistent")
    return session
