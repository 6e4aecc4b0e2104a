# SPDX-License-Identifier: Apache-2.0
"""Which registry, rule and template hold for an image, and what is created from them: hosts and who
has them, registries that cannot be used, rules of spec.admission, images that are or are not there,
templates edited, paused and deleted, and what the operator's own configuration says."""

import contextlib
import json
import time
from collections.abc import Iterator

import pytest

from berth_test import admissions, images, model, objects
from berth_test.admissions import TAG, Answer, Scene, custom, unique
from berth_test.control_plane import ControlPlane
from berth_test.emulator import ACCOUNT, REGION, Emulator
from berth_test.kube import SETTINGS, TEMPLATE, Kube
from berth_test.process import free_port
from berth_test.wait import wait_for

OTHER_ACCOUNT = "210987654321"
HOST, SECOND_HOST = "a.example", "b.example:5000"
OTHER_HOST, DISPUTED = "other.example", "c.example"
OWN_HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
UNMANAGED = f"999999999999.dkr.ecr.{REGION}.amazonaws.com"
ADMISSION = {
    "uncoveredRepository": "Deny",
    "creationsPerMinute": 10000,
    "rules": [
        {"namespaces": ["ci-*"], "prefixes": ["scratch/*"], "uncoveredRepository": "Allow"},
        {"namespaces": ["ci-*"], "uncoveredRepository": "Warn"},
        {"namespaces": ["ci-never"], "uncoveredRepository": "Deny"},
        {"prefixes": ["scratch/?/*"], "uncoveredRepository": "Warn"},
        {"namespaces": ["images"], "missingImage": "Deny"},
        {"namespaces": ["images-warn"], "missingImage": "Warn"},
        {"namespaces": ["push-only"], "ensureRepositories": "PushOnly"},
        {"namespaces": ["off"], "ensureRepositories": "Never"},
        {"namespaces": ["off-warn"], "ensureRepositories": "Never", "missingImage": "Warn"},
    ],
}


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane(audit="writes") as started:
        started.install_crds()
        admissions.install_crd(started.kube, "kpack.io", "Image", "v1alpha2")
        yield started


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as started:
        yield started
        model.assert_valid(started.operator_requests())


@pytest.fixture(scope="module")
def scene(control_plane: ControlPlane, emulator: Emulator) -> Iterator[Scene]:
    kube = control_plane.kube
    emulator.ecr.create_repository(repositoryName="known/a")
    emulator.ecr.create_repository_creation_template(
        prefix="aws-only", appliedFor=["CREATE_ON_PUSH"], imageTagMutability="IMMUTABLE"
    )
    kube.create(objects.template("team"))
    kube.create(objects.template("replicated", appliedFor=["REPLICATION"]))
    kube.create(objects.template("shielded", "team/shielded", appliedFor=["PULL_THROUGH_CACHE"]))
    started = Scene(
        control_plane,
        emulator,
        None,
        (HOST, SECOND_HOST, OTHER_HOST, DISPUTED),
        registryHosts=[emulator.registry, HOST, SECOND_HOST],
        admission=ADMISSION,
        repositoryScanInterval="24h",
    )
    for name in ("ci-1", "ci-never", "images", "images-warn", "push-only", "off", "off-warn"):
        started.namespace(name)
    for name in ("team", "replicated", "shielded"):
        kube.wait_ready(TEMPLATE, name)
    kube.wait_ready(SETTINGS, "default")
    yield started
    started.check_counts()
    started.stop()


def made(answer: Answer, template: str = "team") -> dict:
    """The CreateRepository of an answer that tells of one."""
    answer.check()
    assert answer.reason == "Created", answer
    (create,) = [c for c in answer.calls if c.operation == "CreateRepository"]
    assert {"Key": TAG, "Value": template} in create.body["tags"]
    return create.body


def is_decided(answer: Answer, decision: str, reason: str) -> None:
    answer.check()
    assert (answer.decision, answer.reason) == (decision, reason), answer


def build(tag: str, namespace: str = "default") -> dict:
    return custom("kpack.io/v1alpha2", "Image", namespace, tag=tag)


