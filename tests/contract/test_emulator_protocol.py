# SPDX-License-Identifier: Apache-2.0
"""The wire of the emulator's control API: signatures and their errors, STS, requests that botocore
itself would never send, tokens, throttling."""

import base64
import datetime
import http.client
import json
import re
import xml.etree.ElementTree as ElementTree

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from berth_test.emulator import ACCOUNT, REGION, Emulator

TARGET = "AmazonEC2ContainerRegistry_V20150921."
FORM = "application/x-www-form-urlencoded; charset=utf-8"
IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"


def send(emulator: Emulator, method: str, path: str, body: str, headers: dict):
    connection = http.client.HTTPConnection(emulator.registry, timeout=10)
    try:
        connection.request(method, path, body.encode(), headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def signed(
    emulator: Emulator,
    operation: str = "DescribeRegistry",
    body: str = "{}",
    key: str = "test",
    secret: str = "test",
    token: str | None = None,
    region: str = REGION,
    service: str = "ecr",
    form: bool = False,
    change=None,
):
    """Sends a signed request; change(headers) spoils it after it was signed."""
    headers = {"Content-Type": FORM if form else "application/x-amz-json-1.1"}
    if not form:
        headers["X-Amz-Target"] = TARGET + operation
    request = botocore.awsrequest.AWSRequest("POST", emulator.endpoint + "/", headers, body)
    credentials = botocore.credentials.Credentials(key, secret, token)
    botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    final = dict(request.headers.items())
    if change:
        change(final)
    return send(emulator, "POST", "/", body, final)


def error(answer) -> tuple[int, str]:
    status, headers, body = answer
    decoded = json.loads(body)
    assert set(decoded) == {"__type", "message"} and decoded["message"]
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    assert headers["x-amzn-ErrorType"] == decoded["__type"]
    assert re.fullmatch("[0-9a-f-]{36}", headers["x-amzn-RequestId"])
    return status, decoded["__type"]


# --- signatures ----------------------------------------------------------------------------------


def test_signed_is_answered(emulator):
    status, headers, body = signed(emulator)
    assert (status, json.loads(body)["registryId"]) == (200, ACCOUNT)
    assert headers["Content-Type"] == "application/x-amz-json-1.1"
    assert re.fullmatch("[0-9a-f-]{36}", headers["x-amzn-RequestId"])


def drop(name):
    return lambda headers: headers.pop(name)


def replace(name, pattern, by):
    def change(headers):
        changed = re.sub(pattern, by, headers[name])
        assert changed != headers[name]
        headers[name] = changed

    return change


NO_TOKEN = "MissingAuthenticationTokenException"
INCOMPLETE = "IncompleteSignatureException"
WRONG = "InvalidSignatureException"
UNKNOWN = "UnrecognizedClientException"


@pytest.mark.parametrize(
    "change, want",
    [
        (drop("Authorization"), NO_TOKEN),
        (replace("Authorization", "^AWS4-HMAC-SHA256", "Basic"), INCOMPLETE),
        (replace("Authorization", "Credential=[^,]*,", ""), INCOMPLETE),
        (replace("Authorization", "Credential=test/", "Credential="), INCOMPLETE),
        (replace("Authorization", "aws4_request", "aws5_request"), INCOMPLETE),
        (replace("Authorization", ", Signature=.*", ""), INCOMPLETE),
        (drop("X-Amz-Date"), INCOMPLETE),
        (replace("X-Amz-Date", "Z$", ""), INCOMPLETE),
        (replace("Authorization", "x-amz-date;", ""), INCOMPLETE),
        (replace("Authorization", "host;", ""), WRONG),
        (replace("Authorization", "(;)?x-amz-target", ""), WRONG),
        (replace("X-Amz-Target", "DescribeRegistry", "GetAuthorizationToken"), WRONG),
        (replace("Authorization", "Signature=.", "Signature=x"), WRONG),
        (replace("Authorization", "Signature=.*", "Signature=0"), WRONG),
        (replace("Authorization", r"/20\d\d", "/1999"), WRONG),
        (replace("Authorization", "Credential=test", "Credential=nobody"), UNKNOWN),
        (lambda h: h.update({"X-Amz-Security-Token": "x"}), WRONG),
        (lambda h: h.update({"Content-Type": "text/plain"}), WRONG),
    ],
)
def test_spoilt_signatures(emulator, change, want):
    status, code = error(signed(emulator, change=change))
    assert (status, code) == (400, want)
    (request,) = emulator.requests()
    assert (request.status, request.error) == (400, want)


@pytest.mark.parametrize(
    "more, want",
    [
        ({"secret": "wrong"}, "InvalidSignatureException"),
        ({"key": "nobody"}, "UnrecognizedClientException"),
        ({"token": "unexpected"}, "UnrecognizedClientException"),
        ({"region": "us-west-2"}, "InvalidSignatureException"),
        ({"service": "sts"}, "InvalidSignatureException"),
    ],
)
def test_wrong_credentials_and_scopes(emulator, more, want):
    assert error(signed(emulator, **more)) == (400, want)


def test_changed_body(emulator):
    headers = {}
    signed(emulator, body="{}", change=headers.update)
    answer = send(emulator, "POST", "/", '{"a":1}', headers)
    assert error(answer) == (400, "InvalidSignatureException")


@pytest.mark.parametrize(
    "minutes, is_answered", [(-6, False), (-4, True), (0, True), (4, True), (6, False)]
)
def test_skew(emulator, monkeypatch, minutes, is_answered):
    moved = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: moved)
    answer = signed(emulator)
    assert answer[0] == (200 if is_answered else 400)
    if not is_answered:
        assert error(answer) == (400, "InvalidSignatureException")
        text = "expired" if minutes < 0 else "not yet current"
        assert text in json.loads(answer[2])["message"]


