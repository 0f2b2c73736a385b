"""An answer schema fetches nothing, and none is so large that working with it never ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightbatch.errors import AnswerTypeError
from nightbatch.messages.answer_type import AnswerType

PLAIN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


class Trap(ThreadingHTTPServer):
    """A server that counts who comes."""

    visits = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/latest/meta-data/iam"


class _Handler(BaseHTTPRequestHandler):
    server: Trap

    def do_GET(self) -> None:
        self.server.visits += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"type":"string"}')

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    """Run a server that a schema may try to reach."""
    server = Trap(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def shapes(url: str) -> dict[str, dict[str, Any]]:
    """Make schemas that name an address in every place that a validator looks at."""
    ref = {"$ref": url}
    return {
        "property": {**PLAIN, "properties": {"a": ref}},
        "unused $defs": {**PLAIN, "$defs": {"X": ref}},
        "nested in $defs": {
            **PLAIN,
            "$defs": {"X": {"type": "object", "properties": {"b": ref}}},
        },
        "definitions": {**PLAIN, "definitions": {"X": ref}},
        "both": {
            **PLAIN,
            "$defs": {"Y": {"type": "string"}},
            "definitions": {"X": {"allOf": [ref]}},
        },
        "items": {**PLAIN, "properties": {"a": {"type": "array", "items": ref}}},
        "anyOf": {**PLAIN, "properties": {"a": {"anyOf": [{"type": "null"}, ref]}}},
        "unknown keyword": {**PLAIN, "if": ref},
        "$dynamicRef": {**PLAIN, "$defs": {"X": {"$dynamicRef": url}}},
        "$recursiveRef": {**PLAIN, "$defs": {"X": {"$recursiveRef": url}}},
        "with a fragment": {**PLAIN, "$defs": {"X": {"$ref": url + "#/$defs/Y"}}},
        "relative to $id": {
            **PLAIN,
            "$id": url,
            "$defs": {"X": {"$ref": "other.json"}},
        },
        "nested $id": {**PLAIN, "$defs": {"X": {"$id": url, "$ref": "#/y"}}},
        "below a definition": {
            **PLAIN,
            "properties": {"a": {"$ref": "#/$defs/X/enum/0"}},
            "$defs": {"X": {"enum": [ref]}, "X/enum/0": {"type": "string"}},
        },
        "written with ~1": {
            **PLAIN,
            "properties": {"a": {"$ref": "#/$defs/X~1Y"}},
            "$defs": {"X~1Y": {"type": "string"}, "X": {"Y": {"const": ref}}},
        },
        "an anchor": {
            **PLAIN,
            "properties": {"a": {"$ref": "#n"}},
            "$defs": {"X": {"$anchor": "n", "not": ref}},
        },
        "a property called enum": {"type": "object", "properties": {"enum": ref}},
        "contentSchema": {
            **PLAIN,
            "properties": {"a": {"type": "string", "contentSchema": ref}},
        },
        "number": {**PLAIN, "$defs": {"X": {"$ref": 7}}},
    }


@pytest.mark.parametrize("shape", shapes(""))
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_a_reference_to_elsewhere_is_refused_and_nothing_is_fetched(
    trap: Trap, tmp_path: Path, shape: str, scheme: str
) -> None:
    there = tmp_path / "there.json"
    there.write_text('{"type":"string"}')
    errors = []
    for url in (
        (trap.url, trap.url + "2")
        if scheme == "http"
        else (there.as_uri(), (tmp_path / "absent").as_uri())
    ):
        with pytest.raises(
            AnswerTypeError,
            match=r"^answer_schema.*must name a definition of this schema",
        ) as raised:
            AnswerType(shapes(url)[shape]).check()
        errors.append(str(raised.value))
    assert errors[0] == errors[1], "nothing can be learned of what is there"
    assert trap.visits == 0


@pytest.mark.parametrize("keyword", ["$schema", "$id"])
def test_a_dialect_or_base_is_not_looked_at(trap: Trap, keyword: str) -> None:
    answer = AnswerType({**PLAIN, keyword: trap.url})
    answer.check()
    assert answer.read('{"a":"x"}') == ({"a": "x"}, None)
    assert trap.visits == 0


def test_what_is_data_or_a_name_is_left_as_it_is(trap: Trap) -> None:
    values = [trap.url, {"$ref": trap.url}]
    schema = {
        "type": "object",
        "properties": {
            "$ref": {"type": "string"},
            "$id": {"type": "string", "enum": [trap.url]},
            "c": {"enum": values},
        },
        "required": ["$ref"],
    }
    answer = AnswerType(schema)
    answer.check()
    assert answer.read(json.dumps({"$ref": "x", "$id": trap.url}))[1] is None
    assert answer.read('{"$ref":1}')[1] is not None
    assert trap.visits == 0


def test_own_definitions_serve_under_either_name() -> None:
    for place in ("$defs", "definitions"):
        schema = {
            **PLAIN,
            "properties": {"a": {"$ref": f"#/{place}/Name"}},
            place: {"Name": {"type": "string"}},
        }
        answer = AnswerType(schema)
        answer.check()
        assert answer.read('{"a":7}')[1] is not None
        assert answer.read('{"a":"x"}')[1] is None


def doubling(levels: int, names: tuple[str, str] = ("x", "y")) -> dict[str, Any]:
    """Make a small schema whose references double with each level."""
    defs: dict[str, Any] = {"L0": {"type": "string"}}
    for level in range(1, levels + 1):
        below = {"$ref": f"#/$defs/L{level - 1}"}
        defs[f"L{level}"] = {
            "type": "object",
            "properties": dict.fromkeys(names, below),
            "required": list(names),
        }
    return {**PLAIN, "properties": {"a": {"$ref": f"#/$defs/L{levels}"}}, "$defs": defs}


@pytest.mark.parametrize(
    "names", [("x", "y"), ("default", "enum"), ("$defs", "required")]
)
@pytest.mark.parametrize("levels", [17, 60, 500])
def test_a_schema_that_doubles_is_refused_at_once(
    levels: int, names: tuple[str, str]
) -> None:
    began = time.process_time()
    with pytest.raises(
        AnswerTypeError, match=r"parts once references are followed|levels deep"
    ):
        AnswerType(doubling(levels, names)).check()
    assert time.process_time() - began < 0.5


def test_a_schema_that_doubles_a_little_is_taken() -> None:
    AnswerType(doubling(6)).check()


@pytest.mark.parametrize("levels", [70, 3_000])
def test_a_schema_that_is_too_deep_is_refused(levels: int) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    with pytest.raises(AnswerTypeError, match="levels deep"):
        AnswerType(schema).check()


@pytest.mark.parametrize(("definitions", "levels"), [(20, 20), (10, 50), (60, 60)])
def test_a_schema_that_is_deep_by_its_references_is_refused(
    definitions: int, levels: int
) -> None:
    defs: dict[str, Any] = {"L0": {"type": "string"}}
    for number in range(1, definitions + 1):
        schema: dict[str, Any] = {"$ref": f"#/$defs/L{number - 1}"}
        for _ in range(levels):
            schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
        defs[f"L{number}"] = schema
    with pytest.raises(AnswerTypeError, match="levels deep"):
        AnswerType(
            {
                **PLAIN,
                "properties": {"a": {"$ref": f"#/$defs/L{definitions}"}},
                "$defs": defs,
            }
        ).check()


@pytest.mark.parametrize("name", ["x", "default", "enum"])
@pytest.mark.parametrize("is_used", [True, False])
def test_a_schema_that_contains_itself_is_refused(name: str, is_used: bool) -> None:
    itself = {"$ref": "#/$defs/X"}
    schema = {**PLAIN, "$defs": {"X": {"type": "object", "properties": {name: itself}}}}
    with pytest.raises(AnswerTypeError, match="contains itself"):
        AnswerType(
            {**schema, "properties": {"a": itself}} if is_used else schema
        ).check()


KEYWORDS = [
    "type", "properties", "required", "$ref", "$defs", "definitions", "items", "anyOf", "allOf", "oneOf", "enum",
    "const", "default", "minItems", "format", "minimum", "pattern", "additionalProperties", "$id", "examples", "title",
]  # fmt: skip
PARTS = st.recursive(
    st.sampled_from(
        [None, True, 1, -1.5, 10**30, "string", "object", "array", "#/$defs/a", "^("]
    ),
    lambda parts: st.one_of(
        st.lists(parts, max_size=3),
        st.dictionaries(st.sampled_from([*KEYWORDS, "a"]), parts, max_size=4),
    ),
    max_leaves=12,
)


@given(
    schema=st.dictionaries(st.sampled_from(KEYWORDS), PARTS, max_size=4),
    definitions=PARTS,
    part=PARTS,
)
def test_whatever_is_no_schema_is_refused_in_our_own_words(
    schema: dict[str, Any], definitions: Any, part: Any
) -> None:
    with suppress(AnswerTypeError):
        AnswerType(
            {**PLAIN, "properties": {"a": part}, "$defs": definitions, **schema}
        ).check()