# --- hosts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        HOST, "A.Example", f"{HOST}:443", SECOND_HOST, "B.EXAMPLE:5000", OWN_HOST, OWN_HOST.upper(),
        OWN_HOST.replace(".ecr.", ".ecr-fips."), f"{OWN_HOST}:443",
        f"{ACCOUNT}.dkr-ecr.{REGION}.on.aws",
    ],
)  # fmt: skip
def test_every_name_of_a_registry(scene: Scene, host: str):
    name = unique("team/host")
    assert made(scene.pod(f"{host}/{name}:1"))["repositoryName"] == name


@pytest.mark.parametrize(
    "host", ["b.example", "b.example:443", f"{HOST}:80", f"x{HOST}", "a-example"]
)
def test_what_only_looks_like_a_host_of_a_registry(scene: Scene, host: str):
    """Not asked about, or found to be somebody else's."""
    answer = scene.pod(f"{host}/{unique('team/host')}:1")
    assert answer.error is None and not answer.warnings
    assert not answer.is_called or answer.reason == "Foreign"


def test_a_host_that_two_claim_is_the_older_ones(control_plane, scene: Scene):
    kube = control_plane.kube
    with Emulator(account=OTHER_ACCOUNT) as first, Emulator(account="111111111111") as second:
        settings = {"registryHosts": [DISPUTED], "admission": {"uncoveredRepository": "Warn"}}
        # by name the newer one would come first
        older = kube.create(objects.settings(first, "z-older", **settings))
        began = older["metadata"]["creationTimestamp"]
        wait_for(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > began, 5, "a second")
        kube.create(objects.settings(second, "a-newer", **settings))
        for name in ("z-older", "a-newer"):
            kube.wait_ready(SETTINGS, name)

        def asked_of() -> list[str]:
            answer = scene.pod(f"{DISPUTED}/{unique('nothing/a')}")
            is_decided(answer, "warn", "Uncovered")
            uid = answer.line["uid"]
            return [
                e.account
                for e in (first, second)
                if any(f"admission/{uid}" in r.user_agent for r in e.requests())
            ]

        assert asked_of() == [OTHER_ACCOUNT]
        kube.delete(SETTINGS, "z-older")
        kube.wait_gone(SETTINGS, "z-older")
        wait_for(lambda: asked_of() == ["111111111111"], 10, "the newer one has it")
        kube.delete(SETTINGS, "a-newer")
        kube.wait_gone(SETTINGS, "a-newer")


# --- registries that cannot be used ---------------------------------------------------------------


def stalled(emulator: Emulator) -> dict:
    return objects.settings(emulator, "other", accountID="333333333333")


def never_read(emulator: Emulator) -> dict:
    return objects.settings(emulator, "other", endpoint=f"http://127.0.0.1:{free_port()}")


def paused(emulator: Emulator) -> dict:
    settings = objects.settings(emulator, "other")
    settings["metadata"]["annotations"] = {"ecr.berth.dev/paused": "true"}
    return settings


@contextlib.contextmanager
def other_registry(kube: Kube, settings: dict) -> Iterator[None]:
    """RegistrySettings "other" with OTHER_HOST; it and its template "keeps" are gone afterwards."""
    settings["spec"]["registryHosts"] = [OTHER_HOST]
    kube.create(settings)
    try:
        yield
    finally:
        for kind, name in ((TEMPLATE, "keeps"), (SETTINGS, "other")):
            kube.delete(kind, name)
            kube.wait_gone(kind, name)


