"""An address in a row names what its owner allows, costs no other row, and is repeated nowhere."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import boto3
import pyarrow as pa
import pytest
from botocore.config import Config
from tests.support.parquet import parquet
from tests.support.servers.s3 import serving

from nightbatch.airflow.ports import FINAL
from nightbatch.columnar.parquet import table
from nightbatch.errors import (
    Absent,
    BadCredentials,
    NoBucket,
    SettingsError,
    StoreDenied,
    StoreError,
    StoreUnavailable,
)
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.io.s3 import S3Store
from nightbatch.prepare import media_fetch as limits
from nightbatch.prepare.encoding.encoded import MEDIA_BYTES
from nightbatch.prepare.encoding.stager import TOO_LARGE
from nightbatch.prepare.media_fetch import fetcher
from nightbatch.prepare.prepare import prepare
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.media_roots import MALFORMED, OUTSIDE, MediaRoots
from nightbatch.template.media import TOO_MANY

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20
CANARY = "jane-doe-canary"
SETTINGS = Enrichment(
    source="s3://lake/tickets/", target="s3://lake/triage/", prompt="{{ image(photo) }}", model="claude-haiku-4-5",
)  # fmt: skip


class Lake(MemoryBucket):
    """A store of whose objects some are refused, and which counts the folders opened."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[str, type[StoreError]] = {}
        self.opened: list[str] = []
        self.read: list[str] = []

    def open(self, url: str) -> Refusing:
        """Open a folder."""
        self.opened.append(url)
        return Refusing(url, self)


class Refusing(MemoryStore):
    """A store whose errors name the object, as those of S3 do."""

    _bucket: Lake

    def size(self, key: str) -> int:
        if error := self._bucket.errors.get(key):
            raise error(f"{self.url}{key}: refused.")
        return len(super().get(key))

    def get(self, key: str) -> bytes:
        self._bucket.read.append(self.url + key)
        return super().get(key)


@pytest.fixture
def lake() -> Lake:
    """Return a lake with one image, and no rows yet."""
    lake = Lake()
    lake.objects["s3://lake/scans/good.png"] = PNG
    return lake


def problems(
    lake: Lake, photos: Sequence[Any], kind: pa.DataType | None = None, **changes: Any
) -> list[str | None]:
    """Prepare rows of one photo each, and say why each of them cannot be asked."""
    source_table = pa.table({"photo": pa.array(photos, kind)})
    lake.objects["s3://lake/tickets/a.parquet"] = parquet(source_table)
    settings = replace(SETTINGS, **changes)
    roots = MediaRoots.read(settings.media_roots, settings.source)
    lake.opened.clear()
    source = MemoryStore(settings.source, lake)
    state = MemoryStore(settings.state_url, lake)
    run = prepare(settings, source, state, fetcher(lake.open, roots))
    row_problems: list[str | None] = []
    for number in range(run.parts):
        key = f"snapshots/{run.snapshot}/rows-{number:05d}.parquet"
        part = table(state, key)
        row_problems += part["_problem"].to_pylist()
    return row_problems


BAD = {
    f"s3://lake/scans/{CANARY}.png": "names no object",
    f"s3://finance/{CANARY}.png": OUTSIDE,
    f"s3://hospital scans/{CANARY}.png": MALFORMED,
    f"s3:///{CANARY}.png": MALFORMED,
    "s3://": MALFORMED,
    "s3://lake": MALFORMED,
    "s3://lake/": MALFORMED,
    f"s3://lake/{CANARY}/": MALFORMED,
    f"s3://lake/scans/../{CANARY}.png": MALFORMED,
    f"s3://lake//{CANARY}.png": MALFORMED,
    f"s3://lake/{CANARY}.png?versionId=1": MALFORMED,
    f"s3://lake/{CANARY}.png#x": MALFORMED,
    f"s3://user@lake/{CANARY}.png": MALFORMED,
    f"s3://lake/{CANARY}\n.png": MALFORMED,
    f"s3://LAKE/{CANARY}.png": OUTSIDE,
}


