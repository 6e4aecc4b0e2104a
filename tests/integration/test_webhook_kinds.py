# SPDX-License-Identifier: Apache-2.0
"""Which objects the webhook is asked about, and which images it sees in them: every built-in kind
and configured ones, each way to create and change them, on a real API server under failurePolicy
Fail with the configuration that webhook-manifest prints.

An answer always has audit annotations, so a request whose audit event has none was not sent to the
webhook; at the end the API server's own count of calls must be the operator's count of answers."""

import copy
import json
from collections.abc import Iterator

import pytest

from berth_test import admissions, model, objects, webhook
from berth_test.admissions import TAG, Answer, Scene, custom, path_of, unique
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import TEMPLATE
from berth_test.wait import wait_for

FOREIGN = "registry.elsewhere.example/base:1"
FOREIGN_CRDS = (
    ("kpack.io", "Image", "v1alpha2", "v1alpha1"),
    ("tekton.dev", "TaskRun", "v1", "v1beta1"),
    ("tekton.dev", "PipelineRun", "v1"),
    ("serving.knative.dev", "Service", "v1"),
    ("carto.run", "Workload", "v1alpha1"),
    ("things.example", "Box", "v2", "v1"),
    ("things.example", "Crate", "v1", "v2"),
)
KINDS = [
    {
        "group": "carto.run",
        "kind": "Workload",
        "purpose": "Push",
        "images": ["{registry}/tap/{.metadata.name}-{.metadata.namespace}"],
    },
    {
        "group": "things.example",
        "versions": ["v1", "v2"],
        "kind": "Box",
        "resource": "boxes",
        "purpose": "Pull",
        "images": [".spec.image", ".spec.sidecars[*].image", ".spec.more[kind=extra].image"],
    },
    {
        "group": "things.example",
        "versions": ["v1"],
        "kind": "Crate",
        "purpose": "Push",
        "images": [".spec.images"],
    },
]
# further images of a kind that is built in
BUILDS = {
    "group": "apps",
    "kind": "Deployment",
    "purpose": "Push",
    "images": [".metadata.annotations['things.example/builds']"],
}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with ControlPlane(audit="writes") as control_plane, Emulator() as emulator:
        control_plane.install_crds()
        for group, kind, *versions in FOREIGN_CRDS:
            admissions.install_crd(control_plane.kube, group, kind, *versions)
        for name in ("team", "tap"):
            control_plane.kube.create(objects.template(name))
        # what is told apart here is who is asked, not what it may create
        started = Scene(
            control_plane,
            emulator,
            {"admission": {"kinds": KINDS}},
            admission={"creationsPerMinute": 10000},
        )
        started.namespace("out", **{admissions.LABEL: "disabled"})
        for name in ("team", "tap"):
            control_plane.kube.wait_ready(TEMPLATE, name)
        yield started
        started.check_counts()
        started.stop()
        model.assert_valid(emulator.operator_requests())


@pytest.fixture
def image(scene: Scene) -> str:
    """Of a repository that does not exist and is covered."""
    return scene.image(unique("team/a"))


def repository(image: str) -> str:
    return image.partition("/")[2].partition(":")[0].partition("@")[0]


def labels() -> dict:
    return {"app": "x"}


def template(spec: dict) -> dict:
    return {"metadata": {"labels": labels()}, "spec": spec}


def workload(kind: str, image: str, namespace: str = "default", **pod) -> dict:
    """Of any built-in kind that has a Pod."""
    spec = webhook.pod_spec(image, **pod)
    obj = {"metadata": {"name": unique(kind.lower()), "namespace": namespace}, "kind": kind}
    if kind == "Pod":
        return {"apiVersion": "v1", **obj, "spec": spec}
    if kind == "ReplicationController":
        whole = {"selector": labels(), "template": template(spec)}
        return {"apiVersion": "v1", **obj, "spec": whole}
    if kind == "Service":
        return {"apiVersion": "serving.knative.dev/v1", **obj, "spec": {"template": template(spec)}}
    if kind in ("Job", "CronJob"):
        job = {"template": template({**spec, "restartPolicy": "Never"})}
        if kind == "CronJob":
            job = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}
        return {"apiVersion": "batch/v1", **obj, "spec": job}
    whole = {"selector": {"matchLabels": labels()}, "template": template(spec)}
    if kind == "StatefulSet":
        whole["serviceName"] = "x"
    return {"apiVersion": "apps/v1", **obj, "spec": whole}


