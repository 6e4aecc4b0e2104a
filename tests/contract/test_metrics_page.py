# SPDX-License-Identifier: Apache-2.0
"""The alert rules of docs/reference/metrics.md: promtool takes them, they name metrics and labels
that exist, and each fires when it should and is silent when it should be. (That the tables of the
page are what an operator exports is in integration/test_metrics.py.)"""

import re
import subprocess

import pytest
import yaml

from berth_test import exposition, paths

RULES = {
    r["alert"]: r
    for g in yaml.safe_load(exposition.alert_rules())["groups"]
    for r in g["rules"]
}
HEALTHY = {
    'berth_build_info{version="1", pod="a"}': "1x120",
    'leader_election_master_status{name="berth-operator", pod="a"}': "1x120",
    'leader_election_master_status{name="berth-operator", pod="b"}': "0x120",
    # that of another controller in the cluster
    'leader_election_master_status{name="other", pod="c"}': "0x120",
    'berth_resource_condition{kind="T", name="x", type="Ready", status="True", pod="a"}': "1x120",
    'berth_resource_condition{kind="T", name="x", type="Stalled", status="True"}': "0x120",
    'controller_runtime_reconcile_total{controller="registrysettings", result="success"}':
        "0+20x120",
    'controller_runtime_reconcile_errors_total{controller="registrysettings"}': "0+1x120",
    'controller_runtime_reconcile_total{controller="other", result="error"}': "0+20x120",
    'controller_runtime_reconcile_errors_total{controller="other"}': "0+20x120",
    'workqueue_unfinished_work_seconds{name="registrysettings"}': "1x120",
    'workqueue_unfinished_work_seconds{name="other"}': "0+60x120",
    'berth_snapshot_age_seconds{registry="r", content="templates", pod="a"}': "170x120",
    'berth_snapshot_interval_seconds{registry="r", content="templates", pod="a"}': "60x120",
    'berth_snapshot_last_read_success{registry="r", content="templates", pod="a"}': "1x120",
    'berth_aws_api_requests_total{operation="O", outcome="success"}': "0+100x120",
    'berth_aws_api_requests_total{operation="O", outcome="denied"}': "0x120",
    'berth_aws_api_throttled_total{operation="O"}': "0+1x120",
    'berth_aws_credentials_expiration_timestamp_seconds{registry="r"}': "10000x120",
    "berth_webhook_requests_answered_total": "0+600x120",
    'berth_webhook_requests_refused_total{cause="queue"}': "0x120",
    'berth_webhook_requests_refused_total{cause="bytes"}': "0x120",
    "berth_webhook_requests_timed_out_total": "0x120",
    # a probe that only connects, every ten seconds
    "berth_webhook_failed_handshakes_total": "0+6x120",
    'berth_webhook_certificate_expiration_timestamp_seconds{use="serving"}': "200000x120",
    'berth_webhook_certificate_expiration_timestamp_seconds{use="signer"}': "20000000x120",
    'berth_admission_requests_total{decision="allow", reason="Exists"}': "0+600x120",
    # denied as somebody wants it
    'berth_admission_requests_total{decision="deny", reason="Uncovered"}': "0+6x120",
    'berth_admission_requests_total{decision="deny", reason="Error"}': "0x120",
    'berth_admission_requests_total{decision="warn", reason="Error"}': "0+6x120",
    "berth_admission_parked_requests": "100x120",
}  # fmt: skip
# what is changed of the healthy series, one each, and the alert that comes of it (None: gone)
SICK = {
    "BerthDown": {"berth_build_info": None},
    "BerthNoLeader": {'leader_election_master_status{name="berth-operator", pod="a"}': "0x120"},
    "BerthResourceNotReady": {"berth_resource_condition{": "0x120"},
    "BerthReconcileErrors": {
        'controller_runtime_reconcile_errors_total{controller="registrysettings"}': "0+3x120"
    },
    "BerthWorkqueueStuck": {
        'workqueue_unfinished_work_seconds{name="registrysettings"}': "0+60x120"
    },
    "BerthSnapshotStale": {"berth_snapshot_age_seconds": "0+60x120"},
    "BerthReadFailing": {"berth_snapshot_last_read_success": "0x120"},
    "BerthAWSAccessDenied": {
        'berth_aws_api_requests_total{operation="O", outcome="denied"}': "0+1x120"
    },
    "BerthAWSThrottled": {"berth_aws_api_throttled_total": "0+10x120"},
    "BerthCredentialsExpiring": {"berth_aws_credentials_expiration": "3600x120"},
    "BerthWebhookFailing": {"berth_webhook_requests_timed_out_total": "0+1x120"},
    "BerthWebhookHandshakesFailing": {"berth_webhook_failed_handshakes_total": "0+20x120"},
    "BerthWebhookCertificateExpiring": {
        'berth_webhook_certificate_expiration_timestamp_seconds{use="serving"}': "80000x120"
    },
    "BerthAdmissionDenied": {
        'berth_admission_requests_total{decision="deny", reason="Error"}': "0+1x120"
    },
    "BerthAdmissionUncertain": {
        'berth_admission_requests_total{decision="warn", reason="Error"}': "0+100x120"
    },
    "BerthAdmissionParked": {"berth_admission_parked_requests": "200x120"},
}


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(exposition.alert_rules())
    return path


def promtool(*arguments: object) -> str:
    done = subprocess.run(
        [paths.promtool(), *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules(rules):
    assert f"{len(RULES)} rules found" in promtool("check", "rules", rules)


def test_rules_name_what_is_documented():
    rows, labels = exposition.documented(), exposition.documented_labels()
    for alert, rule in RULES.items():
        without_texts = re.sub(r'"[^"]*"', "", rule["expr"])
        names = set(re.findall(r"\b[a-z]+_[a-z_]*[a-z]\b(?! *\()", without_texts))
        assert names, alert
        assert names <= set(rows), f"{alert}: {names - set(rows)}"
        for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", rule["expr"]):
            for label, operator, text in re.findall(r'(\w+)(=~?)"([^"]*)"', matchers):
                assert label in rows[name].labels, f"{alert}: {name} has no label {label}"
                known = labels[label]
                values = set(text.split("|")) if operator == "=~" else {text}
                assert known is None or values <= known, f"{alert}: {label} is never {values}"
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert any(label in rows[n].labels for n in names), f"{alert}: no label {label}"


def fires(tmp_path, rules, series: dict[str, str], wanted: set[str]) -> None:
    """At 100 minutes the alerts of wanted fire and no others."""
    test = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": "100m",
                        "exp_samples": [
                            {"labels": f'{{alertname="{name}"}}', "value": 1}
                            for name in sorted(wanted)
                        ],
                    }
                ],
            }
        ],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(test))
    promtool("test", "rules", path)


def test_no_alert_when_all_is_well(tmp_path, rules):
    fires(tmp_path, rules, HEALTHY, set())


def test_every_alert_has_a_sickness():
    assert set(SICK) == set(RULES)


@pytest.mark.parametrize("alert", SICK)
def test_an_alert_fires_alone(tmp_path, rules, alert):
    series = dict(HEALTHY)
    for start, values in SICK[alert].items():
        name = next(k for k in series if k.startswith(start))
        if values is None:
            del series[name]
        else:
            series[name] = values
    fires(tmp_path, rules, series, {alert})
