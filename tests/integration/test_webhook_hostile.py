# SPDX-License-Identifier: Apache-2.0
"""Reviews that no API server sends, straight to /validate: each is answered, with its uid and in a
form that the API server takes, or refused with a 4xx and a reason; the next good one is answered on
the same connection, and neither time nor memory grows without bound."""

import concurrent.futures
import contextlib
import copy
import http.client
import json
import random
import ssl
import time
import unicodedata
from collections.abc import Callable, Iterator

import pytest

from berth_test import objects, webhook
from berth_test.control_plane import ControlPlane
from berth_test.emulator import Emulator
from berth_test.kube import TEMPLATE
from berth_test.operator import Operator
from berth_test.wait import SLOWNESS, wait_for

LONGEST_S = 5 * SLOWNESS  # of one review, whatever it holds
# A value of a parsed review takes some 100 bytes, of which there may be a million, and two workers
# parse at a time; a sanitizer keeps what is freed.
PEAK_MIB = 384 if SLOWNESS == 1 else 2048
MAX_BYTES = 7 << 20
MUTATIONS, SEED = 400, 20240229
UID = "705ab4f5-6393-11e8-b7cc-42010a800002"

KINDS = [
    {
        "group": "carto.run",
        "kind": "Workload",
        "purpose": "Push",
        "images": ["{registry}/tap/{.metadata.name}-{.metadata.namespace}", ".spec.images"],
    },
    {
        "group": "x",
        "kind": "Any",
        "purpose": "Pull",
        "images": [".spec.any[*][*][*][*]", ".spec.any[a=b]"],
    },
]


class Webhook:
    def __init__(self, operator: Operator, host: str) -> None:
        self.operator, self.host = operator, host
        self._tls = ssl.create_default_context()
        self._tls.check_hostname = False  # who it is does not matter here, and it signs itself
        self._tls.verify_mode = ssl.CERT_NONE

    def connect(self) -> http.client.HTTPSConnection:
        address, _, port = self.operator.address("webhook").rpartition(":")
        return http.client.HTTPSConnection(address, int(port), timeout=60, context=self._tls)

    def ask(self, body: bytes, query: str = "", over: http.client.HTTPSConnection | None = None):
        """Status and body of the reply."""
        c = over or self.connect()
        began = time.monotonic()
        c.request("POST", f"/validate{query}", body, {"Content-Type": "application/json"})
        response = c.getresponse()
        reply = response.status, response.read()
        lasted = time.monotonic() - began
        if over is None:
            c.close()
        assert lasted < LONGEST_S, f"{lasted:.1f} s for {body[:200]!r}"
        return reply

    def is_fine(self, over: http.client.HTTPSConnection | None = None) -> bool:
        """A good review is answered as ever."""
        answer = answered(*self.ask(dump(review(pod(self.image()))), over=over))
        return answer["allowed"] and "warnings" not in answer

    def image(self, name: str = "there") -> str:
        return f"{self.host}/team/{name}:1"


@pytest.fixture(scope="module")
def target() -> Iterator[Webhook]:
    with ControlPlane(record=False) as cluster, Emulator() as emulator:
        cluster.install_crds()
        kube, host = cluster.kube, emulator.registry
        kube.create({"apiVersion": "v1", "kind": "Namespace",
                     "metadata": {"name": webhook.NAMESPACE}})  # fmt: skip
        denies = {"namespaces": ["denied"], "invalidReference": "Deny"}
        kube.create(objects.settings(emulator, registryHosts=[host], admission={"rules": [denies]}))
        kube.create(objects.template("team"))
        emulator.ecr.create_repository(repositoryName="team/there")
        with Operator(cluster.kubeconfig(), webhook.config(admission={"kinds": KINDS})) as operator:
            target = Webhook(operator, host)
            kube.wait_ready(TEMPLATE, "team")
            wait_for(target.is_fine, 10, "the repository is known")
            yield target
            assert target.is_fine()
            peak = operator.process.peak_rss_kib() / 1024
            assert peak < PEAK_MIB, f"{peak:.0f} MiB at most"
            # what had to be created is the templates, nothing of what was asked for here
            assert {r.operation for r in emulator.operator_writes()} == {
                "CreateRepositoryCreationTemplate"
            }


# --- reviews -------------------------------------------------------------------------------------


def pod(*images: object, **spec: object) -> dict:
    return webhook.pod("p", *images, **spec)


