# SPDX-License-Identifier: Apache-2.0
"""The judge of make soak (tests/soak): what it must let pass, and what it must not."""

import random
import sys
import time

import pytest

from berth_test import objects, paths
from berth_test.emulator import Request

sys.path.insert(0, str(paths.SOURCE / "tests" / "soak"))

import judge  # noqa: E402
import model  # noqa: E402

NOW = time.time()


@pytest.fixture
def world() -> model.Model:
    return model.Model(random.Random(1), 60)


def entry(world: model.Model, kind: str = model.PLAIN, **spec) -> model.Entry:
    """Of that kind, whose object lives since 100 s."""
    found = next(e for e in world.entries.values() if e.kind == kind and not e.is_live)
    found.begin(objects.template(found.name, found.prefix, **spec)["spec"], NOW - 100)
    return found


def ours(operation: str, body: dict, status: int = 200, when: float = NOW) -> judge.Seen:
    request = Request(operation, "ecr", status, None, body, "berth/1", key_id="key-of-ann")
    return judge.Seen(when, request)


def theirs(operation: str, body: dict) -> judge.Seen:
    return judge.Seen(NOW, Request(operation, "ecr", 200, None, body, "botocore"))


def verdict(world: model.Model, *seen: judge.Seen) -> str:
    j = judge.Judge(world)
    for one in seen:
        j.feed(one, [{"blobMounting": "ENABLED"}])
    return "\n".join(j.complaints)


def body(e: model.Entry) -> dict:
    return objects.aws_template(e.spec)


def test_what_a_spec_says(world):
    e = entry(world, description="a", lifecyclePolicy=objects.lifecycle())
    assert verdict(world, ours(judge.CREATE, body(e)), ours(judge.UPDATE, body(e))) == ""


def test_what_no_spec_says(world):
    e = entry(world, description="a")
    wrong = {**body(e), "description": "b"}
    assert "no object said" in verdict(world, ours(judge.UPDATE, wrong))
    assert "no object is for" in verdict(world, ours(judge.CREATE, {**body(e), "prefix": "x"}))
    assert "model refuses" in verdict(world, ours(judge.CREATE, {**body(e), "colour": "red"}))


def test_what_an_older_spec_said(world):
    """A moment later is fine, a minute is not; and never what is to come."""
    e = entry(world, description="old")
    old = body(e)
    e.begin({**e.spec, "description": "new"}, NOW - 30)
    assert verdict(world, ours(judge.UPDATE, old, when=NOW)) == ""
    assert "no object said" in verdict(world, ours(judge.UPDATE, old, when=NOW + 30))
    assert "no object said" in verdict(world, ours(judge.UPDATE, body(e), when=NOW - 60))


@pytest.mark.parametrize("annotation", ["paused", "read-only"])
def test_writes_to_what_is_held(world, annotation):
    e = entry(world)
    e.hold(annotation, NOW - 20)
    assert "paused or read-only" in verdict(world, ours(judge.UPDATE, body(e)))
    e.unhold(NOW - 1)
    assert verdict(world, ours(judge.UPDATE, body(e))) == ""
    world.registry_held.append(model.Held(annotation, NOW - 20))
    assert "paused or read-only" in verdict(world, ours(judge.UPDATE, body(e)))


def test_deletions(world):
    e = entry(world)
    gone = ours(judge.DELETE, {"prefix": e.prefix})
    assert "no object that was deleted" in verdict(world, gone)
    world.forget(e, True, NOW - 5)
    assert verdict(world, gone) == ""
    kept = entry(world, deletionPolicy="Retain")
    world.forget(kept, True, NOW - 5)
    assert "wants that" in verdict(world, ours(judge.DELETE, {"prefix": kept.prefix}))


def test_what_is_somebody_elses(world):
    refused = entry(world, model.REFUSED, adoptionPolicy="Never")
    assert "somebody else's" in verdict(world, ours(judge.UPDATE, body(refused)))
    rebuilt = entry(world, model.REBUILT, adoptionPolicy="Always")
    made = theirs(judge.CREATE, body(rebuilt))
    world.forget(rebuilt, True, NOW - 5)
    gone = ours(judge.DELETE, {"prefix": rebuilt.prefix})
    assert "somebody else made" in verdict(world, made, gone)
    assert verdict(world, ours(judge.CREATE, objects.aws_template(rebuilt.spec)), gone) == ""


def test_settings(world):
    put = {"name": "BLOB_MOUNTING", "value": "ENABLED"}
    assert verdict(world, ours(judge.PUT, put)) == ""
    assert "no version" in verdict(world, ours(judge.PUT, {**put, "value": "DISABLED"}))
    assert "no use" in verdict(world, ours("DeleteRepository", {"repositoryName": "team/app"}))


def at_the_end(world: model.Model, *templates: dict) -> str:
    seen = {t["prefix"]: t for t in templates}
    return "\n".join(judge.complaints_at_the_end(world, seen))


def test_the_end(world):
    e = entry(world, description="a")
    assert at_the_end(world, body(e)) == ""
    assert "AWS has none" in at_the_end(world)
    assert "description" in at_the_end(world, {**body(e), "description": "b"})
    assert "nobody asked" in at_the_end(world, body(e), {**body(e), "prefix": "x"})
    world.forget(e, True, NOW)
    assert "its object is gone" in at_the_end(world, body(e))
    assert at_the_end(world) == ""
    # of one that is retained nobody can say what it is, only the epilogue of the soak
    e.begin({**e.spec, "deletionPolicy": "Retain"}, NOW)
    world.forget(e, True, NOW)
    assert at_the_end(world, body(e)) == ""


def test_the_templates_of_others(world):
    theirs_ = {"prefix": "foreign-0", "appliedFor": ["REPLICATION"], "updatedAt": 1}
    world.foreign["foreign-0"] = theirs_
    assert at_the_end(world, theirs_) == ""
    assert "is not Berth's" in at_the_end(world)
    assert "is not Berth's" in at_the_end(world, {**theirs_, "updatedAt": 2})


def test_several_objects_for_one_prefix(world):
    a = entry(world, model.CONTESTED, description="a")
    b = next(e for e in world.entries.values() if e.prefix == a.prefix and e is not a)
    b.begin({**a.spec, "description": "b"}, NOW)
    assert at_the_end(world, body(a)) == at_the_end(world, body(b)) == ""
    assert "description" in at_the_end(world, {**body(a), "description": "c"})
