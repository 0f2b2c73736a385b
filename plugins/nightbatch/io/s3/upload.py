"""One object that is written in parts, and is there as a whole or not at all."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from nightbatch.io.s3.errors import COMPLETED, code_of, store_error

if TYPE_CHECKING:
    from nightbatch.io.s3.store import S3Store

PART_BYTES = 16 * 1024 * 1024


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
            if code_of(error) not in COMPLETED:
                raise store_error(error, self._store.url + self._key) from None

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
