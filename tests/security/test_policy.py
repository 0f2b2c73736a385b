"""Who may change what: an author's limits hold against a run, and a deployment's against both."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Param

from nightbatch import Enrichment, enrich
from nightbatch.core.approval import plain, question
from nightbatch.core.errors import SettingsError
from nightbatch.core.estimate import Estimate
from nightbatch.core.facts import RunRef
from nightbatch.core.ids import Snapshot
from nightbatch.core.policy import Policy
from nightbatch.hooks import ports
from nightbatch.hooks.settings import resolve
from nightbatch.hooks.waiting import _client
from nightbatch.hooks.warehouse import hook
from nightbatch.operators.approve import ApproveOperator

AUTHORED = Enrichment(
    source="s3://lake/tickets/", target="s3://lake/triage/", prompt="Say: {{ text }}", model="claude-haiku-4-5",
    partition="dt=1", max_cost_usd=5, max_monthly_cost_usd=50, approve_above_usd=1, min_answered=0.95, limit=100,
    approvers=("finance",), checks={"null_rate": {"columns": ["a"], "most": 0.1}},
)  # fmt: skip
OVERRIDES: dict[str, Any] = {
    "source": "s3://lake/hr/", "target": "s3://lake/elsewhere/", "state": "s3://lake/victim/", "prompt": "OVERRIDDEN",
    "system": "x", "model": "claude-opus-5-5", "max_tokens": 10_000, "anthropic_conn_id": "other",
    "aws_conn_id": "admin", "iceberg_conn_id": "x", "table": "a.b", "max_cost_usd": None, "max_monthly_cost_usd": None,
    "approve_above_usd": None, "checks": {}, "min_answered": 0, "canary": "never", "approvers": [], "reuse": False,
    "media_roots": ["s3://other/"], "allow_params": ["mcp_servers"], "allow_empty": True, "unknown": 1,
}  # fmt: skip


def context(params: dict[str, Any], *declared: str) -> dict[str, Any]:
    """Make what a task knows of its run: the conf laid over what the DAG declares."""
    names = ("partition", *declared)
    dag = SimpleNamespace(params=dict.fromkeys(names))
    return {"params": dict.fromkeys(names) | params, "dag": dag, "dag_run": None, "partition_key": "2026-11-21"}


@pytest.fixture(autouse=True)
def no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without a policy."""
    for name in ("NIGHTBATCH_ROOTS", "NIGHTBATCH_CONNECTIONS", "NIGHTBATCH_MAX_COST_USD", "NIGHTBATCH_S3_EXTRA_ARGS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_run_changes_nothing_that_the_dag_does_not_declare(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: the DAG does not let a run change it"):
        resolve(AUTHORED, context({name: OVERRIDES[name]}))


def test_a_run_may_choose_what_the_dag_declares() -> None:
    assert resolve(AUTHORED, context({"partition": "dt=2"})).partition == "dt=2"
    assert resolve(AUTHORED, context({"model": "claude-opus-5-5"}, "model")).model == "claude-opus-5-5"


def test_a_param_of_the_authors_own_is_none_of_ours() -> None:
    assert resolve(AUTHORED, context({"region": "eu"}, "region")) == replace(AUTHORED)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("max_cost_usd", 100, 5), ("max_cost_usd", 2, 2), ("max_cost_usd", None, 5), ("max_cost_usd", 0, 0),
        ("max_monthly_cost_usd", 100, 50), ("max_monthly_cost_usd", None, 50),
        ("approve_above_usd", 100, 1), ("approve_above_usd", None, 1), ("approve_above_usd", 0.5, 0.5),
        ("approve_within_hours", 100, 12), ("limit", 1_000, 100), ("limit", None, 100), ("limit", 3, 3),
        ("min_answered", 0, 0.95), ("min_answered", 1, 1),
        ("approvers", [], ("finance",)), ("allow_params", ["container"], ()),
    ],
)  # fmt: skip
def test_a_declared_limit_is_only_made_stricter(name: str, value: Any, expected: Any) -> None:
    assert getattr(resolve(AUTHORED, context({name: value}, name)), name) == expected


def test_a_declared_cap_that_is_no_number_is_refused() -> None:
    for value in ("100", True, float("nan"), float("inf"), -1):
        changed = resolve(replace(AUTHORED, max_cost_usd=None), context({"max_cost_usd": value}, "max_cost_usd"))
        if value != float("inf"):
            with pytest.raises(SettingsError, match="max_cost_usd"):
                changed.check()