def not_ready(scene: Scene, says: str) -> Answer:
    """What a Pod is answered once that is said of the registry."""
    told: list[str] = []

    def ask() -> Answer | None:
        got = scene.pod(f"{OTHER_HOST}/team/x")
        if got.reason == "Foreign":
            return None  # the object is not known yet
        told[:] = got.warnings or [got.error.message if got.error else ""]
        return got if says in told[0] else None

    got = wait_for(ask, 10, lambda: f"{says} is told, not {told}")
    assert "repository team/x was not looked up: RegistrySettings other: " in told[0]
    return got


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (stalled, f"belong to account {OTHER_ACCOUNT}"),
        (never_read, "127.0.0.1"),
        (paused, "it is paused"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
@pytest.mark.parametrize("on_error", ["Warn", "Deny"])
def test_registries_that_cannot_be_used(control_plane, scene: Scene, make, says, on_error):
    with Emulator(account=OTHER_ACCOUNT) as other:
        settings = make(other)
        settings["spec"]["admission"] = {"onError": on_error}
        with other_registry(control_plane.kube, settings):
            answer = not_ready(scene, says)
            is_decided(answer, on_error.lower(), "RegistryNotReady")
            assert not [r for r in other.requests() if "admission/" in r.user_agent]


def test_a_registry_that_is_being_deleted(control_plane, scene: Scene):
    kube = control_plane.kube
    with (
        Emulator(account=OTHER_ACCOUNT) as other,
        other_registry(kube, objects.settings(other, "other")),
    ):
        kube.create(objects.template("keeps", "team", registryRef={"name": "other"}))
        kube.wait_ready(TEMPLATE, "keeps")
        kube.wait_ready(SETTINGS, "other")
        kube.delete(SETTINGS, "other")
        answer = not_ready(scene, "it is being deleted")
        is_decided(answer, "warn", "RegistryNotReady")


def test_what_was_read_before_ecr_went_away_is_good_enough(scene: Scene, emulator: Emulator):
    with emulator.fault({"api": "ecr"}, deny={"action": "ecr:*"}):
        answer = scene.pod(scene.image("known/a"))
        is_decided(answer, "allow", "Exists")
        assert not answer.calls


# --- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("namespace", "repository", "decision"),
    [
        ("default", "nothing/a", "deny"),
        ("default", "scratch/a", "deny"),  # the prefix wants one character between the slashes
        ("default", "scratch/x/a/b", "warn"),
        ("ci-1", "scratch/a", "allow"),
        ("ci-1", "scratch/x/a", "allow"),
        ("ci-1", "nothing/a", "warn"),
        ("ci-never", "nothing/a", "warn"),  # an earlier rule holds
        ("ci-never", "scratch/a", "allow"),
        ("off", "nothing/a", "deny"),  # of the rule that holds only ensureRepositories differs
    ],
)
def test_the_first_rule_that_matches_holds(scene: Scene, namespace, repository, decision):
    answer = scene.pod(scene.image(unique(repository)), namespace=namespace)
    is_decided(answer, decision, "Uncovered")


def test_a_changed_rule_holds_at_once(scene: Scene):
    kube, name = scene.kube, scene.namespace("later")
    image = scene.image("nothing/later")
    is_decided(scene.pod(image, namespace=name), "deny", "Uncovered")
    rule = {"namespaces": [name], "uncoveredRepository": "Allow"}
    changed = {**ADMISSION, "rules": [rule, *ADMISSION["rules"]]}
    kube.merge(SETTINGS, "default", {"spec": {"admission": changed}})
    wait_for(lambda: scene.pod(image, namespace=name).decision == "allow", 10, "the rule holds")
    kube.merge(SETTINGS, "default", {"spec": {"admission": ADMISSION}})
    wait_for(lambda: scene.pod(image, namespace=name).decision == "deny", 10, "it is gone")


@pytest.mark.parametrize(
    ("namespace", "pulls", "pushes"),
    [
        ("default", ("warn", "Created"), ("allow", "Created")),
        ("push-only", ("allow", "NotEnsured"), ("allow", "Created")),
        ("off", ("allow", "NotEnsured"), ("allow", "NotEnsured")),
        ("off-warn", ("warn", "NotEnsured"), ("allow", "NotEnsured")),
    ],
)
def test_who_gets_a_repository(scene: Scene, namespace, pulls, pushes):
    image = scene.image(unique("team/pulls"))
    is_decided(scene.pod(image, namespace=namespace), *pulls)
    assert (image.partition("/")[2][:-2] in scene.emulator.repositories()) == (
        pulls[1] == "Created")  # fmt: skip
    image = scene.image(unique("team/pushes"))
    is_decided(scene.create(build(image, namespace)), *pushes)
    assert (image.partition("/")[2][:-2] in scene.emulator.repositories()) == (
        pushes[1] == "Created")  # fmt: skip


def test_nothing_is_created_beside_an_image_that_is_denied(scene: Scene):
    covered, denied = unique("team/beside"), unique("nothing/denied")
    answer = scene.pod(scene.image(covered), scene.image(denied), f"{HOST}/team/BAD").check()
    is_decided(answer, "deny", "Uncovered")
    assert answer.annotations["repositories"] == f"{covered},{denied}"
    assert "created" not in answer.annotations
    assert denied in answer.error.message and covered not in answer.error.message
    assert covered not in scene.emulator.repositories()


# --- images --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def layout(tmp_path_factory) -> tuple:
    directory = tmp_path_factory.mktemp("image")
    digest = images.write_layout(directory / "layout", [images.random_layer(100)], "v1")
    return directory, digest


