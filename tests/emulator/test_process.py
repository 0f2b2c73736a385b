"""The emulator as a process: how it starts, ends, and what it remembers when it was killed."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nightbatch.emulator.embedded import Emulator, running
from nightbatch.emulator.flags import parse_flags
from nightbatch.emulator.settings import BatchDuration, Limits, Settings

PLUGINS = Path(__file__).parents[2] / "plugins"


class Process:
    """One `python -m nightbatch.emulator`."""

    def __init__(self, *flags):
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "nightbatch.emulator", *flags],
            env={**os.environ, "PYTHONPATH": str(PLUGINS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.first_line = self.popen.stdout.readline()

    def end(self, number):
        """End the process with a signal; return its status and everything it has said since."""
        self.popen.send_signal(number)
        said, complained = self.popen.communicate(timeout=60)
        return self.popen.returncode, said, complained


@pytest.fixture
def start():
    started = []

    def starting(*flags):
        process = Process(*flags)
        started.append(process)
        return process

    yield starting
    for process in started:
        process.popen.kill()
        process.popen.communicate()


@pytest.fixture
def desk_at(desk):
    """Return a way to open a desk at any address."""
    opened = []

    def opening(url):
        other = type(desk)(Emulator(url))
        opened.append(other)
        return other

    yield opening
    for other in opened:
        other.close()


def test_it_says_its_address_in_one_line_when_it_is_ready(start, desk_at):
    process = start("--port", "0")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", process.first_line)
    assert (
        desk_at(process.first_line.strip())
        .http.get("/_emulator/health")
        .json()["status"]
        == "ok"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_quietly_when_told_even_with_a_call_under_way(
    start, desk_at, number
):
    process = start("--fault", "list:stall")
    desk = desk_at(process.first_line.strip())
    with pytest.raises(Exception, match="timed out"):
        desk.http.get("/v1/messages/batches", timeout=0.2)
    assert process.end(number) == (0, "", "")


def test_it_leaves_no_files_behind(start, desk_at, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = start()
    desk = desk_at(process.first_line.strip())
    desk.run(desk.items(2))
    assert list(tmp_path.iterdir())
    process.end(signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_an_error(start):
    taken = start().first_line.strip().rpartition(":")[2]
    second = start("--port", taken)
    assert second.popen.wait(timeout=60) != 0


def test_what_it_was_told_outlives_a_kill(start, desk_at, tmp_path):
    flags = (
        "--state",
        str(tmp_path / "state"),
        "--seconds",
        "0.05",
        "--requests-per-minute",
        "100000",
    )
    process = start(
        *flags, "--fault", 'batch:slow:match={"min_requests": 3},seconds=900'
    )
    desk = desk_at(process.first_line.strip())
    done = desk.create(desk.items(2))
    desk.ended(done.id)
    rows = sorted(map(str, desk.rows(done.id)))
    gone = desk.create(desk.items(1))
    desk.ended(gone.id)
    desk.client.messages.batches.delete(gone.id)
    canceled = desk.create(desk.items(4))
    desk.client.messages.batches.cancel(canceled.id)
    desk.ended(canceled.id)
    running_on = desk.create(desk.items(5))
    books = desk.emulator.books()
    process.end(signal.SIGKILL)

    again = desk_at(start(*flags).first_line.strip())
    assert [batch.id for batch in again.client.messages.batches.list()] == [
        running_on.id,
        canceled.id,
        done.id,
    ]
    assert sorted(map(str, again.rows(done.id))) == rows
    assert again.retrieve(canceled.id)["request_counts"] == desk_counts(
        books, canceled.id
    )
    assert again.retrieve(running_on.id)["processing_status"] == "in_progress"
    after = again.emulator.books()
    for page in ("requests", "accepted", "bought", "cost_usd", "usage"):
        assert after[page] == books[page]
    assert after["calls"]["create"] == {"200": 4}
    again.emulator.advance(901)
    assert again.retrieve(running_on.id)["request_counts"]["succeeded"] == 5


def desk_counts(books, batch_id):
    return next(line["counts"] for line in books["by_batch"] if line["id"] == batch_id)


def test_a_kill_in_the_middle_of_the_work_loses_no_batch(start, desk_at, tmp_path):
    flags = ("--state", str(tmp_path), "--seconds", "0.01")
    process = start(*flags)
    desk = desk_at(process.first_line.strip())
    batch = desk.create(desk.items(5_000))
    process.end(signal.SIGKILL)
    again = desk_at(start(*flags).first_line.strip())
    assert again.ended(batch.id)["request_counts"]["succeeded"] == 5_000
    assert len(again.rows(batch.id)) == 5_000


def test_a_journal_that_was_cut_in_the_middle_of_a_fact_is_read_up_to_it(
    desk_at, tmp_path
):
    with running(Settings(state=tmp_path)) as emulator:
        desk = desk_at(emulator.url)
        desk.ended(desk.create(desk.items(1)).id)
    with (tmp_path / "journal.jsonl").open("a") as journal:
        journal.write('{"batch": {"id": "msgbatch_half')
    for count in (1, 2):
        with running(Settings(state=tmp_path)) as emulator:
            assert emulator.books()["batches"]["created"] == count
            again = desk_at(emulator.url)
            again.ended(again.create(again.items(1)).id)


def test_a_turned_clock_and_a_reset_outlive_the_process_too(desk_at, tmp_path):
    with running(Settings(state=tmp_path)) as emulator:
        desk_at(emulator.url).create([{"custom_id": "a", "params": {}}])
        emulator.reset()
        emulator.advance(500)
    with running(Settings(state=tmp_path)) as emulator:
        assert emulator.books()["batches"] == {"created": 0}
        assert (
            desk_at(emulator.url).http.get("/_emulator/clock").json()["offset"] == 500
        )


def test_every_setting_has_its_flag():
    flags = (
        "--host ::1 --port 8099 --seed 3 --responder m:f --api-key a --api-key b --clock-offset -300"
        " --timestamps offset --cancel-ended 409 --results-type x/y --gzip --state s"
        " --max-requests 1 --max-bytes 2 --requests-per-minute 3"
        " --count-tokens-per-minute 4 --queue-limit 5 --expires-after 6 --results-for 7 --seconds 8 --begins-after 0.9"
        " --retry-after 10 --fault list:timeout"
    )
    assert parse_flags(flags.split()) == Settings(
        host="::1",
        port=8099,
        seed=3,
        responder="m:f",
        api_keys=frozenset("ab"),
        clock_offset=-300,
        timestamps="offset",
        cancel_ended=409,
        results_type="x/y",
        gzip=True,
        state=Path("s"),
        faults=({"where": "list", "what": "timeout"},),
        limits=Limits(1, 2, 3, 4, 5, 6, 7),
        pace=BatchDuration(8, 0.9, 10),
    )


def test_several_emulators_run_side_by_side_in_one_process():
    with running() as one, running() as two:
        assert one.url != two.url
        assert one.books()["batches"] == two.books()["batches"] == {"created": 0}


def test_an_emulator_that_cannot_start_says_why():
    with running() as one, pytest.raises(OSError, match="address already in use"):
        running(Settings(port=int(one.url.rpartition(":")[2]))).__enter__()


ANYBODYS_TESTS = """
from urllib.request import Request, urlopen

