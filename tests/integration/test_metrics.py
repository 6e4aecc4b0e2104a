# SPDX-License-Identifier: Apache-2.0
"""/metrics over the life of an operator: what is exported is what the page says, the numbers are
those of what happened, and what is gone has no series."""

import collections
import concurrent.futures
import subprocess
import threading
import time
import urllib.request

import pytest

from berth_test import exposition, objects, paths
from berth_test.emulator import Emulator
from berth_test.kube import SETTINGS, TEMPLATE
from berth_test.operator import Operator
from berth_test.wait import SLOWNESS, holds_for, wait_for

CREATE = "CreateRepositoryCreationTemplate"
UPDATE = "UpdateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"
PUT = "PutAccountSetting"
THROTTLED = {"status": 400, "type": "ThrottlingException", "message": "Rate exceeded"}
DENIED = {"status": 400, "type": "AccessDeniedException"}
EXPIRES = 4102444800  # 2100-01-01T00:00:00Z
# with no configuration to keep: nobody calls it
WEBHOOK = {
    "enabled": True,
    "address": "127.0.0.1:0",
    "drainSeconds": 0,
    "configuration": "",
    "certs": {"dnsNames": ["127.0.0.1"]},
}
KINDS = {SETTINGS: "registrysettings", TEMPLATE: "repositorycreationtemplate"}


def scrape(operator: Operator) -> dict[str, exposition.Family]:
    url = f"http://{operator.address('metrics')}/metrics"
    request = urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=10 * SLOWNESS) as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert response.headers["Content-Encoding"] is None
        return exposition.parse(response.read().decode())


def value(operator: Operator, name: str, /, **labels: str) -> float | None:
    family = scrape(operator).get(name)
    return family.value(**labels) if family else None


def wait_value(operator: Operator, want: float | None, name: str, /, **labels: str) -> None:
    wait_for(
        lambda: value(operator, name, **labels) == want,
        15,
        lambda: f"{name} {labels} is {want}; it is {value(operator, name, **labels)}",
    )


def read_now(kube, name: str = "default") -> None:
    kube.annotate(SETTINGS, name, reconcile_requested_at=str(time.monotonic_ns()))


def names_in(families: dict[str, exposition.Family], label: str) -> set[str]:
    """Every value that the label has anywhere."""
    return {v for f in families.values() for v in f.label_values().get(label, set())}


def answered(emulator: Emulator) -> dict[str, int]:
    return collections.Counter(r.operation for r in emulator.operator_requests())


def counted(operator: Operator) -> dict[str, int]:
    found: dict[str, int] = collections.Counter()
    for labels, n in scrape(operator)["berth_aws_api_requests_total"].series().items():
        found[dict(labels)["operation"]] += int(n)
    return found


