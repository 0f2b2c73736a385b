"""`python -m nightbatch estimate`: the figures before anything is scheduled, without Airflow, with nothing written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.nights.shop import SOURCE, TARGET, Shop, enrichment, texts
from tests.support.servers.proxy import Gate, proxying

from nightbatch.__main__ import main
from nightbatch.emulator.embedded import Emulator
from nightbatch.ledger.ledger import Ledger
from nightbatch.plan.offer import quote

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROMPT = "Summarise: {{ body }}"


class NoMarkers(Gate):
    """Lets no marker of a published folder be read."""

    def permits(self, method: str, path: str) -> bool:
        """Tell whether a call is for anything else."""
        return not path.endswith("_SUCCESS")


def keys(lake: S3Client) -> list[str]:
    """List the whole lake."""
    return [entry["Key"] for entry in lake.list_objects_v2(Bucket="lake")["Contents"]]


def flags(**given: str) -> list[str]:
    """Write a command line."""
    job = {
        "source": SOURCE,
        "target": TARGET,
        "prompt": PROMPT,
        "model": "claude-haiku-4-5",
        "max_tokens": "200",
    }
    return [
        "estimate",
        *(
            part
            for name, value in {**job, **given}.items()
            for part in (f"--{name}", value)
        ),
    ]


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Read the printed table."""
    lines = capsys.readouterr().out.splitlines()
    return {line[:20].strip(): line[20:] for line in lines}


def test_the_table_says_what_a_run_would_buy_and_cost(
    lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags()) == 0
    table = shown(capsys)
    assert (table["rows"], table["to be bought"], table["answered already"]) == (
        "50",
        "50",
        "0",
    )
    assert table["expected"].startswith("$")
    assert "count_tokens sample of 19" in table["found by"]
    assert table["prices of"].startswith("2026-")


def test_nothing_is_written_and_nothing_is_bought(
    lake: S3Client, message_batches_api: Emulator
) -> None:
    main(flags())
    assert keys(lake) == ["tickets/part-0.parquet"]
    assert message_batches_api.books()["batches"]["created"] == 0


def test_one_object_of_parameters_will_do_and_flags_override_it(
    lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    conf = {
        "source": SOURCE,
        "prompt": PROMPT,
        "model": "claude-opus-5",
        "limit": 40,
        "key": ["id"],
    }
    assert main(["estimate", "--conf", json.dumps(conf), "--limit", "7"]) == 0
    table = shown(capsys)
    assert (table["rows"], table["model"]) == ("7", "claude-opus-5")


def test_a_prompt_may_be_a_file_of_both_parts(
    lake: S3Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prompt.md"
    path.write_text("You are a clerk.\n---\n{{ body }}\n")
    assert main(flags(prompt=f"@{path}")) == 0
    assert shown(capsys)["to be bought"] == "50"


def test_without_a_key_tokens_are_guessed_from_lengths(
    lake: S3Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert main(flags()) == 0
    assert "bytes a token" in shown(capsys)["found by"]


def test_a_cap_that_would_refuse_is_shown_and_told_by_the_exit_code(
    lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags(max_cost_usd="0.001")) == 1
    assert "above max_cost_usd" in shown(capsys)["refused"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("data.parquet", b""),
        ("part-00000-abc.snappy.parquet", b""),
        ("_SUCCESS", b""),
        ("_SUCCESS", b'{"files": 1}'),
    ],
)
def test_a_target_with_files_of_another_program_is_refused_as_a_run_refuses_it(
    lake: S3Client, name: str, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = f"{name}-{len(body)}"
    lake.create_bucket(Bucket="shared")
    lake.put_object(Bucket="shared", Key=f"{folder}/{name}", Body=body)
    assert main(flags(target=f"s3://shared/{folder}/")) == 1
    assert f"target: s3://shared/{folder}/{name}" in capsys.readouterr().err


def test_a_target_that_nightbatch_has_published_is_estimated(
    lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    part = f"part-00000-{'0' * 12}.parquet"
    lake.create_bucket(Bucket="shared")
    lake.put_object(Bucket="shared", Key=f"triage/{part}", Body=b"")
    lake.put_object(
        Bucket="shared",
        Key="triage/_SUCCESS",
        Body=json.dumps({"files": [part], "rows": 50}).encode(),
    )
    assert main(flags(target="s3://shared/triage/")) == 0
    assert "note" not in shown(capsys)


def test_a_target_that_may_not_be_read_is_estimated_with_a_note(
    lake: S3Client,
    endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lake.create_bucket(Bucket="shared")
    lake.put_object(Bucket="shared", Key="denied/_SUCCESS", Body=b"")
    with proxying(endpoint) as proxy:
        proxy.gate = NoMarkers()
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        assert main(flags(target="s3://shared/denied/")) == 0
    assert "may not read the target" in shown(capsys)["note"]


@pytest.mark.parametrize("state", [{}, {"state": "s3://lake/ledger/"}])
def test_a_table_in_the_place_of_a_target_is_estimated_too(
    lake: S3Client, state: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    job = {
        "source": SOURCE,
        "table": "lake.triage",
        "prompt": PROMPT,
        "model": "claude-haiku-4-5",
        **state,
    }
    assert (
        main(
            [
                "estimate",
                *(part for name, value in job.items() for part in (f"--{name}", value)),
            ]
        )
        == 0
    )
    table = shown(capsys)
    assert (table["rows"], table["to be bought"], table["answered already"]) == (
        "50",
        "50",
        "0",
    )
    assert keys(lake) == ["tickets/part-0.parquet"]
    assert main(["estimate", "--conf", json.dumps(job)]) == 0


def test_a_table_and_a_target_are_one_too_many(
    lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags(table="lake.triage")) == 2
    assert "table: stands in the place of target" in capsys.readouterr().err


def test_a_state_that_is_named_is_read_without_a_target_too(
    lake: S3Client, capsys: pytest.CaptureFixture[str]
) -> None:
    job = {
        "source": SOURCE,
        "prompt": PROMPT,
        "model": "claude-haiku-4-5",
        "state": "s3://no-such-bucket/ledger/",
    }
    assert main(["estimate", "--conf", json.dumps(job)]) == 1
    assert "no-such-bucket" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": "many"},
        {"reuse": "yes"},
        {"prompt": "@nowhere.md"},
        {"source": "tickets"},
    ],
)
def test_a_wrong_parameter_is_named(
    lake: S3Client, wrong: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags(**wrong)) == 2
    assert (*wrong.values(),)[0].lstrip("@") in capsys.readouterr().err


def test_what_is_answered_already_costs_nothing(shop: Shop) -> None:
    shop.put(texts(30))
    shop.night(enrichment(), "dag/1")
    shop.put(texts(40))
    ref = shop.prepare(enrichment(), "dag/2")
    offer = quote(ref, Ledger(shop.store(ref.state)), shop.now, shop.api.count_tokens)
    assert (offer.asked, offer.reused, offer.estimate.requests) == (40, 30, 10)