def review(obj: object, kind: tuple[str, str] = ("", "Pod"), **request: object) -> dict:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": UID,
            "kind": {"group": kind[0], "version": "v1", "kind": kind[1]},
            "resource": {"group": kind[0], "version": "v1", "resource": "x"},
            "namespace": "default",
            "name": "p",
            "operation": "CREATE",
            "userInfo": {"username": "admin"},
            "object": obj,
            "oldObject": None,
            "dryRun": False,
            **request,
        },
    }


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


def without(member: str) -> dict:
    r = review(pod("nginx"))
    del r["request"][member]
    return r


def hold(place: bytes, raw: bytes, whole: dict | None = None) -> bytes:
    """The review with raw bytes where it has the string "PLACE"."""
    text = dump(whole or review(pod("PLACE")))
    assert text.count(place) == 1, place
    return text.replace(place, raw)


def uid_of(body: bytes) -> str:
    """Without reading the rest, which may be more than Python's parser takes."""
    _, _, rest = body.partition(b'"uid": ')
    return json.JSONDecoder().raw_decode(rest.decode(errors="replace"))[0]


def answered(status: int, body: bytes) -> dict:
    """The response, as the API server takes one."""
    assert status == 200, (status, body[:500])
    value = json.loads(body.decode())
    assert set(value) == {"apiVersion", "kind", "response"}
    assert (value["apiVersion"], value["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = value["response"]
    assert isinstance(response["allowed"], bool)
    assert response["allowed"] == ("status" not in response)
    if not response["allowed"]:
        assert response["status"]["code"] == 403
        assert 0 < len(response["status"]["message"]) <= 4096
    assert len(response.get("warnings", [])) <= 20
    for text in response.get("warnings", []):
        # the API server drops a warning with control characters: they go into a header
        assert 0 < len(text) <= 120
        assert not any(unicodedata.category(c) == "Cc" for c in text), text
    assert all(isinstance(v, str) for v in response["auditAnnotations"].values())
    return response


def refused(status: int, body: bytes) -> None:
    assert 400 <= status < 500, (status, body[:500])
    assert 0 < len(body.decode().strip()) < 2000, body


Case = tuple[str, bytes]
LONG = "x" * 1_000_000
NOT_STRINGS: tuple[object, ...] = (0, 1.5, True, [], ["a"], {}, {"a": "b"})
NOT_OBJECTS: tuple[object, ...] = (0, -1e300, False, "", LONG, [], [[]], [{}])


def wrong_types() -> Iterator[Case]:
    for value in (None, [], {}, 0, "", "x", True, [review(pod("nginx"))]):
        yield f"the review is {value!r:.40}", dump(value)
    for field in ("apiVersion", "kind"):
        for value in (None, *NOT_STRINGS, "v1"):
            yield f"{field} {value!r}", dump({**review(pod("a")), field: value})
    for value in (None, *NOT_OBJECTS, {}):
        yield f"request {value!r:.40}", dump({**review(pod("a")), "request": value})
    for field in ("uid", "namespace", "name", "operation", "subResource"):
        for value in NOT_STRINGS:
            yield f"request.{field} {value!r}", dump(review(pod("a"), **{field: value}))
    for field in ("kind", "object", "oldObject"):
        for value in NOT_OBJECTS:
            changed = review(pod("a"))
            changed["request"][field] = value
            yield f"request.{field} {value!r:.40}", dump(changed)
    for field in ("group", "version", "kind"):
        for value in NOT_STRINGS:
            changed = review(pod("a"))
            changed["request"]["kind"][field] = value
            yield f"request.kind.{field} {value!r}", dump(changed)
    for value in (0, 1, "true", "", [], {}):
        yield f"dryRun {value!r}", dump(review(pod("a"), dryRun=value))
    for member in ("uid", "kind"):
        yield f"no {member}", dump(without(member))
    for uid in ("", "u" * 129, LONG, None):
        yield f"uid {uid!r:.40}", dump(review(pod("a"), uid=uid))
    yield "v1beta1", dump({**review(pod("a")), "apiVersion": "admission.k8s.io/v1beta1"})


def no_json() -> Iterator[Case]:
    good = dump(review(pod("PLACE")))
    for text in (b"", b" ", b"\n" * 100_000, b"{", b"}", b'"', b"nul", b"NaN", b"-", b"[1,]"):
        yield f"{text[:20]!r}", text
    for n in range(1, len(good) - 1, 7):
        yield f"the first {n} bytes", good[:n]
    for more in (b"x", b"{}", b",", b"]", b"}", b"\0", b"//"):
        yield f"and then {more!r}", good + more
    yield "a BOM", b"\xef\xbb\xbf" + good
    yield "UTF-16", good.decode().encode("utf-16")
    yield "UTF-32", good.decode().encode("utf-32")
    for raw in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"):
        yield f"{raw!r} in an image", hold(b"PLACE", raw)
        yield f"{raw!r} in a key", hold(b'"name": "c0"', b'"na' + raw + b'me": "c0"')
    for raw in (b"\0", b"\n", b"\x1f", b"\\", b"\\x", b"\\u12", b"\\u00zz", b"\\u0000", b'"'):
        yield f"{raw!r} in an image", hold(b"PLACE", raw)
        yield f"{raw!r} in a key", hold(b'"name": "c0"', b'"na' + raw + b'me": "c0"')
    yield "a NUL between values", good.replace(b", ", b",\0 ", 1)
    for n in (b"01", b"1.", b".5", b"+1", b"1e", b"0x10", b"Infinity", b"1" * 64, b"--1"):
        yield f"the number {n[:20]!r}", hold(b'"PLACE"', n)


def too_much() -> Iterator[Case]:
    for depth in (65, 1000, 1_000_000):
        yield f"{depth} lists", b"[" * depth + b"]" * depth
        yield f"{depth} lists without an end", b"[" * depth
        yield f"{depth} lists inside", hold(b'"PLACE"', b"[" * depth + b"]" * depth)
        yield f"{depth} objects", b'{"kind":' * depth + b"1" + b"}" * depth
        yield f"{depth} objects without an end", b'{"kind":' * depth
    yield "a million values", hold(b'"PLACE"', b"[" + b"0," * (1 << 20) + b"0]")
    yield "a uid of 6 MB", dump(review(pod("a"), uid="u" * 6_000_000))


def duplicates() -> Iterator[Case]:
    good = dump(review(pod("nginx")))
    for key in ("apiVersion", "request", "uid", "kind", "object", "dryRun", "metadata", "image"):
        first = f'"{key}":'.encode()
        at = good.index(first)
        yield f"{key} twice", good[:at] + first + b' "x", ' + good[at:]
    keys = ", ".join('"k": 1' for _ in range(100_000)).encode()
    yield "100,000 times one key", hold(b'"PLACE"', b"{" + keys + b"}")
    many = ", ".join(f'"k{i}": 1' for i in range(100_000)) + ', "k50000": 2'
    yield "one of 100,000 keys twice", hold(b'"PLACE"', b"{" + many.encode() + b"}")


def odd(host: str) -> Iterator[Case]:
    """What is odd, and none of our business, or told in a warning."""
    yield "100,000 keys", dump(review({**pod("nginx"), **{f"k{i}": i for i in range(100_000)}}))
    yield "100,000 labels of old and new", dump(
        review({"metadata": {"labels": {f"k{i}": "" for i in range(100_000)}}},
               oldObject={"metadata": {"labels": {f"k{i}": "" for i in range(100_000)}}})
    )  # fmt: skip
    yield "3000 images", dump(review(pod(*[f"a.b/{i}" for i in range(3000)])))
    yield "100,000 images", dump(review(pod(*[f"a.b/{i}" for i in range(100_000)])))
    text = json.dumps([f"a.b/c:{i}" for i in range(200_000)])
    yield "200,000 images in a list", dump(
        review({"spec": {"images": json.loads(text)}}, ("carto.run", "Workload"))
    )
    yield "100,000 times one image", dump(review(pod(*["nginx"] * 100_000)))
    yield "64 levels", hold(b'"PLACE"', b"[" * 56 + b"]" * 56)
    yield "1 MB of image", dump(review(pod(LONG)))
    yield "1 MB of image of the registry", dump(review(pod(f"{host}/{LONG}")))
    yield "1 MB of tag", dump(review(pod(f"{host}/team/a:{LONG}")))
    yield "1 MB of host", dump(review(pod(f"{LONG}.dkr.ecr.eu-west-1.amazonaws.com/a")))
    for field in ("name", "namespace", "operation", "subResource"):
        yield f"1 MB of {field}", dump(review(pod("nginx"), **{field: LONG}))
    yield "1 MB of kind", dump(review(pod("nginx"), (LONG, LONG)))
    yield "1 MB of annotation", dump(review({"metadata": {"annotations": {"a": LONG, LONG: ""}}}))
    yield "all strings of 1 MB", dump(
        review(pod(LONG), name=LONG, namespace=LONG, operation=LONG, subResource=LONG)
    )
    for value in (None, 0, True, [], {}, "x", [None], [0], [[]], {"a": {"image": 1}}):
        yield f"containers {value!r}", dump(review({"spec": {"containers": value}}))
        params = {"spec": {"params": value}}
        yield f"params {value!r}", dump(review(params, ("tekton.dev", "TaskRun")))
        yield f"spec {value!r}", dump(review({"spec": value}))
        yield f"image {value!r}", dump(review(pod(value)))
        yield f"any {value!r}", dump(review({"spec": {"any": {"a": {"b": value}}}}, ("x", "Any")))
        named = {"metadata": {"name": value, "namespace": value}}
        yield f"name {value!r}", dump(review(named, ("carto.run", "Workload")))
    yield "a name of 1 MB", dump(
        review({"metadata": {"name": LONG, "namespace": "n"}}, ("carto.run", "Workload"))
    )
    yield "100,000 params", dump(
        review({"spec": {"params": [{"name": "IMAGE", "value": 1}] * 100_000}},
               ("tekton.dev", "TaskRun"))
    )  # fmt: skip
    for text in ("", " ", "/", ":", "@", "//", f"{host}", f"{host}/", f"{host}/@", f"{host}//a",
                 f"{host}/a:", f"{host}/A", f"{host}/é", f"{host}/\n\r\t", f"{host}/\x7f\x85\u2028",
                 f"{host}/" + "é" * 3000, f"{host}/" + "\U0001f600" * 900,
                 f"{host}/{{", "$(", "{{}",
                 f"{host}/a@sha256:", f"{host}/a@sha256:{'a' * 3000}", "\ufeff", "\U0010ffff"):
        yield f"the image {text[:40]!r}", dump(review(pod(text)))
    for n in (b"1e999999", b"-1e-999999", b"1" * 63, b"-0", b"123456789012345678901234567890"):
        yield f"the number {n[:20]!r}", hold(b'"PLACE"', n)
    yield "half a surrogate pair in a label", dump(review(pod("nginx"))).replace(
        b'"name": "c0"', b'"name": "\xc3\xa9"'
    )
    for uid in ("é" * 64, '"', "\\", "\x01\n\x7f", "\U0001f600", "u" * 128):
        yield f"uid {uid[:20]!r}", dump(review(pod("nginx"), uid=uid))


def unseen() -> Iterator[Case]:
    """What nobody looks at is cut out before it is parsed, so what it holds is of no matter."""
    raws = {
        "many keys": dump([{f"f:{i}": {} for i in range(100_000)}]),
        "a million lists": b"[" * 1_000_000 + b"]" * 1_000_000,
        "a million objects": b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_000,
        "a million values": b"[" + b"0," * (1 << 20) + b"0]",
        "a key twice": b'{"a": 1, "a": 2}',
        "no UTF-8": b'"\xff\xc0\x80"',
        "an object": b'{"a": "]"}',
        "quotes": b'["\\"]", "\\\\", "{[\\"", "\\u005d"]',
    }
    for name, raw in raws.items():
        for where in ("managedFields", "status", "userInfo"):
            whole = review(pod("nginx"))
            request = whole["request"]
            at = {"userInfo": request, "status": request["object"]}
            at.get(where, request["object"]["metadata"])[where] = "PLACE"
            yield f"{name} in {where}", hold(b'"PLACE"', raw, whole)


def assert_each(target: Webhook, cases: Iterator[Case], judge: Callable[..., object]) -> None:
    over = target.connect()
    count = 0
    for name, body in cases:
        try:
            found = judge(*target.ask(body, over=over))
            if isinstance(found, dict):
                assert found["uid"] == uid_of(body)
        except (AssertionError, OSError, http.client.HTTPException) as e:
            target.operator.process.assert_no_sanitizer_report()
            raise AssertionError(f"{name}: {e!r}\n{target.operator.log_text()[-3000:]}") from e
        count += 1
        if count % 50 == 0:
            assert target.is_fine(over), f"after {name}"
    assert count > 0 and target.is_fine(over)
    over.close()


# --- tests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("corpus", [wrong_types, no_json, too_much, duplicates])
def test_what_is_no_review_is_refused(target: Webhook, corpus: Callable[[], Iterator[Case]]):
    assert_each(target, corpus(), refused)


def test_what_is_odd_is_answered(target: Webhook):
    assert_each(target, odd(target.host), answered)


def test_what_nobody_looks_at_is_answered(target: Webhook):
    assert_each(target, unseen(), answered)


def test_a_denial_of_long_references_says_why(target: Webhook):
    images = [f"{target.host}/{c * 4000}" for c in "ABC"]
    for n in (1, 3):
        response = answered(*target.ask(dump(review(pod(*images[:n]), namespace="denied"))))
        assert not response["allowed"]
        assert response["status"]["message"].count("ECR can have no such repository") == n
    many = [f"{target.host}/{'A' * 300}{i}" for i in range(100)]
    response = answered(*target.ask(dump(review(pod(*many), namespace="denied"))))
    assert "more" in response["status"]["message"][-60:]


def test_a_body_of_any_size(target: Webhook):
    """At the limit it is read, beyond it not even begun."""
    whole = review({**pod("nginx"), "fill": ""})
    whole["request"]["object"]["fill"] = "x" * (MAX_BYTES - len(dump(whole)))
    body = dump(whole)
    assert len(body) == MAX_BYTES
    answered(*target.ask(body))
    status, text = target.ask(body + b" ")
    assert status == 413 and len(text) < 2000
    refused(*target.ask(b'["",' * 20 + b"," * (MAX_BYTES - 100)))


QUERIES = (
    "", "?", "?timeout", "?timeout=", "?timeout=-1s", "?timeout=0s", "?timeout=1e9s",
    "?timeout=99999999999999999999h", "?timeout=5s&timeout=x", "?timeout=%2555s",
    f"?timeout={'9' * 2000}s", "?timeout=1ns", "?" + "timeout=1s&" * 10,
)  # fmt: skip
NO_URLS = ("?timeout=%zz", "?timeout=%005s", "?timeout=5s%", "?" + "&" * 2000, "?" + "a" * 20_000)


@pytest.mark.parametrize("query", QUERIES, ids=lambda q: q[:24])
def test_a_timeout_of_any_kind(target: Webhook, query: str):
    answered(*target.ask(dump(review(pod(target.image()))), query))


@pytest.mark.parametrize("query", NO_URLS, ids=lambda q: q[:24])
def test_what_is_no_url_is_refused_or_cut(target: Webhook, query: str):
    """The server's library ends most of such connections without a word; nobody else notices."""
    other = target.connect()
    assert target.is_fine(other)
    with contextlib.suppress(ConnectionError):
        status, _ = target.ask(dump(review(pod("nginx"))), query)
        assert 400 <= status < 500
    assert target.is_fine(other)
    other.close()


def test_bytes_at_random(target: Webhook):
    """A good review with bytes changed, taken out, doubled: answered or refused."""
    good = review(pod(target.image(), f"{target.host}/A", "nginx"))
    good["request"]["oldObject"] = copy.deepcopy(good["request"]["object"])
    good["request"]["object"]["metadata"]["managedFields"] = [{"f:a": {"b": ["c"]}}]
    good["request"]["dryRun"] = True  # whatever comes of it, nothing is created
    text, chance, counts = dump(good), random.Random(SEED), {200: 0, 400: 0}
    over = target.connect()
    for _ in range(MUTATIONS):
        body = bytearray(text)
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            at = chance.randrange(len(body))
            end = min(len(body), at + chance.choice((1, 1, 2, 20)))
            what = chance.randrange(4)
            if what == 0:
                body[at] = chance.randrange(256)
            elif what == 1:
                del body[at:end]
            elif what == 2:
                body[at:at] = body[at:end]
            else:
                body[at] = chance.choice(b'{}[]",:\\0tfn- ')
        if b'"dryRun": true' not in body:
            continue
        status, reply = target.ask(bytes(body), over=over)
        counts[status] += 1
        answered(status, reply) if status == 200 else refused(status, reply)
    assert min(counts.values()) > MUTATIONS / 20, counts
    assert target.is_fine(over)
    over.close()


def test_all_at_once(target: Webhook):
    """The biggest side by side, and good ones between them, which are answered all the same."""
    big = [
        hold(b'"PLACE"', b"[" + b'"",' * 900_000 + b'""]'),
        dump(review({**pod("nginx"), **{f"key-{i}": "" for i in range(300_000)}})),
        b"[" * 3_000_000,
        dump(review(pod(*[f"a.b/{i}" for i in range(100_000)]))),
    ]

    def worst(body: bytes) -> None:
        for _ in range(2):
            status, reply = target.ask(body)
            # too many bodies at a time are an overload, which the API server knows how to take
            assert status in (200, 400, 503), (status, reply[:200])

    def good() -> None:
        for _ in range(10):
            wait_for(lambda: target.ask(dump(review(pod("nginx"))))[0] == 200, 10, "it is answered")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = [pool.submit(worst, b) for b in big] + [pool.submit(good) for _ in range(2)]
        for run in runs:
            run.result()
    assert target.is_fine()