@pytest.fixture
def life(kube, emulator, start_operator):
    """Created, drifted, throttled, denied, deleted; objects "kept" and default are left."""
    operator = start_operator(
        config={"webhook": WEBHOOK}, env={"AWS_CREDENTIAL_EXPIRATION": "2100-01-01T00:00:00Z"}
    )
    kube.create(objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"}))
    names = ("kept", "drifting", "deleted")
    for name in names:
        kube.create(objects.template(name))
    for name in names:
        kube.wait_ready(TEMPLATE, name)
    kube.wait_ready(SETTINGS, "default")

    emulator.ecr.update_repository_creation_template(prefix="drifting", description="changed")
    read_now(kube)
    wait_for(lambda: not emulator.template("drifting").get("description"), 15, "it is mended")
    kube.wait_ready(TEMPLATE, "drifting")

    with emulator.fault({"operation": UPDATE, "count": 1}, fail=THROTTLED):
        kube.merge(TEMPLATE, "kept", {"spec": {"description": "throttled once"}})
        kube.wait_ready(TEMPLATE, "kept")
    with emulator.fault({"operation": UPDATE}, fail=DENIED):
        kube.merge(TEMPLATE, "kept", {"spec": {"description": "denied"}})
        kube.wait_condition(TEMPLATE, "kept", "Ready", "False", "AccessDenied")
        wait_value(operator, 1, "berth_resources", kind=TEMPLATE, ready="False")
        assert value(
            operator, "berth_resource_condition",
            kind=TEMPLATE, name="kept", type="Ready", status="False",
        ) == 1  # fmt: skip
    read_now(kube)
    kube.annotate(TEMPLATE, "kept", reconcile_requested_at="now")
    kube.wait_ready(TEMPLATE, "kept")

    kube.delete(TEMPLATE, "deleted")
    kube.wait_gone(TEMPLATE, "deleted")
    return operator


def test_the_page_is_what_is_exported(life):
    """Both ways: names, types, help texts, label names, and values where the page lists them."""
    exported, rows = scrape(life), exposition.documented()
    values = exposition.documented_labels()
    assert sorted(set(exported) - set(rows)) == [], "exported and not documented"
    assert sorted(set(rows) - set(exported)) == [], "documented and never exported"
    for name, row in rows.items():
        family = exported[name]
        assert (family.type, family.label_names) == (row.type, row.labels), name
        meaning = row.meaning.replace("`", "")
        assert meaning.startswith(family.help), f"{name}: {family.help!r} is not in {meaning!r}"
        for label, seen in family.label_values().items():
            assert label in values, f"label {label} of {name} is not documented"
            known = values[label]
            assert known is None or seen <= known, f"{name}: {label} has {seen - known}"


def test_promtool_has_nothing_to_say(life):
    text = life.get("metrics", "/metrics")[1]
    result = subprocess.run(
        [paths.promtool(), "check", "metrics"], input=text, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_the_numbers_are_those_of_what_happened(emulator, life):
    metrics = scrape(life)
    requests = metrics["berth_aws_api_requests_total"]
    assert requests.value(operation=CREATE, outcome="success") == 3
    assert requests.value(operation=CREATE) == 3
    assert requests.value(operation=DELETE) == 1
    assert requests.value(operation=UPDATE, outcome="throttled") == 1
    assert requests.value(operation=UPDATE, outcome="denied") >= 1
    assert requests.value(operation=UPDATE, outcome="success") == 3  # mended, changed twice
    assert metrics["berth_aws_api_throttled_total"].value() == 1
    assert metrics["berth_aws_api_retries_total"].value() == 1
    wait_for(
        lambda: answered(emulator) == counted(life),
        10,
        lambda: f"every request is counted: {answered(emulator)}, {counted(life)}",
    )
    assert metrics["berth_drift_detected_total"].value(kind=TEMPLATE) == 1
    assert metrics["berth_drift_corrected_total"].value(kind=TEMPLATE) == 1
    assert metrics["berth_drift_detected_total"].value(kind=SETTINGS) == 0
    # three creations and two changes; the mend and what was asked for anew are none
    assert metrics["berth_time_to_ready_seconds"].value(kind=TEMPLATE) == 5
    assert metrics["berth_time_to_ready_seconds"].value(kind=SETTINGS) == 1
    assert metrics["controller_runtime_reconcile_errors_total"].value() >= 1
    assert metrics["controller_runtime_terminal_reconcile_errors_total"].value() == 0
    errors = metrics["controller_runtime_reconcile_total"].value(result="error")
    assert metrics["controller_runtime_reconcile_errors_total"].value() == errors


def test_passes_and_keys_add_up(life):
    wait_value(life, 0, "workqueue_unfinished_work_seconds")
    metrics = scrape(life)
    for controller in KINDS.values():
        passes = metrics["controller_runtime_reconcile_total"].value(controller=controller)
        took = metrics["workqueue_work_duration_seconds"].value(name=controller)
        waited = metrics["workqueue_queue_duration_seconds"].value(name=controller)
        times = metrics["controller_runtime_reconcile_time_seconds"].value(controller=controller)
        assert passes == took == waited == times > 0
        adds = metrics["workqueue_adds_total"].value(name=controller, controller=controller)
        depth = metrics["workqueue_depth"].value(name=controller)
        assert adds == waited + depth
        assert metrics["controller_runtime_active_workers"].value(controller=controller) == 0
        workers = metrics["controller_runtime_max_concurrent_reconciles"]
        assert workers.value(controller=controller) == 4


def test_registries(kube, emulator, life):
    for name in ("app", "web"):
        emulator.ecr.create_repository(repositoryName=name)
    read_now(kube)
    wait_value(life, 2, "berth_snapshot_items", registry="default", content="repositories")
    wait_value(life, 2, "berth_snapshot_items", registry="default", content="templates")
    metrics = scrape(life)
    for content, seconds in (("templates", 10), ("repositories", 300)):
        labels = {"registry": "default", "content": content}
        assert metrics["berth_snapshot_interval_seconds"].value(**labels) == seconds
        assert metrics["berth_snapshot_last_read_success"].value(**labels) == 1
        assert 0 <= metrics["berth_snapshot_age_seconds"].value(**labels) < 20 * SLOWNESS
    assert metrics["berth_aws_rate_limit_max_requests_per_second"].series() == {
        (("registry", "default"),): 1000
    }
    assert metrics["berth_aws_credentials_expiration_timestamp_seconds"].series() == {
        (("registry", "default"),): EXPIRES
    }


def test_age_grows_and_failures_show(kube, emulator, life):
    labels = {"registry": "default", "content": "templates"}
    with emulator.fault({"operation": "Describe*"}, fail={"status": 400, "type": "OfNoClass"}):
        read_now(kube)
        wait_value(life, 0, "berth_snapshot_last_read_success", **labels)
        before = value(life, "berth_snapshot_age_seconds", **labels)
        wait_for(
            lambda: value(life, "berth_snapshot_age_seconds", **labels) > before,
            5,
            "the age grows between reads",
        )
        assert value(life, "berth_aws_api_requests_total", outcome="invalid") >= 1
        assert "OfNoClass" not in life.get("metrics", "/metrics")[1], "a code of AWS is a label"
    read_now(kube)
    wait_value(life, 1, "berth_snapshot_last_read_success", **labels)
    assert value(life, "berth_snapshot_age_seconds", **labels) < 10 * SLOWNESS


def test_throttling_lowers_the_rate_that_is_shown(kube, emulator, operator):
    kube.create(objects.settings(emulator, requestsPerSecond=10))
    kube.wait_ready(SETTINGS, "default")
    assert value(operator, "berth_aws_rate_limit_requests_per_second") == 10
    with emulator.fault({"operation": "Describe*", "count": 1}, fail=THROTTLED):
        read_now(kube)
        rate = "berth_aws_rate_limit_requests_per_second"
        wait_for(lambda: value(operator, rate) < 10, 10, "the rate is lower")
    assert value(operator, "berth_aws_rate_limit_max_requests_per_second") == 10


def test_static_keys_have_no_expiration(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")
    metrics = scrape(operator)
    assert "berth_snapshot_items" in metrics
    assert "berth_aws_credentials_expiration_timestamp_seconds" not in metrics


def test_what_is_deleted_has_no_series(kube, emulator, life):
    assert "deleted" not in names_in(scrape(life), "name")
    with Emulator(account="210987654321") as other:
        kube.create(objects.settings(other, name="second"))
        kube.wait_ready(SETTINGS, "second")
        wait_for(lambda: "second" in names_in(scrape(life), "registry"), 5, "it has series")
        kube.delete(SETTINGS, "second")
        kube.wait_gone(SETTINGS, "second")
    for label in ("registry", "name"):
        wait_for(
            lambda label=label: "second" not in names_in(scrape(life), label),
            5,
            f"no series with {label} second",
        )
    kube.delete(TEMPLATE, "kept")
    kube.wait_gone(TEMPLATE, "kept")
    wait_for(lambda: "kept" not in names_in(scrape(life), "name"), 5, "no series of the object")


def test_a_paused_registry_has_no_snapshot(kube, emulator, life):
    kube.annotate(SETTINGS, "default", paused="true")
    wait_for(lambda: "default" not in names_in(scrape(life), "registry"), 10, "no series of it")
    kube.annotate(SETTINGS, "default", paused=None)
    wait_value(life, 2, "berth_snapshot_items", registry="default", content="templates")


def test_conditions(kube, emulator, operator):
    kube.create(objects.settings(emulator))
    kube.create(objects.template("good"))
    kube.create(objects.template("bad", lifecyclePolicy='{"rules":[]}'))
    kube.create(objects.template("lost", registryRef={"name": "nowhere"}))
    kube.wait_ready(TEMPLATE, "good")
    kube.wait_condition(TEMPLATE, "bad", "Stalled", "True", "InvalidSpec")
    kube.wait_condition(TEMPLATE, "lost", "Ready", "False", "RegistryNotFound")

    def conditions(name: str) -> dict[tuple[str, str], float]:
        series = scrape(operator)["berth_resource_condition"].series()
        found = {frozenset(k): v for k, v in series.items()}
        types = [("Ready", s) for s in ("True", "False", "Unknown")]
        types += [(t, "True") for t in ("Synced", "Reconciling", "Stalled")]
        result = {}
        for type_, status in types:
            labels = {"kind": TEMPLATE, "name": name, "type": type_, "status": status}
            result[type_, status] = found.get(frozenset(labels.items()))
        return {k for k, v in result.items() if v == 1}, {k for k, v in result.items() if v is None}

    want = {
        "good": {("Ready", "True"), ("Synced", "True")},
        "bad": {("Ready", "False"), ("Stalled", "True")},
        "lost": {("Ready", "False"), ("Reconciling", "True")},
    }
    for name, true in want.items():
        wait_for(
            lambda name=name, true=true: conditions(name) == (true, set()),
            5,
            lambda name=name: f"conditions of {name}: {conditions(name)}",
        )
    metrics = scrape(operator)
    assert len(metrics["berth_resource_condition"].series()) == 4 * 6
    assert metrics["berth_resources"].value(kind=TEMPLATE, ready="True") == 1
    assert metrics["berth_resources"].value(kind=TEMPLATE, ready="False") == 2
    assert metrics["berth_resources"].value(kind=TEMPLATE, ready="Unknown") == 0
    assert metrics["berth_resources"].value(kind=SETTINGS, ready="True") == 1
    assert metrics["berth_resource_condition_left_out"].value() == 0
    terminal = metrics["controller_runtime_terminal_reconcile_errors_total"]
    assert terminal.value(controller=KINDS[TEMPLATE]) >= 1


def test_conditions_can_be_switched_off(kube, emulator, start_operator):
    operator = start_operator(config={"metrics": {"resourceConditions": False}})
    kube.create(objects.settings(emulator))
    kube.create(objects.template("counted"))
    kube.wait_ready(TEMPLATE, "counted")
    wait_value(operator, 1, "berth_resources", kind=TEMPLATE, ready="True")
    metrics = scrape(operator)
    assert not [n for n in metrics if n.startswith("berth_resource_condition")]
    assert "counted" not in names_in(metrics, "name")


def test_a_restart_measures_nothing_twice(kube, emulator, life, start_operator):
    life.stop()
    again = start_operator()
    kube.merge(TEMPLATE, "kept", {"spec": {"description": "after the restart"}})
    kube.wait_ready(TEMPLATE, "kept")
    wait_value(again, 1, "berth_time_to_ready_seconds", kind=TEMPLATE)
    assert value(again, "berth_time_to_ready_seconds", kind=SETTINGS) is None
    assert value(again, "berth_drift_detected_total", kind=TEMPLATE) == 0


def test_objects_are_of_the_leader_only(kube, emulator, life, start_operator):
    follower = start_operator(env={"POD_NAME": "follower"})
    wait_value(follower, 2, "berth_snapshot_items", registry="default", content="templates")
    metrics = scrape(follower)
    assert metrics["leader_election_master_status"].value() == 0
    assert not [n for n in metrics if n.startswith("berth_resource")]
    life.stop()
    wait_value(follower, 2, "berth_resources", kind=TEMPLATE, ready="True")
    assert value(follower, "berth_time_to_ready_seconds") is None


def test_read_only_drift_is_counted_once(kube, emulator, operator):
    emulator.ecr.create_repository_creation_template(prefix="seen", appliedFor=["CREATE_ON_PUSH"])
    template = objects.template("seen", description="another")
    template["metadata"]["annotations"] = {"ecr.berth.dev/read-only": "true"}
    kube.create(objects.settings(emulator))
    kube.create(template)
    kube.wait_condition(TEMPLATE, "seen", "Ready", "False", "DriftDetected")
    detected = "berth_drift_detected_total"
    wait_value(operator, 1, detected, kind=TEMPLATE)
    for _ in range(3):
        before = value(operator, "controller_runtime_reconcile_total", controller=KINDS[TEMPLATE])
        kube.annotate(TEMPLATE, "seen", reconcile_requested_at=str(time.monotonic_ns()))
        wait_for(
            lambda before=before: value(
                operator, "controller_runtime_reconcile_total", controller=KINDS[TEMPLATE]
            ) > before,
            10,
            "another pass",
        )  # fmt: skip
    assert value(operator, detected, kind=TEMPLATE) == 1
    assert value(operator, "berth_drift_corrected_total", kind=TEMPLATE) == 0


def drift_of(operator: Operator, kind: str) -> tuple[float | None, float | None]:
    """Detected, corrected."""
    metrics = scrape(operator)
    return (
        metrics["berth_drift_detected_total"].value(kind=kind),
        metrics["berth_drift_corrected_total"].value(kind=kind),
    )


def test_a_mend_that_fails_is_one_drift(kube, emulator, operator):
    # not by the operator, whose own write of a setting would beat what is read for 30 s
    emulator.ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    kube.create(objects.settings(emulator, accountSettings={"blobMounting": "ENABLED"}))
    kube.create(objects.template("once"))
    kube.wait_ready(TEMPLATE, "once")
    kube.wait_ready(SETTINGS, "default")
    emulator.ecr.update_repository_creation_template(prefix="once", description="changed")
    emulator.ecr.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    with (
        emulator.fault({"operation": UPDATE}, fail=DENIED),
        emulator.fault({"operation": PUT}, fail=DENIED),
    ):
        read_now(kube)
        for operation in (UPDATE, PUT):
            wait_for(
                lambda operation=operation: answered(emulator)[operation] >= 2,
                15,
                lambda: f"it is tried again: {answered(emulator)}",
            )
        assert drift_of(operator, TEMPLATE) == drift_of(operator, SETTINGS) == (1, 0)
    for kind, name in ((TEMPLATE, "once"), (SETTINGS, "default")):
        kube.annotate(kind, name, reconcile_requested_at="now")
        kube.wait_ready(kind, name)
        wait_for(
            lambda kind=kind: drift_of(operator, kind) == (1, 1),
            10,
            lambda kind=kind: f"one drift of {kind}, mended: {drift_of(operator, kind)}",
        )
        wait_for(
            lambda kind=kind, name=name: "DriftCorrected"
            in [e["reason"] for e in kube.events_of(kind, name)],
            5,
            "the event says that it was drift",
        )


def test_scrapes_and_work_side_by_side(kube, emulator, operator):
    """Four who scrape without a pause: every answer is whole, counters never fall, and the work
    gets done."""
    kube.create(objects.settings(emulator))
    kube.wait_ready(SETTINGS, "default")
    is_done = threading.Event()

    def scrape_on() -> int:
        before: dict = {}
        count = 0
        while not is_done.is_set():
            families = scrape(operator).values()
            now = {
                (f.name, *key): v
                for f in families
                if f.type != "gauge"
                for key, v in f.samples.items()
            }
            fallen = [k for k, v in before.items() if now.get(k, -1) < v]
            assert fallen == []
            before = now
            count += 1
        return count

    names = [f"t{i}" for i in range(60)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        scrapers = [pool.submit(scrape_on) for _ in range(4)]
        try:
            for name in names:
                kube.create(objects.template(name))
            for name in names:
                kube.wait_ready(TEMPLATE, name, deadline_s=40)
        finally:
            is_done.set()
        assert all(s.result() > 2 for s in scrapers)
    wait_value(operator, len(names), "berth_time_to_ready_seconds", kind=TEMPLATE)
    wait_value(operator, len(names), "berth_resources", kind=TEMPLATE, ready="True")
    created = value(operator, "berth_aws_api_requests_total", operation=CREATE)
    assert created == len(names)


def test_a_scrape_while_it_stops(kube, emulator, start_operator):
    """Collectors look into what is being taken down: an answer, or none, but no crash (stop()
    looks at the exit code). Without elections it leads to the last."""
    operator = start_operator(config={"leaderElection": {"enabled": False}})
    kube.create(objects.settings(emulator))
    kube.create(objects.template("looked-at"))
    kube.wait_ready(TEMPLATE, "looked-at")
    is_done = threading.Event()
    url = f"http://{operator.address('metrics')}/metrics"

    def scrape_on() -> None:
        while not is_done.is_set():
            try:
                with urllib.request.urlopen(url, timeout=5) as response:
                    exposition.parse(response.read().decode())
            except OSError:
                pass

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        scrapers = [pool.submit(scrape_on) for _ in range(3)]
        try:
            holds_for(lambda: not any(s.done() for s in scrapers), 0.3, "scrapers run")
            operator.stop()
        finally:
            is_done.set()
        for s in scrapers:
            s.result()
