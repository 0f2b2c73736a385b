"""Objects below one root URL of a bucket: read by key or range, created once, uploaded in parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
)

from nightbatch.errors import (
    Absent,
    SettingsError,
    StoreUnfit,
)
from nightbatch.io.s3.errors import (
    BUSY,
    COMPLETED,
    NO_BYTE,
    TAKEN,
    UNFIT,
    code_of,
    file_error,
    status_of,
    store_error,
)
from nightbatch.io.s3.upload import S3Upload
from nightbatch.ports import Entry
from nightbatch.spec.locations import parse

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

SEALS = {
    "ServerSideEncryption",
    "SSEKMSKeyId",
    "SSEKMSEncryptionContext",
    "BucketKeyEnabled",
    "StorageClass",
}
"""Arguments allowed for every object written. No ACL and no grant is among them: nothing is made readable to others."""
BUSY_TRIES = 4
BUSY_PAUSE_SECONDS = 0.2


class S3Store:
    """A store below one root URL of an S3 bucket.

    :param client: a boto3 S3 client.
    :param filesystem: makes a pyarrow filesystem with the same credentials, when one is first needed.
    :param extra: arguments for every object written, of those in SEALS.
    """

    def __init__(
        self,
        url: str,
        client: S3Client,
        filesystem: Any,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        location = parse(url, "URL", root=True)
        self.url = location.url
        self.bucket = location.bucket
        self.root = location.prefix
        self.client = client
        self.extra = dict(extra or {})
        self._make_filesystem = filesystem
        refused_arguments = sorted(self.extra.keys() - SEALS)
        if refused_arguments:
            raise SettingsError(
                f"{', '.join(refused_arguments)}: objects are written with {', '.join(sorted(SEALS))} only."
            )

    @cached_property
    def _filesystem(self) -> Any:
        return self._make_filesystem()

    def get(self, key: str) -> bytes:
        with self.translated_errors(key):
            answer = self.client.get_object(Bucket=self.bucket, Key=self.root + key)
            body: bytes = answer["Body"].read()
            return body

    def size(self, key: str) -> int:
        """Ask for the first byte: unlike a HEAD, a refusal then says why."""
        with self.translated_errors(key):
            try:
                answer = self.client.get_object(
                    Bucket=self.bucket, Key=self.root + key, Range="bytes=0-0"
                )
            except ClientError as error:
                if code_of(error) in NO_BYTE:
                    return 0
                raise
            with closing(answer["Body"]):
                content_range = answer.get("ContentRange", "")
                byte_range, _, total_bytes = content_range.rpartition("/")
                return int(total_bytes) if byte_range else answer["ContentLength"]

    def open(self, key: str) -> BinaryIO:
        path = f"{self.bucket}/{self.root}{key}"
        try:
            return cast("BinaryIO", self._filesystem.open_input_file(path))
        except FileNotFoundError:
            raise Absent(f"{self.url}{key} is not there.") from None
        except OSError as error:
            raise file_error(error, self.url + key) from None

    def list(self, prefix: str) -> Iterator[Entry]:
        for listed in self._listed(prefix):
            yield self._entry(listed)

    def _listed(self, prefix: str, **options: Any) -> Iterator[ObjectTypeDef]:
        paginator = self.client.get_paginator("list_objects_v2")
        with self.translated_errors(prefix):
            pages = paginator.paginate(
                Bucket=self.bucket, Prefix=self.root + prefix, **options
            )
            for page in pages:
                yield from page.get("Contents", [])

    def children(self, folder: str) -> Iterator[Entry]:
        for listed in self._listed(folder, Delimiter="/"):
            yield self._entry(listed)

    def _entry(self, listed: ObjectTypeDef) -> Entry:
        key = listed["Key"].removeprefix(self.root)
        return Entry(key, listed["Size"], listed["ETag"].strip('"'))

    def ages(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        for listed in self._listed(prefix):
            yield listed["Key"].removeprefix(self.root), listed["LastModified"]

    def replace(self, key: str, body: bytes) -> None:
        with self.translated_errors(key):
            self.client.put_object(
                Bucket=self.bucket, Key=self.root + key, Body=body, **self.extra
            )

    def create(self, key: str, body: bytes) -> bool:
        return self.put_once(key, body, lambda: self._put(key, body))

    def upload(self, key: str) -> S3Upload:
        return S3Upload(self, key)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self.translated_errors(key):
                self.client.delete_object(Bucket=self.bucket, Key=self.root + key)

    def _put(self, key: str, body: bytes) -> None:
        self.client.put_object(
            Bucket=self.bucket,
            Key=self.root + key,
            Body=body,
            IfNoneMatch="*",
            **self.extra,
        )

    def put_once(self, key: str, body: bytes | None, put: Callable[[], None]) -> bool:
        """Put conditionally and return True; False if the key holds another object.

        Where the answer does not say whose object is there now, it is read: boto3 repeats a put whose answer was lost,
        and then gets the answer that the key is taken, by its own first put. If `body` is None, reading cannot decide
        it, and the object that is there counts as another's.
        """
        for tries_left in reversed(range(BUSY_TRIES)):
            try:
                put()
            except ClientError as error:
                if code_of(error) in BUSY and tries_left:
                    time.sleep(BUSY_PAUSE_SECONDS)
                    continue
                return self._holds_despite(error, key, body)
            except BotoCoreError as error:
                return self._holds(key, body, error)
            return True
        raise AssertionError("unreachable")

    def _holds_despite(self, error: ClientError, key: str, body: bytes | None) -> bool:
        """Tell whether a key holds our object although a put failed; raise if the answer says that it failed."""
        code = code_of(error)
        if code in UNFIT:
            raise StoreUnfit(
                f"{self.url} has no conditional writes ({code})."
            ) from None
        is_undecided = code in TAKEN | COMPLETED or status_of(error) >= 500
        if not is_undecided:
            raise store_error(error, self.url + key) from None
        return self._holds(key, body, error)

    def _holds(self, key: str, body: bytes | None, error: Exception) -> bool:
        """Tell whether a key holds what was to be put there; raise the error if it holds nothing.

        One that was taken, and has been removed since, as a lease is by its holder, was another's.
        """
        try:
            if body is None:
                with self.translated_errors(key):
                    self.client.head_object(Bucket=self.bucket, Key=self.root + key)
                return False
            return self.get(key) == body
        except Absent:
            if isinstance(error, ClientError) and code_of(error) in TAKEN:
                return False
            raise store_error(error, self.url + key) from None

    @contextmanager
    def translated_errors(self, key: str) -> Iterator[None]:
        """Raise errors of boto3 as ours, with the URL of the object."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise store_error(error, self.url + key) from None