def test_a_form_sets_everything_but_what_only_an_author_may() -> None:
    form = {"source": "s3://lake/a/", "target": "s3://lake/b/", "prompt": "x", "model": "m", "partition": "dt=1"}
    assert resolve(None, context(form)).target == "s3://lake/b/"
    for name in ("approvers", "allow_params"):
        with pytest.raises(SettingsError, match=f"{name}: only an Enrichment"):
            resolve(None, context(form | {name: ["x"]}))
    with pytest.raises(SettingsError, match="unknown parameter"):
        resolve(None, context(form | {"soruce": "x"}))


@pytest.mark.parametrize(
    ("roots", "allowed"),
    [
        ("s3://lake/", True), ("s3://lake/tickets/,s3://lake/triage,s3://lake/_nightbatch/", True),
        ("s3://lake/tick,s3://lake/triage/,s3://lake/_nightbatch/", False), ("s3://lak/", False),
        ("s3://lake/tickets/", False), ("s3://lake/tickets/,s3://lake/triage/", False),
    ],
)  # fmt: skip
def test_every_place_of_a_run_lies_below_the_roots(roots: str, allowed: bool) -> None:
    policy = Policy.read({"NIGHTBATCH_ROOTS": roots})
    if allowed:
        policy.check(AUTHORED)
    else:
        with pytest.raises(SettingsError, match="NIGHTBATCH_ROOTS"):
            policy.check(AUTHORED)


def test_media_and_state_lie_below_the_roots_too() -> None:
    policy = Policy.read({"NIGHTBATCH_ROOTS": "s3://lake/"})
    for changes in ({"state": "s3://other/st/"}, {"media_roots": ["s3://other/"]}):
        with pytest.raises(SettingsError, match="NIGHTBATCH_ROOTS"):
            policy.check(replace(AUTHORED, **changes))


def test_a_run_names_only_connections_that_are_allowed() -> None:
    policy = Policy.read({"NIGHTBATCH_CONNECTIONS": "anthropic_default, aws_default"})
    policy.check(AUTHORED)
    for name in ("anthropic_conn_id", "aws_conn_id"):
        with pytest.raises(SettingsError, match=f"{name}: .*NIGHTBATCH_CONNECTIONS"):
            policy.check(replace(AUTHORED, **{name: "other"}))


@pytest.mark.parametrize(("own", "expected"), [(None, 2), (1, 1), (5, 2)])
def test_no_run_costs_more_than_the_deployment_allows(
    monkeypatch: pytest.MonkeyPatch, own: float | None, expected: float
) -> None:
    monkeypatch.setenv("NIGHTBATCH_MAX_COST_USD", "2")
    assert resolve(replace(AUTHORED, max_cost_usd=own), context({})).max_cost_usd == expected
    form = {"source": "s3://lake/a/", "target": "s3://lake/b/", "prompt": "x", "model": "m", "max_cost_usd": own}
    assert resolve(None, context(form)).max_cost_usd == expected


@pytest.mark.parametrize("amount", ["much", "-1", "nan", "inf"])
def test_a_policy_that_cannot_be_read_stops_every_run(monkeypatch: pytest.MonkeyPatch, amount: str) -> None:
    monkeypatch.setenv("NIGHTBATCH_MAX_COST_USD", amount)
    with pytest.raises(SettingsError, match="NIGHTBATCH_MAX_COST_USD"):
        resolve(AUTHORED, context({}))
    with pytest.raises(SettingsError, match="NIGHTBATCH_ROOTS"):
        Policy.read({"NIGHTBATCH_ROOTS": "lake/"})


def test_the_roots_hold_wherever_a_store_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "login": "a", "password": "b"}))
    monkeypatch.setenv("NIGHTBATCH_ROOTS", "s3://lake/tickets/")
    assert ports.store("s3://lake/tickets/dt=1/", "aws_default").url == "s3://lake/tickets/dt=1/"
    with pytest.raises(SettingsError, match="NIGHTBATCH_ROOTS"):
        ports.store("s3://lake/ticketsecrets/", "aws_default")


