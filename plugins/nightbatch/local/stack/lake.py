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
        """Read a whole object."""
        response = self.client.get_object(Bucket=BUCKET, Key=key)
        object_body: bytes = response["Body"].read()
        return object_body

    def keys(self, prefix: str = "") -> list[str]:
        """List the keys under a prefix, in order."""
        paginator = self.client.get_paginator("list_objects_v2")
        object_keys: list[str] = []
        for page in paginator.paginate(Bucket=BUCKET, Prefix=prefix):
            for listed_object in page.get("Contents", []):
                key = listed_object["Key"]
                object_keys.append(key)
        return object_keys

    def table(self, prefix: str) -> pa.Table:
        """Read all Parquet files under a prefix, in the order of their names."""
        file_keys = [key for key in self.keys(prefix) if key.endswith(".parquet")]
        file_tables = [self._read_parquet(key) for key in file_keys]
        return pa.concat_tables(file_tables)

    def _read_parquet(self, key: str) -> pa.Table:
        file_body = io.BytesIO(self.get(key))
        return pq.read_table(file_body)

    def save(self, folder: Path) -> None:
        """Copy every object into a folder of the local disk; only its owner can read the copies."""
        for object_key in self.keys():
            _make_parents(folder, object_key)
            file_path = folder / object_key
            file_path.touch(mode=0o600)
            object_body = self.get(object_key)
            file_path.write_bytes(object_body)


def _make_parents(folder: Path, key: str) -> None:
    """Make the folders of a key's file. Not by `parents=True`: that would not apply the mode to the parents."""
    relative_parents = Path(key).parents
    for relative_parent in reversed(relative_parents):
        parent_folder = folder / relative_parent
        parent_folder.mkdir(mode=0o700, exist_ok=True)
