"""Runs that cannot work end red, at once where waiting changes nothing, with a message that names what to fix."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import pytest
from tests.airflow.runs import Run, enrich, seconds

from nightbatch.local.stack.rest import Json
from nightbatch.local.stack.stack import Stack

pytestmark = pytest.mark.timeout(900)
GIVE_UP_MINUTES = 0.1
AT_ONCE_SECONDS = 60.0
"""For one task on a busy machine: a retry alone would take longer."""


@dataclass(frozen=True)
class Ending:
    """A run that cannot work: what is wrong with it, the task that fails, and words of its message."""

    params: dict[str, Any]
    task_id: str
    words: tuple[str, ...]
    tries: int = 1


def closed_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


DEAD_PORT = closed_port()
ENDINGS = {
    "no_aws": Ending(
        {"aws_conn_id": "nope"}, "prepare", ("aws_conn_id", "no connection 'nope'")
    ),
    "no_anthropic": Ending(
        {"anthropic_conn_id": "nope"},
        "submit",
        ("anthropic_conn_id", "no connection 'nope'"),
    ),
    "wrong_type": Ending(
        {"aws_conn_id": "anthropic_default"},
        "prepare",
        ("'anthropic_default'", "must have the type aws"),
    ),
    "no_bucket": Ending(
        {"source": "s3://no-such-bucket/in/"}, "prepare", ("no such bucket",)
    ),
    "dead_api": Ending(
        {"anthropic_conn_id": "dead_api", "give_up_minutes": GIVE_UP_MINUTES},
        "submit",
        (f"127.0.0.1:{DEAD_PORT}", f"give_up_minutes={GIVE_UP_MINUTES}", "Nothing was bought"),
    ),
    "dead_queue": Ending(
        {"anthropic_conn_id": "dead_api", "give_up_minutes": GIVE_UP_MINUTES, "max_in_flight_requests": 1_000},
        "submit",
        (f"127.0.0.1:{DEAD_PORT}", "the queue could not be read", "It is sent again until", "Nothing was bought"),
    ),
    "dead_store": Ending(
        {"aws_conn_id": "dead_store"},
        "prepare",
        (f"127.0.0.1:{DEAD_PORT}", "Airflow does not try the task again"),
        tries=4,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(stack: Stack) -> dict[str, Run]:
    """Start all runs, and wait until they have ended."""
    dead_url = f"http://127.0.0.1:{DEAD_PORT}"
    connections: list[Json] = [
        {
            "connection_id": "dead_api",
            "conn_type": "anthropic",
            "host": dead_url,
            "password": "sk-test",
        },
        {
            "connection_id": "dead_store",
            "conn_type": "aws",
            "login": "local",
            "password": "local",
            "extra": f'{{"endpoint_url": "{dead_url}", "region_name": "us-east-1"}}',
        },
    ]
    for connection in connections:
        stack.airflow.post("/connections", connection)
    started = {
        name: enrich(stack, f"ends_{name}", 3, **ending.params)
        for name, ending in ENDINGS.items()
    }
    for run in started.values():
        run.end(patience=700)
    return started


@pytest.mark.parametrize("name", ENDINGS)
def test_it_is_red_with_a_message_that_names_what_to_fix(
    stack: Stack, runs: dict[str, Run], name: str
) -> None:
    run = runs[name]
    ending = ENDINGS[name]
    (task,) = run.tasks(ending.task_id)
    log = stack.airflow.log(task)
    whole_run = stack.airflow.run(run.dag_id, run.run_id)
    print(
        f"{name}: {task['state']} after {seconds(whole_run):.1f} s, try {task['try_number']}"
    )
    assert task["state"] == "failed"
    assert all(words in log for words in ending.words)
    assert task["try_number"] == ending.tries
    if ending.tries == 1 and "give_up_minutes" not in ending.params:
        assert seconds(task) < AT_ONCE_SECONDS


def test_none_of_them_has_bought_anything(stack: Stack, runs: dict[str, Run]) -> None:
    states = {name: run.states()["publish"] for name, run in runs.items()}
    assert set(states.values()) == {"upstream_failed"}
