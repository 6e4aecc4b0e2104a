# SPDX-License-Identifier: Apache-2.0
"""Which faults of the emulator are tried on which operation of ECR, and what AWS and the request
log must show whatever happened: the data of tests/integration/test_fault_matrix*.py."""

import collections
import dataclasses
from typing import Any

from berth_test.emulator import Emulator, Request
from berth_test.wait import wait_for

CREATE = "CreateRepositoryCreationTemplate"
UPDATE = "UpdateRepositoryCreationTemplate"
DELETE = "DeleteRepositoryCreationTemplate"
DESCRIBE = "DescribeRepositoryCreationTemplates"
GET = "GetAccountSetting"
PUT = "PutAccountSetting"
REGISTRY = "DescribeRegistry"
REPOSITORIES = "DescribeRepositories"
# of the webhook
CREATE_REPOSITORY = "CreateRepository"
SET_POLICY = "SetRepositoryPolicy"
GET_POLICY = "GetRepositoryPolicy"
PUT_LIFECYCLE = "PutLifecyclePolicy"
GET_LIFECYCLE = "GetLifecyclePolicy"
TAGS = "ListTagsForResource"
IMAGES = "DescribeImages"
RULES = "DescribePullThroughCacheRules"


@dataclasses.dataclass(frozen=True)
class Kind:
    """A fault, and whether the operator believes it until somebody asks it to look again."""

    name: str
    effect: dict[str, Any]
    operations: tuple[str, ...] = ()  # () is all
    is_final: bool = False
    # of these only so many; a refusal that is not repeated inside the call costs 1, 2, 4 … seconds
    most: int = 4
    # what the client learns of it goes for all its calls: not beside other rows
    is_shared: bool = False


def _refusal(status: int, type_: str, **more: Any) -> dict[str, Any]:
    return {"fail": {"status": status, "type": type_, **more}}


_WRITES = (CREATE, UPDATE)
_OF_WEBHOOK = (CREATE_REPOSITORY, SET_POLICY, GET_POLICY, PUT_LIFECYCLE, GET_LIFECYCLE, TAGS,
               IMAGES, RULES)  # fmt: skip
KINDS = (
    Kind("throttled", _refusal(400, "ThrottlingException")),
    Kind("429", _refusal(429, "TooManyRequestsException", retryAfterMs=200)),
    Kind("failure", _refusal(500, "InternalFailure")),
    Kind("unavailable", _refusal(503, "ServiceUnavailable")),
    Kind("server", _refusal(500, "ServerException")),
    Kind("denied", {"deny": {"action": "ecr:*"}}, most=2),
    Kind("quota", {"quota": True}, most=2),
    Kind("unrecognized", _refusal(400, "UnrecognizedClientException"), most=2),
    Kind("expired", {"expire": "test"}, most=2),
    Kind("skewed", {"skewMs": -600000}, most=2, is_shared=True),
    # a template that ECR calls invalid is not sent again before somebody changes it or asks
    Kind("invalid", _refusal(400, "InvalidParameterException"), (*_WRITES, PUT), True, 1),
    Kind("invalid", _refusal(400, "InvalidParameterException"),
         (DELETE, DESCRIBE, GET, REGISTRY, REPOSITORIES, *_OF_WEBHOOK), most=2),
    # what eventual consistency may say of a template that we know better
    Kind("exists", _refusal(400, "TemplateAlreadyExistsException"), (CREATE,), most=1),
    Kind("absent", _refusal(400, "RepositoryNotFoundException"), (SET_POLICY, PUT_LIFECYCLE)),
    Kind("absent", _refusal(400, "TemplateNotFoundException"), (UPDATE,), most=1),
    Kind("slow", {"delayMs": {"before": 400}}),
    Kind("late", {"delayMs": {"after": 400}}),
    Kind("cut-before", {"cut": "before"}),
    Kind("cut-after", {"cut": "after"}),
    Kind("cut-within", {"cut": 5}),
    Kind("html", {"garbage": "html"}),
    Kind("empty", {"garbage": "empty"}),
    Kind("half", {"garbage": "truncated-json"}),
    Kind("stale", {"stale": {"ms": 60000}}, (DESCRIBE, GET, REPOSITORIES, TAGS), most=1),
    Kind("normalised", {"normalise": {"description": "other"}}, _WRITES, True, 1),
)  # fmt: skip

# Every operation that the operator calls, and which file of the matrix disturbs it.
OPERATIONS = {
    CREATE: "templates",
    UPDATE: "templates",
    DELETE: "templates",
    DESCRIBE: "templates, registry",
    GET: "registry",
    PUT: "registry",
    REGISTRY: "registry",
    REPOSITORIES: "registry, webhook",
    CREATE_REPOSITORY: "webhook",
    SET_POLICY: "webhook",
    GET_POLICY: "webhook",
    PUT_LIFECYCLE: "webhook",
    GET_LIFECYCLE: "webhook",
    TAGS: "webhook",
    IMAGES: "webhook",
    RULES: "webhook",
}


_SHORT = {
    CREATE: "create",
    UPDATE: "update",
    DELETE: "delete",
    DESCRIBE: "describe",
    GET: "get",
    PUT: "put",
    REGISTRY: "registry",
    REPOSITORIES: "repositories",
    CREATE_REPOSITORY: "made",
    SET_POLICY: "policy",
    GET_POLICY: "read-policy",
    PUT_LIFECYCLE: "lifecycle",
    GET_LIFECYCLE: "read-lifecycle",
    TAGS: "tags",
    IMAGES: "images",
    RULES: "rules",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """The first n calls of an operation meet a fault."""

    operation: str
    kind: Kind
    n: int

    @property
    def name(self) -> str:
        """A prefix, and the name of an object."""
        return f"{_SHORT[self.operation]}-{self.kind.name}-{self.n}"


def rows(*operations: str, is_shared: bool = False) -> list[Row]:
    """One fault, and as many that the attempts inside a call do not get past them."""
    return [
        Row(operation, kind, n)
        for operation in operations
        for kind in KINDS
        if (not kind.operations or operation in kind.operations) and kind.is_shared == is_shared
        for n in sorted({1, kind.most})
    ]


def assert_known(requests: list[Request]) -> None:
    """A new operation gets a place in the matrix before it gets into a release."""
    unknown = {r.operation for r in requests if r.api == "ecr"} - set(OPERATIONS)
    assert not unknown, f"berth_test/fault_matrix.py has no rows for {sorted(unknown)}"


def disturb(emulator: Emulator, row: Row, **match: Any) -> int:
    """Adds the rule of a row for the operator's calls; returns its id."""
    match = {"operation": row.operation, "userAgent": "berth*", "count": row.n, **match}
    return emulator.add_fault(match, **row.kind.effect)


def wait_disturbed(emulator: Emulator, rules: dict[int, str], deadline_s: float = 20) -> None:
    """Each of the rules (id to name) has acted."""

    def idle() -> list[str]:
        acted = {r["id"]: r["acted"] for r in emulator.faults()}
        return [name for number, name in rules.items() if not acted[number]]

    wait_for(lambda: not idle(), deadline_s, lambda: f"faults at {idle()}", poll_s=0.2)


def by_prefix(requests: list[Request]) -> dict[str, list[Request]]:
    """The writes of templates."""
    found = collections.defaultdict(list)
    for request in requests:
        if request.operation in (CREATE, UPDATE, DELETE) and request.body:
            found[request.body["prefix"].rstrip("/")].append(request)
    return found
