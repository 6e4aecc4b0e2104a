# SPDX-License-Identifier: Apache-2.0
"""Several operators on one cluster, each with AWS credentials of its own: the emulator's log then
says which of them wrote what."""

from collections.abc import Callable

from berth_test.emulator import Emulator, Request
from berth_test.kube import Kube
from berth_test.operator import Operator
from berth_test.wait import wait_for

LEASE = ("Lease", "berth-operator", "default")
NAMES = ("ann", "ben", "cyd")
_SECRET = "not-a-real-secret-of-{}"
_METRIC = "leader_election_master_status"


def credential_flags() -> list[str]:
    """Of an emulator that knows them all, and the test itself."""
    pairs = [("test", "test"), *((f"key-of-{n}", _SECRET.format(n)) for n in NAMES)]
    return [f"--credentials={key}:{secret}" for key, secret in pairs]


def emulator_for_all(**options) -> Emulator:
    return Emulator(*credential_flags(), **options)


class Replicas:
    """Pods named as in NAMES."""

    def __init__(self, kube: Kube, start_operator: Callable[..., Operator]) -> None:
        self._kube = kube
        self._start = start_operator
        self.running: dict[str, Operator] = {}

    def start(self, name: str, **options) -> Operator:
        env = {
            "POD_NAME": name,
            "AWS_ACCESS_KEY_ID": f"key-of-{name}",
            "AWS_SECRET_ACCESS_KEY": _SECRET.format(name),
        }
        self.running[name] = self._start(env=env, **options)
        return self.running[name]

    def take(self, name: str) -> Operator:
        """It is the caller's now: not asked any more whether it leads."""
        return self.running.pop(name)

    def leaders(self) -> list[str]:
        """Who of those that run says that it leads."""
        return [n for n, o in self.running.items() if o.metrics_of(_METRIC) == 1]

    def holder(self) -> str:
        """The pod that the Lease names; "" where it names none."""
        lease = self._kube.get(*LEASE)
        identity = ((lease or {}).get("spec") or {}).get("holderIdentity") or ""
        return identity.rpartition("_")[0]

    def wait_leader(self, deadline_s: float, but: str = "") -> str:
        """Exactly one leads, the Lease names it, and it is another than `but`."""

        def leader() -> str | None:
            leaders = self.leaders()
            if len(leaders) != 1 or leaders[0] == but:
                return None
            return leaders[0] if self.holder() == leaders[0] else None

        return wait_for(leader, deadline_s, lambda: f"one leader; it is {self.leaders()}")


def readers(emulator: Emulator) -> set[str]:
    """Who read anything from AWS."""
    return {_name(r) for r in emulator.operator_requests() if not r.is_write}


def writers(emulator: Emulator) -> list[str]:
    """Who wrote to AWS, one after the other; a row of writes counts once."""
    found: list[str] = []
    for request in emulator.operator_writes():
        if not found or found[-1] != _name(request):
            found.append(_name(request))
    return found


def writes_of(emulator: Emulator, name: str) -> int:
    return sum(_name(r) == name for r in emulator.operator_writes())


def _name(request: Request) -> str:
    return request.key_id.removeprefix("key-of-")
