"""Every key that nightbatch writes, below the state's or the target's root."""

from __future__ import annotations

import hashlib
import re

from nightbatch.ids import BatchId, Shard, Snapshot

LEASES = "leases/"
TURNS = "turns/"
INDEX = "index/"
PROBE = "probe/"
CLAIMS = "claims/"
POSTS = "posts/"
BATCHES = "batches/"
LANDED = "landed/"
SNAPSHOTS = "snapshots/"
REPORTS = "reports/"
COSTS = "costs/"
QUESTIONS = "questions/"
OWNERS = "owners/"
SEEN = "seen/"
WAITS = "waits/"
CANCELS = "cancels/"
MARK = "state.json"
"""Marks a folder as the state of a target."""

_FACT = re.compile(
    r"state\.json"
    r"|(claims|landed|costs)/\d{8}\.parquet"
    r"|batches/\d{8}\.json"
    r"|posts/\d{8}/\d+(\.no|\.maybe)?\.json"
    r"|owners/(?!state\.)[\w-]+\.json"  # state.json there marks a state that version 0.1 created inside this one
    r"|seen/(?!state\.)[\w-]+(\.gone)?\.json"
    r"|snapshots/[0-9a-f]{16}/(run\.json|(rows|requests)-\d{5}\.parquet)"
    r"|questions/[0-9a-f]{16}\.json"
    r"|(waits|cancels)/[0-9a-f]{16}\.json"
    r"|(leases|turns)/\d{8}\.(json|done)"
    r"|index/\d{8}-\d{8}-[0-9a-f]{12}\.parquet"
    r"|reports/(.+/)?[0-9a-f]{16}\.json",
    re.ASCII,
)
_PART = re.compile(r"part-\d{5}-[0-9a-f]{12}\.parquet", re.ASCII)


def is_fact(key: str) -> bool:
    """Tell whether a key below a state has exactly the form of one that this module names."""
    return _FACT.fullmatch(key) is not None


def is_part(name: str) -> bool:
    """Tell whether a file's name has exactly the form of one that `publish` writes."""
    return _PART.fullmatch(name) is not None


def shard(number: int) -> Shard:
    """Name the claim of this number."""
    return Shard(f"{number:08d}")


def snapshot(name: Snapshot) -> str:
    """The folder of one snapshot."""
    return f"{SNAPSHOTS}{name}/"


def rows(snapshot: Snapshot, part: int) -> str:
    """Rows of a snapshot in input order: key and keep columns, request id."""
    return f"{SNAPSHOTS}{snapshot}/rows-{part:05d}.parquet"


def requests(snapshot: Snapshot, part: int) -> str:
    """Requests of the same part: id and content. They hold row text."""
    return f"{SNAPSHOTS}{snapshot}/requests-{part:05d}.parquet"


def run(snapshot: Snapshot) -> str:
    """Written last: settings, frame, source files, counts. A snapshot without it is not whole."""
    return f"{SNAPSHOTS}{snapshot}/run.json"


def lease(number: int, folder: str = LEASES) -> str:
    """The right to plan (or to look for room in the queue), held by one run until it expires or is released."""
    return f"{folder}{number:08d}.json"


def lease_end(number: int, folder: str = LEASES) -> str:
    """The lease of this number was released before it expired."""
    return f"{folder}{number:08d}.done"


def claim(shard: Shard) -> str:
    """The create-only fact that a shard is being bought: its request ids and where they are staged."""
    return f"{CLAIMS}{shard}.parquet"


def post(shard: Shard, number: int) -> str:
    """Created before the POST of this number, by the sender that may send it."""
    return f"{POSTS}{shard}/{number}.json"


def is_post(key: str) -> bool:
    """Tell a post's own key from those that say how it ended."""
    return key.count(".") == 1


def refusal(shard: Shard, number: int) -> str:
    """The POST of this number was refused: it has bought nothing."""
    return f"{POSTS}{shard}/{number}.no.json"


def maybe(shard: Shard, number: int) -> str:
    """The sender of the POST of this number has ended, and does not know whether it bought."""
    return f"{POSTS}{shard}/{number}.maybe.json"


def owner(batch: BatchId) -> str:
    """The claim to which a batch belongs: created right after the POST, or when an orphan is adopted."""
    return f"{OWNERS}{batch}.json"


def seen(batch: BatchId) -> str:
    """Some custom_ids of a batch that may belong to an orphan."""
    return f"{SEEN}{batch}.json"


def gone(batch: BatchId) -> str:
    """When the results of such a batch were first missing."""
    return f"{SEEN}{batch}.gone.json"


def batch(shard: Shard) -> str:
    """The batch that a claim became."""
    return f"{BATCHES}{shard}.json"


def landed(shard: Shard) -> str:
    """The outcome of each request of a shard."""
    return f"{LANDED}{shard}.parquet"


def cost(shard: Shard) -> str:
    """What a landed shard has cost: one row of the cost table."""
    return f"{COSTS}{shard}.parquet"


def index(first: Shard, last: Shard, content: str) -> str:
    """Which ids the landed shards between two numbers hold, sorted; `content` names the shards that it covers."""
    return f"{INDEX}{first}-{last}-{content}.parquet"


def question(name: str) -> str:
    """This prompt, schema, model and parameters have been answered once: no canary is needed."""
    return f"{QUESTIONS}{name}.json"


def awaited(name: str) -> str:
    """Which shards one attempt of a run waits for; `name` comes from what it holds."""
    return f"{WAITS}{name}.json"


def canceled(buyer: str) -> str:
    """A person has canceled this run: nothing more is bought for it. A run's own name may hold any character."""
    digest = hashlib.sha256(buyer.encode()).hexdigest()
    return f"{CANCELS}{digest[:16]}.json"


def report(partition: str, snapshot: Snapshot) -> str:
    """The report of a published partition."""
    folder = f"{REPORTS}{partition}/" if partition else REPORTS
    return f"{folder}{snapshot}.json"


def shard_of(key: str) -> Shard:
    """Read the shard's name back from a claim's, batch's, post's or landed key."""
    file_name = key.split("/")[1]
    return Shard(file_name.partition(".")[0])


def batch_of(key: str) -> BatchId:
    """Read the batch's id back from an owner's key."""
    file_name = key.split("/")[1]
    return BatchId(file_name.removesuffix(".json"))


def snapshot_of(key: str) -> Snapshot:
    """Read the snapshot's name back from the key of one of its objects."""
    return Snapshot(key.split("/")[1])


def number_of(key: str) -> int:
    """Read the number back from a lease's key, or from that of a post or how it ended."""
    file_name = key.rsplit("/", 1)[1]
    return int(file_name.split(".")[0])


def part(folder: str, content: str, number: int) -> str:
    """One published file; its name comes from what it holds."""
    return f"{folder}part-{number:05d}-{content}.parquet"
