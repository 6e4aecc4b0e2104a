# SPDX-License-Identifier: Apache-2.0
"""RegistrySettings: the account, its settings, and what templates wait for."""

import pytest

from berth_test import objects
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE, ApiError, check_conditions, condition_of
from berth_test.process import free_port
from berth_test.wait import holds_for, wait_for

PUT = "PutAccountSetting"
DELETE = "DeleteRepositoryCreationTemplate"


def writes(emulator) -> list[str]:
    return [r.operation for r in emulator.operator_writes()]


def settings_put(emulator) -> list[tuple[str, str]]:
    return [
        (r.body["name"], r.body["value"])
        for r in emulator.operator_writes()
        if r.operation == PUT
    ]


@pytest.fixture(autouse=True)
def running(operator):
    """Every test here has an operator."""


def test_status(kube, emulator):
    settings = objects.settings(emulator, registryHosts=["registry.corp.example"])
    kube.create(settings)
    obj = kube.wait_ready(SETTINGS, "default")
    assert obj["spec"] == settings["spec"]
    status = obj["status"]
    assert status["registryID"] == emulator.account
    assert status["region"] == emulator.region
    assert "registry.corp.example" in status["registryHosts"]
    own = f"{emulator.account}.dkr.ecr.{emulator.region}.amazonaws.com"
    assert own in status["registryHosts"]
    assert writes(emulator) == []


def test_unmanaged_templates_are_counted_and_named(kube, emulator):
    emulator.ecr.create_repository_creation_template(
        prefix="theirs", appliedFor=["CREATE_ON_PUSH"]
    )
    kube.create(objects.settings(emulator))
    kube.create(objects.template("ours"))
    kube.wait_ready(TEMPLATE, "ours")
    wait_for(
        lambda: kube.get(SETTINGS, "default")["status"].get("templates", {}).get("unmanaged")
        == ["theirs"],
        10,
        lambda: f"the unmanaged prefix in {kube.get(SETTINGS, 'default').get('status')}",
    )


# --- account settings ----------------------------------------------------------------------------


def test_only_what_differs_is_put(kube, emulator):
    emulator.ecr.put_account_setting(name="BASIC_SCAN_TYPE_VERSION", value="AWS_NATIVE")
    emulator.mark()
    named = {"blobMounting": "ENABLED", "basicScanTypeVersion": "AWS_NATIVE"}
    kube.create(objects.settings(emulator, accountSettings=named))
    obj = kube.wait_ready(SETTINGS, "default")
    assert settings_put(emulator) == [("BLOB_MOUNTING", "ENABLED")]
    assert emulator.account_setting("BLOB_MOUNTING") == "ENABLED"
    observed = obj["status"]["accountSettings"]
    assert {k: observed[k] for k in named} == named


def test_a_setting_that_is_not_named_is_neither_read_nor_written(kube, emulator):
    kube.create(objects.settings(emulator, accountSettings={"blobMounting": "DISABLED"}))
    kube.wait_ready(SETTINGS, "default")
    read = {
        r.body["name"] for r in emulator.operator_requests() if r.operation == "GetAccountSetting"
    }
    assert read == {"BLOB_MOUNTING"}
    assert writes(emulator) == []


