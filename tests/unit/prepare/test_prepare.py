"""Preparing holds what it uploads of a part no longer than the part is written, however many parts there are."""

from __future__ import annotations

import io
import weakref

import pyarrow as pa
import pyarrow.parquet as pq

from nightbatch.io.memory import MemoryBucket, MemoryStore, MemoryUpload
from nightbatch.prepare.prepare import prepare
from nightbatch.prepare.snapshot import PART_ROWS
from nightbatch.spec.enrichment import Enrichment

JOB = Enrichment(
    source="s3://lake/in/",
    target="s3://lake/out/",
    key=["n"],
    prompt="{{ n }}",
    model="claude-haiku-4-5",
)
PARTS = 5


class Watched(MemoryStore):
    """A store that counts the uploads that somebody still holds when another begins."""

    def __init__(self, url: str, bucket: MemoryBucket) -> None:
        super().__init__(url, bucket)
        self.begun, self.most = list[weakref.ref[MemoryUpload]](), 0

    def upload(self, key: str) -> MemoryUpload:
        self.most = max(self.most, sum(one() is not None for one in self.begun))
        made = super().upload(key)
        self.begun.append(weakref.ref(made))
        return made


def test_uploads_of_parts_that_are_written_are_not_held() -> None:
    bucket, file = MemoryBucket(), io.BytesIO()
    pq.write_table(pa.table({"n": range(PARTS * PART_ROWS)}), file)
    MemoryStore("s3://lake/in/", bucket).create("a.parquet", file.getvalue())
    state = Watched("s3://lake/_nightbatch/", bucket)
    assert prepare(JOB, MemoryStore("s3://lake/in/", bucket), state).parts == PARTS
    assert len(state.begun) == 2 * PARTS
    assert state.most <= 5
