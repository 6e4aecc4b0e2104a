# SPDX-License-Identifier: Apache-2.0
"""Fault rules of the emulator: what each of them does to botocore and to a registry client."""

import email.utils
import http.client
import json
import socket
import time
import urllib.parse

import botocore.config
import botocore.exceptions
import botocore.session
import pytest
from botocore.exceptions import ClientError

from berth_test.emulator import ACCOUNT, REGION, Emulator
from berth_test.registry import Registry

USER = f"arn:aws:iam::{ACCOUNT}:user/test"


@pytest.fixture
def registry(emulator):
    emulator.ecr.create_repository(repositoryName="a/b")
    return Registry(emulator)


def error(call, **arguments) -> dict:
    """What botocore makes of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return {**answer["Error"], **answer["ResponseMetadata"]}


def refused(call, **arguments) -> tuple[str, int]:
    found = error(call, **arguments)
    return found["Code"], found["HTTPStatusCode"]


def post(emulator: Emulator, rule) -> tuple[int, str]:
    connection = http.client.HTTPConnection(emulator.registry, timeout=10)
    body = rule if isinstance(rule, str) else json.dumps(rule)
    connection.request("POST", "/_emulator/faults", body)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


# --- the rules as such ----------------------------------------------------------------------------


def test_rules_are_listed_and_removed(emulator):
    assert emulator.faults() == []
    first = emulator.add_fault({"operation": "Describe*"}, fail={"status": 503})
    second = emulator.add_fault(quota=True)
    assert emulator.faults() == [
        {"id": first, "seen": 0, "acted": 0,
         "rule": {"match": {"operation": "Describe*"}, "fail": {"status": 503}}},
        {"id": second, "seen": 0, "acted": 0, "rule": {"quota": True}},
    ]  # fmt: skip
    emulator.control("DELETE", f"faults/{first}")
    assert [r["id"] for r in emulator.faults()] == [second]
    with pytest.raises(AssertionError, match="404"):
        emulator.control("DELETE", f"faults/{first}")
    emulator.control("DELETE", "faults")
    assert emulator.faults() == []
    emulator.ecr.describe_registry()


WRONG = [
    ("nonsense", "unexpected"),
    ([], "object"),
    ({}, "exactly one of throttle, fail"),
    ({"match": {}}, "exactly one of"),
    ({"fail": {}, "quota": True}, "exactly one of"),
    ({"fial": {}}, "unknown member fial; there are match, throttle, fail"),
    ({"match": {"operatoin": "x"}, "fail": {}}, "unknown member match.operatoin; there are api"),
    ({"match": [], "fail": {}}, "match: want an object"),
    ({"match": {"api": "s3"}, "fail": {}}, "api: want ecr, sts or v2"),
    ({"match": {"operation": ""}, "fail": {}}, "operation: want a string"),
    ({"match": {"operation": 7}, "fail": {}}, "operation: want a string"),
    ({"match": {"name": ""}, "fail": {}}, "name: want a string"),
    ({"match": {"nth": 0}, "fail": {}}, "nth: want a whole number, 1 to"),
    ({"match": {"count": 1.5}, "fail": {}}, "count: want a whole number"),
    ({"match": {"probability": 0}, "fail": {}}, "probability"),
    ({"match": {"probability": 1.1}, "fail": {}}, "probability"),
    ({"fail": 500}, "fail: want an object"),
    ({"fail": {"status": 200}}, "status: want a whole number, 400 to 599"),
    ({"fail": {"code": "X"}}, "unknown member fail.code; there are status, type"),
    ({"throttle": {}}, "throttle.perSecond"),
    ({"throttle": {"perSecond": 0}}, "perSecond: want a number over 0"),
    ({"throttle": {"perSecond": 1, "burst": 0.5}}, "burst: want a number, 1 or more"),
    ({"throttle": {"perSecond": 1, "status": 42}}, "status"),
    ({"deny": {}}, "deny.action"),
    ({"deny": {"action": "ecr:*", "arn": "*"}}, "unknown member deny.arn"),
    ({"quota": False}, "quota: want true"),
    ({"delayMs": "1s"}, "delayMs: want a number"),
    ({"delayMs": 600001}, "delayMs: want 0 to 600000"),
    ({"delayMs": {"during": 1}}, "unknown member delayMs.during"),
    ({"cut": "sometimes"}, "cut: want before, after, or a number"),
    ({"cut": -1}, "cut: want"),
    ({"garbage": "xml"}, "garbage: want html, empty or truncated-json"),
    ({"stale": {}}, "stale.ms"),
    ({"stale": {"ms": 0}}, "ms: want a whole number, 1 to 600000"),
    ({"match": {"operation": "ListImages"}, "stale": {"ms": 1}}, "stale is for GetAccountSetting"),
    ({"normalise": {}}, "normalise: want an object"),
    ({"match": {"operation": "CreateRepository"}, "normalise": {"a": 1}}, "is for Create"),
    ({"skewMs": "1"}, "skewMs"),
    ({"skewMs": 86400001}, "skewMs"),
    ({"expire": ""}, "expire: want an access key id"),
    ({"match": {"accessKeyId": "a"}, "expire": "b"}, "match.accessKeyId"),
    ({"fail": {"message": "x" * 1025}}, "message: want a string of 1 to 1024"),
]  # fmt: skip


@pytest.mark.parametrize("rule, says", WRONG)
def test_wrong_rules_are_refused(emulator, rule, says):
    status, text = post(emulator, rule)
    assert status == 400
    assert says in text
    assert emulator.faults() == []


def test_rules_are_bounded(emulator):
    for _ in range(64):
        emulator.add_fault({"operation": "Nothing"}, fail={})
    status, text = post(emulator, {"fail": {}})
    assert (status, len(emulator.faults())) == (400, 64)
    assert "64 rules already" in text
    assert post(emulator, {"fail": {"message": "x" * 20000}})[0] == 413


@pytest.mark.parametrize(
    "match, failed",
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"after": 2}, [3, 4, 5, 6]),
        ({"until": 2}, [1, 2]),
        ({"after": 1, "until": 4}, [2, 3, 4]),
        ({"nth": 3}, [3]),
        ({"after": 2, "nth": 1}, [3]),
        ({"every": 2}, [2, 4, 6]),
        ({"every": 2, "count": 2}, [2, 4]),
        ({"count": 1}, [1]),
    ],
)
def test_which_requests(emulator, match, failed):
    emulator.add_fault({"operation": "DescribeRegistry", **match}, fail={})
    seen = []
    for n in range(1, 7):
        try:
            emulator.ecr.describe_registry()
        except ClientError:
            seen.append(n)
        emulator.ecr.describe_repositories()  # another operation: not counted
    assert seen == failed
    (rule,) = emulator.faults()
    assert (rule["seen"], rule["acted"]) == (6, len(failed))


def test_probability_has_a_seed(emulator):
    def pattern(seed: int) -> str:
        with emulator.fault({"probability": 0.5, "seed": seed, "api": "ecr"}, fail={}):
            text = ""
            for _ in range(40):
                try:
                    emulator.ecr.describe_registry()
                    text += "."
                except ClientError:
                    text += "x"
        return text

    first = pattern(7)
    assert 8 <= first.count("x") <= 32
    assert pattern(7) == first
    assert pattern(8) != first


def test_the_first_rule_that_acts(emulator):
    emulator.add_fault({"operation": "DescribeRegistry", "count": 1}, fail={"type": "First"})
    emulator.add_fault({"operation": "Describe*"}, fail={"type": "Second"})
    assert refused(emulator.ecr.describe_registry)[0] == "First"
    assert refused(emulator.ecr.describe_registry)[0] == "Second"
    assert refused(emulator.ecr.describe_repositories)[0] == "Second"


def test_by_user_agent_and_key(emulator):
    emulator.add_fault({"userAgent": "*Botocore/*", "accessKeyId": "other"}, fail={})
    emulator.ecr.describe_registry()
    emulator.control("DELETE", "faults")
    emulator.add_fault({"userAgent": "*Botocore/*", "accessKeyId": "te*"}, fail={})
    assert refused(emulator.ecr.describe_registry) == ("InternalFailure", 500)
    emulator.control("DELETE", "faults")
    emulator.add_fault({"userAgent": "berth*"}, fail={})
    emulator.ecr.describe_registry()


def test_by_what_is_named(emulator, registry):
    """Template, repository and setting, the first of several; naming nothing is no match."""
    ecr = emulator.ecr
    emulator.add_fault({"name": "a/*"}, fail={"status": 503, "type": "Named"})
    named = [
        (ecr.create_repository_creation_template, {"prefix": "a/x", "appliedFor": ["REPLICATION"]}),
        (ecr.describe_repository_creation_templates, {"prefixes": ["a/x", "b/x"]}),
        (ecr.describe_repositories, {"repositoryNames": ["a/b"]}),
        (ecr.list_tags_for_resource,
         {"resourceArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/a/b"}),
    ]
    for call, arguments in named:
        assert refused(call, **arguments) == ("Named", 503), arguments
    assert registry("GET", "/v2/a/b/tags/list").status == 503
    ecr.describe_repository_creation_templates()
    ecr.create_repository_creation_template(prefix="b/a", appliedFor=["REPLICATION"])
    emulator.add_fault({"name": "BLOB_*"}, fail={})
    assert refused(ecr.get_account_setting, name="BLOB_MOUNTING")[1] == 500
    ecr.get_account_setting(name="REGISTRY_POLICY_SCOPE")


def test_the_log_names_the_rule(emulator):
    with emulator.fault({"operation": "DescribeRegistry"}, fail={}) as number:
        refused(emulator.ecr.describe_registry)
    emulator.ecr.describe_registry()
    assert [(r.status, r.error, r.fault) for r in emulator.requests()] == [
        (500, "InternalFailure", number),
        (200, None, None),
    ]


# --- refusals -------------------------------------------------------------------------------------


def test_throttle_is_a_bucket(emulator):
    emulator.add_fault({"api": "ecr"}, throttle={"perSecond": 20, "burst": 3})
    results = []
    for _ in range(4):
        try:
            emulator.ecr.describe_registry()
            results.append("ok")
        except ClientError as e:
            results.append(e.response["Error"]["Code"])
    assert results == ["ok"] * 3 + ["ThrottlingException"]
    found = None
    deadline = time.monotonic() + 10
    while found != "ok" and time.monotonic() < deadline:
        try:
            emulator.ecr.describe_registry()
            found = "ok"
        except ClientError:
            pass
    assert found == "ok"


def test_throttle_in_each_api(emulator, registry):
    emulator.ecr.describe_registry()
    rule = {"perSecond": 0.001, "retryAfterMs": 1500}
    with emulator.fault({"operation": "DescribeRegistry"}, throttle=rule):
        emulator.ecr.describe_registry()
        found = error(emulator.ecr.describe_registry)
    assert (found["Code"], found["Message"]) == ("ThrottlingException", "Rate exceeded")
    assert found["HTTPStatusCode"] == 400
    assert found["HTTPHeaders"]["x-amz-retry-after"] == "1500"
    with emulator.fault({"api": "sts"}, throttle={**rule, "status": 429}):
        sts = emulator.client("sts")
        sts.get_caller_identity()
        assert refused(sts.get_caller_identity) == ("Throttling", 429)
    with emulator.fault({"api": "v2"}, throttle=rule):
        assert registry("GET", "/v2/").status == 200
        answer = registry("GET", "/v2/a/b/tags/list")
        assert answer.error == (429, "TOOMANYREQUESTS")


def test_botocore_retries_what_is_throttled(emulator):
    session = botocore.session.Session()
    ecr = session.create_client(
        "ecr", region_name=REGION, endpoint_url=emulator.endpoint,
        aws_access_key_id="test", aws_secret_access_key="test",
        config=botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 3}),
    )  # fmt: skip
    emulator.add_fault({"count": 2}, fail={"status": 400, "type": "ThrottlingException"})
    assert ecr.describe_registry()["registryId"] == ACCOUNT
    assert [r.status for r in emulator.requests()] == [400, 400, 200]


def test_fail_as_told(emulator, registry):
    rule = {"status": 503, "type": "ServerException", "message": "no luck"}
    with emulator.fault({"api": "ecr"}, fail=rule):
        found = error(emulator.ecr.describe_registry)
    assert (found["Code"], found["Message"], found["HTTPStatusCode"]) == (
        "ServerException", "no luck", 503,
    )  # fmt: skip
    with emulator.fault({"operation": "GET /v2/*/tags/list"}, fail={"status": 502}):
        assert registry("GET", "/v2/a/b/tags/list").error == (502, "UNKNOWN")
        assert registry("GET", "/v2/").status == 200
    with emulator.fault({"operation": "PUT /v2/a/b/manifests/*"}, fail={"type": "BLOB_UNKNOWN"}):
        answer = registry.put("a/b", "v1", registry.image("a/b", b"layer"))
        assert answer.error == (500, "BLOB_UNKNOWN")
    assert registry("GET", "/v2/a/b/manifests/v1").status == 404


def test_failing_uploads(emulator, registry):
    """A refusal in the middle of a push, while the client sends a body."""
    location = registry.start("a/b")
    with emulator.fault({"operation": "PATCH *"}, fail={"status": 500}):
        assert registry("PATCH", location, b"x" * 300000).error == (500, "UNKNOWN")
    assert registry("PATCH", location, b"x" * 300000).status == 202


def test_quota(emulator, registry):
    with emulator.fault({"operation": "CreateRepository"}, quota=True):
        found = error(emulator.ecr.create_repository, repositoryName="c/d")
    assert (found["Code"], found["HTTPStatusCode"]) == ("LimitExceededException", 400)
    with emulator.fault({"api": "v2"}, quota="too much of it"):
        answer = registry("GET", "/v2/a/b/tags/list")
        assert answer.error == (403, "DENIED")
        assert answer.message == "too much of it"


def test_deny(emulator, registry):
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
    emulator.add_fault(deny={"action": "ecr:Create*", "resource": f"{arn}/secret/*"})
    emulator.add_fault(deny={"action": "ecr:PutImage"})
    emulator.add_fault(deny={"action": "ecr:*Template*"})
    ecr = emulator.ecr
    ecr.create_repository(repositoryName="open/a")
    found = error(ecr.create_repository, repositoryName="secret/a")
    assert (found["Code"], found["HTTPStatusCode"]) == ("AccessDeniedException", 400)
    assert found["Message"] == (
        f"User: {USER} is not authorized to perform: ecr:CreateRepository on resource: "
        f"{arn}/secret/a because no identity-based policy allows the ecr:CreateRepository action"
    )
    found = error(ecr.describe_repository_creation_templates)
    assert found["Message"] == (
        f"User: {USER} is not authorized to perform: ecr:DescribeRepositoryCreationTemplates on "
        "resource: * because no identity-based policy allows the "
        "ecr:DescribeRepositoryCreationTemplates action"
    )
    answer = registry.put("a/b", "v1", registry.image("a/b", b"layer"))
    assert answer.error == (403, "DENIED")
    assert f"ecr:PutImage on resource: {arn}/a/b because" in answer.message
    assert "open/a" in emulator.repositories() and "secret/a" not in emulator.repositories()


def test_a_wrong_signature_comes_first(emulator):
    emulator.add_fault(deny={"action": "*"})
    wrong = emulator.client("ecr", secret="wrong")
    assert refused(wrong.describe_registry)[0] == "InvalidSignatureException"


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [200, {"before": 200}, {"after": 200}])
def test_delay(emulator, delay):
    with emulator.fault({"operation": "CreateRepository"}, delayMs=delay):
        began = time.monotonic()
        emulator.ecr.create_repository(repositoryName="a/b")
        assert time.monotonic() - began >= 0.2


def test_delay_longer_than_the_patience_of_a_client():
    """One that gives up does not know whether it was done. A stop does not wait either."""
    with Emulator() as emulator:
        impatient = botocore.session.Session().create_client(
            "ecr", region_name=REGION, endpoint_url=emulator.endpoint,
            aws_access_key_id="test", aws_secret_access_key="test",
            config=botocore.config.Config(read_timeout=0.2, retries={"total_max_attempts": 1}),
        )  # fmt: skip
        with emulator.fault({"operation": "CreateRepository"}, delayMs={"after": 60000}):
            with pytest.raises(botocore.exceptions.ReadTimeoutError):
                impatient.create_repository(repositoryName="a/b")
            assert "a/b" in emulator.repositories()
        with emulator.fault({"operation": "CreateRepository"}, delayMs=60000):
            with pytest.raises(botocore.exceptions.ReadTimeoutError):
                impatient.create_repository(repositoryName="c/d")
            assert "c/d" not in emulator.repositories()
        code, seconds = emulator.process.stop()
        assert (code, seconds < 10) == (0, True)


@pytest.mark.parametrize(
    "skew, says",
    [(600000, "Signature expired"), (-600000, "Signature not yet current")],
)
def test_skew(emulator, skew, says):
    with emulator.fault({"api": "ecr"}, skewMs=skew):
        found = error(emulator.ecr.describe_registry)
    assert found["Code"] == "InvalidSignatureException"
    assert says in found["Message"]
    date = email.utils.parsedate_to_datetime(found["HTTPHeaders"]["date"]).timestamp()
    assert abs(date - time.time() - skew / 1000) < 30
    with emulator.fault({"api": "ecr"}, skewMs=skew // 10):
        emulator.ecr.describe_registry()


def test_expire(emulator, registry):
    emulator.add_fault(expire="test")
    found = error(emulator.ecr.describe_registry)
    assert (found["Code"], found["Message"]) == (
        "ExpiredTokenException", "The security token included in the request is expired",
    )  # fmt: skip
    assert refused(emulator.client("sts").get_caller_identity) == ("ExpiredToken", 403)
    answer = registry("GET", "/v2/")
    assert answer.error == (403, "DENIED")
    assert "Reauthenticate" in answer.message
    emulator.control("DELETE", "faults")
    emulator.add_fault(expire="somebody-else")
    emulator.ecr.describe_registry()


# --- broken connections and answers ---------------------------------------------------------------


def raw(emulator: Emulator, request: bytes) -> tuple[bytes, bool]:
    """What came, and whether the connection was reset behind it."""
    url = urllib.parse.urlsplit(emulator.endpoint)
    with socket.create_connection((url.hostname, url.port), timeout=10) as s:
        s.sendall(request)
        data = b""
        try:
            while piece := s.recv(65536):
                data += piece
        except ConnectionResetError:
            return data, True
        return data, False


def get(registry: Registry, path: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Basic {registry.token}", "", ""]
    return "\r\n".join(lines).encode()


def test_cut_before(emulator):
    with emulator.fault({"operation": "CreateRepository"}, cut="before"):
        with pytest.raises(botocore.exceptions.ConnectionClosedError):
            emulator.ecr.create_repository(repositoryName="a/b")
    assert emulator.repositories() == {}
    assert [(r.operation, r.status) for r in emulator.requests()][0] == ("CreateRepository", 0)


def test_cut_after(emulator):
    """The lost reply: done, and nobody knows."""
    with emulator.fault({"operation": "CreateRepository"}, cut="after"):
        with pytest.raises(botocore.exceptions.ConnectionClosedError):
            emulator.ecr.create_repository(repositoryName="a/b")
    assert set(emulator.repositories()) == {"a/b"}
    code = refused(emulator.ecr.create_repository, repositoryName="a/b")[0]
    assert code == "RepositoryAlreadyExistsException"


def test_cut_within(emulator, registry):
    digest = registry.blob("a/b", bytes(range(256)) * 4000)
    path = f"/v2/a/b/blobs/{digest}"
    for limit in (0, 1, 100, 300000):
        with emulator.fault({"operation": f"GET {path}"}, cut=limit):
            data, is_reset = raw(emulator, get(registry, path))
        head, _, body = data.partition(b"\r\n\r\n")
        assert b"Content-Length: 1024000" in head
        assert (len(body), is_reset) == (limit, True)
        assert body == (bytes(range(256)) * 4000)[:limit]
    # an answer that is shorter than that is whole
    with emulator.fault({"operation": f"GET {path}"}, cut=2000000):
        assert registry("GET", path).body == bytes(range(256)) * 4000
    with emulator.fault({"operation": "DescribeRepositories"}, cut=20):
        with pytest.raises(botocore.exceptions.HTTPClientError):
            emulator.repositories()


def test_reset_and_not_end(emulator, registry):
    for cut in ("before", "after"):
        with emulator.fault({"api": "v2"}, cut=cut):
            assert raw(emulator, get(registry, "/v2/")) == (b"", True)


def test_cut_upload(emulator, registry):
    """What arrived before the answer was lost is there: the client asks, and goes on."""
    location = registry.start("a/b")
    with emulator.fault({"operation": "PATCH *"}, cut="after"):
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            registry("PATCH", location, b"0123456789")
    assert registry("GET", location).headers["Range"] == "0-9"
    with emulator.fault({"operation": "PATCH *"}, cut="before"):
        with pytest.raises((ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)):
            registry("PATCH", location, b"0123456789")
    assert registry("GET", location).headers["Range"] == "0-9"


def test_garbage(emulator, registry):
    emulator.ecr.create_repository(repositoryName="c/d")
    with emulator.fault({"api": "v2"}, garbage="html"):
        answer = registry("GET", "/v2/a/b/tags/list")
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")
        assert b"502 Bad Gateway" in answer.body
    with emulator.fault({"api": "v2"}, garbage="empty"):
        answer = registry("GET", "/v2/a/b/tags/list")
        assert (answer.status, answer.body) == (200, b"")
    whole = registry("GET", "/v2/_catalog").body
    with emulator.fault({"api": "v2"}, garbage="truncated-json"):
        answer = registry("GET", "/v2/_catalog")
        assert (answer.status, answer.body) == (200, whole[: len(whole) // 2])
    with emulator.fault({"operation": "DescribeRepositories"}, garbage="truncated-json"):
        # botocore takes what it cannot read for an answer without members
        with pytest.raises(KeyError):
            emulator.repositories()


# --- stale reads ----------------------------------------------------------------------------------


def test_stale_reads(emulator):
    ecr = emulator.ecr
    stale = {"stale": {"ms": 60000}}
    with emulator.fault(**stale):
        for prefix in ("a", "b", "c"):
            ecr.create_repository_creation_template(prefix=prefix, appliedFor=["CREATE_ON_PUSH"])
        assert emulator.templates() == {}
        described = ecr.describe_repository_creation_templates
        assert refused(described, prefixes=["a"])[0] == "TemplateNotFoundException"
        ecr.create_repository(repositoryName="x/y", imageTagMutability="IMMUTABLE")
        assert emulator.repositories() == {}
        ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
        assert emulator.account_setting("BLOB_MOUNTING") == "DISABLED"
        code = refused(ecr.get_repository_policy, repositoryName="x/y")[0]
        assert code == "RepositoryNotFoundException"
        # what is written is not stale, and neither are images
        assert ecr.list_images(repositoryName="x/y")["imageIds"] == []
        code = refused(ecr.create_repository, repositoryName="x/y")[0]
        assert code == "RepositoryAlreadyExistsException"
    assert list(emulator.templates()) == ["a", "b", "c"]
    assert set(emulator.repositories()) == {"x/y"}
    assert emulator.account_setting("BLOB_MOUNTING") == "ENABLED"


# --- values that AWS changes ----------------------------------------------------------------------


def test_normalise(emulator):
    ecr = emulator.ecr
    rule = {"description": "trimmed", "imageTagMutability": None}
    with emulator.fault(normalise=rule):
        template = ecr.create_repository_creation_template(
            prefix="a", appliedFor=["CREATE_ON_PUSH"], description="  trimmed ",
            imageTagMutability="IMMUTABLE",
        )["repositoryCreationTemplate"]  # fmt: skip
        assert (template["description"], template["imageTagMutability"]) == ("trimmed", "MUTABLE")
        # it is so from then on, whatever is sent again
        assert emulator.template("a")["description"] == "trimmed"
        ecr.update_repository_creation_template(prefix="a", description="other")
    assert emulator.template("a")["description"] == "trimmed"
    ecr.update_repository_creation_template(prefix="a", description="other")
    assert emulator.template("a")["description"] == "other"
    # the log has what the client sent
    assert emulator.requests()[0].body["description"] == "  trimmed "


def test_normalise_is_checked_like_a_request(emulator):
    with emulator.fault(normalise={"imageTagMutability": "SOMETIMES"}):
        code = refused(
            emulator.ecr.create_repository_creation_template,
            prefix="a", appliedFor=["CREATE_ON_PUSH"],
        )[0]  # fmt: skip
    assert code == "InvalidParameterException"


# --- /_emulator/repositories ----------------------------------------------------------------------


def test_repositories_in_short(emulator):
    ecr = emulator.ecr
    ecr.create_repository_creation_template(
        prefix="team", appliedFor=["CREATE_ON_PUSH"], imageTagMutability="IMMUTABLE",
        lifecyclePolicy=json.dumps({"rules": [{
            "rulePriority": 1, "action": {"type": "expire"},
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan",
                          "countNumber": 10}}]}),
    )  # fmt: skip
    ecr.create_repository(
        repositoryName="by/hand", tags=[{"Key": "k", "Value": "v"}],
        imageScanningConfiguration={"scanOnPush": True},
    )  # fmt: skip
    Registry(emulator).push("team/app", "v1", b"layer")
    assert emulator.control("GET", "repositories") == [
        {"name": "by/hand", "createdOnPush": False, "imageTagMutability": "MUTABLE",
         "encryptionType": "AES256", "scanOnPush": True, "hasPolicy": False,
         "hasLifecyclePolicy": False, "tags": {"k": "v"}, "images": 0},
        {"name": "team/app", "createdOnPush": True, "createdByPrefix": "team",
         "imageTagMutability": "IMMUTABLE", "encryptionType": "AES256", "scanOnPush": False,
         "hasPolicy": False, "hasLifecyclePolicy": True, "tags": {}, "images": 1},
    ]  # fmt: skip


def test_unknown_admin_paths(emulator):
    for method, path, status in (
        ("GET", "nothing", 404), ("PUT", "faults", 405), ("GET", "faults/1", 405),
        ("DELETE", "faults/x", 404), ("DELETE", "faultsx", 404), ("POST", "stats", 405),
    ):  # fmt: skip
        with pytest.raises(AssertionError, match=f"{status}.*"):
            emulator.control(method, path)
