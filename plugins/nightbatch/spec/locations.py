"""Places in a bucket: one strict parser, whose result is what is opened, compared, printed and stored.

So every place has one spelling. What two programs may read differently (a query, `..`, `//`) is refused.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta

from nightbatch.errors import SettingsError

SCHEME = "s3://"
RESERVED = "_nightbatch"
"""The folder of a bucket that holds the state of its targets."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_DATA_SUFFIXES = (".parquet", ".parq", ".pq")
_HIDDEN = ("_", ".")


@dataclass(frozen=True)
class Location:
    """A folder of a bucket. `prefix` is empty for the bucket's root, else it ends with a slash."""

    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        """The one spelling of the folder, such as `s3://lake/tickets/`."""
        return f"{SCHEME}{self.bucket}/{self.prefix}"

    def __str__(self) -> str:
        return self.url

    def contains(self, other: Location) -> bool:
        """Tell whether the other is this folder or lies below it."""
        is_same_bucket = self.bucket == other.bucket
        return is_same_bucket and other.prefix.startswith(self.prefix)

    def overlaps(self, other: Location) -> bool:
        """Tell whether one of the two contains the other."""
        return self.contains(other) or other.contains(self)

    def below(self, path: str) -> Location:
        """Return the folder at a path below this one; an empty path is this folder."""
        if not path:
            return self
        return Location(self.bucket, f"{self.prefix}{path}/")

    @property
    def segments(self) -> list[str]:
        """The names of the folders from the bucket's root down."""
        return self.prefix.rstrip("/").split("/") if self.prefix else []

    @property
    def is_reserved(self) -> bool:
        """Tell whether the folder is, or lies in, a place where nightbatch keeps state."""
        return RESERVED in self.segments


def parse(url: str, name: str, *, root: bool = False) -> Location:
    """Read a URL such as `s3://lake/tickets/`; the last slash may be missing.

    `name`: the parameter, for the error. `root`: a bucket without a folder is allowed. Raises SettingsError for
    another scheme, a query, a fragment, user info, a control character and an empty, `.` or `..` segment.
    """
    if not url:
        raise SettingsError(
            f"{name}: is missing; name a folder such as s3://bucket/folder/."
        )
    subject = f"{name}: {_shown(url)}"
    if not isinstance(url, str) or not url.startswith(SCHEME):
        raise SettingsError(f"{subject} must be a URL such as s3://bucket/folder/.")
    bucket, _, path = url.removeprefix(SCHEME).partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise SettingsError(
            f"{subject} must name a bucket, such as s3://bucket/folder/."
        )
    prefix = folder_path(path, subject)
    if not prefix and not root:
        raise SettingsError(
            f"{subject} is a whole bucket; name a folder in it, such as s3://bucket/folder/."
        )
    return Location(bucket, prefix)


def folder_path(path: str, subject: str) -> str:
    """Return a path with its one slash at the end, or refuse it; `subject` begins the error. Empty stays empty."""
    if not path:
        return ""
    segments = path.removesuffix("/").split("/")
    for segment in segments:
        if problem := _problem(segment):
            raise SettingsError(
                f"{subject}: {problem}. Write the path as plain folder names with one / between them."
            )
    return "/".join(segments) + "/"


def partition_path(partition: str) -> str:
    """Return a partition's path below source and target, without outer slashes: `/dt=1/` is `dt=1`."""
    subject = f"partition: {_shown(partition)}"
    if not isinstance(partition, str):
        raise SettingsError(f"{subject} must be a path such as dt=2026-11-21.")
    inner_path = partition.removeprefix("/").removesuffix("/")
    path = folder_path(inner_path, subject).rstrip("/")
    if RESERVED in path.split("/"):
        raise SettingsError(
            f"{subject} must be a path below the source, such as dt=2026-11-21."
        )
    return path


def canonical(place: str) -> str:
    """Return the one spelling of a place that a fact names; a table, or what is no URL of a folder, as it is.

    Facts of version 0.1 hold the place as somebody typed it.
    """
    try:
        return parse(place, "place").url
    except SettingsError:
        return place


def is_data_file(key: str) -> bool:
    """Tell a Parquet file from a marker or an unfinished write, by the convention of Hive and Spark.

    `key`: below the dataset's root. A file counts where neither its name nor a folder of its path begins with `_` or
    `.`, except folders that name a partition column (`_day=1/`).
    """
    _, _, file_name = key.rpartition("/")
    is_hidden_file = file_name.startswith(_HIDDEN) or is_hidden(key)
    return not is_hidden_file and file_name.lower().endswith(_DATA_SUFFIXES)


def is_hidden(key: str) -> bool:
    """Tell whether a key lies in a folder that readers of a dataset pass over, such as `_temporary/`."""
    folders = key.split("/")[:-1]
    hidden_folders = [folder for folder in folders if folder.startswith(_HIDDEN)]
    return any("=" not in folder for folder in hidden_folders)


def _problem(segment: str) -> str | None:
    """Say what is wrong with one folder's name, or None."""
    if not segment:
        return "it has an empty folder name (//)"
    if segment in {".", ".."}:
        return f"it has a {segment} segment"
    categories = {unicodedata.category(character) for character in segment}
    if categories & {"Cc", "Cf", "Cs", "Zl", "Zp"}:
        return "it has a control or invisible character"
    for character in "?#\\":
        if character in segment:
            return f"it has a {character}"
    if segment != segment.strip():
        return "a folder name begins or ends with a space"
    return None


def _shown(value: object) -> str:
    """Show a value as Python would write it, cut to a line."""
    return repr(value)[:200]


SUCCESS = "_SUCCESS"


def state_url(target: str) -> str:
    """Place the state beside the data: `s3://lake/x/` has `s3://lake/_nightbatch/x/`.

    A target in a folder of its own, `s3://lake/x/y/`, has `s3://lake/_nightbatch/x%2Fy/`: always one folder below
    `_nightbatch/`, so that no state lies in another.
    """
    location = parse(target, "target")
    escaped_segments = [segment.replace("%", "%25") for segment in location.segments]
    state_folder = "%2F".join(escaped_segments)
    return f"{SCHEME}{location.bucket}/{RESERVED}/{state_folder}/"


def nested_state_url(target: str) -> str:
    """Name where version 0.1 kept the state of a target in a folder: `s3://lake/_nightbatch/x/y/`."""
    location = parse(target, "target")
    return f"{SCHEME}{location.bucket}/{RESERVED}/{location.prefix}"


def named_partition(template: str, key: str | None, today: date) -> str:
    """Put a partition key, else yesterday's date, in the place of `{partition_key}`; `/dt=1/` is `dt=1`."""
    yesterday = today - timedelta(days=1)
    return partition_path(
        template.replace("{partition_key}", key or yesterday.isoformat())
    )


def folder(partition: str) -> str:
    """Return a partition's folder below the target, with its slash; empty for a dataset without partitions."""
    path = partition_path(partition)
    return f"{path}/" if path else ""


def partition_key(partition: str) -> str:
    """Name a partition as schedulers do: `dt=2026-11-21` is `2026-11-21`; of several folders, all values."""
    folders = partition.strip("/").split("/")
    return "/".join(map(_folder_value, folders))


def _folder_value(name: str) -> str:
    _, _, value = name.partition("=")
    return value or name
