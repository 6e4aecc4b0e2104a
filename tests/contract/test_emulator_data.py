# SPDX-License-Identifier: Apache-2.0
"""ecr-emulator --data: what was acknowledged is there after SIGKILL at any moment, nothing
half-made is, and a directory that is damaged or somebody else's is refused."""

import hashlib
import http.client
import json
import pathlib
import random
import resource
import subprocess
import threading

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from berth_test import paths
from berth_test.emulator import Emulator
from berth_test.registry import CONFIG, LAYER, MANIFEST, Registry, digest_of

BROKEN = (BotoCoreError, ClientError, OSError, http.client.HTTPException)


@pytest.fixture
def data(tmp_path) -> pathlib.Path:
    return tmp_path / "data"


def start(data: pathlib.Path, *options: str, **more) -> Emulator:
    return Emulator("--data", str(data), *options, **more)


def refusal(data: pathlib.Path, *options: str) -> str:
    done = subprocess.run(
        [paths.binary("ecr-emulator"), "--data", data, "--account", "123456789012",
         "--region", "eu-west-1", *options],
        text=True, capture_output=True, timeout=20,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def everything(emulator: Emulator) -> dict:
    """All that the control API shows, without what names the port."""
    ecr = emulator.ecr
    found: dict = {"templates": emulator.templates(), "repositories": {}}
    found["mounting"] = emulator.account_setting("BLOB_MOUNTING")
    for name, repository in emulator.repositories().items():
        repository.pop("repositoryUri")
        images = ecr.describe_images(repositoryName=name)["imageDetails"]
        manifests = {
            i["imageDigest"]: ecr.batch_get_image(
                repositoryName=name, imageIds=[{"imageDigest": i["imageDigest"]}]
            )["images"][0]["imageManifest"]
            for i in images
        }
        for image in images:
            image.pop("lastRecordedPullTime", None)
        arn = repository["repositoryArn"]
        tags = ecr.list_tags_for_resource(resourceArn=arn)["tags"]
        found["repositories"][name] = [repository, images, manifests, tags]
        for read in (ecr.get_repository_policy, ecr.get_lifecycle_policy):
            try:
                answer = read(repositoryName=name)
                answer.pop("ResponseMetadata")
                found["repositories"][name].append(answer)
            except ClientError as e:
                found["repositories"][name].append(e.response["Error"]["Code"])
    found["short"] = emulator.control("GET", "repositories")
    return found


LIFECYCLE = json.dumps({"rules": [{
    "rulePriority": 1, "action": {"type": "expire"},
    "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5},
}]})  # fmt: skip


def fill(emulator: Emulator) -> None:
    """One of everything."""
    ecr = emulator.ecr
    for prefix in ("team", "gone", "ROOT"):
        ecr.create_repository_creation_template(
            prefix=prefix, appliedFor=["CREATE_ON_PUSH"], description="é \"'\\ \n",
            imageTagMutability="MUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "v*"}],
        )  # fmt: skip
    ecr.update_repository_creation_template(prefix="team", lifecyclePolicy=LIFECYCLE)
    ecr.delete_repository_creation_template(prefix="gone")
    ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    ecr.create_repository(repositoryName="by/hand", tags=[{"Key": "k", "Value": ""}])
    ecr.put_lifecycle_policy(repositoryName="by/hand", lifecyclePolicyText=LIFECYCLE)
    ecr.put_image_scanning_configuration(
        repositoryName="by/hand", imageScanningConfiguration={"scanOnPush": True}
    )
    registry = Registry(emulator)
    registry.push("team/app", "v1", b"layer", b"second layer")
    digest = registry.push("team/app", "latest", b"layer", b"third layer")
    registry.push("team/app", "latest", b"fourth layer")
    assert registry.mount("team/other", digest_of(b"layer"), "team/app").status == 201
    registry.push("team/other", "v1", b"layer")
    registry.push("by/hand", "v1", b"of by/hand")
    ecr.batch_delete_image(repositoryName="team/app", imageIds=[{"imageDigest": digest}])
    ecr.create_repository(repositoryName="to/delete")
    ecr.delete_repository(repositoryName="to/delete")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_everything_is_there_again(data, end):
    with start(data) as emulator:
        fill(emulator)
        before = everything(emulator)
        getattr(emulator, end)()
    for _ in range(2):
        with start(data) as emulator:
            assert everything(emulator) == before
            registry = Registry(emulator)
            assert registry.has("team/other", digest_of(b"layer"))
            assert not registry.has("team/app", digest_of(b"third layer"))
            answer = registry("GET", f"/v2/team/app/blobs/{digest_of(b'second layer')}")
            assert answer.body == b"second layer"
            emulator.kill()


def test_pull_dates_and_pages(data):
    with start(data) as emulator:
        registry = Registry(emulator)
        emulator.ecr.create_repository(repositoryName="a/b")
        for n in range(5):
            registry.push("a/b", f"v{n}", b"%d" % n)
        assert registry("GET", "/v2/a/b/manifests/v1").status == 200
        images = emulator.ecr.describe_images(repositoryName="a/b")["imageDetails"]
        page = emulator.ecr.list_images(repositoryName="a/b", maxResults=2)
        emulator.kill()
    with start(data) as emulator:
        assert emulator.ecr.describe_images(repositoryName="a/b")["imageDetails"] == images
        assert sum("lastRecordedPullTime" in i for i in images) == 1
        rest = emulator.ecr.list_images(repositoryName="a/b", nextToken=page["nextToken"])
        tags = [i["imageTag"] for i in page["imageIds"] + rest["imageIds"]]
        assert tags == [f"v{n}" for n in range(5)]


def test_uploads_end_with_the_process(data):
    """An upload that was under way is unknown afterwards, and its bytes are gone."""
    with start(data) as emulator:
        emulator.ecr.create_repository(repositoryName="a/b")
        registry = Registry(emulator)
        location = registry.start("a/b")
        assert registry("PATCH", location, b"x" * 100000).status == 202
        emulator.kill()
    assert len(list((data / "blobs").iterdir())) == 1
    with start(data) as emulator:
        assert list((data / "blobs").iterdir()) == []
        registry = Registry(emulator)
        answer = registry("PATCH", location, b"y")
        assert answer.error == (404, "BLOB_UPLOAD_UNKNOWN")
        registry.push("a/b", "v1", b"again")


def test_files_of_deleted_images_go(data):
    with start(data) as emulator:
        emulator.ecr.create_repository(repositoryName="a/b")
        digest = Registry(emulator).push("a/b", "v1", b"layer")
        assert len(list((data / "blobs").iterdir())) == 2
        emulator.ecr.batch_delete_image(
            repositoryName="a/b", imageIds=[{"imageDigest": digest}]
        )
        assert list((data / "blobs").iterdir()) == []


# --- killed while others write --------------------------------------------------------------------


class Writer(threading.Thread):
    """Writes until the connection breaks, and knows what was acknowledged and what may be so."""

    def __init__(self, emulator: Emulator, seed: int, number: int, acknowledged) -> None:
        super().__init__()
        self.emulator, self.number = emulator, number
        self.random = random.Random(seed * 1000 + number)
        self.on_acknowledged = acknowledged
        self.sure: dict[str, object] = {}
        self.perhaps: dict[str, object] = {}
        self.problem: BaseException | None = None

    def step(self, key: str, value: object, call) -> None:
        self.perhaps[key] = value
        call()
        self.sure[key] = value
        del self.perhaps[key]
        self.on_acknowledged()

    def run(self) -> None:
        try:
            while True:
                self.write()
        except BROKEN as e:
            if not isinstance(e, ClientError):
                return
            self.problem = e
        except BaseException as e:  # noqa: BLE001
            self.problem = e


class TemplateWriter(Writer):
    """Templates: their descriptions; None is no template."""

    def write(self) -> None:
        ecr = self.emulator.ecr
        prefix = f"w{self.number}/{self.random.randrange(6)}"
        text = f"{self.random.randrange(10**9)}" * self.random.randrange(1, 20)
        if self.sure.get(prefix) is None:
            self.step(prefix, text, lambda: ecr.create_repository_creation_template(
                prefix=prefix, appliedFor=["CREATE_ON_PUSH"], description=text))  # fmt: skip
        elif self.random.random() < 0.2:
            self.step(prefix, None, lambda: ecr.delete_repository_creation_template(prefix=prefix))
        else:
            self.step(prefix, text, lambda: ecr.update_repository_creation_template(
                prefix=prefix, description=text))  # fmt: skip


class PushWriter(Writer):
    """Pushes: the digest of each tag, in a repository that the first push creates."""

    def write(self) -> None:
        registry = Registry(self.emulator)
        repository = f"push/w{self.number}"
        tag = f"t{self.random.randrange(4)}"
        layer = self.random.randbytes(self.random.choice([1, 100, 70000]))
        parts = [(CONFIG, b"{}"), (LAYER, layer)]
        descriptors = [
            {"mediaType": kind, "digest": digest_of(part), "size": len(part)}
            for kind, part in parts
        ]
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptors[0], "layers": descriptors[1:],
        }).encode()  # fmt: skip

        def push() -> None:
            for _, part in parts:
                registry.blob(repository, part)
            answer = registry.put(repository, tag, manifest)
            assert answer.status == 201, answer.body

        self.step(tag, digest_of(manifest), push)


