# ruff: noqa: E501 - a table
"""Mistakes that an author makes in a DAG file, each as the parameters of an `Enrichment` and what the error says."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from nightbatch.spec.enrichment import Enrichment

GOOD: dict[str, Any] = {
    "source": "s3://lake/tickets/",
    "target": "s3://lake/ticket_triage/",
    "key": ["ticket_id"],
    "prompt": "Summarize: {{ body }}",
    "model": "claude-haiku-4-5",
}
STARS = {"type": "object", "properties": {"stars": {"type": "integer"}}}


def enrichment(**changes: Any) -> Enrichment:
    """Make an enrichment that works but for what is changed."""
    return Enrichment(**(GOOD | changes))


def schema_of(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """Write a schema with one property."""
    return {"type": "object", "properties": {name: part}}


class Stars(BaseModel):
    """An answer that works."""

    stars: int


class Node(BaseModel):
    """An answer that holds itself."""

    children: list[Node]


class Counts(BaseModel):
    """An answer whose names are not known."""

    counts: dict[str, int]


class Status(BaseModel):
    """An answer with a field of the key's name."""

    ticket_id: str


MISTAKES: list[tuple[dict[str, Any], str]] = [
    # types
    ({"attempts": "3"}, "attempts: '3' must be a whole number from 1 to 5, such as 2."),
    ({"reuse": "yes"}, "reuse: 'yes' must be True or False, such as False."),
    ({"limit": 1.5}, "limit: 1.5 must be a whole number from 1, such as 100."),
    ({"limit": True}, "limit: True must be a whole number from 1, such as 100."),
    ({"params": []}, "params: [] must be an object (a dict), such as {'temperature': 0}."),
    ({"checks": ["unique"]}, "checks: ['unique'] must be an object (a dict), such as {'drift': {'columns': ['category'], 'most': 0.2, 'level': 'red'}}."),
    ({"key": "review_id"}, "key: 'review_id' must be a list of texts: write ['review_id']."),
    ({"keep": [1]}, "keep: [1] must be a list of texts, such as ['country', 'created_at']."),
    ({"key": None}, "key: None must be a list of texts, such as ['ticket_id']."),
    ({"key": ["a", "b", "a"]}, "key: must be a list of different names; a stands in it twice."),
    ({"key": [""]}, "key: has an empty entry; remove it."),
    ({"approvers": "finance"}, "approvers: 'finance' must be a list of texts: write ['finance']."),
    ({"source": 7}, "source: 7 must be a text, such as 's3://lake/tickets/'."),
    ({"model": None}, "model: None must be a text, such as 'claude-haiku-4-5'."),
    ({"prompt": ["secret"]}, "prompt: a value of type list must be a text or a Prompt, such as 'Summarize: {{ body }}'."),
    ({"system": b"secret"}, "system: a value of type bytes must be a text, such as 'You triage support tickets.'."),
    ({"answer": STARS}, "answer: a value of type dict must be a pydantic model; give a JSON schema as answer_schema."),
    ({"answer": Stars(stars=1)}, "answer: Stars(stars=1) must be a pydantic model: write Stars, the class."),
    ({"answer_schema": "stars"}, "answer_schema: 'stars' must be an object (a dict), such as {'type': 'object', 'properties': {'stars': {'type': 'integer'}}}."),
    ({"cancel_on_fail": 1}, "cancel_on_fail: 1 must be True or False, such as True."),
    ({"poll_seconds": "60"}, "poll_seconds: '60' must be a number from 0.05 to 3,600, such as 30."),
    # bounds and choices
    ({"min_answered": 95}, "min_answered: 95 must be a number from 0 to 1: write 0.95."),
    ({"max_tokens": 0}, "max_tokens: 0 must be a whole number from 1, such as 300."),
    ({"attempts": 9}, "attempts: 9 must be a whole number from 1 to 5, such as 2."),
    ({"max_cost_usd": -1}, "max_cost_usd: -1 must be a number from 0, such as 20."),
    ({"max_cost_usd": float("nan")}, "max_cost_usd: nan must be a number from 0, such as 20."),
    ({"max_batch_requests": 200_000}, "max_batch_requests: 200000 must be a whole number from 1 to 100,000, such as 20000."),
    ({"canary": "no"}, "canary: 'no' must be one of new, always, never."),
    # places
    ({"target": GOOD["source"]}, "target: s3://lake/tickets/ and source: s3://lake/tickets/ lie inside each other; use separate folders."),
    ({"target": "s3://lake/tickets/out/"}, "target: s3://lake/tickets/out/ and source: s3://lake/tickets/ lie inside each other; use separate folders."),
    ({"target": "lake/out"}, "target: 'lake/out' must be a URL such as s3://bucket/folder/."),
    ({"state": "s3://lake/tickets/state/"}, "state: s3://lake/tickets/state/ and source: s3://lake/tickets/ lie inside each other; separate them."),
    ({"partition": "dt={ds}"}, "partition: '{ds}' in 'dt={ds}' is not filled in; only {partition_key} is."),
    ({"partition": "dt={{ ds }}"}, "partition: '{{ ds }}' in 'dt={{ ds }}' is not filled in; only {partition_key} is."),
    ({"partition": "dt={partition_key"}, "partition: '{partition_key' in 'dt={partition_key' is not filled in; only {partition_key} is."),
    ({"partition": "../x"}, "partition: '../x': it has a .. segment. Write the path as plain folder names with one / between them."),
    ({"media_roots": ["lake/scans/"]}, "media_roots: 'lake/scans/' must be a URL such as s3://bucket/folder/."),
    ({"table": "lake.triage", "state": "s3://lake/_nightbatch/t/"}, "table: stands in the place of target; give one of them."),
    # prompt
    ({"prompt": "{% if body %}{{ body }}"}, "prompt: "),
    ({"prompt": "Summarize: {{ body }"}, "prompt: unexpected '}'"),
    ({"prompt": " \n"}, "prompt: is empty; it is a template such as 'Summarize: {{ body }}'."),
    ({"model": " "}, "model: is missing; it holds only spaces."),
    # answer
    ({"answer": Node}, "answer: #/$defs/Node contains itself; the API takes no recursive schemas."),
    ({"answer": Counts}, "answer.counts: additionalProperties must be false: name every property."),
    ({"answer": Status}, "answer: ticket_id is also a key or keep column; rename one of them."),
    ({"answer": Stars, "answer_schema": STARS}, "answer_schema: answer is given too, and both say the same; keep one of them."),
    ({"answer_schema": schema_of("_status", {"type": "string"})}, "answer_schema: columns _status are written by nightbatch itself; rename them."),
    ({"answer_schema": schema_of("n", {"type": "integer", "format": "int32", "not": {}})}, "answer_schema.n: not is not supported in structured output: remove it."),
    ({"answer_schema": schema_of("n", {"type": "integer", "minimum": "1"})}, "answer_schema: not a valid JSON schema: "),
    ({"answer_schema": {"type": "array", "items": {"type": "string"}}}, "answer_schema: the root must be an object with at least one property."),
    ({"answer_schema": schema_of("n", {"type": "text"})}, "answer_schema.n: type 'text' is not one of"),
    ({"answer_schema": {**STARS, "additionalProperties": True}}, "answer_schema: additionalProperties must be false: name every property."),
    ({"key": ["answer"]}, "answer_schema: answer is also a key or keep column; rename one of them."),
    ({"key": ["_status"]}, "key/keep: columns _status are written by nightbatch itself; rename them."),
    # checks and other parameters
    ({"checks": {"uniqe": "red"}}, "checks: unknown 'uniqe'. Did you mean 'unique'? Known: rows, unique, answered, drift."),
    ({"checks": {"unique": "yes"}}, "checks: unique: 'yes' must be one of red, warn, off."),
    ({"checks": {"answered": {"least": 99}}}, "checks: answered.least: 99 must be a number from 0 to 1."),
    ({"params": {"model": "x"}}, "params: model cannot be given here: use the parameter of that name, model."),
    ({"params": {"messages": []}}, "params: messages cannot be given here: use the parameter prompt."),
    ({"params": {"max_tokens": 5}}, "params: max_tokens cannot be given here: use the parameter of that name, max_tokens."),
    ({"params": {"stream": True}}, "params: stream cannot be used in a batch: remove it."),
    ({"params": {"mcp_servers": []}}, "params: mcp_servers may cost more than tokens or reach other hosts. The author of a DAG allows it with allow_params in its Enrichment."),
    ({"params": {"output_config": {"format": {}}}, "answer": Stars}, "params: output_config.format and answer_schema are both given: keep one."),
    ({"params": {"temperature": object()}}, "params: cannot be written as JSON"),
]  # fmt: skip
"""Changes of GOOD that cannot work, and how the error begins."""
