"""A human's approval on real Airflow: what may cost more waits for it, and nothing is claimed before it is given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from tests.airflow.runs import until

from nightbatch.local.stack.errors import AirflowRefused
from nightbatch.local.stack.rest import FINISHED, Json, call
from nightbatch.local.stack.settings import BUCKET
from nightbatch.local.stack.stack import Stack

DAG_ID = "enrich_parquet"
BY_ANOTHER, BY_ADMIN = "approved_by_another", "approved_by_admin"
SOURCE = "approval/in"
PATIENCE = 240.0
DWELL = 4.0


def job(name: str, **given: object) -> dict[str, Any]:
    """Describe one run: thirty rows, asked anew under a target and a state of its own."""
    return {
        "source": f"s3://{BUCKET}/{SOURCE}/", "target": f"s3://{BUCKET}/approval/{name}/", "key": ["id"],
        "prompt": f"Summarise for {name}: {{{{ body }}}}", "model": "claude-haiku-4-5", "max_tokens": 50,
        "canary": "never", "poll_seconds": 1, **given,
    }  # fmt: skip


def asked(stack: Stack, run_id: str, dag_id: str = DAG_ID) -> Json | None:
    """Return the form that the run waits with."""
    path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/hitlDetails"
    forms = stack.airflow.get(path, response_received="false")["hitl_details"]
    form: Json | None = forms[0] if forms else None
    return form


def waiting(stack: Stack, run_id: str, dag_id: str = DAG_ID) -> Json:
    """Wait until the run asks, and return its form."""
    form = until(lambda: asked(stack, run_id, dag_id), PATIENCE)
    assert form is not None
    return form


def decide(stack: Stack, run_id: str, choice: str) -> str:
    """Answer as a person would, some seconds after being asked, and again if asked again; return the run's end.

    Airflow 3.3.2 may fail, and so try again, a task that is resumed within a second or two of being parked.
    """
    path = (
        f"/dags/{DAG_ID}/dagRuns/{quote(run_id)}/taskInstances/approve/-1/hitlDetails"
    )
    deadline = time.monotonic() + PATIENCE
    while (state := str(stack.airflow.run(DAG_ID, run_id)["state"])) not in FINISHED:
        assert time.monotonic() < deadline, f"the run was still {state}"
        time.sleep(DWELL)
        if asked(stack, run_id) is not None:
            stack.airflow.patch(path, {"chosen_options": [choice], "params_input": {}})
    return state


@pytest.fixture(scope="module")
def runs(stack: Stack) -> Iterator[dict[str, str]]:
    """Start all runs at once, by what is to become of them. Forget them at the end."""
    rows = {
        "id": [f"A-{n}" for n in range(30)],
        "body": [f"the invoice of order {n} is wrong" for n in range(30)],
    }
    stack.lake.put_table(f"{SOURCE}/part-0.parquet", pa.table(rows))
    for dag_id in (DAG_ID, BY_ANOTHER, BY_ADMIN):
        stack.airflow.wait_parsed(dag_id)
    yield {
        "approved": start(stack, "approved"),
        "rejected": start(stack, "rejected"),
        "unanswered": start(stack, "unanswered", approve_within_hours=0.002),
        BY_ANOTHER: stack.airflow.trigger(BY_ANOTHER, conf={}),
        BY_ADMIN: stack.airflow.trigger(BY_ADMIN, conf={}),
    }
    call(stack.emulator_port, "POST", "/_emulator/reset")


def start(stack: Stack, name: str, **given: object) -> str:
    """Start a run that needs an approval whatever it costs."""
    conf = job(name, approve_above_usd=0, **given)
    return stack.airflow.trigger(DAG_ID, conf=conf)


@pytest.fixture(scope="module")
def decided(stack: Stack, runs: dict[str, str]) -> dict[str, str]:
    """Approve one run and reject another, at the same time; return their ends."""
    choices = {"approved": "Approve", "rejected": "Reject"}
    with ThreadPoolExecutor(len(choices)) as pool:
        ends = pool.map(lambda name: decide(stack, runs[name], choices[name]), choices)
        return dict(zip(choices, ends, strict=True))


def claims(stack: Stack, name: str) -> list[str]:
    """List what a run has claimed."""
    return stack.lake.keys(f"_nightbatch/approval%2F{name}/claims/")


def states(stack: Stack, run_id: str, dag_id: str = DAG_ID) -> dict[str, str]:
    """Tell the state of each task of a run that has finished."""
    return {
        task["task_id"]: task["state"] for task in stack.airflow.tasks(dag_id, run_id)
    }


def test_the_form_has_the_figures_and_nothing_is_claimed_before_the_answer(
    stack: Stack, runs: dict[str, str]
) -> None:
    form = waiting(stack, runs["approved"])
    assert form["subject"].startswith("Buy 30 requests for an estimated $0.0")
    assert all(
        word in form["body"]
        for word in ("estimated cost", "at most", "$0.0", "count_tokens sample")
    )
    assert "invoice" not in form["subject"] + form["body"]
    assert (form["options"], form["defaults"]) == (["Approve", "Reject"], ["Reject"])
    assert claims(stack, "approved") == []


def test_only_an_approver_may_answer(stack: Stack, runs: dict[str, str]) -> None:
    form = waiting(stack, runs[BY_ANOTHER], BY_ANOTHER)
    assert [user["id"] for user in form["assigned_users"]] == ["another"]
    path = f"/dags/{BY_ANOTHER}/dagRuns/{quote(runs[BY_ANOTHER])}/taskInstances/approve/-1/hitlDetails"
    with pytest.raises(AirflowRefused) as refused:
        stack.airflow.patch(path, {"chosen_options": ["Approve"], "params_input": {}})
    assert refused.value.status == 403


def test_what_is_approved_is_bought_and_published(
    stack: Stack, runs: dict[str, str], decided: dict[str, str]
) -> None:
    assert decided["approved"] == "success"
    report = stack.airflow.xcom(DAG_ID, runs["approved"], "publish")
    assert (report["answered"], report["bought"]) == (30, 30)


def test_what_is_rejected_ends_well_having_bought_nothing(
    stack: Stack, runs: dict[str, str], decided: dict[str, str]
) -> None:
    assert decided["rejected"] == "success"
    assert states(stack, runs["rejected"])["publish"] == "skipped"
    assert claims(stack, "rejected") == []
    assert stack.lake.keys("approval/rejected/") == []


def test_no_answer_in_time_is_a_rejection(stack: Stack, runs: dict[str, str]) -> None:
    assert (
        stack.airflow.wait(DAG_ID, runs["unanswered"], patience=PATIENCE) == "success"
    )
    assert states(stack, runs["unanswered"])["publish"] == "skipped"
    assert claims(stack, "unanswered") == []


def test_what_its_approvers_leave_without_an_answer_is_rejected(
    stack: Stack, runs: dict[str, str]
) -> None:
    end = stack.airflow.wait(BY_ANOTHER, runs[BY_ANOTHER], patience=PATIENCE)
    assert end == "success"
    assert states(stack, runs[BY_ANOTHER], BY_ANOTHER)["publish"] == "skipped"


def test_nobody_approves_a_run_of_their_own(stack: Stack, runs: dict[str, str]) -> None:
    end = stack.airflow.wait(BY_ADMIN, runs[BY_ADMIN], patience=PATIENCE)
    ended = states(stack, runs[BY_ADMIN], BY_ADMIN)
    assert end == "failed"
    assert (ended["approve"], ended["publish"]) == ("failed", "upstream_failed")