def check_templates(emulator: Emulator, writer: Writer) -> None:
    templates = emulator.templates()
    for prefix, text in {**writer.sure, **writer.perhaps}.items():
        found = templates.get(prefix, {}).get("description")
        allowed = {writer.sure.get(prefix), writer.perhaps.get(prefix, writer.sure.get(prefix))}
        assert found in allowed, (prefix, text)
        writer.sure[prefix] = found
    writer.perhaps.clear()


def check_pushes(emulator: Emulator, writer: Writer) -> None:
    registry = Registry(emulator)
    repository = f"push/w{writer.number}"
    for tag in {**writer.sure, **writer.perhaps}:
        answer = registry("GET", f"/v2/{repository}/manifests/{tag}")
        found = answer.headers["Docker-Content-Digest"] if answer.status == 200 else None
        before = writer.sure.get(tag)
        assert found in {before, writer.perhaps.get(tag, before)}, tag
        writer.sure[tag] = found
    writer.perhaps.clear()
    if repository not in emulator.repositories():
        # the first push may have been killed before its repository was made
        assert not any(writer.sure.values()), writer.sure
        return
    # nothing half-made: each image has its layers, byte for byte
    for image in emulator.ecr.describe_images(repositoryName=repository)["imageDetails"]:
        manifest = registry("GET", f"/v2/{repository}/manifests/{image['imageDigest']}").json()
        for blob in [manifest["config"], *manifest["layers"]]:
            answer = registry("GET", f"/v2/{repository}/blobs/{blob['digest']}")
            assert "sha256:" + hashlib.sha256(answer.body).hexdigest() == blob["digest"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_while_others_write(data, seed):
    """Several lives of one directory, each ended by SIGKILL after a number of acknowledgements that
    the seed gives, while four clients write."""
    numbers = random.Random(seed)
    sure: dict[int, dict] = {}
    total = 0
    for life in range(4):
        enough = threading.Event()
        left = [numbers.randrange(1, 60)]

        def acknowledged() -> None:
            left[0] -= 1
            if left[0] <= 0:
                enough.set()

        with start(data) as emulator:
            if life == 0:
                emulator.ecr.create_repository_creation_template(
                    prefix="push", appliedFor=["CREATE_ON_PUSH"]
                )
            kinds = [TemplateWriter, TemplateWriter, PushWriter, PushWriter]
            writers = [
                kind(emulator, seed * 10 + life, n, acknowledged) for n, kind in enumerate(kinds)
            ]
            for writer in writers:
                writer.sure = sure.get(writer.number, {})
                writer.start()
            assert enough.wait(60), [w.problem for w in writers]
            emulator.process.kill()
            for writer in writers:
                writer.join()
                assert writer.problem is None
            emulator.kill()
        with start(data) as emulator:
            for writer in writers:
                check = check_templates if isinstance(writer, TemplateWriter) else check_pushes
                check(emulator, writer)
                sure[writer.number] = writer.sure
                total += len(writer.sure)
            emulator.kill()
    assert total > 0


# --- damage ---------------------------------------------------------------------------------------


def lines(journal: pathlib.Path) -> list[bytes]:
    return journal.read_bytes().splitlines(keepends=True)


def test_torn_end(data):
    """Cut within its last two records: what came before is there."""
    with start(data) as emulator:
        for prefix in ("a", "b", "c"):
            emulator.ecr.create_repository_creation_template(
                prefix=prefix, appliedFor=["CREATE_ON_PUSH"]
            )
        emulator.kill()
    journal = data / "journal"
    whole = journal.read_bytes()
    records = lines(journal)
    second, third = len(whole) - len(records[-1]) - len(records[-2]), len(whole) - len(records[-1])
    cuts = {*range(second, len(whole) + 1, 37), second + 1, third - 1, third, third + 1,
            len(whole) - 1, len(whole)}  # fmt: skip
    for cut in sorted(cuts):
        journal.write_bytes(whole[:cut])
        want = ["a"] + (["b"] if cut >= third else []) + (["c"] if cut == len(whole) else [])
        with start(data) as emulator:
            assert list(emulator.templates()) == want, cut
            emulator.kill()
        assert journal.stat().st_size == second + sum(map(len, records[-2:][: len(want) - 1]))


def test_damage_in_the_middle(data):
    with start(data) as emulator:
        fill(emulator)
        emulator.kill()
    journal = data / "journal"
    whole = journal.read_bytes()
    records = lines(journal)
    assert len(records) > 10
    for number in (0, 1, 2, len(records) // 2, len(records) - 2):
        offset = sum(map(len, records[:number]))
        damaged = bytearray(whole)
        damaged[offset + len(records[number]) // 2] ^= 1
        journal.write_bytes(damaged)
        says = refusal(data)
        assert f"{journal} is damaged at offset {offset}:" in says
        assert journal.read_bytes() == damaged
    journal.write_bytes(whole)
    start(data).kill()


def frame(text: str, durable: int = 0) -> bytes:
    tail = f"{len(text):08x} {durable:016x} {text}".encode()
    return hashlib.sha256(tail).hexdigest()[:16].encode() + b" " + tail + b"\n"


def test_frames_are_as_documented(data):
    start(data).kill()
    journal = data / "journal"
    for record in lines(journal):
        length, durable, text = record[17:25], record[26:42], record[43:-1]
        assert frame(text.decode(), int(durable, 16)) == record
        assert int(length, 16) == len(text)


@pytest.mark.parametrize(
    "member, value, says",
    [
        ("version", 2, "newer ecr-emulator (format 2, this one reads 1)"),
        ("account", "210987654321", "account 210987654321, and this emulator has 123456789012"),
        ("region", "us-east-1", "region us-east-1, and this emulator has eu-west-1"),
        ("trailingSlash", "distinct", "trailingSlash distinct, and this emulator has same"),
        ("format", "other", "not a journal of ecr-emulator"),
    ],
)
def test_somebody_elses_directory(data, member, value, says):
    start(data).kill()
    journal = data / "journal"
    header, *rest = lines(journal)
    new = frame(json.dumps({**json.loads(header[43:]), member: value}))
    journal.write_bytes(new + b"".join(rest))
    text = refusal(data)
    assert says in text and str(journal) in text


def test_a_snapshot_that_is_not_whole(data):
    start(data).kill()
    journal = data / "journal"
    journal.write_bytes(lines(journal)[0])
    assert "its beginning is not whole" in refusal(data)


def test_a_record_of_a_later_program(data):
    """An unknown change is refused rather than skipped."""
    start(data).kill()
    journal = data / "journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole + frame('[{"kind":"wonder"}]'))
    says = refusal(data)
    assert "unknown change wonder" in says and f"offset {len(whole)}" in says


def test_missing_blob(data):
    with start(data) as emulator:
        emulator.ecr.create_repository(repositoryName="a/b")
        Registry(emulator).push("a/b", "v1", b"layer")
        emulator.kill()
    blob = data / "blobs" / digest_of(b"layer")
    blob.unlink()
    assert f"{blob} is missing" in refusal(data)


def test_one_emulator_at_a_time(data):
    with start(data) as emulator:
        says = refusal(data)
        assert f"{data} is in use by another ecr-emulator, process {emulator.process.pid}" in says
        emulator.ecr.describe_registry()
        emulator.kill()
    start(data).kill()


def test_directory_that_cannot_be_made(tmp_path):
    assert "no/such" in refusal(tmp_path / "no" / "such")
    file = tmp_path / "file"
    file.write_text("")
    assert str(file) in refusal(file)


def test_data_and_blob_dir(data, tmp_path):
    done = subprocess.run(
        [paths.binary("ecr-emulator"), "--data", data, "--blob-dir", tmp_path],
        text=True, capture_output=True, timeout=20,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "data directory" in done.stderr
    assert not data.exists()


# --- a disk that is full --------------------------------------------------------------------------


def test_full_disk(data):
    """Files cannot grow: 500, nothing done, reads go on; with room again all goes on."""
    with start(data) as emulator:
        fill(emulator)
        before = everything(emulator)
        ecr, registry = emulator.ecr, Registry(emulator)
        size = (data / "journal").stat().st_size
        resource.prlimit(
            emulator.process.pid, resource.RLIMIT_FSIZE, (size + 20, resource.RLIM_INFINITY)
        )
        for call, arguments in (
            (ecr.create_repository, {"repositoryName": "new/one"}),
            (ecr.create_repository_creation_template,
             {"prefix": "new", "appliedFor": ["CREATE_ON_PUSH"]}),
            (ecr.delete_repository_creation_template, {"prefix": "team"}),
            (ecr.put_account_setting, {"name": "BLOB_MOUNTING", "value": "DISABLED"}),
            (ecr.batch_delete_image,
             {"repositoryName": "team/app", "imageIds": [{"imageTag": "v1"}]}),
            (ecr.delete_repository, {"repositoryName": "team/app", "force": True}),
        ):  # fmt: skip
            with pytest.raises(ClientError) as caught:
                call(**arguments)
            answer = caught.value.response
            assert answer["Error"]["Code"] == "ServerException"
            assert answer["ResponseMetadata"]["HTTPStatusCode"] == 500
            assert str(data / "journal") in answer["Error"]["Message"]
        small = registry("POST", f"/v2/team/app/blobs/uploads/?digest={digest_of(b'x')}", b"x")
        assert small.error == (500, "UNKNOWN")
        location = registry.start("team/app")
        big = registry("PATCH", location, b"x" * (size + 100))
        assert big.error == (500, "UNKNOWN")
        assert everything(emulator) == before
        resource.prlimit(
            emulator.process.pid, resource.RLIMIT_FSIZE,
            (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
        )  # fmt: skip
        ecr.create_repository(repositoryName="new/one")
        registry.push("new/one", "v1", b"x" * (size + 100))
        after = everything(emulator)
        emulator.kill()
    with start(data) as emulator:
        assert everything(emulator) == after
        emulator.kill()


# --- compaction -----------------------------------------------------------------------------------


def test_a_long_journal_becomes_short(data):
    """Much written, little kept: the file does not grow without end, and nothing is lost."""
    with start(data) as emulator:
        fill(emulator)
        registry = Registry(emulator)
        sizes = [0]
        while (data / "journal").stat().st_size >= sizes[-1]:
            sizes.append((data / "journal").stat().st_size)
            big = registry.image("by/hand", b"x", annotations={"of": f"{len(sizes)}" * 3000000})
            answer = registry.put("by/hand", "big", big)
            assert answer.status == 201, answer.body
            emulator.ecr.batch_delete_image(
                repositoryName="by/hand", imageIds=[{"imageTag": "big"}]
            )
            assert len(sizes) < 20
        assert max(sizes) < 20 * 1024 * 1024
        emulator.ecr.create_repository(repositoryName="after/it")
        before = everything(emulator)
        emulator.kill()
    assert not (data / "journal.new").exists()
    with start(data) as emulator:
        assert everything(emulator) == before
        emulator.kill()


def test_a_start_is_no_past_that_answers_are_stale_of(data):
    """What was loaded was there before: no answer may be from a time without it."""
    with start(data) as emulator:
        fill(emulator)
        before = emulator.templates()
    with start(data) as emulator:
        with emulator.fault({"operation": "Describe*"}, stale={"ms": 600000}):
            assert emulator.templates() == before != {}
