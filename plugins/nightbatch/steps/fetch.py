"""Reading the objects that a column of addresses names, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from nightbatch.core.errors import Absent
from nightbatch.core.ports import Reads
from nightbatch.core.staging import Fetch

AT_ONCE = 16


def fetcher(open_bucket: Callable[[str], Reads]) -> Fetch:
    """Return what reads objects by their address. `open_bucket` opens a store at a bucket's root, once for each."""
    buckets: dict[str, Reads] = {}

    def read(address: str) -> bytes | None:
        bucket, _, key = address.removeprefix("s3://").partition("/")
        try:
            return buckets[bucket].get(key)
        except Absent:
            return None

    def fetch(addresses: Iterable[str]) -> Mapping[str, bytes | None]:
        wanted = sorted(set(addresses))
        for bucket in {address.removeprefix("s3://").partition("/")[0] for address in wanted} - buckets.keys():
            buckets[bucket] = open_bucket(f"s3://{bucket}/")
        with ThreadPoolExecutor(AT_ONCE, "fetch") as threads:
            return dict(zip(wanted, threads.map(read, wanted), strict=True))

    return fetch
