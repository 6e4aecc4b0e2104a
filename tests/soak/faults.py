# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, at random: every kind of fault that the emulator has, and processes that die,
hang and come back. Each begins now and ends by itself later."""

import heapq
import itertools
import signal
import time
from collections.abc import Callable

from edits import Edits
from world import DIES, STAYS, World

from berth_test.wait import wait_for

OURS = {"userAgent": "berth*"}
WRITES = ("Create*", "Update*", "Delete*", "Put*")
STOP_S = 2.0


def rules(rng) -> dict[str, dict]:
    """A rule of every kind."""
    anything = rng.choice(["*", "Describe*", *WRITES])
    write = rng.choice(WRITES)
    return {
        "throttle": {"match": OURS, "throttle": {"perSecond": rng.choice([0.5, 2, 10])}},
        "fail": {
            "match": {**OURS, "operation": anything, "probability": rng.choice([0.3, 1])},
            "fail": {"status": rng.choice([500, 503])},
        },
        "deny": {"match": {**OURS, "operation": anything}, "deny": {"action": "ecr:*"}},
        "quota": {"match": {**OURS, "operation": "Create*"}, "quota": True},
        "delay before": {
            "match": {**OURS, "operation": anything},
            "delayMs": rng.choice([200, 2000, 20000]),
        },
        "delay after": {
            "match": {**OURS, "operation": write},
            "delayMs": {"before": 0, "after": rng.choice([500, 5000, 40000])},
        },
        "stale": {"match": OURS, "stale": {"ms": rng.choice([1000, 10000, 20000])}},
        "skew": {"match": OURS, "skewMs": rng.choice([-1, 1]) * 900_000},
        "expire": {"match": OURS, "expire": f"key-of-{rng.choice([STAYS, DIES])}"},
        "cut before": {"match": {**OURS, "operation": anything}, "cut": "before"},
        "cut after": {
            "match": {**OURS, "operation": anything, "probability": 0.5},
            "cut": "after",
        },
        "cut within": {"match": {**OURS, "operation": anything, "every": 2}, "cut": 20},
        "garbage": {
            "match": {**OURS, "operation": anything, "probability": 0.5},
            "garbage": rng.choice(["html", "empty", "truncated-json"]),
        },
        "normalise": {
            "match": {
                **OURS,
                "operation": f"{rng.choice(['Create', 'Update'])}RepositoryCreationTemplate",
                "probability": 0.3,
            },
            "normalise": {"description": "what AWS makes of it"},
        },
    }


class Faults:
    def __init__(self, world: World, edits: Edits, rng) -> None:
        self.world, self._edits, self._rng = world, edits, rng
        self._ends: list[tuple[float, int, str, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.happened: dict[str, int] = {}
        self.open: dict[str, Callable[[], None]] = {}

    # --- beginning and end -----------------------------------------------------------------------

    def begin(self) -> str | None:
        """One more, of those that are not there yet."""
        rule_kinds = rules(self._rng)
        kinds = {**{k: 1.0 for k in rule_kinds}, **PROCESSES}
        kind = self._rng.choices(list(kinds), list(kinds.values()))[0]
        seconds = self._rng.uniform(2, 20)
        # some longer than a Lease lasts
        frozen_seconds = self._rng.uniform(2, 35)
        if kind in self.open:
            return None
        if kind in rule_kinds:
            end = self._begin_rule(rule_kinds[kind])
        else:
            if kind in (f"freeze {STAYS}", f"freeze {DIES}"):
                seconds = frozen_seconds
            end = getattr(self, kind.replace(" ", "_"))()
        if end is None:
            return None
        self.happened[kind] = self.happened.get(kind, 0) + 1
        self.open[kind] = end
        heapq.heappush(
            self._ends, (time.monotonic() + seconds, next(self._numbers), kind, end)
        )
        detail = f" {rule_kinds[kind]}" if kind in rule_kinds else ""
        return f"{kind} for {seconds:.1f} s{detail}"

    def end_due(self, everything: bool = False) -> list[str]:
        """Ends those whose time has come."""
        ended = []
        while self._ends and (everything or self._ends[0][0] <= time.monotonic()):
            _, _, kind, end = heapq.heappop(self._ends)
            end()
            del self.open[kind]
            ended.append(f"end of {kind}")
        return ended

    def _begin_rule(self, rule: dict) -> Callable[[], None] | None:
        registry = self.world.registries["default"]
        if not registry.is_alive or registry.is_frozen:
            return None
        emulator = registry.emulator
        number = emulator.control("POST", "faults", rule)["id"]

        def end() -> None:
            # a new life of the emulator has no rules
            if registry.emulator is emulator and registry.is_alive:
                self._thaw()
                emulator.control("DELETE", f"faults/{number}")

        return end

    # --- processes: each returns how it ends, or None where it cannot be now ---------------------

    def _is_up(self, name: str) -> bool:
        return self.world.operator(name) is not None and not {
            f"freeze {name}", f"kill {DIES}", f"stop {DIES}"
        } & set(self.open)  # fmt: skip

    def _operator_returns(self) -> None:
        self.world.replicas.start(DIES)

    def kill_ben(self) -> Callable[[], None] | None:
        if not self._is_up(DIES):
            return None
        self.world.look()
        self.world.replicas.take(DIES).kill()
        return self._operator_returns

    def stop_ben(self) -> Callable[[], None] | None:
        """It ends with 0 in two seconds, whatever else goes wrong (Operator.stop checks)."""
        if not self._is_up(DIES):
            return None
        self.world.replicas.take(DIES).stop()
        return self._operator_returns

    def _freeze_operator(self, name: str) -> Callable[[], None] | None:
        if not self._is_up(name):
            return None
        process = self.world.operator(name).process
        process.signal(signal.SIGSTOP)
        return lambda: process.signal(signal.SIGCONT)

    def freeze_ann(self) -> Callable[[], None] | None:
        return self._freeze_operator(STAYS)

    def freeze_ben(self) -> Callable[[], None] | None:
        return self._freeze_operator(DIES)

    def _emulator_dies(self, number: int) -> Callable[[], None] | None:
        registry = self.world.registries["default"]
        if not registry.is_alive or registry.is_frozen:
            return None
        self.world.look()
        registry.die(number)
        self.world.judge.gap()
        return registry.come_back

    def kill_emulator(self) -> Callable[[], None] | None:
        return self._emulator_dies(signal.SIGKILL)

    def stop_emulator(self) -> Callable[[], None] | None:
        return self._emulator_dies(signal.SIGTERM)

    def freeze_emulator(self) -> Callable[[], None] | None:
        registry = self.world.registries["default"]
        if not registry.is_alive or registry.is_frozen:
            return None
        registry.emulator.process.signal(signal.SIGSTOP)
        registry.is_frozen = True
        return self._thaw

    def _thaw(self) -> None:
        registry = self.world.registries["default"]
        if registry.is_frozen:
            registry.emulator.process.signal(signal.SIGCONT)
            registry.is_frozen = False
            wait_for(self._answers, 10, "the emulator answers again")

    def _answers(self) -> bool:
        return self.world.registries["default"].emulator.control("GET", "stats") is not None

    # the API server is away while others go on in AWS: until it is back, nobody can edit objects

    def _meanwhile(self) -> None:
        end = time.monotonic() + self._rng.uniform(0, 8)
        while time.monotonic() < end:
            self._edits.foreign_edit()
            self._edits.foreign_delete()
            time.sleep(0.5)

    def restart_apiserver(self) -> Callable[[], None]:
        self.world.restart_apiserver(self._meanwhile)
        return lambda: None

    def freeze_apiserver(self) -> Callable[[], None]:
        self.world.freeze_apiserver(self._meanwhile)
        return lambda: None


PROCESSES = {
    f"kill {DIES}": 1.5,
    f"stop {DIES}": 1.5,
    f"freeze {STAYS}": 2.0,
    f"freeze {DIES}": 1.0,
    "kill emulator": 1.0,
    "stop emulator": 0.5,
    "freeze emulator": 0.5,
    "restart apiserver": 1.0,
    "freeze apiserver": 0.7,
}
