"""Who may change what: an author's limits hold against a run, and a deployment's against both."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowFailException
from markdown_it import MarkdownIt

from nightbatch import Enrichment, enrich
from nightbatch.airflow import ports
from nightbatch.airflow.client import _client
from nightbatch.airflow.operators.approve import ApproveOperator
from nightbatch.airflow.runs import received, resolve
from nightbatch.airflow.warehouses import hook
from nightbatch.commands import _ports
from nightbatch.errors import SettingsError
from nightbatch.ids import Snapshot
from nightbatch.io import iceberg_files
from nightbatch.messages.safe_words import printable
from nightbatch.money.approval import approval_form, markdown_escaped, other_approvers
from nightbatch.money.estimate import Estimate
from nightbatch.spec.media_roots import OUTSIDE, MediaRoots
from nightbatch.spec.policy import Policy
from nightbatch.spec.rules import Rules
from nightbatch.spec.run_ref import RunRef

if TYPE_CHECKING:
    from airflow.sdk import Context

AUTHORED = Enrichment(
    source="s3://lake/tickets/", target="s3://lake/triage/", prompt="Say: {{ text }}", model="claude-haiku-4-5",
    partition="dt=1", max_cost_usd=5, max_monthly_cost_usd=50, approve_above_usd=1, min_answered=0.95, limit=100,
    approvers=("finance",), checks={"answered": {"least": 0.5}},
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
    return {
        "params": dict.fromkeys(names) | params,
        "dag": dag,
        "dag_run": None,
        "partition_key": "2026-11-21",
    }


@pytest.fixture(autouse=True)
def no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without a policy."""
    for name in (
        "NIGHTBATCH_ROOTS",
        "NIGHTBATCH_CONNECTIONS",
        "NIGHTBATCH_MAX_COST_USD",
        "NIGHTBATCH_S3_EXTRA_ARGS",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_run_changes_nothing_that_the_dag_does_not_declare(name: str) -> None:
    with pytest.raises(
        SettingsError, match=f"{name}: the DAG does not let a run change it"
    ):
        resolve(AUTHORED, context({name: OVERRIDES[name]}))


def test_a_run_may_choose_what_the_dag_declares() -> None:
    assert resolve(AUTHORED, context({"partition": "dt=2"})).partition == "dt=2"
    assert (
        resolve(AUTHORED, context({"model": "claude-opus-5-5"}, "model")).model
        == "claude-opus-5-5"
    )


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
        ("approvers", [], ("finance",)), ("approvers", ["finance"], ("finance",)), ("allow_params", None, ()),
        ("checks", {}, AUTHORED.checks), ("checks", None, AUTHORED.checks), ("media_roots", None, None),
        ("media_roots", ["s3://lake/scans/"], ["s3://lake/scans/"]),
    ],
)  # fmt: skip
def test_a_declared_limit_is_only_made_stricter(
    name: str, value: Any, expected: Any
) -> None:
    assert getattr(resolve(AUTHORED, context({name: value}, name)), name) == expected


def test_a_declared_cap_that_is_no_number_is_refused() -> None:
    for value in ("100", True, float("nan"), -1):
        with pytest.raises(SettingsError, match="max_cost_usd"):
            resolve(
                replace(AUTHORED, max_cost_usd=None),
                context({"max_cost_usd": value}, "max_cost_usd"),
            )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("approvers", ["me"]),
        ("allow_params", ["container"]),
        ("checks", {"rows": "off"}),
        ("checks", {"unique": "warn"}),
    ],
)
def test_what_only_the_author_sets_is_refused_although_declared(
    name: str, value: Any
) -> None:
    with pytest.raises(SettingsError, match=f"{name}: only the author"):
        resolve(AUTHORED, context({name: value}, name))


@pytest.mark.parametrize(
    ("own", "chosen", "allowed"),
    [
        (["s3://lake/scans/"], ["s3://lake/scans/today/"], True), (["s3://lake/scans/"], ["s3://lake/"], False),
        (["s3://lake/scans/"], ["https://example.com/"], False), (None, ["s3://finance/"], False),
        (["https://example.com/a/"], ["https://example.com/a/b/"], True), (None, ["https://example.com/"], True),
        (["https://example.com/a/"], ["https://example.com/"], False), (["s3://lake/scans/"], [], True),
        (["https://example.com/a/"], ["https://example.org/a/"], False),
    ],
)  # fmt: skip
def test_a_run_only_narrows_where_images_may_lie(
    own: list[str] | None, chosen: list[str], allowed: bool
) -> None:
    author = replace(AUTHORED, media_roots=own)
    if allowed:
        assert (
            resolve(author, context({"media_roots": chosen}, "media_roots")).media_roots
            == chosen
        )
    else:
        with pytest.raises(SettingsError, match="media_roots: a run may only choose"):
            resolve(author, context({"media_roots": chosen}, "media_roots"))