def push(emulator: Emulator, layout: tuple, repository: str) -> None:
    images.push(emulator, layout[0] / "layout", repository, layout[0], "v1")


def test_an_image_that_is_there(scene: Scene, emulator: Emulator, layout):
    push(emulator, layout, "known/a")
    host, digest = emulator.registry, layout[1]
    for image in (f"{host}/known/a:v1", f"{host}/known/a@{digest}", f"{host}/known/a:v2@{digest}"):
        answer = scene.pod(image, namespace="images")
        is_decided(answer, "allow", "Exists")
        assert answer.operations == ["DescribeImages"]
    for image, name in (
        (f"{host}/known/a", "known/a:latest"),
        (f"{host}/known/a:v2", "known/a:v2"),
        (f"{host}/known/a:v1@sha256:{'0' * 64}", f"known/a@sha256:{'0' * 64}"),
    ):
        answer = scene.pod(image, namespace="images")
        is_decided(answer, "deny", "ImageMissing")
        assert answer.error.message.endswith(f"image {name} is not there yet")
        is_decided(scene.pod(image, namespace="images-warn"), "warn", "ImageMissing")
    # who pushes is not asked what is there
    answer = scene.create(build(f"{host}/known/a:v3", "images"))
    is_decided(answer, "allow", "Exists")
    assert not answer.calls


def test_an_image_of_a_repository_that_is_younger_than_the_scan(scene, emulator, layout):
    name = unique("team/young")
    emulator.ecr.create_repository(repositoryName=name)
    is_decided(scene.pod(scene.image(name), namespace="images"), "deny", "ImageMissing")
    name = unique("team/young")
    emulator.ecr.create_repository(repositoryName=name)
    push(emulator, layout, name)
    for namespace in ("images", "images-warn"):
        answer = scene.pod(scene.image(name, "v1"), namespace=namespace)
        is_decided(answer, "allow", "Exists")
        assert answer.operations == ["DescribeImages"]
    answer = scene.pod(scene.image(name, "v1"))
    is_decided(answer, "allow", "Exists")
    assert not answer.calls, "it was remembered"


def test_two_images_of_one_missing_repository(scene: Scene):
    name = unique("team/two")
    answer = scene.pod(scene.image(name, "1"), scene.image(name, "2"), namespace="images-warn")
    assert made(answer)["repositoryName"] == name
    assert answer.annotations["created"] == name


# --- templates -----------------------------------------------------------------------------------


def repository(emulator: Emulator, name: str) -> dict:
    return emulator.repositories()[name]


def test_all_settings_of_a_template(scene: Scene, emulator: Emulator):
    template = objects.everything(unique("all"))
    name = template["metadata"]["name"]
    scene.kube.create(template)
    scene.kube.wait_ready(TEMPLATE, name)
    answer = scene.create(build(scene.image(f"{name}/a")))
    made(answer, name)
    found = repository(emulator, f"{name}/a")
    spec = template["spec"]
    assert found["imageTagMutability"] == spec["imageTagMutability"]
    assert found["imageTagMutabilityExclusionFilters"] == spec["imageTagMutabilityExclusionFilters"]
    assert found["encryptionConfiguration"] == spec["encryptionConfiguration"]
    tags = emulator.ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
    wanted = {t["key"]: t["value"] for t in spec["resourceTags"]}
    assert {t["Key"]: t["Value"] for t in tags} == {**wanted, TAG: name}
    policy = emulator.ecr.get_repository_policy(repositoryName=f"{name}/a")["policyText"]
    assert json.loads(policy) == spec["repositoryPolicy"]
    lifecycle = emulator.ecr.get_lifecycle_policy(repositoryName=f"{name}/a")
    assert json.loads(lifecycle["lifecyclePolicyText"]) == spec["lifecyclePolicy"]
    events = [e for e in scene.kube.events_of(TEMPLATE, name) if e["reason"] == "RepositoryCreated"]
    assert [e["note"] for e in events] == [f"repository {name}/a was created"]
    assert events[0]["type"] == "Normal" and events[0]["action"] == "Admission"


def test_a_template_of_aws_that_no_object_owns(scene: Scene, emulator: Emulator):
    assert made(scene.pod(scene.image("aws-only/a")), "aws-only")
    assert repository(emulator, "aws-only/a")["imageTagMutability"] == "IMMUTABLE"


