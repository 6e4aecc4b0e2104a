# SPDX-License-Identifier: Apache-2.0
"""A template that AWS has already: who may take it over, and what happens to it afterwards."""

import json

import pytest

from berth_test import objects
from berth_test.kube import SETTINGS, TEMPLATE, check_conditions
from berth_test.wait import holds_for

DELETE = "DeleteRepositoryCreationTemplate"
UPDATE = "UpdateRepositoryCreationTemplate"


def writes(emulator) -> list[str]:
    """What changed something: a Create that AWS refuses because the template is there already is
    how the operator learns of one that is younger than its last read."""
    return [r.operation for r in emulator.operator_writes() if r.status == 200]


@pytest.fixture(autouse=True)
def ready_registry(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")


def make_in_aws(emulator, template: dict, **changes) -> None:
    request = {**objects.aws_template(template["spec"]), **changes}
    emulator.ecr.create_repository_creation_template(**request)


@pytest.mark.parametrize("adoption", [None, "IfEqual", "Always"])
def test_an_equal_one_is_adopted_without_a_write(kube, emulator, adoption):
    template = objects.everything("equal")
    make_in_aws(emulator, template)
    if adoption:
        template["spec"]["adoptionPolicy"] = adoption
    kube.create(template)
    obj = kube.wait_ready(TEMPLATE, "equal")
    assert obj["status"]["ownership"]["origin"] == "Adopted"
    assert obj["status"]["ownership"]["createdAt"]
    assert writes(emulator) == []


def test_equal_is_meant_semantically(kube, emulator):
    """Another order of members, white space, a list of one for a scalar, rules in another order."""
    template = objects.everything("reordered")
    rules = objects.lifecycle(priority=1)["rules"] + [
        {
            "rulePriority": 2,
            "selection": {
                "tagStatus": "tagged",
                "tagPrefixList": ["a", "b"],
                "countType": "imageCountMoreThan",
                "countNumber": 5,
            },
            "action": {"type": "expire"},
        }
    ]
    template["spec"]["lifecyclePolicy"] = {"rules": rules}
    shuffled = json.loads(json.dumps(rules[::-1]))
    shuffled[0]["selection"]["tagPrefixList"].reverse()
    statement = objects.policy()["Statement"][0]
    statement["Principal"]["AWS"] = [statement["Principal"]["AWS"]]
    statement["Action"].reverse()
    make_in_aws(
        emulator,
        template,
        lifecyclePolicy=json.dumps({"rules": shuffled}, indent=4),
        repositoryPolicy=json.dumps({"Statement": statement, "Version": "2012-10-17"}),
    )
    kube.create(template)
    obj = kube.wait_ready(TEMPLATE, "reordered")
    assert obj["status"]["ownership"]["origin"] == "Adopted"
    assert writes(emulator) == []


def refused(kube, name: str) -> dict:
    obj = kube.wait_condition(TEMPLATE, name, "Stalled", "True", "AlreadyExists")
    check_conditions(obj)
    assert kube.condition(TEMPLATE, name, "Ready")["reason"] == "AlreadyExists"
    assert "ownership" not in obj["status"]
    return obj


def test_a_different_one_is_refused_with_the_drift_and_the_way_out(kube, emulator):
    template = objects.template("differs", description="ours", imageTagMutability="IMMUTABLE")
    make_in_aws(emulator, template, description="theirs")
    kube.create(template)
    obj = refused(kube, "differs")
    assert "adoptionPolicy" in kube.condition(TEMPLATE, "differs", "Ready")["message"]
    (drift,) = obj["status"]["drift"]
    assert drift["field"].endswith("description")
    assert drift["desired"] == "ours"
    assert drift["observed"] == "theirs"
    assert writes(emulator) == []


def test_a_field_that_only_aws_has_is_a_difference(kube, emulator):
    """An absent field means cleared."""
    template = objects.template("bare")
    make_in_aws(emulator, template, description="theirs")
    kube.create(template)
    refused(kube, "bare")


def test_a_refusal_is_asked_again_when_aws_has_changed(kube, emulator):
    template = objects.template("later", description="ours")
    make_in_aws(emulator, template, description="theirs")
    kube.create(template)
    refused(kube, "later")
    emulator.ecr.update_repository_creation_template(prefix="later", description="ours")
    obj = kube.wait_ready(TEMPLATE, "later", deadline_s=15)
    assert obj["status"]["ownership"]["origin"] == "Adopted"
    assert not obj["status"].get("drift")
    assert writes(emulator) == []


def test_always_takes_over_and_mends(kube, emulator):
    template = objects.template("taken", description="ours", adoptionPolicy="Always")
    make_in_aws(emulator, template, description="theirs", imageTagMutability="IMMUTABLE")
    kube.create(template)
    obj = kube.wait_ready(TEMPLATE, "taken")
    objects.assert_equal_in_aws(template["spec"], emulator.template("taken"))
    assert obj["status"]["ownership"]["origin"] == "Adopted"
    assert writes(emulator) == [UPDATE]


def test_always_is_the_way_out_of_a_refusal(kube, emulator):
    template = objects.template("way-out", description="ours")
    make_in_aws(emulator, template, description="theirs")
    kube.create(template)
    refused(kube, "way-out")
    kube.merge(TEMPLATE, "way-out", {"spec": {"adoptionPolicy": "Always"}})
    kube.wait_ready(TEMPLATE, "way-out")
    assert emulator.template("way-out")["description"] == "ours"


def test_never_refuses_an_equal_one_too(kube, emulator):
    template = objects.template("never", adoptionPolicy="Never")
    make_in_aws(emulator, template)
    kube.create(template)
    refused(kube, "never")
    assert writes(emulator) == []


def test_never_does_not_hinder_what_is_owned_already(kube, emulator, start_operator, operator):
    kube.create(objects.template("owned", adoptionPolicy="Never"))
    kube.wait_ready(TEMPLATE, "owned")
    operator.stop()
    emulator.mark()
    start_operator()
    kube.merge(TEMPLATE, "owned", {"spec": {"description": "still ours"}})
    kube.wait_ready(TEMPLATE, "owned")
    assert writes(emulator) == [UPDATE]


def test_a_refused_object_is_deleted_without_a_call(kube, emulator):
    template = objects.template("refused", adoptionPolicy="Never")
    make_in_aws(emulator, template)
    kube.create(template)
    refused(kube, "refused")
    kube.delete(TEMPLATE, "refused")
    kube.wait_gone(TEMPLATE, "refused")
    assert "refused" in emulator.templates()
    assert writes(emulator) == []


@pytest.mark.parametrize(
    ("deletion", "is_deleted"), [(None, False), ("Retain", False), ("Delete", True)]
)
def test_deleting_an_adopted_one(kube, emulator, deletion, is_deleted):
    template = objects.template("adopted", deletionPolicy=deletion)
    make_in_aws(emulator, template)
    kube.create(template)
    kube.wait_ready(TEMPLATE, "adopted")
    kube.delete(TEMPLATE, "adopted")
    kube.wait_gone(TEMPLATE, "adopted")
    assert ("adopted" not in emulator.templates()) == is_deleted
    assert writes(emulator) == ([DELETE] if is_deleted else [])


def test_a_crash_between_create_and_its_record(
    kube, control_plane, emulator, start_operator, operator
):
    """Ownership is written before Create is sent: what is found afterwards is ours, also where
    nothing may be adopted."""
    operator.stop()
    template = objects.template("crashed", adoptionPolicy="Never")
    kube.create(template)
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "Creating",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {
        "observedGeneration": 1,
        "conditions": [condition],
        "ownership": {"origin": "Created", "since": "2026-01-01T00:00:00Z"},
    }
    control_plane.excuse(TEMPLATE, "crashed", "what a crash leaves is made by the test")
    path = "/apis/ecr.berth.dev/v1alpha1/repositorycreationtemplates/crashed/status"
    kube.request("PATCH", path, {"status": status}, "application/merge-patch+json")
    make_in_aws(emulator, template)
    emulator.mark()
    start_operator()
    obj = kube.wait_ready(TEMPLATE, "crashed")
    assert obj["status"]["ownership"]["origin"] == "Created"
    assert obj["status"]["ownership"]["createdAt"]
    holds_for(lambda: writes(emulator) == [], 0.5, "no write")