def test_a_form_sets_what_it_declares_but_for_what_only_an_author_may() -> None:
    form = {
        "source": "s3://lake/a/",
        "target": "s3://lake/b/",
        "prompt": "x",
        "model": "m",
        "partition": "dt=1",
    }
    assert resolve(None, context(form, *form)).target == "s3://lake/b/"
    for name in ("approvers", "allow_params"):
        with pytest.raises(SettingsError, match=f"{name}: only an Enrichment"):
            resolve(None, context(form | {name: ["x"]}, *form, name))
    with pytest.raises(
        SettingsError,
        match=r"unknown parameter 'soruce'\. Did you mean 'source'\? Known: model, partition, prompt,",
    ):
        resolve(None, context(form | {"soruce": "x"}, *form))
    with pytest.raises(
        SettingsError, match="table: the DAG does not let a run change it"
    ):
        resolve(None, context(form | {"table": "a.b"}, *form))
    assert (
        resolve(None, context(form | {"region": "eu"}, *form, "region")).target
        == "s3://lake/b/"
    )


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
    assert (
        resolve(replace(AUTHORED, max_cost_usd=own), context({})).max_cost_usd
        == expected
    )
    form = {
        "source": "s3://lake/a/",
        "target": "s3://lake/b/",
        "prompt": "x",
        "model": "m",
        "max_cost_usd": own,
    }
    assert resolve(None, context(form, *form)).max_cost_usd == expected


@pytest.mark.parametrize("amount", ["much", "-1", "nan", "inf"])
def test_a_policy_that_cannot_be_read_stops_every_run(
    monkeypatch: pytest.MonkeyPatch, amount: str
) -> None:
    monkeypatch.setenv("NIGHTBATCH_MAX_COST_USD", amount)
    with pytest.raises(SettingsError, match="NIGHTBATCH_MAX_COST_USD"):
        resolve(AUTHORED, context({}))
    for name, text in (
        ("ROOTS", "lake/"),
        ("ROOTS", " , "),
        ("ROOTS", "https://x"),
        ("CONNECTIONS", ","),
    ):
        with pytest.raises(SettingsError, match=f"NIGHTBATCH_{name}"):
            Policy.read({f"NIGHTBATCH_{name}": text})


def test_an_empty_variable_is_no_limit() -> None:
    assert (
        Policy.read(
            {
                "NIGHTBATCH_ROOTS": " ",
                "NIGHTBATCH_CONNECTIONS": "",
                "NIGHTBATCH_MAX_COST_USD": "",
            }
        )
        == Policy()
    )


def test_a_run_prepared_before_a_cap_was_set_is_held_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ref = RunRef(
        "s3://lake/st/",
        "s3://lake/t/",
        "",
        Snapshot("0" * 16),
        "d/r",
        1,
        1,
        Rules(max_cost_usd=None),
    )
    assert received(ref.to_dict()).rules.max_cost_usd is None
    monkeypatch.setenv("NIGHTBATCH_MAX_COST_USD", "2")
    assert received(ref.to_dict()).rules.max_cost_usd == 2
    lower = replace(ref, rules=Rules(max_cost_usd=1))
    assert received(json.dumps(lower.to_dict())).rules.max_cost_usd == 1


@pytest.mark.parametrize(
    ("roots", "own", "expected"),
    [
        ("s3://lake/tickets/,s3://lake/out/", None, ["s3://lake/tickets/", "s3://lake/out/"]),
        ("s3://lake/", None, ["s3://lake/"]), ("s3://other/", None, []),
        ("s3://lake/", ["s3://lake/scans/"], ["s3://lake/scans/"]),
        ("s3://lake/,https://example.com/a/", None, ["s3://lake/", "https://example.com/a/"]),
        ("s3://lake/,https://example.com/a/", ["https://example.com/a/b/"], ["https://example.com/a/b/"]),
        ("s3://lake/", ["https://example.com/a/"], []),
    ],
)  # fmt: skip
def test_images_and_documents_lie_below_the_roots_whatever_a_row_names(
    roots: str, own: list[str] | None, expected: list[str]
) -> None:
    policy = Policy.read({"NIGHTBATCH_ROOTS": roots})
    narrowed = policy.narrowed(replace(AUTHORED, media_roots=own))
    assert narrowed.media_roots == expected
    media = MediaRoots.read(narrowed.media_roots, narrowed.source)
    assert media.find("s3://finance/a.png") == OUTSIDE
    assert media.page_problem("https://example.org/a/x.png") == OUTSIDE