def test_temporary_credentials():
    flags = ("--credentials", "LONG:secret", "--credentials", "TEMP:secret:to:ken")
    with Emulator(*flags) as emulator:
        assert signed(emulator, key="LONG", secret="secret")[0] == 200
        assert signed(emulator, key="TEMP", secret="secret", token="to:ken")[0] == 200
        for token in (None, "other"):
            answer = signed(emulator, key="TEMP", secret="secret", token=token)
            assert error(answer) == (400, "UnrecognizedClientException")
        # the default pair is only there while no other is given
        assert error(signed(emulator)) == (400, "UnrecognizedClientException")


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation, body, want",
    [
        ("NoSuchOperation", "{}", (404, "UnknownOperationException")),
        ("PutReplicationConfiguration", "{}", (404, "UnknownOperationException")),
        ("DescribeRegistry", "{", (400, "SerializationException")),
        ("DescribeRegistry", "[]", (400, "SerializationException")),
        ("DescribeRegistry", '{"a":1,"a":2}', (400, "SerializationException")),
        ("CreateRepository", "{}", (400, "InvalidParameterException")),
        ("CreateRepository", '{"repositoryName":null}', (400, "InvalidParameterException")),
        ("CreateRepository", '{"repositoryName":"a"}', (400, "InvalidParameterException")),
        ("CreateRepository", '{"repositoryName":1}', (400, "SerializationException")),
        ("CreateRepository", '{"repositoryName":"ab","tags":{}}', (400, "SerializationException")),
        (
            "CreateRepository",
            '{"repositoryName":"ab","tags":[null]}',
            (400, "InvalidParameterException"),
        ),
        (
            "CreateRepository",
            '{"repositoryName":"ab","tags":[{"Key":"k"}]}',
            (400, "InvalidParameterException"),
        ),
        ("DeleteRepository", '{"repositoryName":"ab","force":1}', (400, "SerializationException")),
        ("DescribeRepositories", '{"maxResults":1.5}', (400, "SerializationException")),
        ("DescribeRepositories", '{"maxResults":0}', (400, "InvalidParameterException")),
        ("DescribeRepositories", '{"repositoryNames":[]}', (400, "InvalidParameterException")),
        ("DescribeRepositories", '{"registryId":"x"}', (400, "InvalidParameterException")),
        (
            "PutLifecyclePolicy",
            '{"repositoryName":"ab","lifecyclePolicyText":"{}"}',
            (400, "InvalidParameterException"),
        ),
    ],
)
def test_refused_requests(emulator, operation, body, want):
    assert error(signed(emulator, operation, body)) == want
    assert emulator.repositories() == {}


def test_message_of_a_bound(emulator):
    body = json.dumps({"repositoryName": "ab", "lifecyclePolicyText": "{}"})
    message = json.loads(signed(emulator, "PutLifecyclePolicy", body)[2])["message"]
    assert message == (
        "Invalid parameter at 'lifecyclePolicyText' failed to satisfy constraint: "
        "'must have length greater than or equal to 100'"
    )