def test_one(message_batches_api):
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    body = b'{"requests": [{"custom_id": "a", "params": {}}]}'
    urlopen(Request(message_batches_api.url + "/v1/messages/batches", body, headers))
    assert message_batches_api.books()["batches"]["created"] == 1

def test_two(message_batches_api):
    assert message_batches_api.books()["batches"]["created"] == 0
"""


def test_the_fixtures_are_a_plugin_for_anybodys_tests(tmp_path):
    (tmp_path / "conftest.py").write_text(
        'pytest_plugins = ["nightbatch.emulator.fixtures"]\n'
    )
    (tmp_path / "test_it.py").write_text(ANYBODYS_TESTS)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={
            **os.environ,
            "PYTHONPATH": str(PLUGINS),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in ran.stdout, ran.stdout


def test_it_needs_neither_airflow_nor_the_rest_of_nightbatch():
    code = (
        "import sys, pkgutil, importlib, nightbatch.emulator as e\n"
        "for m in pkgutil.iter_modules(e.__path__): importlib.import_module(f'nightbatch.emulator.{m.name}')\n"
        "others = {n for n in sys.modules if n.partition('.')[0] in {'airflow', 'anthropic', 'boto3', 'pyarrow'}"
        " or n.startswith('nightbatch.') and not n.startswith('nightbatch.emulator')}\n"
        "sys.exit(repr(others) if others else 0)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        check=False,
    )
    assert ran.returncode == 0