def test_without_roots_images_lie_where_they_may() -> None:
    assert Policy().narrowed(AUTHORED) is AUTHORED


def test_the_command_line_opens_nothing_outside_the_roots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIGHTBATCH_ROOTS", "s3://lake/tickets/")
    with pytest.raises(SettingsError, match="NIGHTBATCH_ROOTS"):
        _ports.store("s3://lake/triage/", Namespace(aws_conn=None))


def test_every_file_of_a_table_lies_below_the_roots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_DEFAULT",
        json.dumps({"conn_type": "aws", "login": "a", "password": "b"}),
    )
    monkeypatch.setenv("NIGHTBATCH_ROOTS", "s3://lake/warehouse/")
    files = iceberg_files.StoreIO(
        iceberg_files.properties(lambda url: ports.store(url, "aws_default"))
    )
    assert files.new_input(
        "s3://lake/warehouse/ns/triage/metadata/0.json"
    ).location.endswith("/metadata/0.json")
    for location in (
        "s3://lake/warehouse2/ns/0.json",
        "s3://lake/0.json",
        "s3://finance/warehouse/0.json",
    ):
        with pytest.raises(SettingsError, match="NIGHTBATCH_ROOTS"):
            files.new_output(location)


def test_the_roots_hold_wherever_a_store_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_DEFAULT",
        json.dumps({"conn_type": "aws", "login": "a", "password": "b"}),
    )
    monkeypatch.setenv("NIGHTBATCH_ROOTS", "s3://lake/tickets/")
    assert (
        ports.store("s3://lake/tickets/dt=1/", "aws_default").url
        == "s3://lake/tickets/dt=1/"
    )
    with pytest.raises(SettingsError, match="NIGHTBATCH_ROOTS"):
        ports.store("s3://lake/ticketsecrets/", "aws_default")


@pytest.mark.parametrize("conn_id", ["", "nope", "pg", "anthropic_default"])
def test_a_store_needs_an_aws_connection_that_exists(
    monkeypatch: pytest.MonkeyPatch, conn_id: str
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_PG",
        json.dumps({"conn_type": "postgres", "password": "PG-PASSWORD"}),
    )
    monkeypatch.setenv(
        "AIRFLOW_CONN_ANTHROPIC_DEFAULT",
        json.dumps({"conn_type": "anthropic", "password": "KEY"}),
    )
    with pytest.raises(SettingsError, match=r"^aws_conn_id: ") as raised:
        ports.store("s3://lake/x/", conn_id)
    assert "PASSWORD" not in str(raised.value)


@pytest.mark.parametrize("conn_id", ["", "nope", "pg", "aws_prod"])
def test_no_password_of_another_kind_is_sent_as_a_key(
    monkeypatch: pytest.MonkeyPatch, conn_id: str
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_PG",
        json.dumps({"conn_type": "postgres", "password": "PG-PASSWORD"}),
    )
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_PROD",
        json.dumps({"conn_type": "aws", "password": "AWS-SECRET"}),
    )
    for open_api in (ports.batches, lambda one: _client(one, None)):
        with pytest.raises(SettingsError, match=r"^anthropic_conn_id: "):
            open_api(conn_id)


def test_a_warehouse_connection_is_bound_by_the_policy_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIGHTBATCH_CONNECTIONS", "aws_default")
    with pytest.raises(SettingsError, match="NIGHTBATCH_CONNECTIONS"):
        hook("warehouse_default")


def test_no_connection_drops_the_encryption_of_a_deployment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "ours"}
    weaker = {
        "service_config": {"s3": {"extra_args": {"ServerSideEncryption": "AES256"}}}
    }
    connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": weaker}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    assert ports.store("s3://lake/x/", "aws_default").extra == {
        "ServerSideEncryption": "AES256"
    }
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
        {"service_tier": "priority"}, {"tools": [{"type": ["custom"]}]}, {"context_management": {}},
        {"something_new": 1},
    ],
)  # fmt: skip
def test_parameters_that_cost_or_reach_out_are_refused_unless_the_author_allows_them(
    params: dict[str, Any],
) -> None:
    uncapped = replace(
        AUTHORED, checks={}, max_cost_usd=None, max_monthly_cost_usd=None
    )
    with pytest.raises(SettingsError, match="allow_params") as raised:
        replace(uncapped, params=params)
    names = str(raised.value).removeprefix("params: ").partition(" may ")[0].split(", ")
    replace(uncapped, params=params, allow_params=names)
    with pytest.raises(SettingsError, match="no cap can bound"):
        replace(uncapped, params=params, allow_params=names, max_cost_usd=5)


