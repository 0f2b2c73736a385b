"""The policies in the documentation are valid, and allow what a whole run calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from tests.once.flow import SOURCE, Flow, put, rows, settings
from tests.once.memory import MemoryWorld
from tests.s3 import serving

from nightbatch.core.ports import Store
from nightbatch.io.s3 import S3Store, filesystem

DOCS = Path(__file__).parents[2] / "docs"
ACTIONS = {
    "GetObject": "s3:GetObject", "HeadObject": "s3:GetObject", "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject", "ListObjectsV2": "s3:ListBucket", "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject", "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
}  # fmt: skip


def allowed(name: str) -> set[str]:
    """Read which actions a policy allows."""
    policy = json.loads((DOCS / "iam" / f"{name}.json").read_text())
    assert policy["Version"] == "2012-10-17"
    assert all(statement["Effect"] == "Allow" and statement["Resource"] != ["*"] for statement in policy["Statement"])
    return {action for statement in policy["Statement"] for action in statement["Action"]}


@pytest.mark.parametrize("name", ["worker", "reader", "author"])
def test_a_policy_allows_no_more_than_s3_and_its_key(name: str) -> None:
    assert all(action.startswith(("s3:", "kms:")) and "*" not in action for action in allowed(name))


def test_only_the_worker_may_write() -> None:
    for name in ("reader", "author"):
        assert not {"s3:PutObject", "s3:DeleteObject"} & allowed(name)


def test_the_lifecycle_forgets_old_versions_and_unfinished_uploads() -> None:
    rules = json.loads((DOCS / "iam" / "lifecycle.json").read_text())["Rules"]
    assert any("NoncurrentVersionExpiration" in rule for rule in rules)
    assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)


def test_the_workers_policy_covers_what_a_run_calls() -> None:
    called: set[str] = set()
    with serving() as url:
        session = boto3.Session("any", "secret-of-tests", region_name="us-east-1")
        client: Any = session.client("s3", endpoint_url=url, config=Config(s3={"addressing_style": "path"}))
        client.create_bucket(Bucket="lake")
        client.meta.events.register("before-call.s3", lambda model, **_: called.add(model.name))
        opened = filesystem(client, session.get_credentials())

        class World(MemoryWorld):
            def store(self, url: str) -> Store:
                return S3Store(url, client, lambda: opened)

        world = World()
        put(world.store(SOURCE), "dt=1/part-0.parquet", rows(["one", "two"]))
        Flow(world, settings()).run()
        Flow(world, settings(), buyer="dag/again").run()
    assert {ACTIONS[name] for name in called} <= allowed("worker")
    assert {"GetObject", "PutObject", "DeleteObject", "ListObjectsV2"} <= called


def test_each_test_that_the_model_of_trust_names_is_there() -> None:
    text = (DOCS / "security.md").read_text()
    names = {part.split("`")[0] for part in text.split("`test_")[1:]}
    assert names
    assert all((Path(__file__).parent / f"test_{name}").is_file() for name in names)
