"""An object store on S3: read through pyarrow and boto3, written through boto3, each object whole and create-only.

pyarrow's own S3 output streams are not used: one that an exception leaves behind publishes a truncated object.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from nightbatch.errors import (
    Absent,
    BadCredentials,
    NoBucket,
    SettingsError,
    StoreDenied,
    StoreError,
    StoreUnavailable,
    StoreUnfit,
)
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
"""What may be asked of every object written. No ACL and no grant is among it: nothing is made readable to others."""
PART_BYTES = 16 * 1024 * 1024
_ABSENT = {"NoSuchKey", "404", "NotFound", "NoSuchBucket"}
_DENIED = {"403", "AccessDenied", "Forbidden"}
_CREDENTIALS = {
    "401",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
}
_NO_BYTE = {"InvalidRange", "416"}
_LATER = {
    "SlowDown",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "RequestTimeTooSkewed",
    "429",
}
_TAKEN = {"PreconditionFailed", "412"}
_BUSY = {"ConditionalRequestConflict", "409", "OperationAborted"}
_UNFIT = {"NotImplemented", "501"}
_COMPLETED = {"NoSuchUpload"}
BUSY_TRIES, BUSY_PAUSE = 4, 0.2


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
        if open_doors := sorted((extra or {}).keys() - SEALS):
            raise SettingsError(
                f"{', '.join(open_doors)}: objects are written with {', '.join(sorted(SEALS))} only."
            )
        self.client, self._make_filesystem, self.extra = (
            client,
            filesystem,
            dict(extra or {}),
        )

    @cached_property
    def _filesystem(self) -> Any:
        return self._make_filesystem()

    def get(self, key: str) -> bytes:
        with self.telling(key):
            body: bytes = self.client.get_object(
                Bucket=self.bucket, Key=self.root + key
            )["Body"].read()
            return body

    def size(self, key: str) -> int:
        """Ask for the first byte: unlike a HEAD, a refusal then says why."""
        with self.telling(key):
            try:
                answer = self.client.get_object(
                    Bucket=self.bucket, Key=self.root + key, Range="bytes=0-0"
                )
            except ClientError as error:
                if _code(error) in _NO_BYTE:
                    return 0
                raise
            with closing(answer["Body"]):
                place, _, size = answer.get("ContentRange", "").rpartition("/")
                return int(size) if place else answer["ContentLength"]

    def open(self, key: str) -> BinaryIO:
        try:
            return cast(
                "BinaryIO",
                self._filesystem.open_input_file(f"{self.bucket}/{self.root}{key}"),
            )
        except FileNotFoundError:
            raise Absent(f"{self.url}{key} is not there.") from None
        except OSError as error:
            denied = "ACCESS_DENIED" in str(error) or "403" in str(error)
            raise (StoreDenied if denied else StoreError)(
                f"{self.url}{key} cannot be opened: {error}"
            ) from None

    def list(self, prefix: str) -> Iterator[Entry]:
        for item in self._listed(prefix):
            yield Entry(
                item["Key"].removeprefix(self.root),
                item["Size"],
                item["ETag"].strip('"'),
            )

    def _listed(self, prefix: str, **options: Any) -> Iterator[ObjectTypeDef]:
        paginator = self.client.get_paginator("list_objects_v2")
        with self.telling(prefix):
            for page in paginator.paginate(
                Bucket=self.bucket, Prefix=self.root + prefix, **options
            ):
                yield from page.get("Contents", [])

    def children(self, folder: str) -> Iterator[Entry]:
        for item in self._listed(folder, Delimiter="/"):
            yield Entry(
                item["Key"].removeprefix(self.root),
                item["Size"],
                item["ETag"].strip('"'),
            )

    def ages(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        for item in self._listed(prefix):
            yield item["Key"].removeprefix(self.root), item["LastModified"]

    def replace(self, key: str, body: bytes) -> None:
        with self.telling(key):
            self.client.put_object(
                Bucket=self.bucket, Key=self.root + key, Body=body, **self.extra
            )

    def create(self, key: str, body: bytes) -> bool:
        return self.settle(key, body, lambda: self._put(key, body))

    def upload(self, key: str) -> S3Upload:
        return S3Upload(self, key)

    def remove(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self.telling(key):
                self.client.delete_object(Bucket=self.bucket, Key=self.root + key)

    def _put(self, key: str, body: bytes) -> None:
        self.client.put_object(
            Bucket=self.bucket,
            Key=self.root + key,
            Body=body,
            IfNoneMatch="*",
            **self.extra,
        )

    def settle(self, key: str, body: bytes | None, put: Callable[[], None]) -> bool:
        """Put conditionally; where the answer leaves open whose object stands there now, read it.

        boto3 sends a put again whose answer was lost, and then is told that the key is taken: by itself. `body` None:
        whose it is cannot be told by reading, and the object that stands there counts as another's.
        """
        for left in reversed(range(BUSY_TRIES)):
            try:
                put()
            except ClientError as error:
                code, status = (
                    _code(error),
                    int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0)),
                )
                if code in _BUSY and left:
                    time.sleep(BUSY_PAUSE)
                    continue
                if code in _UNFIT:
                    raise StoreUnfit(
                        f"{self.url} has no conditional writes ({code})."
                    ) from None
                if code in _TAKEN | _COMPLETED or status >= 500:
                    return self._stands(key, body, error)
                raise _told(error, self.url + key) from None
            except BotoCoreError as error:
                return self._stands(key, body, error)
            return True
        raise AssertionError("unreachable")

    def _stands(self, key: str, body: bytes | None, error: Exception) -> bool:
        """Tell whether what stands at a key is what was to be put there; raise the error if nothing does."""
        try:
            if body is None:
                with self.telling(key):
                    self.client.head_object(Bucket=self.bucket, Key=self.root + key)
                return False
            return self.get(key) == body
        except Absent:
            raise _told(error, self.url + key) from None

    @contextmanager
    def telling(self, key: str) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise _told(error, self.url + key) from None


class S3Upload:
    """An object in the making: one conditional put, or a multipart upload that is completed conditionally."""

    def __init__(self, store: S3Store, key: str) -> None:
        self._store, self._key, self._name = store, key, store.root + key
        self._buffer = io.BytesIO()
        self._upload: str | None = None
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> int:
        size = self._buffer.write(data)
        if self._buffer.tell() >= PART_BYTES:
            self._flush()
        return size

    def commit(self) -> bool:
        if self._upload is None:
            return self._store.create(self._key, self._buffer.getvalue())
        if self._buffer.tell():
            self._flush()
        taken = not self._store.settle(self._key, None, self._complete)
        if taken:
            self.abort()
        return not taken

    def abort(self) -> None:
        upload, self._upload, self._buffer = self._upload, None, io.BytesIO()
        if upload is not None:
            try:
                self._store.client.abort_multipart_upload(
                    Bucket=self._store.bucket, Key=self._name, UploadId=upload
                )
            except ClientError as error:
                if _code(error) not in _COMPLETED:
                    raise _told(error, self._store.url + self._key) from None

    def _flush(self) -> None:
        client: Any = self._store.client
        place = {"Bucket": self._store.bucket, "Key": self._name}
        with self._store.telling(self._key):
            if self._upload is None:
                self._upload = client.create_multipart_upload(
                    **place, **self._store.extra
                )["UploadId"]
            number = len(self._parts) + 1
            answer = client.upload_part(
                **place,
                UploadId=self._upload,
                PartNumber=number,
                Body=self._buffer.getvalue(),
            )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self._buffer = io.BytesIO()

    def _complete(self) -> None:
        parts: Any = {"Parts": self._parts}
        self._store.client.complete_multipart_upload(
            Bucket=self._store.bucket,
            Key=self._name,
            UploadId=self._upload or "",
            MultipartUpload=parts,
            IfNoneMatch="*",
        )


def filesystem(client: S3Client, credentials: Any) -> Any:
    """Make a pyarrow filesystem that reads where a boto3 client does. Its credentials do not refresh."""
    from pyarrow.fs import S3FileSystem

    endpoint = urlsplit(client.meta.endpoint_url)
    own = (
        {}
        if (endpoint.hostname or "").endswith("amazonaws.com")
        else {
            "endpoint_override": endpoint.netloc + endpoint.path.rstrip("/"),
            "scheme": endpoint.scheme,
        }
    )
    keys = credentials.get_frozen_credentials() if credentials else None
    known = (
        {}
        if keys is None
        else {
            "access_key": keys.access_key,
            "secret_key": keys.secret_key,
            "session_token": keys.token,
        }
    )
    return S3FileSystem(region=client.meta.region_name, **own, **known)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _told(error: Exception, url: str) -> StoreError:
    """Say in our words what the store said."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return BadCredentials(
            f"{url}: no credentials; check the connection's login and password."
        )
    if isinstance(error, ParamValidationError):
        return StoreError(f"{url}: is no name that the store could hold.")
    if not isinstance(error, ClientError):
        return StoreUnavailable(
            f"{url}: the store did not answer: {type(error).__name__}."
        )
    code = _code(error)
    if code == "NoSuchBucket":
        return NoBucket(f"{url}: there is no such bucket.")
    if code in _ABSENT:
        return Absent(f"{url} is not there.")
    if code in _CREDENTIALS:
        return BadCredentials(f"{url}: the store refused the credentials ({code}).")
    if code in _DENIED:
        return StoreDenied(
            f"{url}: the store refused the credentials or the action ({code})."
        )
    later = (
        code in _LATER
        or int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0)) >= 500
    )
    return (StoreUnavailable if later else StoreError)(
        f"{url}: the store answered {code}."
    )