def pod_spec_of(obj: dict) -> dict:
    spec = obj["spec"]
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    return spec["template"]["spec"] if "template" in spec else spec


def with_image(obj: dict, image: str) -> dict:
    changed = copy.deepcopy(obj)
    pod_spec_of(changed)["containers"][0]["image"] = image
    return changed


POD_KINDS = (
    "Pod", "ReplicationController", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job",
    "CronJob", "Service",
)  # fmt: skip
MUTABLE = [k for k in POD_KINDS if k != "Job"]
SCALED = ("ReplicationController", "Deployment", "ReplicaSet", "StatefulSet")
NOT_CALLED = "the webhook was called"


def assert_created(scene: Scene, answer: Answer, *images: str) -> None:
    answer.check()
    assert answer.reason == "Created" and answer.error is None, answer
    assert answer.annotations["created"].split(",") == [repository(i) for i in images]
    found = scene.emulator.repositories()
    assert {repository(i) for i in images} <= set(found)
    creations = [c for c in answer.calls if c.operation == "CreateRepository"]
    assert len(creations) == len(images)
    assert all({"Key": TAG, "Value": c.body["repositoryName"].partition("/")[0]} in c.body["tags"]
               for c in creations)  # fmt: skip


# --- kinds with a Pod ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", POD_KINDS)
def test_created(scene: Scene, image: str, kind: str):
    answer = scene.create(workload(kind, image))
    assert_created(scene, answer, image)
    assert answer.decision == "warn" and len(answer.warnings) == 1
    assert answer.line["kind"] == kind and answer.line["operation"] == "CREATE"


@pytest.mark.parametrize("kind", POD_KINDS)
def test_foreign_images_stay_inside_the_api_server(scene: Scene, kind: str):
    obj = workload(kind, FOREIGN)
    created = scene.create(obj)
    assert not created.is_called and created.error is None, NOT_CALLED
    changed = scene.patch(obj, {"metadata": {"labels": {"a": "b"}}})
    assert not changed.is_called and changed.error is None, NOT_CALLED


@pytest.mark.parametrize("kind", MUTABLE)
def test_changed(scene: Scene, image: str, kind: str):
    """By replacing it, by a patch; what leaves the images as they are is not asked about."""
    obj = workload(kind, FOREIGN)
    made = scene.create(obj)
    assert not made.is_called
    answer = scene.replace(with_image(made.object, image))
    assert_created(scene, answer, image)
    assert answer.line["operation"] == "UPDATE"
    labelled = scene.patch(obj, {"metadata": {"labels": {"a": "b"}}})
    assert not labelled.is_called, NOT_CALLED
    second = scene.image(unique("team/b"))
    at = path_in(answer.object)
    patched = scene.patch(obj, [{"op": "replace", "path": at, "value": second}])
    assert_created(scene, patched, second)


def path_in(obj: dict) -> str:
    spec = "/spec/jobTemplate/spec" if "jobTemplate" in obj["spec"] else "/spec"
    if obj["kind"] != "Pod":
        spec += "/template/spec"
    return f"{spec}/containers/0/image"


@pytest.mark.parametrize("kind", SCALED)
def test_scaling_is_not_asked_about(scene: Scene, image: str, kind: str):
    obj = workload(kind, image)
    scene.create(obj)
    scaled = scene.patch(obj, {"spec": {"replicas": 3}}, "scale")
    assert scaled.error is None and not scaled.is_called, NOT_CALLED
    by_spec = scene.patch(obj, {"spec": {"replicas": 4}})
    assert by_spec.error is None and not by_spec.is_called, NOT_CALLED