def test_a_bad_address_is_a_row_that_says_why_without_saying_the_address(
    lake: Lake,
) -> None:
    photos = ["s3://lake/scans/good.png", *BAD]
    assert problems(lake, photos) == [
        None,
        *(f"the image's address {words}" for words in BAD.values()),
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StoreDenied, limits.DENIED),
        (Absent, limits.ABSENT),
        (NoBucket, limits.ABSENT),
        (StoreError, limits.NOT_READ),
    ],
)
def test_what_the_store_refuses_is_one_row_and_the_others_are_asked(
    lake: Lake, error: type[StoreError], words: str
) -> None:
    lake.errors[f"scans/{CANARY}.png"] = error
    photos = ["s3://lake/scans/good.png", f"s3://lake/scans/{CANARY}.png"]
    row_problems = problems(lake, photos)
    assert row_problems == [None, f"the image's address {words}"]


@pytest.mark.parametrize("error", [StoreUnavailable, BadCredentials])
def test_trouble_that_is_not_the_addresss_own_stops_the_run_without_saying_it(
    lake: Lake, error: type[StoreError]
) -> None:
    lake.errors[f"scans/{CANARY}.png"] = error
    with pytest.raises(error) as caught:
        problems(lake, [f"s3://lake/scans/{CANARY}.png"])
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
    assert issubclass(error, FINAL) == (error is BadCredentials)


def test_only_what_lies_below_media_roots_is_read_and_no_other_folder_is_opened(
    lake: Lake,
) -> None:
    lake.objects |= {"s3://scans/good/a.png": PNG, "s3://scans/goods/a.png": PNG}
    photos = [
        "s3://scans/good/a.png",
        "s3://scans/goods/a.png",
        "s3://lake/scans/good.png",
        "s3://scans/good",
    ]
    outside = f"the image's address {OUTSIDE}"
    assert problems(lake, photos, media_roots=["s3://scans/good/"]) == [
        None,
        outside,
        outside,
        outside,
    ]
    assert lake.opened == ["s3://scans/good/"]
    assert (
        problems(lake, [f"s3://bucket{number}/a.png" for number in range(60)])
        == [outside] * 60
    )
    assert lake.opened == []
    assert problems(lake, ["s3://lake/scans/good.png"], media_roots=[]) == [outside]


def test_pages_are_left_to_the_api_unless_media_roots_says_which(lake: Lake) -> None:
    pages = ["https://example.com/scans/a.png?sig=1", "https://example.com/other.png"]
    assert problems(lake, pages) == [None, None]
    allowed = [
        pages[0],
        pages[1],
        "https://evil.example.com/scans/a.png",
        "https://example.com@evil.com/scans/a.png",
        "https://example.com/scans/../other.png",
        "https://example.com/scans/%2e%2e/other.png",
        "https://example.com\\@evil.com/scans/a.png",
    ]
    outside = f"the image's address {OUTSIDE}"
    malformed = f"the image's address {MALFORMED}"
    row_problems = problems(lake, allowed, media_roots=["https://example.com/scans/"])
    assert row_problems == [None, outside, outside, *[malformed] * 4]


@pytest.mark.parametrize(
    "root",
    [
        "lake/scans/",
        "s3://lake/../x/",
        "https://example.com",
        "https://a@b/",
        "http://b/",
    ],
)
def test_a_root_that_is_no_plain_url_is_refused(root: str) -> None:
    with pytest.raises(SettingsError, match="media_roots"):
        replace(SETTINGS, media_roots=[root]).check()


def test_a_changed_root_stages_the_rows_anew(lake: Lake) -> None:
    lake.objects["s3://scans/a.png"] = PNG
    assert problems(lake, ["s3://scans/a.png"]) != [None]
    assert problems(lake, ["s3://scans/a.png"], media_roots=["s3://scans/"]) == [None]


def test_an_object_that_no_request_can_hold_is_not_read(lake: Lake) -> None:
    lake.objects["s3://lake/large.png"] = PNG + bytes(limits.OBJECT_BYTES)
    words = "the image's address names an object of more than 32 MB"
    assert problems(lake, ["s3://lake/large.png", "s3://lake/scans/good.png"]) == [
        words,
        None,
    ]
    assert lake.read == ["s3://lake/scans/good.png"]


