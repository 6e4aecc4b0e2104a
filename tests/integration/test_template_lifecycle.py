# SPDX-License-Identifier: Apache-2.0
"""A RepositoryCreationTemplate from its creation to its deletion."""

import json

import pytest

from berth_test import objects
from berth_test.kube import FINALIZER, SETTINGS, TEMPLATE, check_conditions
from berth_test.wait import holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
UPDATE = "UpdateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"


def writes(emulator) -> list[str]:
    return [r.operation for r in emulator.operator_writes()]


@pytest.fixture(autouse=True)
def ready_registry(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")


@pytest.mark.parametrize(
    "template",
    [
        objects.template("smallest", "team-a"),
        objects.everything("all-fields", "team-a/api"),
        objects.template("root", "ROOT", appliedFor=["REPLICATION"]),
        objects.template("strings", repositoryPolicy=json.dumps(objects.policy()),
                         lifecyclePolicy=json.dumps(objects.lifecycle())),
    ],
    ids=lambda t: t["metadata"]["name"],
)  # fmt: skip
def test_create(kube, emulator, template):
    name, spec = template["metadata"]["name"], template["spec"]
    kube.create(template)
    obj = kube.wait_ready(TEMPLATE, name)

    objects.assert_equal_in_aws(spec, emulator.template(spec["prefix"]))
    assert writes(emulator) == [CREATE]
    assert obj["spec"] == spec, "the operator or a schema default has changed spec"
    assert obj["metadata"]["finalizers"] == [FINALIZER]
    status = obj["status"]
    assert status["registryID"] == emulator.account
    assert status["ownership"]["origin"] == "Created"
    assert status["ownership"]["createdAt"]
    assert not status.get("drift")
    assert obj["status"]["conditions"]
    reasons = wait_for(
        lambda: [e["reason"] for e in kube.events_of(TEMPLATE, name)], 5, "an event about it"
    )
    assert reasons == ["Created"]


def test_nothing_is_written_without_a_difference(kube, emulator):
    kube.create(objects.everything("quiet"))
    kube.wait_ready(TEMPLATE, "quiet")
    version = kube.get(TEMPLATE, "quiet")["metadata"]["resourceVersion"]
    emulator.mark()
    kube.annotate(SETTINGS, "default", reconcile_requested_at="1")
    wait_for(lambda: emulator.operator_requests(), 5, "AWS is read anew")
    holds_for(lambda: writes(emulator) == [], 1.0, "no write")
    now = kube.get(TEMPLATE, "quiet")["metadata"]["resourceVersion"]
    assert now == version, "the status was written although nothing changed"


def test_update(kube, emulator):
    kube.create(objects.everything("changing"))
    kube.wait_ready(TEMPLATE, "changing")
    emulator.mark()
    spec = {
        "description": "another text",
        "imageTagMutability": "IMMUTABLE",
        "imageTagMutabilityExclusionFilters": None,
        "encryptionConfiguration": {"encryptionType": "AES256", "kmsKey": None},
        "lifecyclePolicy": objects.lifecycle(days=30),
        "resourceTags": [{"key": "team", "value": "b"}],
        "appliedFor": ["CREATE_ON_PUSH"],
    }
    kube.merge(TEMPLATE, "changing", {"spec": spec})
    obj = kube.wait_ready(TEMPLATE, "changing")
    objects.assert_equal_in_aws(obj["spec"], emulator.template("changing"))
    assert writes(emulator) == [UPDATE]


def test_a_field_that_is_left_out_is_cleared(kube, emulator):
    kube.apply(objects.everything("cleared"))
    kube.wait_ready(TEMPLATE, "cleared")
    bare = objects.template("cleared")
    kube.apply(bare)
    obj = kube.wait_ready(TEMPLATE, "cleared")
    assert obj["spec"] == bare["spec"]
    objects.assert_equal_in_aws(bare["spec"], emulator.template("cleared"))
    assert writes(emulator) == [CREATE, UPDATE]


def test_the_update_is_the_complete_desired_state(kube, emulator):
    """What Update leaves out, AWS may keep or reset: so nothing is left out."""
    template = objects.everything("complete")
    kube.create(template)
    kube.wait_ready(TEMPLATE, "complete")
    emulator.mark()
    kube.merge(TEMPLATE, "complete", {"spec": {"description": "new"}})
    kube.wait_ready(TEMPLATE, "complete")
    (request,) = emulator.operator_writes()
    want = set(objects.aws_template(template["spec"]))
    assert set(request.body) >= want


def test_a_trailing_slash_is_the_same_prefix(kube, emulator):
    kube.create(objects.template("slash", "team-s/"))
    kube.wait_ready(TEMPLATE, "slash")
    kube.merge(TEMPLATE, "slash", {"spec": {"description": "changed"}})
    kube.wait_ready(TEMPLATE, "slash")
    assert emulator.template("team-s")["description"] == "changed"
    kube.delete(TEMPLATE, "slash")
    kube.wait_gone(TEMPLATE, "slash")
    assert emulator.templates() == {}


@pytest.mark.parametrize("policy", [None, "Delete"])
def test_delete(kube, emulator, policy):
    kube.create(objects.template("dropped", deletionPolicy=policy))
    kube.wait_ready(TEMPLATE, "dropped")
    kube.delete(TEMPLATE, "dropped")
    kube.wait_gone(TEMPLATE, "dropped")
    assert emulator.templates() == {}
    assert writes(emulator) == [CREATE, DELETE]


def test_retain(kube, emulator):
    kube.create(objects.template("kept", deletionPolicy="Retain"))
    kube.wait_ready(TEMPLATE, "kept")
    kube.delete(TEMPLATE, "kept")
    kube.wait_gone(TEMPLATE, "kept")
    assert "kept" in emulator.templates()
    assert writes(emulator) == [CREATE]


def test_deleting_what_aws_has_no_more(kube, emulator):
    kube.create(objects.template("vanished"))
    kube.wait_ready(TEMPLATE, "vanished")
    emulator.ecr.delete_repository_creation_template(prefix="vanished")
    kube.delete(TEMPLATE, "vanished")
    kube.wait_gone(TEMPLATE, "vanished")


def test_a_template_that_somebody_made_anew_is_not_deleted(kube, emulator):
    """createdAt tells that it is not the one that the object owns."""
    kube.create(objects.template("replaced"))
    kube.wait_ready(TEMPLATE, "replaced")
    emulator.ecr.delete_repository_creation_template(prefix="replaced")
    emulator.ecr.create_repository_creation_template(
        prefix="replaced", appliedFor=["CREATE_ON_PUSH"], description="somebody else's"
    )
    kube.delete(TEMPLATE, "replaced")
    kube.wait_gone(TEMPLATE, "replaced")
    assert emulator.template("replaced")["description"] == "somebody else's"
    assert DELETE not in writes(emulator)


def test_a_broken_lifecycle_document_stalls_and_says_where(kube, emulator):
    """As an object the document passes the CRD's schema: the operator refuses it."""
    document = objects.lifecycle()
    document["rules"][0]["selection"]["countNumber"] = 0
    kube.create(objects.template("broken", lifecyclePolicy=document))
    obj = kube.wait_condition(TEMPLATE, "broken", "Stalled", "True", "InvalidSpec")
    check_conditions(obj)
    ready = kube.condition(TEMPLATE, "broken", "Ready")
    assert ready["status"] == "False"
    assert ready["reason"] == "InvalidSpec"
    assert "spec.lifecyclePolicy" in ready["message"]
    assert "rules[0].selection.countNumber" in ready["message"]
    assert writes(emulator) == []

    kube.merge(TEMPLATE, "broken", {"spec": {"lifecyclePolicy": objects.lifecycle()}})
    kube.wait_ready(TEMPLATE, "broken")
    assert writes(emulator) == [CREATE]


def test_an_invalid_object_is_deleted_without_a_call(kube, emulator):
    document = objects.lifecycle()
    document["rules"][0]["action"]["type"] = "explode"
    kube.create(objects.template("doomed", lifecyclePolicy=document))
    kube.wait_condition(TEMPLATE, "doomed", "Stalled", "True", "InvalidSpec")
    kube.delete(TEMPLATE, "doomed")
    kube.wait_gone(TEMPLATE, "doomed")
    assert writes(emulator) == []
