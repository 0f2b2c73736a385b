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
"""Arguments allowed for every object written. No ACL and no grant is among them: nothing is made readable to others."""
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
                if _code(error) in _NO_BYTE:
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
            reason = str(error)
            is_denied = "ACCESS_DENIED" in reason or "403" in reason
            error_class = StoreDenied if is_denied else StoreError
            raise error_class(f"{self.url}{key} cannot be opened: {reason}") from None

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
                if _code(error) in _BUSY and tries_left:
                    time.sleep(BUSY_PAUSE_SECONDS)
                    continue
                return self._holds_despite(error, key, body)
            except BotoCoreError as error:
                return self._holds(key, body, error)
            return True
        raise AssertionError("unreachable")

    def _holds_despite(self, error: ClientError, key: str, body: bytes | None) -> bool:
        """Tell whether a key holds our object although a put failed; raise if the answer says that it failed."""
        code = _code(error)
        if code in _UNFIT:
            raise StoreUnfit(
                f"{self.url} has no conditional writes ({code})."
            ) from None
        is_undecided = code in _TAKEN | _COMPLETED or _status(error) >= 500
        if not is_undecided:
            raise _store_error(error, self.url + key) from None
        return self._holds(key, body, error)

    def _holds(self, key: str, body: bytes | None, error: Exception) -> bool:
        """Tell whether a key holds what was to be put there; raise the error if it holds nothing."""
        try:
            if body is None:
                with self.translated_errors(key):
                    self.client.head_object(Bucket=self.bucket, Key=self.root + key)
                return False
            return self.get(key) == body
        except Absent:
            raise _store_error(error, self.url + key) from None

    @contextmanager
    def translated_errors(self, key: str) -> Iterator[None]:
        """Raise errors of boto3 as ours, with the URL of the object."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise _store_error(error, self.url + key) from None


class S3Upload:
    """An object being written: one conditional put, or a multipart upload that is completed conditionally."""

    def __init__(self, store: S3Store, key: str) -> None:
        self._store = store
        self._key = key
        self._full_key = store.root + key
        self._buffer = io.BytesIO()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> int:
        written_bytes = self._buffer.write(data)
        if self._buffer.tell() >= PART_BYTES:
            self._flush()
        return written_bytes

    def commit(self) -> bool:
        if self._upload_id is None:
            return self._store.create(self._key, self._buffer.getvalue())
        if self._buffer.tell():
            self._flush()
        is_ours = self._store.put_once(self._key, None, self._complete)
        if not is_ours:
            self.abort()
        return is_ours

    def abort(self) -> None:
        upload_id = self._upload_id
        self._upload_id = None
        self._buffer = io.BytesIO()
        if upload_id is None:
            return
        try:
            self._store.client.abort_multipart_upload(
                Bucket=self._store.bucket, Key=self._full_key, UploadId=upload_id
            )
        except ClientError as error:
            if _code(error) not in _COMPLETED:
                raise _store_error(error, self._store.url + self._key) from None

    def _flush(self) -> None:
        """Send what is buffered as one part."""
        client: Any = self._store.client
        address = {"Bucket": self._store.bucket, "Key": self._full_key}
        part_number = len(self._parts) + 1
        with self._store.translated_errors(self._key):
            if self._upload_id is None:
                creation = client.create_multipart_upload(
                    **address, **self._store.extra
                )
                self._upload_id = creation["UploadId"]
            answer = client.upload_part(
                **address,
                UploadId=self._upload_id,
                PartNumber=part_number,
                Body=self._buffer.getvalue(),
            )
        self._parts.append({"PartNumber": part_number, "ETag": answer["ETag"]})
        self._buffer = io.BytesIO()

    def _complete(self) -> None:
        parts: Any = {"Parts": self._parts}
        self._store.client.complete_multipart_upload(
            Bucket=self._store.bucket,
            Key=self._full_key,
            UploadId=self._upload_id or "",
            MultipartUpload=parts,
            IfNoneMatch="*",
        )


def filesystem(client: S3Client, credentials: Any) -> Any:
    """Make a pyarrow filesystem that reads where a boto3 client does. Its credentials do not refresh."""
    from pyarrow.fs import S3FileSystem

    return S3FileSystem(
        region=client.meta.region_name,
        **_endpoint_options(client.meta.endpoint_url),
        **_credential_options(credentials),
    )


def _endpoint_options(endpoint_url: str) -> dict[str, str]:
    endpoint = urlsplit(endpoint_url)
    host_name = endpoint.hostname or ""
    if host_name.endswith("amazonaws.com"):
        return {}
    address = endpoint.netloc + endpoint.path.rstrip("/")
    return {"endpoint_override": address, "scheme": endpoint.scheme}


def _credential_options(credentials: Any) -> dict[str, Any]:
    if not credentials:
        return {}
    frozen_credentials = credentials.get_frozen_credentials()
    if frozen_credentials is None:
        return {}
    return {
        "access_key": frozen_credentials.access_key,
        "secret_key": frozen_credentials.secret_key,
        "session_token": frozen_credentials.token,
    }


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))


def _place(error: Exception) -> str:
    """Return the host and port that an error of the connection names, as ` at host:port`; empty where it names none."""
    error_fields: Mapping[str, Any] = getattr(error, "kwargs", {})
    endpoint = urlsplit(str(error_fields.get("endpoint_url") or ""))
    if not endpoint.hostname:
        return ""
    default_port = 80 if endpoint.scheme == "http" else 443
    return f" at {endpoint.hostname}:{endpoint.port or default_port}"


def _store_error(error: Exception, url: str) -> StoreError:
    """Return the error of ours that an answer of the store means."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return BadCredentials(
            f"{url}: no credentials; check the connection's login and password."
        )
    if isinstance(error, ParamValidationError):
        return StoreError(f"{url}: is no name that the store could hold.")
    if not isinstance(error, ClientError):
        error_name = type(error).__name__
        return StoreUnavailable(
            f"{url}: the store{_place(error)} did not answer: {error_name}."
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
    is_temporary = code in _LATER or _status(error) >= 500
    error_class = StoreUnavailable if is_temporary else StoreError
    return error_class(f"{url}: the store answered {code}.")