def test_the_objects_of_one_row_are_not_read_where_they_take_too_much_together(
    lake: Lake,
) -> None:
    names = [f"s3://lake/{number}.png" for number in range(7)]
    lake.objects |= dict.fromkeys(names, PNG + bytes(limits.OBJECT_BYTES - len(PNG)))
    prompt = "{% for each in photo %}{{ image(each) }}{% endfor %}"
    row_problems = problems(lake, [names], prompt=prompt)
    assert row_problems == [f"the image's address {limits.TOO_MANY_BYTES}"]
    assert lake.read == []


def test_large_objects_are_held_a_few_at_a_time(lake: Lake) -> None:
    image = bytes(20 * 1024 * 1024)
    urls = [f"s3://lake/{number}.png" for number in range(9)]
    lake.objects |= dict.fromkeys(urls, image)
    roots = MediaRoots.read(None, SETTINGS.source)
    fetch = fetcher(lake.open, roots)
    for read in fetch([[url] for url in urls]):
        bodies = [body for body in read.values() if isinstance(body, bytes)]
        assert sum(map(len, bodies)) <= limits.BYTES_AT_ONCE
    assert len(lake.read) == len(urls)


def test_an_image_repeated_by_the_template_is_measured_before_it_is_encoded(
    lake: Lake,
) -> None:
    large = PNG + bytes(MEDIA_BYTES // 2)
    repeated = "{% for i in range(900) %}{{ image(photo) }}{% endfor %}"
    assert problems(lake, [large], prompt=repeated) == [TOO_LARGE]
    kept = "{% set m = image(photo) %}{% for i in range(900) %}{{ m }}{% endfor %}"
    assert problems(lake, [large], prompt=kept) == [TOO_LARGE]
    many = "{% for i in range(1001) %}{{ image(photo) }}{% endfor %}"
    assert problems(lake, [PNG], prompt=many) == [TOO_MANY]
    assert problems(lake, [PNG], prompt=kept.replace("900", "100000")) == [TOO_MANY]


def test_rows_with_large_images_are_staged_a_few_at_a_time_in_their_order(
    lake: Lake,
) -> None:
    photos = [PNG + bytes([number]) * (4 * 1024 * 1024) for number in range(8)]
    assert problems(lake, [*photos, b"no image", *photos]) == [
        *[None] * 8, "the image is not PNG, JPEG, GIF or WebP", *[None] * 8,
    ]  # fmt: skip


def client(endpoint: str) -> Any:
    """Return an S3 client that does not try again."""
    config = Config(
        s3={"addressing_style": "path"}, retries={"max_attempts": 0}, connect_timeout=2
    )
    return boto3.client(
        "s3", endpoint_url=endpoint, config=config, region_name="us-east-1",
        aws_access_key_id="a", aws_secret_access_key="b",
    )  # fmt: skip


def test_s3_itself_an_absent_bucket_or_name_is_a_row_and_a_closed_port_stops_the_run() -> (
    None
):
    roots = MediaRoots.read(["s3://lake/", "s3://nowhere/"], SETTINGS.source)
    rows = [
        [f"s3://lake/{CANARY}.png"],
        [f"s3://nowhere/{CANARY}"],
        ["s3://lake/a.png"],
    ]
    with serving() as url:
        s3 = client(url)
        s3.create_bucket(Bucket="lake")
        s3.put_object(Bucket="lake", Key="a.png", Body=PNG)
        fetch = fetcher(lambda folder: S3Store(folder, s3, None), roots)
        read = list(fetch(rows))
    contents = [images[row[0]] for images, row in zip(read, rows, strict=True)]
    assert contents == [limits.ABSENT, limits.ABSENT, PNG]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        s3 = client(f"http://127.0.0.1:{free.getsockname()[1]}")
        fetch = fetcher(lambda folder: S3Store(folder, s3, None), roots)
        with pytest.raises(StoreUnavailable) as caught:
            list(fetch(rows))
    assert CANARY not in "".join(traceback.format_exception(caught.value))
