"""Datasets as other tools write them: folders that are columns, files and partitions without rows, odd column names."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.nights.flow import put
from tests.support.nights.memory import MemoryWorld

from nightbatch.columnar import parquet
from nightbatch.errors import SourceError
from nightbatch.flow import World, run
from nightbatch.io.memory import MemoryBucket, MemoryStore
from nightbatch.ledger import keys
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan.plan import plan
from nightbatch.prepare.prepare import prepare
from nightbatch.publish.publish import publish
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.run import Run
from nightbatch.spec.run_ref import RunRef
from nightbatch.template.template import Template

SOURCE, TARGET = "s3://lake/in/", "s3://lake/out/"


class Lake:
    """A dataset in memory and what is made of it, up to the purchase."""

    def __init__(self) -> None:
        self.bucket = MemoryBucket()
        self.settings = Enrichment(
            source=SOURCE,
            target=TARGET,
            prompt="{{ text }}",
            model="claude-haiku-4-5",
            key=["id"],
            canary="never",
        )

    def put(self, name: str, table: pa.Table) -> None:
        out = io.BytesIO()
        pq.write_table(table, out)
        self.bucket.objects[SOURCE + name] = out.getvalue()

    def store(self, url: str) -> MemoryStore:
        return MemoryStore(url, self.bucket)

    def prepare(self, **changes: Any) -> Run:
        self.settings = self.settings.override(changes)
        return prepare(
            self.settings, self.store(SOURCE), self.store(self.settings.state_url)
        )

    def staged(self, run: Run) -> list[dict[str, Any]]:
        """Read the kept columns as prepare staged them."""
        key = f"snapshots/{run.snapshot}/rows-00000.parquet"
        return parquet.table(
            self.store(self.settings.state_url), key, run.kept
        ).to_pylist()


@pytest.fixture
def lake() -> Lake:
    return Lake()


def now() -> datetime:
    return datetime.now(UTC)


def rows(*texts: str, first: int = 1) -> pa.Table:
    numbers = pa.array(range(first, first + len(texts)), pa.int64())
    return pa.table({"id": numbers, "text": pa.array(texts, pa.string())})


def test_a_partition_without_rows_publishes_typed_columns_and_buys_nothing(
    lake: Lake,
) -> None:
    lake.put("a.parquet", rows())
    run = lake.prepare()
    ledger = Ledger(lake.store(lake.settings.state_url))
    ref = RunRef(
        state=lake.settings.state_url, target=TARGET, partition="", snapshot=run.snapshot, buyer="dag/run", rows=0,
        requests=0,
    )  # fmt: skip
    assert plan(ref, 1, ledger, now).shards == []
    report = publish(ref, ledger, lake.store(TARGET), now, now())
    assert (
        report["rows"],
        report["requests"],
        report["bought"],
        report["by_status"],
    ) == (0, 0, 0, {})
    (name,) = [key for key in lake.bucket.objects if key.startswith(f"{TARGET}part-")]
    schema = pq.read_schema(io.BytesIO(lake.bucket.objects[name]))
    assert [schema.field(one).type for one in ("id", "answer", "_cost_usd")] == [
        pa.int64(),
        pa.string(),
        pa.float64(),
    ]


def test_values_in_folder_names_are_percent_decoded_and_the_default_partition_is_null(
    lake: Lake,
) -> None:
    lake.put("city=New%20York/rate=50%25/a.parquet", rows("x"))
    lake.put("city=__HIVE_DEFAULT_PARTITION__/rate=a%3Db/a.parquet", rows("y", first=2))
    run = lake.prepare(keep=["city", "rate"], prompt="{{ city }}: {{ text }}")
    assert lake.staged(run) == [
        {"id": 1, "city": "New York", "rate": "50%"},
        {"id": 2, "city": None, "rate": "a=b"},
    ]


def test_a_partition_column_may_begin_with_an_underscore_and_hidden_folders_stay_hidden(
    lake: Lake,
) -> None:
    lake.put("_day=1/a.parquet", rows("x"))
    lake.put("_temporary/a.parquet", rows("y"))
    lake.put("_day=1/_a.parquet", rows("z"))
    assert lake.staged(lake.prepare(keep=["_day"])) == [{"id": 1, "_day": "1"}]


@pytest.mark.parametrize("name", ["range", "loop", "dict", "namespace", "debug"])
def test_a_column_may_have_the_name_of_a_function_of_jinja(name: str) -> None:
    batch = pa.record_batch({name: ["long"], "n": [2]})
    for text in (f"{{{{ {name} }}}}!", f"{{% if n %}}{{{{ {name} }}}}!{{% endif %}}"):
        template = Template(text)
        assert name in template.columns
        assert template.render(batch).to_pylist() == ["long!"]


def test_functions_of_jinja_are_no_columns_where_they_are_called() -> None:
    template = Template(
        "{% for i in range(n) %}{{ loop.index }} {% endfor %}{{ none }}{{ true }}"
    )
    assert template.columns == ("n",)
    assert template.render(pa.record_batch({"n": [2]})).to_pylist() == ["1 2 true"]


def dated(zone: str) -> pa.Table:
    """Return two rows with a time in a zone, by itself and inside a list."""
    moment = datetime(2026, 11, 21, 12, tzinfo=UTC)
    times = pa.array([moment, None], pa.timestamp("us", zone))
    visits = pa.array([[moment], []], pa.list_(pa.timestamp("us", zone)))
    return rows("x", "y").append_column("at", times).append_column("visits", visits)


@pytest.mark.parametrize("zone", ["Nowhere/Land", "GMT+2", "../etc/passwd"])
@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("at", "{{ at }}: {{ text }}"),
        ("at", "{{ at.year }}"),
        ("visits", "{{ visits | join }}"),
    ],
)
def test_a_prompt_over_times_in_an_unknown_zone_is_refused_with_file_column_and_zone(
    lake: Lake, zone: str, name: str, prompt: str
) -> None:
    lake.put("a.parquet", dated(zone))
    with pytest.raises(SourceError) as caught:
        lake.prepare(prompt=prompt)
    message = str(caught.value)
    assert f"column {name!r} of a.parquet has times in the zone {zone!r}" in message
    assert "write them as UTC" in message
    assert not [key for key in lake.bucket.objects if "/snapshots/" in key]


def test_a_column_in_an_unknown_zone_is_a_key_and_is_published_as_it_is() -> None:
    world = MemoryWorld()
    table = dated("Nowhere/Land").slice(0, 1)
    put(world.store(SOURCE), "part-0.parquet", table)
    job = Enrichment(
        source=SOURCE,
        target=TARGET,
        prompt="{{ text }}",
        model="claude-haiku-4-5",
        key=["id", "at"],
        keep=["visits"],
    )
    run(job, World(world.store, world.batches, world.now, world.sleep), "dag/run")
    (part,) = [
        entry.key for entry in world.store(TARGET).list("") if "part-" in entry.key
    ]
    published = pq.read_table(io.BytesIO(world.store(TARGET).get(part)))
    for name in ("at", "visits"):
        assert published[name].type == table[name].type
        assert published[name].equals(table[name])


@pytest.mark.parametrize(
    ("zone", "hour"), [("UTC", "12"), ("Europe/Berlin", "13"), ("-03:30", "8")]
)
def test_a_prompt_shows_times_in_the_zone_of_their_column(
    lake: Lake, zone: str, hour: str
) -> None:
    lake.put("a.parquet", dated(zone).slice(0, 1))
    staged_run = lake.prepare(prompt="at {{ at.hour }}")
    state = lake.store(lake.settings.state_url)
    requests = parquet.whole(state, keys.requests(staged_run.snapshot, 0))
    assert requests["content"].to_pylist() == [f'"at {hour}"'.encode()]
