"""The embedded S3 server seen from outside: put the sample, read what was published."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config

from nightbatch.local.stack.ports import LOOPBACK
from nightbatch.local.stack.settings import ACCESS_KEY, BUCKET, REGION, SECRET_KEY

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Lake:
    """The bucket `lake` of one stack; keys are relative to it."""

    port: int

    @property
    def url(self) -> str:
        """The endpoint of the S3 server."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def client(self) -> S3Client:
        """A fresh boto3 client."""
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, proxies={}),
        )
        return client

    def create(self) -> None:
        """Create the bucket."""
        self.client.create_bucket(Bucket=BUCKET)

    def put(self, key: str, body: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def put_table(self, key: str, table: pa.Table) -> None:
        """Write a table as one Parquet file."""
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.put(key, buffer.getvalue())

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        body: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str = "") -> list[str]:
        """List the keys under a prefix, in order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=prefix
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def table(self, prefix: str) -> pa.Table:
        """Read all Parquet files under a prefix, in the order of their names."""
        parts = [key for key in self.keys(prefix) if key.endswith(".parquet")]
        return pa.concat_tables(
            pq.read_table(io.BytesIO(self.get(key))) for key in parts
        )

    def save(self, folder: Path) -> None:
        """Copy every object into a folder of the local disk, for its owner alone."""
        for key in self.keys():
            path = folder / key
            for parent in reversed(
                path.relative_to(folder).parents
            ):  # `parents=True` would not pass the mode on
                (folder / parent).mkdir(mode=0o700, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(self.get(key))
