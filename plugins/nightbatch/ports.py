"""Protocols for what the steps need from outside: an object store, a table and the Message Batches API.

Every call may raise the errors of `nightbatch.errors`; a missing object or batch always has an error of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, runtime_checkable

from nightbatch.ids import BatchId

if TYPE_CHECKING:
    import pyarrow as pa


class Entry(NamedTuple):
    """One object: its key below the store's root, its size in bytes, and the tag of its present content."""

    key: str
    size: int
    etag: str


class Upload(Protocol):
    """An object being written: it becomes visible with `commit`, as a whole."""

    def write(self, data: bytes) -> int: ...
    def commit(self) -> bool:
        """Publish the object; False if the key was taken."""

    def abort(self) -> None:
        """Discard what was written; harmless after `commit`."""


class Reads(Protocol):
    """Read objects below one root."""

    def get(self, key: str) -> bytes:
        """Read a whole object, or raise Absent."""

    def open(self, key: str) -> BinaryIO:
        """Open an object for random access, or raise Absent."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """List the objects whose key starts with a prefix, in the order of their keys."""

    def children(self, folder: str) -> Iterator[Entry]:
        """List the objects directly in a folder, whose name is empty or ends with a slash."""


class Measures(Protocol):
    """Read objects whose size is checked first, since others name and write them."""

    def size(self, key: str) -> int:
        """Return an object's size in bytes, or raise Absent."""

    def get(self, key: str) -> bytes:
        """Read a whole object, or raise Absent."""


class Creates(Protocol):
    """Create objects, each whole and once."""

    def create(self, key: str, body: bytes) -> bool:
        """Create an object; False if the key holds something else. Creating the same bytes again is True."""

    def upload(self, key: str) -> Upload:
        """Begin a large object that is created on commit."""


class Removes(Protocol):
    """Remove objects: published files that are replaced, and what retention expires. Facts are never changed."""

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; absent ones are no error."""


class Retains(Protocol):
    """Read the age of objects, and replace a fact by one without the parts that have expired."""

    def ages(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """List keys that start with a prefix, each with the time at which its content was written."""

    def replace(self, key: str, body: bytes) -> None:
        """Write an object in place of another; a reader gets either the whole old object or the whole new one."""


class Store(Reads, Creates, Removes, Protocol):
    """An object store below one root URL."""

    url: str


class MeasuredStore(Store, Measures, Protocol):
    """An object store below one root URL that also says how large its objects are."""


@runtime_checkable
class Table(Protocol):
    """A table of a catalog: a partition is replaced by one commit, which readers see whole or not at all."""

    def open(self, schema: pa.Schema, partition: str) -> Store:
        """Create the table if it does not exist; return the store for its data files."""

    def replace(
        self,
        partition: str,
        files: Iterable[str],
        summary: dict[str, str],
        schema: pa.Schema,
    ) -> None:
        """Replace the partition by files, which are URLs; new columns are added, and the commit keeps `summary`."""

    def summaries(self) -> list[dict[str, str]]:
        """Return the summary of each commit that leads to the present state, the oldest first."""


@dataclass(frozen=True)
class Batch:
    """A batch as the API reports it; `counts` is meaningful only once it has `ended`."""

    id: BatchId
    created_at: datetime
    ended: bool
    counts: dict[str, int] = field(default_factory=dict)
    canceling: bool = False
    expires_at: datetime | None = None
    archived: bool = False
    """Whether its results are no longer kept."""
    ended_at: datetime | None = None

    @property
    def total(self) -> int:
        """Count the requests of the batch."""
        return sum(self.counts.values())


class Page(NamedTuple):
    """One page of a listing, newest first."""

    batches: list[Batch]
    next: BatchId | None


@dataclass(frozen=True)
class Body:
    """A request body of exactly `size` bytes, built again for each sending."""

    size: int
    chunks: Iterator[bytes]


class Batches(Protocol):
    """Buy and read batches. No verb retries by itself."""

    def create(self, body: Body) -> Batch:
        """Send a body once. Raises NotSent, MaybeSent or AccountStopped."""

    def page(self, after: BatchId | None = None) -> Page:
        """List up to 1,000 batches, newest first. Raises ApiUnavailable."""

    def results(self, batch: BatchId) -> AbstractContextManager[Iterator[bytes]]:
        """Stream the results of an ended batch. Raises BatchGone or ApiUnavailable."""

    def batch(self, batch: BatchId) -> Batch:
        """Read one batch. Raises BatchGone or ApiUnavailable."""


class BatchStatus(NamedTuple):
    """One batch, and the seconds that the API asks to wait before the next poll."""

    batch: Batch
    hint: float | None = None


class AsyncBatches(Protocol):
    """Read and cancel batches from an event loop, without blocking it. No verb retries by itself."""

    async def page(self, after: BatchId | None, limit: int) -> Page:
        """List batches, newest first. Raises ApiUnavailable or AccountStopped."""

    async def batch(self, batch: BatchId) -> BatchStatus:
        """Read one batch. Raises BatchGone, ApiUnavailable or AccountStopped."""

    async def cancel(self, batch: BatchId) -> None:
        """Request that a batch be canceled; one that has ended is not changed. Raises as `batch`."""

    async def close(self) -> None:
        """Close the connections."""


class Cancels(Protocol):
    """Cancel batches."""

    def cancel(self, batch: BatchId) -> Batch:
        """Request that a batch be canceled; one that has ended is not changed."""


class CancelingBatches(Batches, Cancels, Protocol):
    """Buy, read and cancel batches."""


class TokenCounter(Protocol):
    """Count tokens."""

    def count_tokens(self, params: dict[str, Any]) -> int:
        """Count the input tokens of one request; free, but rate limited."""
