"""Clients that are not ours: the Airflow operators of the Anthropic and the common-ai provider work as they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.settings import BatchDuration, Settings


@pytest.fixture(scope="module")
def emulator():
    with running(Settings(pace=BatchDuration(seconds=0.05))) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def came(emulator: Emulator, tmp_path_factory):
    """Return what came of running all peers."""
    home = tmp_path_factory.mktemp("airflow")
    connection = {"host": emulator.url, "password": "sk-test"}
    environment = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_ANTHROPIC_DEFAULT": json.dumps(
            {"conn_type": "anthropic", **connection}
        ),
        "AIRFLOW_CONN_LLM": json.dumps({"conn_type": "pydanticai", **connection}),
    }
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("run_peers.py")), str(home)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2_000:] + ran.stderr[-4_000:]
    return json.loads(ran.stdout.splitlines()[-1])


def test_the_anthropic_operator_sends_waits_and_streams_the_results(came):
    done = came["waiting_operator"]
    assert done["pushed"] == {"batch_id": done["batch_id"]}
    assert done["kinds"] == ["succeeded"] * 5


def test_the_anthropic_operator_defers_to_its_trigger(came):
    assert came["deferring_operator"]["batch_id"].startswith("msgbatch_")


def test_the_anthropic_sensor_sees_the_end_both_ways(came):
    assert came["sensor"]["status"] == "ended"


def test_the_anthropic_hook_cancels(came):
    assert came["canceling_hook"]["status"] == "canceling"


def test_common_ais_operator_lands_texts(came):
    rows = came["llm_text"]["rows"]
    assert len(rows) == 2
    assert "invoice" in json.dumps(rows)


def test_common_ais_operator_lands_what_a_forced_tool_was_called_with(came):
    outputs = [row["output"] for row in came["llm_structured"]["rows"]]
    assert [set(output) for output in outputs] == [{"category", "urgent"}] * 2
    assert all(isinstance(output["urgent"], bool) for output in outputs)


def test_the_books_know_of_every_request_that_the_peers_sent(came, emulator):
    assert emulator.books()["requests"]["accepted"] == 5 + 3 + 2 + 1 + 2 + 2
