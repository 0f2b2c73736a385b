"""The rules of a run: written down once, passed on as one value, and apart from what shapes a snapshot."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from tests.support.nights.flow import SOURCE, Flow, put, rows, settings
from tests.support.nights.memory import MemoryWorld

from nightbatch.ids import Snapshot
from nightbatch.spec.enrichment import Enrichment
from nightbatch.spec.rules import Rules
from nightbatch.spec.run_ref import RunRef

CHANGED: dict[str, Any] = {
    "attempts": 2,
    "canary": "always",
    "reuse": False,
    "max_cost_usd": 5.0,
    "max_monthly_cost_usd": 50.0,
    "approve_above_usd": 1.0,
    "approve_within_hours": 3.0,
    "min_answered": 0.5,
    "allow_empty": True,
    "checks": {"answered": {"least": 0.9}},
    "max_batch_requests": 10,
    "max_batch_bytes": 1_000_000,
    "max_in_flight_requests": 100,
    "poll_seconds": 1.0,
    "give_up_minutes": 5,
    "cancel_on_fail": True,
    "anthropic_conn_id": "anthropic_other",
    "aws_conn_id": "aws_other",
    "table": "lake.answers",
    "iceberg_conn_id": "iceberg_other",
}
"""A value other than the default for each rule."""
REF = RunRef(
    "s3://lake/state/", "s3://lake/out/", "dt=1", Snapshot("0" * 16), "dag/run", 5, 4
)


def test_an_enrichment_without_more_has_the_rules_by_default() -> None:
    assert settings(canary="new", min_answered=0.95).rules == Rules()


def test_an_enrichment_passes_on_each_of_its_rules() -> None:
    at_table = {"target": "", "state": "s3://lake/_nightbatch/answers/"}
    enrichment = replace(settings(), **at_table, **CHANGED)
    assert enrichment.rules == Rules(**CHANGED)


def test_every_rule_is_an_attribute_of_an_enrichment() -> None:
    rule_names = {rule.name for rule in fields(Rules)}
    assert rule_names == CHANGED.keys()
    assert rule_names < {attribute.name for attribute in fields(Enrichment)}


def test_a_reference_is_read_as_it_was_written() -> None:
    reference = replace(REF, rules=Rules(**CHANGED), deadline="2026-11-21T03:00:00Z")
    assert RunRef.from_xcom(reference.to_dict()) == reference
    assert RunRef.from_xcom(json.dumps(reference.to_dict())) == reference


def test_a_reference_of_an_earlier_version_is_read() -> None:
    values = REF.to_dict()
    del values["rules"]
    assert RunRef.from_xcom({**values, **CHANGED}).rules == Rules(**CHANGED)
    assert RunRef.from_xcom({**values, "attempts": 2}).rules == Rules(attempts=2)


def test_fields_that_a_later_version_added_are_skipped() -> None:
    values = REF.to_dict()
    later_rules = {**values["rules"], "refunds": True}
    assert RunRef.from_xcom({**values, "rules": later_rules, "colour": 1}) == REF


@pytest.mark.parametrize("name", sorted(CHANGED.keys() - {"table"}))
def test_of_all_rules_only_the_size_of_a_batch_makes_another_snapshot(
    name: str,
) -> None:
    world = MemoryWorld()
    put(world.store(SOURCE), "dt=1/part-0.parquet", rows(["one", "two"]))
    before = Flow(world, settings()).prepare()
    after = Flow(world, settings(**{name: CHANGED[name]})).prepare()
    makes_another = after.snapshot != before.snapshot
    assert makes_another == (name == "max_batch_bytes")