def test_unknown_members_and_an_empty_body_are_fine(emulator):
    assert signed(emulator, "DescribeRegistry", '{"whatever":{"x":[1]}}')[0] == 200
    assert signed(emulator, "DescribeRegistry", "")[0] == 200


def test_lengths_count_characters(emulator):
    body = json.dumps(
        {"prefix": "p", "appliedFor": ["REPLICATION"], "description": "ü" * 256}, ensure_ascii=False
    )
    request = json.loads(body)
    assert len(body.encode()) > len(body)
    answer = emulator.ecr.create_repository_creation_template(**request)
    assert answer["repositoryCreationTemplate"]["description"] == "ü" * 256


@pytest.mark.parametrize(
    "method, path", [("GET", "/"), ("POST", "/x"), ("PUT", "/"), ("GET", "/x")]
)
def test_other_paths(emulator, method, path):
    assert error(send(emulator, method, path, "", {})) == (404, "UnknownOperationException")


def test_too_large_a_body(emulator):
    answer = send(
        emulator, "POST", "/", " " * (9 * 1024 * 1024 + 1), {"X-Amz-Target": TARGET + "PutImage"}
    )
    assert error(answer) == (413, "RequestEntityTooLargeException")


def test_chunked_bodies_are_read_and_bounded(emulator):
    def pieces(count: int):
        for _ in range(count):
            yield b" " * 65536

    for count, want in ((1, (400, "MissingAuthenticationTokenException")),
                        (145, (413, "RequestEntityTooLargeException"))):  # fmt: skip
        connection = http.client.HTTPConnection(emulator.registry, timeout=10)
        headers = {"X-Amz-Target": TARGET + "PutImage"}
        connection.request("POST", "/", pieces(count), headers, encode_chunked=True)
        answer = connection.getresponse()
        assert error((answer.status, answer.headers, answer.read())) == want
        connection.close()


def test_a_connection_serves_many_requests(emulator):
    connection = http.client.HTTPConnection(emulator.registry, timeout=10)
    connection.connect()
    port = connection.sock.getsockname()
    for method, path in (("POST", "/"), ("GET", "/_emulator/stats"), ("POST", "/nowhere")):
        connection.request(method, path, b"{}" if method == "POST" else None)
        connection.getresponse().read()
        assert connection.sock.getsockname() == port
    connection.close()


# --- STS -----------------------------------------------------------------------------------------


def sts_error(answer) -> tuple[int, str]:
    status, headers, body = answer
    assert headers["Content-Type"] == "text/xml"
    root = ElementTree.fromstring(body)
    names = {"s": "https://sts.amazonaws.com/doc/2011-06-15/"}
    assert root.find("s:RequestId", names).text == headers["x-amzn-RequestId"]
    return status, root.find("s:Error/s:Code", names).text


