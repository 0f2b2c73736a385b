"""An object store on S3: read through pyarrow and boto3, written through boto3, each object whole and create-only.

pyarrow's own S3 output streams are not used: one that an exception leaves behind publishes a truncated object.
"""

from nightbatch.io.s3.files import filesystem
from nightbatch.io.s3.store import S3Store
from nightbatch.io.s3.upload import PART_BYTES, S3Upload

__all__ = ["PART_BYTES", "S3Store", "S3Upload", "filesystem"]
