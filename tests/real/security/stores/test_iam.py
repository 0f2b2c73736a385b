"""A run, a load, an estimate and `expire`, each over an S3 server that enforces the policy of its role."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from tests.real.security.stores.policies import LIST, Policy, read
from tests.support.nights.flow import Flow, published, put, rows, settings
from tests.support.nights.memory import MemoryWorld
from tests.support.servers.proxy import proxying
from tests.support.servers.s3 import serving

from nightbatch.errors import Republished, StoreDenied
from nightbatch.io.overlay import Overlay
from nightbatch.io.s3 import PART_BYTES, S3Store, filesystem
from nightbatch.ledger.expire import Expired, expire
from nightbatch.ledger.ledger import Ledger
from nightbatch.ledger.state.state import with_state
from nightbatch.load.load import read_marker
from nightbatch.ports import Store
from nightbatch.prepare.prepare import check_target, prepare

PLACES = {"source": "s3://lake/tickets/", "target": "s3://lake/ticket_triage/"}
PART = "dt=1/part-0.parquet"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run an S3 server."""
    with serving() as url:
        yield url


@pytest.fixture(autouse=True)
def bucket(server: str) -> Iterator[Any]:
    """Make the bucket of the policies, with versions and one source partition; empty afterwards."""
    owner = client(server)
    owner.create_bucket(Bucket="lake")
    owner.put_bucket_versioning(
        Bucket="lake", VersioningConfiguration={"Status": "Enabled"}
    )
    put(store(server, PLACES["source"]), PART, rows(["one", "two"]))
    yield owner
    uploads = owner.list_multipart_uploads(Bucket="lake")
    for upload in uploads.get("Uploads", []):
        owner.abort_multipart_upload(
            Bucket="lake", Key=upload["Key"], UploadId=upload["UploadId"]
        )
    resource = boto3.resource("s3", endpoint_url=server, **ACCESS)
    resource.Bucket("lake").object_versions.delete()
    owner.delete_bucket(Bucket="lake")


ACCESS: dict[str, Any] = {
    "aws_access_key_id": "any", "aws_secret_access_key": "secret-of-tests", "region_name": "us-east-1",
}  # fmt: skip


def client(url: str) -> Any:
    """Return a client of an S3 server."""
    return boto3.client(
        "s3", endpoint_url=url, config=Config(s3={"addressing_style": "path"}), **ACCESS
    )


def store(server: str, url: str) -> S3Store:
    """Open a store on an S3 server, as hooks do."""
    opened = client(server)
    session = boto3.Session(**ACCESS)
    return S3Store(url, opened, lambda: filesystem(opened, session.get_credentials()))


@dataclass
class S3World(MemoryWorld):
    """A world whose stores are on an S3 server."""

    server: str = field(default="", kw_only=True)

    def store(self, url: str) -> Store:
        return store(self.server, url)


@contextmanager
def enforcing(server: str, name: str) -> Iterator[tuple[Policy, S3World]]:
    """Put a policy in front of the server, and give a world that sees only what it allows."""
    policy = Policy(name)
    with proxying(server) as proxy:
        proxy.gate = policy
        yield policy, S3World(server=proxy.url)


def run(world: MemoryWorld, buyer: str = "dag/run") -> Flow:
    """Run all steps, as a DAG's tasks do."""
    flow = Flow(world, with_state(settings(**PLACES), world.store), buyer=buyer)
    flow.run()
    return flow


def forget(flow: Flow, state: S3Store) -> Expired:
    """Expire everything."""
    now = datetime.now(UTC) + timedelta(days=400)
    return expire(flow.ledger, state, now - timedelta(days=1), now)


def old_versions(owner: Any) -> dict[str, list[str]]:
    """List the versions that are no longer current, by key."""
    versions = defaultdict[str, list[str]](list)
    paginator = owner.get_paginator("list_object_versions")
    for page in paginator.paginate(Bucket="lake"):
        for version in page.get("Versions", []):
            if not version["IsLatest"]:
                key = version["Key"]
                versions[key].append(version["VersionId"])
    return versions


def rules_for(key: str, action: str) -> list[str]:
    """Name the lifecycle rules that do something to a key."""
    rules = read("lifecycle")["Rules"]
    return [
        rule["ID"]
        for rule in rules
        if action in rule and key.startswith(rule["Filter"]["Prefix"])
    ]