def test_identity(emulator):
    answer = emulator.client("sts").get_caller_identity()
    assert answer["Account"] == ACCOUNT
    assert answer["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/test"
    assert answer["UserId"]
    (request,) = emulator.requests()
    assert (request.api, request.operation, request.body) == ("sts", "GetCallerIdentity", None)


def test_identity_of_temporary_credentials():
    with Emulator("--credentials", "TEMP<&:secret:token") as emulator:
        status, _, body = signed(
            emulator, key="TEMP<&", secret="secret", token="token", body=IDENTITY, service="sts",
            form=True,
        )  # fmt: skip
        assert status == 200
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/emulator/TEMP<&"
        assert arn in ElementTree.tostring(ElementTree.fromstring(body), "unicode", "text")


@pytest.mark.parametrize(
    "more, want",
    [
        ({"secret": "wrong"}, (403, "SignatureDoesNotMatch")),
        ({"key": "nobody"}, (403, "InvalidClientTokenId")),
        ({"service": "ecr"}, (403, "SignatureDoesNotMatch")),
        ({"change": drop("Authorization")}, (403, "MissingAuthenticationToken")),
        ({"change": drop("X-Amz-Date")}, (400, "IncompleteSignature")),
        ({"body": "Action=AssumeRole&Version=2011-06-15"}, (400, "InvalidAction")),
        ({"body": "Version=2011-06-15"}, (400, "InvalidAction")),
    ],
)
def test_errors_of_sts(emulator, more, want):
    arguments = {"body": IDENTITY, "service": "sts", "form": True, **more}
    assert sts_error(signed(emulator, **arguments)) == want


# --- the registry --------------------------------------------------------------------------------


def test_describe_registry(emulator):
    answer = emulator.ecr.describe_registry()
    assert answer["registryId"] == ACCOUNT
    assert answer["replicationConfiguration"] == {"rules": []}


def test_token(emulator):
    (data,) = emulator.ecr.get_authorization_token()["authorizationData"]
    assert data["proxyEndpoint"] == emulator.endpoint
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    assert (user, len(password) > 64) == ("AWS", True)
    life = data["expiresAt"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(hours=11, minutes=59) < life <= datetime.timedelta(hours=12)
    basic = {"Authorization": "Basic " + data["authorizationToken"]}
    assert send(emulator, "GET", "/v2/", "", basic)[0] == 200


def test_tokens_of_another_emulator_are_strange(emulator):
    with Emulator() as other:
        (data,) = other.ecr.get_authorization_token()["authorizationData"]
    basic = {"Authorization": "Basic " + data["authorizationToken"]}
    assert send(emulator, "GET", "/v2/", "", basic)[0] == 401


def test_throttling():
    with Emulator("--behavior", "control-calls-per-second=2") as emulator:
        codes = {signed(emulator)[0] for _ in range(40)}
        throttled = [r for r in emulator.requests() if r.error]
        assert codes == {200, 400}
        assert {(r.status, r.error) for r in throttled} == {(400, "ThrottlingException")}


# --- what the emulator tells about itself --------------------------------------------------------


def test_log(emulator):
    secret = "a-secret-nobody-may-see"
    emulator.ecr.create_repository(repositoryName="a/b")
    signed(emulator, secret=secret)
    send(emulator, "GET", "/v2/", "", {"User-Agent": "x/1"})
    first, second, third = emulator.control("GET", "requests")
    assert (first["api"], first["operation"], first["status"]) == ("ecr", "CreateRepository", 200)
    assert first["body"] == {"repositoryName": "a/b"}
    assert first["accessKeyId"] == "test" and first["userAgent"].startswith("Botocore/")
    assert "error" not in first
    assert (second["status"], second["error"]) == (400, "InvalidSignatureException")
    assert (third["api"], third["operation"], third["status"]) == ("v2", "GET /v2/", 401)
    assert third["userAgent"] == "x/1" and "accessKeyId" not in third
    assert [e["seq"] for e in (first, second, third)] == [1, 2, 3]
    assert secret not in json.dumps([first, second, third])
    assert datetime.datetime.fromisoformat(first["time"])
    assert [e["seq"] for e in emulator.control("GET", "requests?after=2")] == [3]
    # looking leaves no trace; emptying keeps the numbers going
    emulator.control("DELETE", "requests")
    assert emulator.control("GET", "requests") == []
    signed(emulator)
    assert [e["seq"] for e in emulator.control("GET", "requests")] == [4]


def test_log_leaves_large_bodies_out(emulator):
    description = "x" * 70000
    signed(emulator, "DescribeRegistry", json.dumps({"description": description}))
    (entry,) = emulator.control("GET", "requests")
    assert "body" not in entry and entry["operation"] == "DescribeRegistry"


def test_log_survives_hostile_text(emulator):
    send(emulator, "GET", "/%22%0a%ff", "", {"User-Agent": '"}\xff\t<'})
    (entry,) = emulator.control("GET", "requests")
    assert entry["operation"].startswith('GET /"\n')


def test_stats(emulator):
    stats = emulator.control("GET", "stats")
    assert set(stats.values()) == {0}
    emulator.ecr.create_repository(repositoryName="a/b")
    emulator.ecr.create_repository_creation_template(prefix="p", appliedFor=["REPLICATION"])
    stats = emulator.control("GET", "stats")
    assert (stats["repositories"], stats["templates"]) == (1, 1)


@pytest.mark.parametrize(
    "method, path, status",
    [("POST", "stats", 405), ("GET", "nothing", 404), ("GET", "requests?after=x", 400)],
)
def test_refused_questions(emulator, method, path, status):
    assert send(emulator, method, f"/_emulator/{path}", "", {})[0] == status