@pytest.mark.parametrize("conn_id", ["", "nope", "pg", "anthropic_default"])
def test_a_store_needs_an_aws_connection_that_exists(monkeypatch: pytest.MonkeyPatch, conn_id: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PG", json.dumps({"conn_type": "postgres", "password": "PG-PASSWORD"}))
    monkeypatch.setenv("AIRFLOW_CONN_ANTHROPIC_DEFAULT", json.dumps({"conn_type": "anthropic", "password": "KEY"}))
    with pytest.raises(SettingsError, match=r"^aws_conn_id: ") as raised:
        ports.store("s3://lake/x/", conn_id)
    assert "PASSWORD" not in str(raised.value)


@pytest.mark.parametrize("conn_id", ["", "nope", "pg", "aws_prod"])
def test_no_password_of_another_kind_is_sent_as_a_key(monkeypatch: pytest.MonkeyPatch, conn_id: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PG", json.dumps({"conn_type": "postgres", "password": "PG-PASSWORD"}))
    monkeypatch.setenv("AIRFLOW_CONN_AWS_PROD", json.dumps({"conn_type": "aws", "password": "AWS-SECRET"}))
    for open_api in (ports.batches, lambda one: _client(one, None)):
        with pytest.raises(SettingsError, match=r"^anthropic_conn_id: "):
            open_api(conn_id)


def test_a_warehouse_connection_is_bound_by_the_policy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTBATCH_CONNECTIONS", "aws_default")
    with pytest.raises(SettingsError, match="NIGHTBATCH_CONNECTIONS"):
        hook("warehouse_default")


def test_no_connection_drops_the_encryption_of_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "ours"}
    weaker = {"service_config": {"s3": {"extra_args": {"ServerSideEncryption": "AES256"}}}}
    connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": weaker}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    assert ports.store("s3://lake/x/", "aws_default").extra == {"ServerSideEncryption": "AES256"}
    monkeypatch.setenv("NIGHTBATCH_S3_EXTRA_ARGS", json.dumps(sealed))
    assert ports.store("s3://lake/x/", "aws_default").extra == sealed
    for text in ("{", "[]", "7"):
        monkeypatch.setenv("NIGHTBATCH_S3_EXTRA_ARGS", text)
        with pytest.raises(SettingsError, match="NIGHTBATCH_S3_EXTRA_ARGS"):
            ports.store("s3://lake/x/", "aws_default")


@pytest.mark.parametrize(
    "params",
    [
        {"tools": [{"type": "web_search_20260209", "name": "web_search"}]}, {"tools": [{"type": "code_execution_1"}]},
        {"tools": "web_search"}, {"tools": ["web_search"]}, {"mcp_servers": [{"url": "https://x"}]}, {"container": "c"},
        {"service_tier": "priority"}, {"context_management": {}}, {"something_new": 1},
    ],
)  # fmt: skip
def test_parameters_that_cost_or_reach_out_are_refused_unless_the_author_allows_them(params: dict[str, Any]) -> None:
    asked = replace(AUTHORED, checks={}, params=params, max_cost_usd=None, max_monthly_cost_usd=None)
    with pytest.raises(SettingsError, match="allow_params") as raised:
        asked.check()
    names = str(raised.value).removeprefix("params: ").partition(" may ")[0].split(", ")
    replace(asked, allow_params=names).check()
    with pytest.raises(SettingsError, match="no cap can bound"):
        replace(asked, allow_params=names, max_cost_usd=5).check()


def test_parameters_that_cost_tokens_alone_pass() -> None:
    tool = {"name": "note", "input_schema": {"type": "object"}}
    params = {"thinking": {"type": "enabled"}, "stop_sequences": ["x"], "tools": [tool, {**tool, "type": "custom"}]}
    replace(AUTHORED, checks={}, params=params).check()


def test_only_the_approvers_are_assigned() -> None:
    with DAG("triage", params={"partition": Param(None, type=["null", "string"])}) as dag:
        enrich(AUTHORED)
    approve = dag.get_task("approve")
    assert isinstance(approve, ApproveOperator)
    assert approve.assigned_users == [{"id": "finance", "name": "finance"}]


@pytest.mark.parametrize(
    "partition",
    [
        "x` | at most 0.0020 USD |\n| checked | finance",
        "<b>0.01 USD</b>",
        "[ok](https://x)",
        "**0 USD**",
        "a\u202eb",
    ],
)
def test_no_name_draws_a_figure_of_its_own_on_the_form(partition: str) -> None:
    ref = RunRef("s3://lake/st/", "s3://lake/t/", partition, Snapshot("0" * 16), "d/r", 1, 1, approve_above_usd=0)
    asked = question(ref, Estimate(requests=1, at_most=None), asked=1, notes=(partition,))
    assert asked is not None
    lines = asked.body.splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 12
    shown = "\n".join(line for line in lines if "max_cost_usd" not in line)
    for character in "`<[*":
        assert character not in shown.replace("\\" + character, "")
    assert plain("a|b`c\n") == "a\\|b\\`c "