def test_a_worker_runs_twice_and_expires_within_its_policy(server: str) -> None:
    with enforcing(server, "worker") as (policy, world):
        run(world, "dag/first")
        flow = run(world, "dag/again")
        target = world.store(PLACES["target"])
        state = store(world.server, flow.enrichment.state_url)
        assert len(published(target)) == 2
        assert forget(flow, state).snapshots
    assert policy.allowed == {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", LIST}
    assert policy.refused <= {
        ("s3:GetObject", "arn:aws:s3:::lake/_nightbatch/state.json")
    }


@pytest.mark.parametrize("ending", ["commit", "abort"])
def test_a_worker_writes_and_gives_up_large_objects_within_its_policy(
    server: str, ending: str
) -> None:
    with enforcing(server, "worker") as (policy, world):
        target = world.store(PLACES["target"])
        upload = target.upload("dt=1/large.parquet")
        upload.write(bytes(PART_BYTES))
        getattr(upload, ending)()
    assert policy.refused == set()
    assert ("s3:AbortMultipartUpload" in policy.allowed) == (ending == "abort")


def test_a_worker_reads_and_writes_nowhere_else(server: str) -> None:
    with enforcing(server, "worker") as (_, world):
        with pytest.raises(StoreDenied):
            world.store(PLACES["source"]).create("dt=1/part-1.parquet", b"")
        with pytest.raises(StoreDenied):
            world.store("s3://lake/finance/").get("2026.parquet")


def test_without_listing_a_first_run_cannot_tell_absent_from_denied(
    server: str,
) -> None:
    with enforcing(server, "worker") as (policy, world):
        for statement in policy.statements:
            if LIST in statement["Action"]:
                statement["Condition"] = {"StringLike": {"s3:prefix": ["*"]}}
        with pytest.raises(StoreDenied):
            run(world)


def test_a_reader_loads_within_its_policy_and_sees_no_state(server: str) -> None:
    flow = run(S3World(server=server))
    with enforcing(server, "reader") as (policy, world):
        target = world.store(PLACES["target"])
        marker = read_marker(target, "dt=1")
        tables = [pq.read_table(target.open(file)) for file in marker.files]
        assert pa.concat_tables(tables).num_rows == 2
        with pytest.raises(Republished, match="not published"):
            read_marker(target, "dt=2")
        assert policy.refused == set()
        for url in (PLACES["source"], flow.enrichment.state_url):
            first_entry = next(store(server, url).list(""))
            with pytest.raises(StoreDenied):
                world.store(url).get(first_entry.key)
        with pytest.raises(StoreDenied):
            target.create("dt=1/part-9.parquet", b"")
    assert policy.allowed == {"s3:GetObject"}


@pytest.mark.parametrize("ran_before", [False, True])
def test_an_author_estimates_and_looks_at_the_ledger_within_the_policy(
    server: str, ran_before: bool
) -> None:
    if ran_before:
        run(S3World(server=server))
    with enforcing(server, "author") as (policy, world):
        job = with_state(settings(**PLACES), world.store)
        check_target(job, world.store)
        source = world.store(job.source)
        below = world.store(job.state_url)
        run_of_author = prepare(job, source, Overlay(job.state_url, below))
        assert run_of_author.requests == 2
        assert len(Ledger(below).view().landed) == int(ran_before)
        with pytest.raises(StoreDenied):
            below.create("claims/00000009.parquet", b"")
    assert policy.allowed == {"s3:GetObject", LIST}
    reads = {refusal for refusal in policy.refused if refusal[0] != "s3:PutObject"}
    assert reads <= {("s3:GetObject", "arn:aws:s3:::lake/_nightbatch/state.json")}


def test_expire_leaves_old_versions_and_unfinished_uploads_which_the_lifecycle_rules_remove(
    server: str, bucket: Any
) -> None:
    flow = run(S3World(server=server))
    state = store(server, flow.enrichment.state_url)
    gone = [entry.key for entry in state.list("snapshots/")]
    for place in (state, store(server, PLACES["target"])):
        place.upload("dt=1/large.parquet").write(
            bytes(PART_BYTES)
        )  # whoever writes is killed here
    forget(flow, state)
    assert list(state.list("snapshots/")) == []
    versions = old_versions(bucket)
    assert {state.root + key for key in gone} <= versions.keys()
    rows_key = next(key for key in versions if "/rows-" in key)
    old_version = bucket.get_object(
        Bucket="lake", Key=rows_key, VersionId=versions[rows_key][0]
    )
    old_rows = pq.read_table(pa.BufferReader(old_version["Body"].read()))
    assert "one" in str(old_rows.to_pylist())
    assert all(rules_for(key, "NoncurrentVersionExpiration") for key in versions)
    uploads = [
        upload["Key"]
        for upload in bucket.list_multipart_uploads(Bucket="lake")["Uploads"]
    ]
    assert len(uploads) == 2
    assert all(rules_for(key, "AbortIncompleteMultipartUpload") for key in uploads)


def test_publishing_anew_leaves_old_versions_which_the_lifecycle_rules_remove(
    server: str, bucket: Any
) -> None:
    world = S3World(server=server)
    run(world, "dag/first")
    source = world.store(PLACES["source"])
    put(source, "dt=1/part-1.parquet", rows(["one", "two", "three"]))
    store(server, PLACES["source"]).remove([PART])
    run(world, "dag/again")
    versions = [key for key in old_versions(bucket) if not key.startswith("tickets/")]
    assert any(key.startswith("ticket_triage/dt=1/part-") for key in versions)
    assert all(rules_for(key, "NoncurrentVersionExpiration") for key in versions)


def test_a_store_takes_the_lifecycle_rules(bucket: Any) -> None:
    bucket.put_bucket_lifecycle_configuration(
        Bucket="lake", LifecycleConfiguration=read("lifecycle")
    )
    rules = bucket.get_bucket_lifecycle_configuration(Bucket="lake")["Rules"]
    assert [rule["ID"] for rule in rules] == [
        rule["ID"] for rule in read("lifecycle")["Rules"]
    ]
