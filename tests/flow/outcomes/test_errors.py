"""What cannot work is said before anything is bought: which file, column or parameter, and what to do; no data."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import boto3
import pyarrow as pa
import pytest

from nightbatch import errors
from nightbatch.emulator.embedded import running
from nightbatch.emulator.settings import Settings
from nightbatch.io.anthropic_sdk.batches import AnthropicBatches
from nightbatch.io.memory import MemoryStore
from nightbatch.io.s3 import S3Store

SECRET = "the-customer-s-own-words"
SOURCE = "s3://lake/tickets/"
OBJECT = {"type": "object"}


def nothing_bought(night: Any, raised: Any) -> None:
    """Check that a failure bought nothing and shows no data."""
    assert SECRET not in str(raised.value)
    assert night.bought == 0
    assert night.emulator.books()["accepted"]["requests"] == 0


def refused(night: Any, error: type[Exception], says: str, **changes: Any) -> None:
    """Check that preparing fails with an error that says this."""
    with pytest.raises(error, match=says) as raised:
        night.prepare(**changes)
    nothing_bought(night, raised)


@pytest.fixture(autouse=True)
def secret(night: Any) -> None:
    """Put data that no message may show."""
    night.put(
        "a.parquet",
        [{"id": f"{SECRET}-{n}", "body": SECRET, "n": n} for n in range(10)],
    )


def test_a_source_that_is_not_there(night: Any) -> None:
    refused(
        night,
        errors.SourceError,
        "there is nothing below s3://lake/none/. Check",
        source="s3://lake/none/",
    )
    refused(
        night,
        errors.SourceError,
        "nothing below s3://lake/tickets/dt=1/. Check",
        partition="dt=1",
    )


def test_a_source_without_parquet(night: Any) -> None:
    night.bucket.objects = {f"{SOURCE}data.csv": SECRET.encode()}
    refused(
        night,
        errors.SourceError,
        "s3://lake/tickets/ holds 1 objects, but no Parquet file",
    )


@pytest.mark.parametrize(
    "body", [b"", SECRET.encode(), b"PAR1" + SECRET.encode() + b"PAR1"]
)
def test_a_file_that_is_no_parquet(night: Any, body: bytes) -> None:
    night.put_bytes(f"{SOURCE}b.parquet", body)
    refused(
        night,
        errors.SourceError,
        "b.parquet is not a complete Parquet file, or is damaged: write it again",
    )


def test_a_file_that_is_damaged_within(night: Any, to_parquet: Any) -> None:
    whole = bytearray(
        to_parquet(
            pa.table(
                {"id": [SECRET] * 500, "body": [SECRET + str(n) for n in range(500)]}
            )
        )
    )
    whole[10:400] = b"\xff" * 390
    night.put_bytes(f"{SOURCE}b.parquet", bytes(whole))
    refused(
        night,
        errors.SourceError,
        "b.parquet is not a complete Parquet file, or is damaged",
    )


def test_a_template_that_names_a_column_that_is_not_there(night: Any) -> None:
    says = r"the template names 'bodi', but the source has no such column\. It has: 'id', 'body', 'n'"
    refused(night, errors.TemplateError, says, prompt="{{ bodi }}")


def test_a_template_that_cannot_be_read(night: Any) -> None:
    refused(
        night,
        errors.TemplateError,
        "prompt: Unexpected end of template.*, at line 1, column 12 of the template: {% if body %}",
        prompt="{% if body %}",
    )


def test_a_template_that_fails_on_a_row(night: Any) -> None:
    refused(
        night,
        errors.TemplateError,
        "at line 1, column .* of the template, in row 1 of the partition: {{ body",
        prompt="{{ body.a.b }}",
    )
    refused(
        night,
        errors.TemplateError,
        "at line 1, column .* of the template, in row 1 of the partition: {{ body",
        prompt="{{ body + 1 }}",
    )


def test_columns_whose_types_differ_between_files(night: Any) -> None:
    night.put("b.parquet", [{"id": SECRET, "body": 7}])
    refused(
        night,
        errors.InputError,
        "column 'body' is string in a.parquet but int64 in b.parquet: write both",
    )


def test_a_key_with_nulls_or_duplicates(night: Any) -> None:
    night.put("b.parquet", [{"id": None, "body": "x"}, {"id": None, "body": "y"}])
    refused(night, errors.SourceError, r"key \(id\): 2 of 12 rows have a null in it")
    night.put("b.parquet", [{"id": f"{SECRET}-1", "body": "x"}])
    refused(
        night,
        errors.SourceError,
        r"key \(id\): 1 of 11 rows repeat another row's key; name more columns",
    )


def test_a_key_or_kept_column_that_is_not_there(night: Any) -> None:
    refused(
        night,
        errors.SourceError,
        "key/keep: ticket is not a column of a.parquet. It has: id, body",
        key=["ticket"],
    )
    refused(night, errors.SourceError, "key/keep: note is not a column", keep=["note"])


def test_a_column_that_stands_twice(night: Any) -> None:
    night.put(
        "b.parquet",
        pa.Table.from_arrays([pa.array([SECRET])] * 3, names=["id", "body", "body"]),
    )
    refused(night, errors.SourceError, "column body occurs more than once in b.parquet")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "array", "items": {"type": "string"}}, "the root must be an object"),
        (OBJECT, "at least one property"),
        (
            {**OBJECT, "properties": {"a": {"type": "text"}}},
            r"answer_schema\.a: type 'text' is not one of",
        ),
        (
            {**OBJECT, "properties": {"a": {"type": "array"}}},
            r"answer_schema\.a: an array needs items",
        ),
        (
            {**OBJECT, "properties": {"a": {"type": "string"}}, "required": ["b"]},
            "required names b",
        ),
        (
            {**OBJECT, "properties": {"a": {"type": "string", "pattern": "("}}},
            "not a valid JSON schema",
        ),
        (
            {**OBJECT, "properties": {"a": {"$ref": "#/$defs/none"}}},
            r"answer_schema.*none",
        ),
        (
            {**OBJECT, "properties": {"a": {"$ref": "https://example.com/x.json"}}},
            "answer_schema",
        ),
        (
            {
                **OBJECT,
                "properties": {"a": {"$ref": "#/$defs/t"}},
                "$defs": {"t": {"anyOf": [{"$ref": "#/$defs/t"}]}},
            },
            "contains itself",
        ),
        (
            {**OBJECT, "properties": {f"p{n}": {"type": "string"} for n in range(25)}},
            "25 optional properties",
        ),
        (
            {**OBJECT, "properties": {"a": OBJECT}, "additionalProperties": True},
            "additionalProperties must be false",
        ),
    ],
)
def test_a_schema_that_the_api_would_refuse(
    night: Any, schema: dict[str, Any], says: str
) -> None:
    refused(night, errors.AnswerTypeError, says, answer_schema=schema)


def test_answer_columns_that_would_stand_twice(night: Any) -> None:
    schema = {**OBJECT, "properties": {"id": {"type": "string"}}, "required": ["id"]}
    refused(
        night,
        errors.TargetError,
        "answer_schema: id is also a key or keep column; rename",
        answer_schema=schema,
    )
    schema = {
        **OBJECT,
        "properties": {"_status": {"type": "string"}},
        "required": ["_status"],
    }
    refused(
        night,
        errors.TargetError,
        "columns _status are written by nightbatch itself",
        answer_schema=schema,
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": " "}, "model: is missing"),
        ({"source": ""}, "source: is missing"),
        ({"target": "lake/x"}, "target: 'lake/x' must be a URL such as s3://"),
        (
            {"target": "s3://lake/tickets/out/"},
            "target: .* lie inside each other; use separate folders",
        ),
        ({"target": "s3://lake/"}, "target: "),
        ({"state": "s3://lake/triage/state/"}, "state: .* lie inside each other"),
        ({"prompt": " "}, "prompt: is empty"),
        ({"key": "id"}, r"key: 'id' must be a list of texts: write \['id'\]"),
        ({"partition": "../other"}, "partition: .* it has a .. segment"),
        ({"attempts": 9}, "attempts: 9 must be a whole number from 1 to 5"),
        (
            {"min_answered": 95},
            "min_answered: 95 must be a number from 0 to 1: write 0.95",
        ),
        ({"limit": True}, "limit: True must be a whole number"),
        ({"canary": "maybe"}, "canary: 'maybe' must be one of new, always, never"),
        (
            {"params": {"model": "x"}},
            "params: model cannot be given here: use the parameter of that name",
        ),
        (
            {"params": {"stream": True}},
            "params: stream cannot be used in a batch: remove it",
        ),
    ],
)
def test_a_parameter_that_cannot_work(
    night: Any, changes: dict[str, Any], says: str
) -> None:
    refused(night, errors.SettingsError, says, **changes)


def test_an_unknown_parameter(night: Any) -> None:
    with pytest.raises(
        errors.SettingsError,
        match=r"unknown parameter 'modle'\. Did you mean 'model'\? Known: ",
    ):
        night.settings.override({"modle": "x"})


class Overwriting(MemoryStore):
    """A store whose second create silently wins, as without conditional writes."""

    def create(self, key: str, body: bytes) -> bool:
        self._bucket.objects[self.url + key] = body
        return True


def test_a_store_without_conditional_writes(night: Any) -> None:
    night.store = lambda url: Overwriting(url, night.bucket)
    refused(
        night,
        errors.StoreUnfit,
        "has no conditional writes: .*use a store that supports them",
    )


class Forbidding(http.server.BaseHTTPRequestHandler):
    """Answers as S3 does to the wrong credentials."""

    def do_GET(self) -> None:
        body = b"<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>"
        self.send_response(403)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def forbidden() -> Iterator[str]:
    """Run a server that lets nobody in."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forbidding)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_wrong_credentials_for_s3(night: Any, forbidden: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=forbidden,
        region_name="us-east-1",
        aws_access_key_id="AKIAX",
        aws_secret_access_key="wrong",
    )
    night.store = lambda url: S3Store(url, client, lambda: None)
    says = "s3://lake/.*the store refused the credentials .InvalidAccessKeyId"
    with pytest.raises(errors.StoreDenied, match=says) as raised:
        night.prepare()
    assert "wrong" not in str(raised.value)


def test_a_wrong_api_key_stops_the_run_and_buys_nothing(night: Any) -> None:
    with running(Settings(api_keys=frozenset({"sk-right"}))) as guarded:
        client = anthropic.Anthropic(
            base_url=guarded.url, api_key="sk-wrong", max_retries=0
        )
        night.api = AnthropicBatches(client)
        shard = night.plan(night.prepare(), 1).shards[0].shard
        says = "401 authentication_error, .*Check the API key of the anthropic connection, then run again"
        with pytest.raises(errors.AccountStopped, match=says) as raised:
            night.buy(shard)
        assert "sk-wrong" not in str(raised.value)
        assert guarded.books()["accepted"]["requests"] == 0
        client.close()


def test_every_error_says_something_by_itself() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ]
    plain = [kind for kind in kinds if kind.__init__ is errors.NightbatchError.__init__]
    assert len(plain) > 15
    assert all(str(kind()) for kind in plain)
