# SPDX-License-Identifier: Apache-2.0
"""What people do, at random: objects come, change and go, are paused and released; somebody else
changes and deletes templates in AWS. Each edit tells the model."""

import time

from botocore.exceptions import ClientError
from model import (
    ADOPTED,
    CONTESTED,
    FOREIGN,
    INVALID_LIFECYCLE,
    PLAIN,
    REBUILT,
    REFUSED,
    SPARE,
    Entry,
    Held,
)
from world import World

from berth_test import objects
from berth_test.kube import SETTINGS, TEMPLATE, ApiError

OBJECTS = (PLAIN, CONTESTED, ADOPTED, REFUSED, REBUILT)
HOLDABLE = (PLAIN, ADOPTED, REBUILT)
APPLIED_FOR = ["CREATE_ON_PUSH"]
MANAGER = "soak"


class Edits:
    """Each method is one edit, and returns what it did, or None where there was nothing to do."""

    def __init__(self, world: World, rng) -> None:
        self.world, self.model, self.rng = world, world.model, rng
        self._serial = 0

    # --- the beginning ---------------------------------------------------------------------------

    def begin(self) -> None:
        """The templates of others, the registries, and all objects."""
        for entry in self.model.entries.values():
            if entry.kind in (ADOPTED, REFUSED):
                self._make_foreign(entry.prefix)
        for i in range(10):
            self._make_foreign(f"{FOREIGN}-{i}")
        kept = {e.prefix for e in self.model.entries.values() if e.kind == ADOPTED}
        templates = self.world.registries["default"].emulator.templates()
        self.model.foreign = {p: t for p, t in templates.items() if p not in kept}
        self.apply_settings("default", 200, "ENABLED")
        for entry in self.model.entries.values():
            self._apply(entry, self.model.new_spec(entry))

    def _make_foreign(self, prefix: str) -> None:
        self.world.registries["default"].emulator.ecr.create_repository_creation_template(
            prefix=prefix, appliedFor=APPLIED_FOR, description=f"by hand {prefix}"
        )

    def apply_settings(self, name: str, rate: int, mounting: str | None, interval: int = 10) -> str:
        registry = self.world.registries[name]
        spec = {"blobMounting": mounting} if mounting else None
        if spec:
            self.world.settings.append(spec)
        obj = objects.settings(
            registry, name, requestsPerSecond=rate, accountSettings=spec,
            driftInterval=f"{interval}s", repositoryScanInterval="30s",
        )  # fmt: skip
        self.world.kube_call(lambda: self.world.kube.apply(obj, MANAGER))
        return f"settings {name}: {rate}/s, blobMounting {mounting}, every {interval} s"

    # --- objects ---------------------------------------------------------------------------------

    def _apply(self, entry: Entry, spec: dict) -> None:
        obj = objects.template(entry.name)
        obj["spec"] = spec
        # known to the model before the API server has it: an operator may be quick
        entry.begin(spec, time.time())
        self.world.kube_call(lambda: self.world.kube.apply(obj, MANAGER))

    def _get(self, name: str) -> dict | None:
        return self.world.kube_call(lambda: self.world.kube.get(TEMPLATE, name))

    def _get_live(self, entry: Entry) -> dict:
        obj = self._get(entry.name)
        assert obj is not None, f"object {entry.name} is gone, and nobody deleted it"
        return obj

    def create(self) -> str | None:
        entry = self.model.choose(*OBJECTS, is_live=False)
        return self._create(entry) if entry else None

    def _create(self, entry: Entry) -> str | None:
        spec = self.model.new_spec(entry)
        if self._get(entry.name) is not None:
            return None  # still terminating
        self._apply(entry, spec)
        return f"create {entry.name}"

    def edit(self) -> str | None:
        entry = self.model.choose(*OBJECTS, is_live=True)
        if entry is None:
            return None
        self._apply(entry, self.model.new_spec(entry))
        return f"edit {entry.name}: {entry.spec['description']}"

    def edit_wrongly(self) -> str | None:
        """What the API server lets pass and the operator must not."""
        entry = self.model.choose(PLAIN, is_live=True)
        if entry is None:
            return None
        self._apply(entry, {**self.model.new_spec(entry), "lifecyclePolicy": INVALID_LIFECYCLE})
        return f"invalid edit of {entry.name}"

    def edit_forbidden(self) -> str | None:
        """What the API server does not let pass."""
        entry = self.model.choose(*OBJECTS, is_live=True)
        if entry is None:
            return None
        patch = self.rng.choice(
            [{"prefix": "elsewhere"}, {"appliedFor": []}, {"description": "x" * 257}]
        )
        try:
            self.world.kube_call(
                lambda: self.world.kube.merge(TEMPLATE, entry.name, {"spec": patch})
            )
        except ApiError as e:
            assert e.status == 422, f"{entry.name} {patch}: {e}"
            return f"forbidden edit of {entry.name}: {patch}"
        raise AssertionError(f"the API server took {patch} for {entry.name}")

    def delete(self) -> str | None:
        entry = self.model.choose(*OBJECTS, is_live=True)
        return self._delete(entry) if entry else None

    def _delete(self, entry: Entry) -> str:
        has_finalizer = bool(self._get_live(entry)["metadata"].get("finalizers"))
        self.model.forget(entry, has_finalizer, time.time())
        self.world.kube_call(lambda: self.world.kube.delete(TEMPLATE, entry.name))
        return f"delete {entry.name}"

    def recreate(self) -> str | None:
        """At once: the same name with another spec, as soon as the old one is gone."""
        entry = self.model.choose(*OBJECTS, is_live=True)
        if entry is None:
            return None
        self._delete(entry)
        created = self._create(entry)
        return f"delete {entry.name}, {created or 'it is not gone yet'}"

    # --- annotations -----------------------------------------------------------------------------

    def _annotate(self, kind: str, name: str, annotation: str, value: str | None) -> None:
        values = {annotation.replace("-", "_"): value}
        self.world.kube_call(lambda: self.world.kube.annotate(kind, name, **values))

    def hold(self) -> str | None:
        entry = self.model.choose(*HOLDABLE, is_live=True)
        if entry is None or entry.is_held():
            return None
        annotation = self.rng.choice(["paused", "read-only"])
        self._annotate(TEMPLATE, entry.name, annotation, "true")
        entry.hold(annotation, time.time())
        return f"{annotation} {entry.name}"

    def unhold(self) -> str | None:
        held = [e for e in self.model.entries.values() if e.is_held()]
        return self._unhold(self.rng.choice(held)) if held else None

    def _unhold(self, entry: Entry) -> str:
        # the model first: an operator may be quick
        annotations = {h.annotation for h in entry.held if h.until is None}
        entry.unhold(time.time())
        for annotation in sorted(annotations):
            try:
                self._annotate(TEMPLATE, entry.name, annotation, None)
            except ApiError as e:
                if e.status != 404 or entry.is_live:
                    raise
        return f"no longer {' '.join(sorted(annotations))}: {entry.name}"

    def request(self) -> str | None:
        entry = self.model.choose(*OBJECTS, is_live=True)
        if entry is None:
            return None
        self.ask(TEMPLATE, entry.name)
        return f"reconcile-requested-at {entry.name}"

    def ask(self, kind: str, name: str) -> str:
        value = str(time.monotonic_ns())
        self._annotate(kind, name, "reconcile-requested-at", value)
        return value

    # --- registries ------------------------------------------------------------------------------

    def edit_settings(self) -> str:
        return self.apply_settings(
            "default",
            self.rng.choice([20, 50, 200, 1000]),
            self.rng.choice(["ENABLED", "DISABLED", None]),
            self.rng.choice([10, 10, 15]),
        )

    def request_settings(self) -> str:
        self.ask(SETTINGS, "default")
        return "reconcile-requested-at of the RegistrySettings"

    def hold_registry(self) -> str | None:
        if any(h.until is None for h in self.model.registry_held):
            return None
        annotation = self.rng.choice(["paused", "read-only"])
        if annotation == "read-only":
            # deletions that are under way may be released without a call
            there = {o["metadata"]["name"] for o in self.world.templates()}
            self.model.uncertain |= {
                e.prefix for e in self.model.entries.values() if not e.is_live and e.name in there
            }
        self._annotate(SETTINGS, "default", annotation, "true")
        self.model.registry_held.append(Held(annotation, time.time()))
        return f"{annotation} RegistrySettings"

    def unhold_registry(self) -> str | None:
        open_ = [h for h in self.model.registry_held if h.until is None]
        for held in open_:
            held.until = time.time()
            self._annotate(SETTINGS, "default", held.annotation, None)
        return "the RegistrySettings is released" if open_ else None

    def turn_spare(self) -> str:
        """A whole registry comes, or goes with its templates."""
        kube, spare = self.world.kube, self.model.spare
        if self.world.kube_call(lambda: kube.get(SETTINGS, SPARE)):
            for entry in spare.values():
                if entry.is_live:
                    entry.end(time.time())
                self.world.kube_call(lambda n=entry.name: kube.delete(TEMPLATE, n))
            self.world.kube_call(lambda: kube.delete(SETTINGS, SPARE))
            return "the spare registry goes"
        if any(self._get(name) for name in spare):
            return "the spare registry is not gone yet"
        self.apply_settings(SPARE, 100, "DISABLED")
        for entry in spare.values():
            self._apply(
                entry,
                objects.template(
                    entry.name, registryRef={"name": SPARE}, deletionPolicy="Delete",
                    adoptionPolicy="Always",
                )["spec"],
            )  # fmt: skip
        return "the spare registry comes"

    # --- others, in AWS --------------------------------------------------------------------------

    def _foreign(self, operation: str, **request) -> bool:
        """False where the template is not there (or is again)."""
        registry = self.world.registries["default"]
        if not registry.is_alive or registry.is_frozen:
            return False
        try:
            getattr(registry.emulator.ecr, operation)(**request)
        except ClientError as e:
            code = e.response["Error"]["Code"]
            if code in ("TemplateNotFoundException", "TemplateAlreadyExistsException"):
                return False
            raise
        return True

    def foreign_edit(self) -> str | None:
        entry = self.model.choose(PLAIN, ADOPTED)
        self._serial += 1
        change = self.rng.choice(
            [
                {"description": f"theirs {self._serial}"},
                {"imageTagMutability": "MUTABLE", "lifecyclePolicy": ""},
                {"appliedFor": ["REPLICATION"], "resourceTags": []},
            ]
        )
        done = self._foreign(
            "update_repository_creation_template", prefix=entry.prefix, **change
        )
        return f"somebody changes {entry.prefix}: {change}" if done else None

    def foreign_delete(self) -> str | None:
        # not one whose object is gone: what stays there must stay
        entry = self.model.choose(PLAIN, REBUILT, is_live=True)
        if entry is None or not self._foreign(
            "delete_repository_creation_template", prefix=entry.prefix
        ):
            return None
        return f"somebody deletes {entry.prefix}"

    def foreign_rebuild(self) -> str | None:
        entry = self.model.choose(REBUILT, is_live=True)
        if entry is None:
            return None
        self._foreign("delete_repository_creation_template", prefix=entry.prefix)
        done = self._foreign(
            "create_repository_creation_template",
            prefix=entry.prefix, appliedFor=APPLIED_FOR, description="made again by somebody",
        )  # fmt: skip
        return f"somebody deletes {entry.prefix} and makes it again" if done else None

    def foreign_setting(self) -> str | None:
        value = self.rng.choice(["ENABLED", "DISABLED"])
        done = self._foreign("put_account_setting", name="BLOB_MOUNTING", value=value)
        return f"somebody puts blob mounting {value}" if done else None


WEIGHTS = {
    "edit": 30,
    "create": 14,
    "delete": 8,
    "recreate": 4,
    "edit_wrongly": 3,
    "edit_forbidden": 1,
    "hold": 3,
    "unhold": 4,
    "request": 3,
    "edit_settings": 2,
    "request_settings": 1,
    "hold_registry": 0.4,
    "unhold_registry": 2,
    "turn_spare": 0.7,
    "foreign_edit": 8,
    "foreign_delete": 4,
    "foreign_rebuild": 2,
    "foreign_setting": 1,
}