def test_templates_that_are_for_something_else(scene: Scene):
    """Nothing covers, or the next shorter one does."""
    answer = scene.pod(scene.image("replicated/a"), namespace="ci-1")
    is_decided(answer, "warn", "Uncovered")
    assert made(scene.pod(scene.image("team/shielded/a")))["repositoryName"] == "team/shielded/a"


def test_the_life_of_a_template(scene: Scene, emulator: Emulator):
    """Made, edited, held, deleted: each holds for the next repository."""
    kube, name = scene.kube, unique("life")

    def ask() -> Answer:
        return scene.pod(scene.image(f"{name}/{unique('r')}"), namespace="ci-1")

    is_decided(ask(), "warn", "Uncovered")
    kube.create(objects.template(name))
    kube.wait_ready(TEMPLATE, name)
    assert "imageTagMutability" not in made(ask(), name)
    kube.merge(TEMPLATE, name, {"spec": {"imageTagMutability": "IMMUTABLE"}})
    kube.wait_ready(TEMPLATE, name)
    assert made(ask(), name)["imageTagMutability"] == "IMMUTABLE"
    for annotation in ("paused", "read_only"):
        kube.annotate(TEMPLATE, name, **{annotation: "true"})
        held = wait_for(lambda: (a := ask()).reason == "TemplateHeld" and a, 10, annotation)
        assert held.decision == "warn" and "CreateRepository" not in held.operations
        kube.annotate(TEMPLATE, name, **{annotation: None})
        wait_for(lambda: ask().reason == "Created", 10, "it is free")
    kube.delete(TEMPLATE, name)
    kube.wait_gone(TEMPLATE, name)
    is_decided(ask(), "warn", "Uncovered")


def test_of_two_templates_in_conflict_the_owner_holds(scene: Scene, emulator: Emulator):
    kube, prefix = scene.kube, unique("both")
    kube.create(objects.template(f"{prefix}-first", prefix, imageTagMutability="IMMUTABLE"))
    kube.wait_ready(TEMPLATE, f"{prefix}-first")
    kube.create(objects.template(f"{prefix}-second", prefix))
    kube.wait_condition(TEMPLATE, f"{prefix}-second", "Ready", "False", "Conflict")
    body = made(scene.pod(scene.image(f"{prefix}/a")), f"{prefix}-first")
    assert body["imageTagMutability"] == "IMMUTABLE"


def test_a_creation_that_is_refused_is_an_event(scene: Scene, emulator: Emulator):
    name = unique("team/refused")
    with emulator.fault({"name": name}, deny={"action": "ecr:CreateRepository"}):
        is_decided(scene.pod(scene.image(name)), "warn", "Error")

    def events() -> list[dict]:
        return [
            e
            for e in scene.kube.events_of(TEMPLATE, "team")
            if e["reason"] == "RepositoryCreationFailed" and name in e["note"]
        ]

    (event,) = wait_for(events, 5, "the event")
    assert event["type"] == "Warning" and "not authorized" in event["note"]


def test_a_repository_that_somebody_made_stays_as_it_is(scene: Scene, emulator: Emulator):
    """Between the look and the creation."""
    name = unique("aws-only/theirs")
    is_decided(scene.pod(scene.image(name), query="?dryRun=All"), "warn", "WouldCreate")
    emulator.ecr.create_repository(repositoryName=name)
    answer = scene.pod(scene.image(name)).check()
    assert answer.reason == "Exists" and "created" not in answer.annotations
    assert answer.operations == ["CreateRepository"], "that it is missing was believed for a while"
    assert repository(emulator, name)["imageTagMutability"] == "MUTABLE"


# --- the operator's own configuration ------------------------------------------------------------


@pytest.mark.parametrize("action", ["Warn", "Deny"])
def test_registries_that_nobody_manages(scene: Scene, action: str):
    with scene.configured({"unmanagedRegistries": action}):
        answer = scene.pod(f"{UNMANAGED}/team/x")
        is_decided(answer, action.lower(), "UnmanagedRegistry")
        assert not answer.calls
        assert not scene.pod("registry.elsewhere.example/x").is_called


def test_longest_filtered(scene: Scene):
    with scene.configured({"templateChoice": "LongestFiltered"}):
        answer = scene.pod(scene.image("team/shielded/never"), namespace="ci-1")
        is_decided(answer, "warn", "Uncovered")