def test_parameters_that_cost_tokens_alone_pass() -> None:
    tool = {"name": "note", "input_schema": {"type": "object"}}
    params = {
        "thinking": {"type": "enabled"},
        "stop_sequences": ["x"],
        "tools": [tool, {**tool, "type": "custom"}],
    }
    replace(AUTHORED, checks={}, params=params).check()


def test_only_the_approvers_are_assigned() -> None:
    with DAG(
        "triage", params={"partition": Param(None, type=["null", "string"])}
    ) as dag:
        enrich(AUTHORED)
    approve = dag.get_task("approve")
    assert isinstance(approve, ApproveOperator)
    assert approve.assigned_users == [{"id": "finance", "name": "finance"}]


def approving(
    starter: str | None, *approvers: str
) -> tuple[ApproveOperator, dict[str, Any]]:
    """Make the task, and what it knows of a run that this person started."""
    with DAG("triage"):
        approve = ApproveOperator(task_id="approve", run="", approvers=approvers)
    return approve, {"dag_run": SimpleNamespace(triggering_user_name=starter)}


def answer(choice: str, person: str | None) -> dict[str, Any]:
    """Make what Airflow hands over when a person has answered, or when time was up (None)."""
    user = None if person is None else {"id": "7", "name": person}
    return {
        "chosen_options": [choice], "params_input": {}, "responded_at": datetime(2026, 11, 27, tzinfo=UTC),
        "responded_by_user": user, "timedout": person is None,
    }  # fmt: skip


def test_nobody_approves_a_run_that_they_started() -> None:
    assert other_approvers(("ann", "bob"), "ann") == ["bob"]
    assert other_approvers(("ann",), None) == ["ann"]
    assert other_approvers((), "ann") == []
    with pytest.raises(SettingsError, match="the only one started this run"):
        other_approvers(("ann",), "ann")
    approve, run = approving("ann", "7", "8")
    with pytest.raises(AirflowFailException, match="cannot approve it"):
        approve.execute_complete(cast("Context", run), answer("Approve", "ann"))


@pytest.mark.parametrize(
    ("starter", "approvers", "person"),
    [("ann", ("7", "8"), "bob"), (None, ("7", "8"), "ann"), ("ann", (), "ann")],
)
def test_another_approver_or_anybody_where_none_is_named_may(
    starter: str | None, approvers: tuple[str, ...], person: str
) -> None:
    approve, run = approving(starter, *approvers)
    assert approve.execute_complete(cast("Context", run), answer("Approve", person))[
        "chosen_options"
    ] == ["Approve"]


def shown_rows(body: str) -> list[list[str]]:
    """Return the cells of the form's table as a reader sees them; nothing on the form may be more than text."""
    tokens = (
        MarkdownIt("commonmark").enable("table").enable("strikethrough").parse(body)
    )
    children = [child.type for token in tokens for child in token.children or []]
    assert set(children) <= {"text", "code_inline"}
    assert not {"heading_open", "html_block", "list_item_open", "hr"} & {
        token.type for token in tokens
    }
    cells = [
        "".join(child.content for child in token.children or [])
        for before, token in pairwise(tokens)
        if before.type == "td_open"
    ]
    return [cells[start : start + 2] for start in range(0, len(cells), 2)]


@pytest.mark.parametrize(
    "partition",
    [
        "x` | at most 0.0020 USD |\n| checked | finance",
        "<b>0.01 USD</b>",
        "[ok](https://x)",
        "**0 USD**",
        "a\u202eb",
        "~~x~~ \\| 0 USD |\r\n\n# Checked by finance",
        "<!-- -->&lt;b&gt;&#124; 0 USD",
        "![x](https://x/y.png)",
    ],
)
def test_no_name_draws_a_figure_of_its_own_on_the_form(partition: str) -> None:
    ref = RunRef(
        "s3://lake/st/",
        "s3://lake/t/",
        partition,
        Snapshot("0" * 16),
        "d/r",
        1,
        1,
        Rules(approve_above_usd=0),
    )
    asked = approval_form(
        ref, Estimate(requests=1, at_most=None), asked=1, notes=(partition,)
    )
    assert asked is not None
    lines = asked.body.splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 12
    shown = "\n".join(line for line in lines if "max_cost_usd" not in line)
    for character in "`<[*":
        assert character not in shown.replace("\\" + character, "")
    assert markdown_escaped("a|b`c\n") == "a\\|b\\`c "
    assert ["partition", printable(partition)] in shown_rows(asked.body)
    assert len(shown_rows(asked.body)) == 10