def test_a_setting_that_drifts_is_mended(kube, emulator):
    kube.create(objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"}))
    kube.wait_ready(SETTINGS, "default")
    emulator.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    # settings have no date of change: a read counts only 30 s after the operator's own write
    wait_for(
        lambda: emulator.account_setting("BLOB_MOUNTING") == "ENABLED",
        45,
        "the account setting is mended",
    )
    kube.wait_ready(SETTINGS, "default")


def test_a_setting_that_is_no_longer_named_stays_as_it_is(kube, emulator):
    kube.apply(objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"}))
    kube.wait_ready(SETTINGS, "default")
    emulator.mark()
    kube.apply(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")
    assert emulator.account_setting("BLOB_MOUNTING") == "ENABLED"
    assert writes(emulator) == []


def test_read_only_shows_a_setting_that_differs(kube, emulator):
    settings = objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"})
    settings["metadata"]["annotations"] = {"ecr.berth.dev/read-only": "true"}
    kube.create(settings)
    obj = kube.wait_condition(SETTINGS, "default", "Ready", "False", "DriftDetected")
    check_conditions(obj)
    assert writes(emulator) == []


# --- which account -------------------------------------------------------------------------------


def test_another_account_than_the_spec_says(kube, emulator):
    kube.create(objects.settings(emulator, accountID="999999999999"))
    kube.create(objects.template("waits"))
    obj = kube.wait_condition(SETTINGS, "default", "Stalled", "True", "AccountMismatch")
    check_conditions(obj)
    message = condition_of(obj, "Ready")["message"]
    assert "999999999999" in message
    assert emulator.account in message
    kube.wait_condition(TEMPLATE, "waits", "Ready", "False", "RegistryNotReady")
    assert writes(emulator) == []


def test_the_account_is_pinned(kube):
    address = f"127.0.0.1:{free_port()}"
    with Emulator(listen=address) as first:
        kube.create(objects.settings(first))
        kube.create(objects.template("pinned"))
        kube.wait_ready(SETTINGS, "default")
        kube.wait_ready(TEMPLATE, "pinned")
    with Emulator(listen=address, account="210987654321") as second:
        obj = kube.wait_condition(
            SETTINGS, "default", "Stalled", "True", "AccountMismatch", deadline_s=30
        )
        assert obj["status"]["registryID"] == first.account
        kube.merge(TEMPLATE, "pinned", {"spec": {"description": "not there"}})
        holds_for(lambda: writes(second) == [], 1.0, "nothing is written")


def test_two_objects_for_one_registry(kube, emulator):
    kube.create(objects.settings(emulator, "first"))
    kube.wait_ready(SETTINGS, "first")
    kube.create(objects.settings(emulator, "second"))
    obj = kube.wait_condition(SETTINGS, "second", "Stalled", "True", "Conflict")
    check_conditions(obj)
    assert "first" in condition_of(obj, "Ready")["message"]
    ref = {"name": "second"}
    kube.create(objects.template("lost", registryRef=ref))
    kube.wait_condition(TEMPLATE, "lost", "Ready", "False", "RegistryNotReady")
    kube.delete(SETTINGS, "first")
    kube.wait_ready(SETTINGS, "second")
    kube.wait_ready(TEMPLATE, "lost")


# --- the registry that templates wait for --------------------------------------------------------


def test_a_template_waits_for_its_registry(kube, emulator):
    kube.create(objects.template("early"))
    obj = kube.wait_condition(TEMPLATE, "early", "Ready", "False", "RegistryNotFound")
    check_conditions(obj)
    assert condition_of(obj, "Reconciling"), "waiting is no dead end"
    kube.create(objects.settings(emulator))
    kube.wait_ready(TEMPLATE, "early")


def test_an_endpoint_that_nobody_listens_on(kube, emulator):
    kube.create(objects.settings(emulator, endpoint=f"http://127.0.0.1:{free_port()}"))
    kube.create(objects.template("patient"))
    obj = kube.wait_condition(SETTINGS, "default", "Ready", "False", "EndpointUnreachable")
    check_conditions(obj)
    assert not condition_of(obj, "Stalled")
    obj = kube.wait_condition(TEMPLATE, "patient", "Ready", "False", "RegistryNotReady")
    check_conditions(obj)
    assert not condition_of(obj, "Stalled")
    kube.merge(SETTINGS, "default", {"spec": {"endpoint": emulator.endpoint}})
    kube.wait_ready(SETTINGS, "default")
    kube.wait_ready(TEMPLATE, "patient")


def test_aws_away_leaves_templates_as_they_are(kube):
    """A failure of the whole registry changes only the RegistrySettings."""
    address = f"127.0.0.1:{free_port()}"
    with Emulator(listen=address) as emulator:
        kube.create(objects.settings(emulator))
        kube.create(objects.template("steady"))
        kube.wait_ready(TEMPLATE, "steady")
    kube.annotate(SETTINGS, "default", reconcile_requested_at="now")
    kube.wait_condition(SETTINGS, "default", "Ready", "False", "EndpointUnreachable")
    kube.wait_ready(TEMPLATE, "steady")


def test_deleting_with_aws_away(kube):
    """It waits, says so in an event, and ends when AWS is back; Retain releases it at once."""
    address = f"127.0.0.1:{free_port()}"
    with Emulator(listen=address) as emulator:
        kube.create(objects.settings(emulator))
        for name in ("stays", "freed"):
            kube.create(objects.template(name))
            kube.wait_ready(TEMPLATE, name)
    for name in ("stays", "freed"):
        kube.delete(TEMPLATE, name)
    wait_for(
        lambda: [e for e in kube.events_of(TEMPLATE, "stays") if e["type"] == "Warning"],
        20,
        "a warning event",
    )
    kube.merge(TEMPLATE, "freed", {"spec": {"deletionPolicy": "Retain"}})
    kube.wait_gone(TEMPLATE, "freed")
    assert kube.get(TEMPLATE, "stays") is not None


def test_wrong_credentials(kube, emulator, start_operator, operator):
    operator.stop()
    start_operator(env={"AWS_ACCESS_KEY_ID": "wrong"})
    kube.create(objects.settings(emulator))
    obj = kube.wait_condition(SETTINGS, "default", "Ready", "False")
    check_conditions(obj)
    reason = condition_of(obj, "Ready")["reason"]
    assert reason in ("AccessDenied", "CredentialsUnavailable")
    assert writes(emulator) == []


# --- the end of a registry -----------------------------------------------------------------------


def test_settings_wait_for_their_templates(kube, emulator):
    kube.create(objects.settings(emulator))
    kube.create(objects.template("user"))
    kube.wait_ready(TEMPLATE, "user")
    kube.delete(SETTINGS, "default")
    obj = kube.wait_condition(SETTINGS, "default", "Ready", "False", "InUse")
    check_conditions(obj)
    assert "user" in condition_of(obj, "Ready")["message"]
    kube.delete(TEMPLATE, "user")
    kube.wait_gone(TEMPLATE, "user")
    kube.wait_gone(SETTINGS, "default")
    assert emulator.templates() == {}


def test_everything_deleted_at_once(kube, emulator):
    kube.create(objects.settings(emulator))
    for i in range(5):
        kube.create(objects.template(f"t-{i}"))
    for i in range(5):
        kube.wait_ready(TEMPLATE, f"t-{i}")
    kube.delete(SETTINGS, "default")
    for i in range(5):
        kube.delete(TEMPLATE, f"t-{i}")
    for i in range(5):
        kube.wait_gone(TEMPLATE, f"t-{i}")
    kube.wait_gone(SETTINGS, "default")
    assert emulator.templates() == {}


def test_deleting_settings_leaves_the_account_as_it_is(kube, emulator):
    kube.create(objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"}))
    kube.wait_ready(SETTINGS, "default")
    emulator.mark()
    kube.delete(SETTINGS, "default")
    kube.wait_gone(SETTINGS, "default")
    assert emulator.account_setting("BLOB_MOUNTING") == "ENABLED"
    assert writes(emulator) == []


# --- two templates for one prefix ----------------------------------------------------------------


def test_two_templates_for_one_prefix(kube, emulator):
    kube.create(objects.settings(emulator))
    kube.create(objects.template("older", "team-x"))
    older = kube.wait_ready(TEMPLATE, "older")
    kube.create(objects.template("younger", "team-x/", description="another"))
    obj = kube.wait_condition(TEMPLATE, "younger", "Stalled", "True", "Conflict")
    check_conditions(obj)
    assert "older" in condition_of(obj, "Ready")["message"]
    emulator.mark()
    kube.delete(TEMPLATE, "younger")
    kube.wait_gone(TEMPLATE, "younger")
    assert writes(emulator) == []
    assert kube.wait_ready(TEMPLATE, "older")["status"] == older["status"]


def test_a_rename_hands_over_without_a_call(kube, emulator):
    kube.create(objects.settings(emulator))
    kube.create(objects.template("old-name", "team-x"))
    before = kube.wait_ready(TEMPLATE, "old-name")["status"]["ownership"]
    emulator.mark()
    kube.create(objects.template("new-name", "team-x"))
    kube.wait_condition(TEMPLATE, "new-name", "Stalled", "True", "Conflict")
    kube.delete(TEMPLATE, "old-name")
    kube.wait_gone(TEMPLATE, "old-name")
    after = kube.wait_ready(TEMPLATE, "new-name")["status"]["ownership"]
    assert after["origin"] == "Created"
    assert after["createdAt"] == before["createdAt"]
    assert writes(emulator) == []
    kube.delete(TEMPLATE, "new-name")
    kube.wait_gone(TEMPLATE, "new-name")
    assert writes(emulator) == [DELETE]


# --- what the API server itself refuses ----------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (SETTINGS, {"region": "us-east-1"}),
        (TEMPLATE, {"prefix": "other"}),
        (TEMPLATE, {"registryRef": {"name": "other"}}),
    ],
)
def test_immutable_fields(kube, emulator, kind, patch):
    kube.create(objects.settings(emulator))
    kube.create(objects.template("default", "team-i"))
    with pytest.raises(ApiError, match="immutable"):
        kube.merge(kind, "default", {"spec": patch})