@pytest.mark.parametrize("kind", [k for k in POD_KINDS if k != "Service"] + ["Image"])
def test_status_is_not_asked_about(scene: Scene, image: str, kind: str):
    obj = custom("kpack.io/v1alpha2", "Image", tag=image) if kind == "Image" else (
        workload(kind, image))  # fmt: skip
    scene.create(obj)
    patched = scene.patch(obj, {"status": {"observedGeneration": 1}}, "status")
    assert patched.error is None and not patched.is_called, NOT_CALLED


@pytest.mark.parametrize("kind", ["ReplicaSet", "Job"])
def test_what_a_controller_made_is_not_asked_about(scene: Scene, image: str, kind: str):
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x", "uid": "1-2-3"}
    obj = workload(kind, image)
    obj["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    assert not scene.create(obj).is_called, NOT_CALLED
    obj = workload(kind, image)
    obj["metadata"]["ownerReferences"] = [owner]
    assert_created(scene, scene.create(obj), image)


def test_every_place_of_a_pod(scene: Scene):
    """Two containers with one image, an init container, an image volume."""
    twice, init, volume = (scene.image(unique("team/p")) for _ in range(3))
    answer = scene.pod(
        twice,
        FOREIGN,
        twice,
        initContainers=[{"name": "i", "image": init}],
        volumes=[{"name": "v", "image": {"reference": volume, "pullPolicy": "Always"}}],
    )
    assert_created(scene, answer, twice, init, volume)
    assert len(answer.warnings) == 3


def test_ephemeral_containers(scene: Scene, image: str):
    pod = webhook.pod(unique("pod"), FOREIGN)
    scene.create(pod)
    debug = {"spec": {"ephemeralContainers": [{"name": "d", "image": image}]}}
    path = path_of(pod, subresource="ephemeralcontainers")
    strategic = "application/strategic-merge-patch+json"
    answer = scene.ask("PATCH", path, pod, debug, strategic)
    assert_created(scene, answer, image)
    again = scene.ask("PATCH", path, pod, debug, strategic)
    assert again.error is None and not again.is_called, NOT_CALLED


def test_an_image_that_moves_is_not_new(scene: Scene, image: str):
    """The order of the containers changed: asked about, and answered without a call."""
    obj = workload("Deployment", image)
    obj["spec"]["template"]["spec"]["containers"].append({"name": "c1", "image": FOREIGN})
    made = scene.create(obj)
    changed = copy.deepcopy(made.object)
    changed["spec"]["template"]["spec"]["containers"].reverse()
    answer = scene.replace(changed).check()
    assert answer.decision == "allow" and not answer.calls
    assert "repositories" not in answer.annotations


def test_many_images_of_one_pod(scene: Scene):
    """All are created side by side; the last of twenty warnings counts the rest."""
    many = [scene.image(unique("team/many")) for _ in range(30)]
    answer = scene.pod(*many)
    assert_created(scene, answer, *many)
    assert len(answer.warnings) == 20
    assert answer.warnings[-1] == "11 more images have warnings like these"


def test_a_long_name_is_told_by_its_end(scene: Scene):
    name = f"team/{'x' * 200}/{unique('end')}"
    answer = scene.pod(scene.image(name))
    assert_created(scene, answer, scene.image(name))
    (text,) = answer.warnings
    assert len(text) <= 120 and f"/{name.rpartition('/')[2]} was created" in text, text


# --- how an image is written ---------------------------------------------------------------------

DIGEST = "sha256:" + "ab" * 32


def test_a_digest(scene: Scene):
    name = unique("team/digest")
    answer = scene.pod(f"{scene.emulator.registry}/{name}:1@{DIGEST}")
    assert_created(scene, answer, f"x/{name}")


def test_no_tag(scene: Scene):
    name = unique("team/untagged")
    assert_created(scene, scene.pod(f"{scene.emulator.registry}/{name}"), f"x/{name}")


@pytest.mark.parametrize("text", ["$(params.IMAGE)", "${TAG}", "{{ .Values.image }}"])
def test_placeholders_of_what_pushes(scene: Scene, text: str):
    obj = custom("kpack.io/v1alpha2", "Image", tag=f"{scene.emulator.registry}/team/{text}")
    answer = scene.create(obj).check()
    assert (answer.decision, answer.reason) == ("allow", "Placeholder")
    assert not answer.calls


# --- who is left out -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "namespace", ["kube-system", "kube-node-lease", webhook.NAMESPACE, "out"]
)
def test_namespaces_that_are_left_out(scene: Scene, image: str, namespace: str):
    scene.namespace(namespace) if namespace != "out" else None
    for kind in ("Pod", "Deployment", "CronJob"):
        answer = scene.create(workload(kind, image, namespace))
        assert answer.error is None and not answer.is_called, NOT_CALLED
    for obj in (
        custom("kpack.io/v1alpha2", "Image", namespace, tag=image),
        custom("things.example/v1", "Box", namespace, image=image),
    ):
        assert not scene.create(obj).is_called, NOT_CALLED
    assert repository(image) not in scene.emulator.repositories()


