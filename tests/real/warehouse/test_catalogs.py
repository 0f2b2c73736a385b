"""A REST and a Glue catalog, by configuration alone: nights are published into them as into any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyiceberg.catalog import load_catalog
from tests.real.warehouse import rest_catalog
from tests.real.warehouse.nights import Night, reader, table_in
from tests.support.servers.s3 import serving

FIRST, SECOND = "dt=2026-11-20", "dt=2026-11-21"


@dataclass(frozen=True)
class Catalogued:
    """A catalog with two nights in it, the second of which was published again with another column."""

    night: Night
    reports: list[dict[str, object]]
    first_files: set[str]
    asked: list[str]


@pytest.fixture(scope="module", params=["rest", "glue"])
def catalogued(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalogued]:
    """Publish into each catalog in turn."""
    with ExitStack() as stack:
        aws = stack.enter_context(serving())
        home = tmp_path_factory.mktemp("catalog")
        night, asked = (
            rest(stack, aws, home) if request.param == "rest" else glue(stack, aws)
        )
        reports = [night.publish(FIRST, ["a", "b"])]
        files = night.files()
        reports.append(night.publish(SECOND, ["b"]))
        reports.append(night.publish(SECOND, ["b", "c"], keep=["id", "text"]))
        yield Catalogued(night, reports, files, asked)


def rest(stack: ExitStack, aws: str, home: Path) -> tuple[Night, list[str]]:
    """Serve a REST catalog that takes one credential."""
    properties = {"uri": f"sqlite:///{home}/catalog.db", "warehouse": "s3://lake/ice"}
    backend = load_catalog("backend", type="sql", **properties, **reader(aws))
    url, asked = stack.enter_context(rest_catalog.serving(backend))
    login, password = rest_catalog.CREDENTIAL
    catalog = {"type": "rest", "oauth2-server-uri": f"{url}/v1/oauth/tokens"}
    night = stack.enter_context(
        table_in(aws, catalog, host=url, login=login, password=password)
    )
    night.catalog["credential"] = f"{login}:{password}"
    return night, asked


def glue(stack: ExitStack, aws: str) -> tuple[Night, list[str]]:
    """Use the Glue that moto plays."""
    keys = {
        "glue.region": "us-east-1",
        "glue.access-key-id": "any",
        "glue.secret-access-key": "any",
    }
    catalog = {
        "type": "glue",
        "glue.endpoint": aws,
        "warehouse": "s3://lake/ice",
        **keys,
    }
    return stack.enter_context(table_in(aws, catalog)), []


def test_another_client_reads_what_was_published_last(catalogued: Catalogued) -> None:
    assert catalogued.night.held() == [
        ("2026-11-20", "a"), ("2026-11-20", "b"), ("2026-11-21", "b"), ("2026-11-21", "c"),
    ]  # fmt: skip


def test_each_publication_is_one_commit_with_its_report(catalogued: Catalogued) -> None:
    summaries = [
        one.summary
        for one in catalogued.night.table.snapshots()
        if one.summary is not None
    ]
    told = [
        json.loads(one.additional_properties["nightbatch.report"]) for one in summaries
    ]
    assert told == catalogued.reports


def test_the_table_is_partitioned_evolved_and_keeps_the_files_of_other_nights(
    catalogued: Catalogued,
) -> None:
    table = catalogued.night.table
    assert [field.name for field in table.spec().fields] == ["dt"]
    texts = {
        (str(row["dt"]), row["text"]) for row in table.scan().to_arrow().to_pylist()
    }
    assert texts == {("2026-11-20", None), ("2026-11-21", "b"), ("2026-11-21", "c")}
    assert catalogued.first_files < catalogued.night.files()


def test_a_rest_catalog_is_asked_with_the_connection_s_credential(
    catalogued: Catalogued,
) -> None:
    if catalogued.night.catalog["type"] == "rest":
        commits = [
            one
            for one in catalogued.asked
            if one == "POST namespaces/lake/tables/triage"
        ]
        assert len(commits) == 4, "one creation and three publications"
    else:
        assert catalogued.asked == []