def test_a_namespace_opts_out_and_back_in(scene: Scene, image: str):
    name = scene.namespace(unique("opts"))

    def label(value: str | None) -> None:
        """The API server looks at its own copy of the namespace, a moment old."""
        scene.kube.merge("Namespace", name, {"metadata": {"labels": {admissions.LABEL: value}}})
        probe = scene.image("$(probe)")
        wait_for(
            lambda: scene.pod(probe, namespace=name, query="?dryRun=All").is_called != bool(value),
            10,
            "the label holds",
        )

    label("disabled")
    assert not scene.pod(image, namespace=name).is_called, NOT_CALLED
    label(None)
    assert_created(scene, scene.pod(image, namespace=name), image)


def test_mirror_pods(scene: Scene, image: str):
    """Only a node may make them; the API server itself takes the annotation from an admin."""
    pod = webhook.pod(unique("mirror"), image)
    pod["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    pod["spec"]["nodeName"] = "n"
    answer = scene.create(pod)
    assert answer.error is None and not answer.is_called, NOT_CALLED


# --- dry runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", POD_KINDS)
def test_a_dry_run_creates_nothing(scene: Scene, image: str, kind: str):
    answer = scene.create(workload(kind, image), "?dryRun=All").check()
    assert answer.reason == "WouldCreate" and answer.line["dryRun"] is True
    assert answer.warnings == [
        f"repository {repository(image)} would be created from template team"
    ]
    assert set(answer.operations) == {"DescribeRepositories"}
    assert repository(image) not in scene.emulator.repositories()


def test_server_side_apply(scene: Scene, image: str):
    """First as a dry run, then for good, then again with nothing new."""
    obj = workload("Deployment", image)
    dry = scene.apply(obj, "&dryRun=All").check()
    assert dry.reason == "WouldCreate" and dry.line["operation"] == "CREATE"
    assert repository(image) not in scene.emulator.repositories()
    assert_created(scene, scene.apply(obj), image)
    assert not scene.apply(obj).is_called, NOT_CALLED
    second = scene.image(unique("team/second"))
    dry = scene.apply(with_image(obj, second), "&dryRun=All").check()
    assert dry.reason == "WouldCreate" and dry.line["operation"] == "UPDATE"
    assert_created(scene, scene.apply(with_image(obj, second)), second)


def test_kubectl_prints_the_warning(scene: Scene, image: str):
    pod = json.dumps(workload("Pod", image))
    out = scene.control_plane.kubectl(
        "apply", "--dry-run=server", "-f", "-", stdin=pod, check=False
    )
    assert f"Warning: repository {repository(image)} would be created from template team" in out


# --- what pushes ---------------------------------------------------------------------------------


def pushed(scene: Scene, answer: Answer, *images: str) -> None:
    """Created, and nobody is warned: the image comes next."""
    assert_created(scene, answer, *images)
    assert answer.decision == "allow" and not answer.warnings


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_kpack_images(scene: Scene, version: str):
    tag, more, cache = (scene.image(unique("team/kpack")) for _ in range(3))
    obj = custom(
        f"kpack.io/{version}",
        "Image",
        tag=tag,
        additionalTags=[more, f"{more}-2", FOREIGN],
        cache={"registry": {"tag": cache}},
    )
    pushed(scene, scene.create(obj), tag, more, cache)
    changed = scene.patch(obj, {"spec": {"tag": f"{tag}-2"}}).check()
    assert (changed.reason, changed.calls) == ("Exists", [])
    unchanged = scene.patch(obj, {"spec": {"x": "y"}}).check()
    assert unchanged.decision == "allow" and "repositories" not in unchanged.annotations


@pytest.mark.parametrize(
    ("kind", "version"), [("TaskRun", "v1"), ("TaskRun", "v1beta1"), ("PipelineRun", "v1")]
)
def test_tekton_runs(scene: Scene, image: str, kind: str, version: str):
    small = scene.image(unique("team/small"))
    params = [
        {"name": "GIT", "value": scene.image("team/not-an-image")},
        {"name": "IMAGE", "value": image},
        {"name": "image", "value": small},
        {"name": "BASE", "value": ["a", "b"]},
    ]
    pushed(scene, scene.create(custom(f"tekton.dev/{version}", kind, params=params)), image, small)


def test_a_text_with_paths(scene: Scene):
    """The TAP's Workload: the registry is RegistrySettings "default"."""
    obj = custom("carto.run/v1alpha1", "Workload")
    pushed(scene, scene.create(obj), f"x/tap/{obj['metadata']['name']}-default")


def test_two_versions_of_a_configured_kind(scene: Scene):
    for version in ("v1", "v2"):
        image, side, extra = (scene.image(unique("team/box")) for _ in range(3))
        obj = custom(
            f"things.example/{version}",
            "Box",
            image=image,
            sidecars=[{"image": side}, {"name": "without"}],
            more=[{"kind": "other", "image": scene.image("team/other")},
                  {"kind": "extra", "image": extra}],
        )  # fmt: skip
        answer = scene.create(obj)
        assert_created(scene, answer, image, side, extra)
        assert answer.decision == "warn", "it pulls"


def test_a_version_that_is_not_configured_is_converted(scene: Scene):
    """matchPolicy Equivalent: asked about as v1, whichever version it is written in. A list of
    strings, each an image."""
    for version in ("v1", "v2"):
        first, second = (scene.image(unique("team/crate")) for _ in range(2))
        obj = custom(f"things.example/{version}", "Crate", images=[first, FOREIGN, second])
        answer = scene.create(obj)
        pushed(scene, answer, first, second)


def test_further_images_of_a_built_in_kind(scene: Scene):
    """Where the Pod's own images are not ours; and where they are: then both webhooks ask, and it
    is created once and told once."""
    image, both = (scene.image(unique("team/builds")) for _ in range(2))
    with scene.configured({"kinds": [BUILDS]}):
        obj = workload("Deployment", FOREIGN)
        obj["metadata"]["annotations"] = {"things.example/builds": image}
        answer = scene.create(obj)
        assert set(answer.audit) == {"configured"}
        pushed(scene, answer, image)
        obj = workload("Deployment", both)
        obj["metadata"]["annotations"] = {"things.example/builds": both}
        answer = scene.create(obj)
        assert set(answer.audit) == {"workloads", "configured"} and answer.error is None
        assert len(answer.warnings) <= 1
    writes = [r for r in scene.emulator.operator_writes() if repository(both) in str(r.body)]
    assert [r.operation for r in writes] == ["CreateRepository"]


def test_deleting_is_not_asked_about(scene: Scene, image: str):
    obj = workload("Deployment", image)
    assert scene.create(obj).is_called
    before = admissions.asked(scene.kube)
    scene.kube.request("DELETE", path_of(obj))
    assert admissions.asked(scene.kube) == before, NOT_CALLED


def test_nothing_else_is_asked_about(scene: Scene, image: str):
    for kind, data in (("ConfigMap", {"data": {"image": image}}), ("Secret", {})):
        obj = {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": unique("o"), "namespace": "default"},
            **data,
        }
        assert not scene.create(obj).is_called, NOT_CALLED
