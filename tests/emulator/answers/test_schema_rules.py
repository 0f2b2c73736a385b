"""Which schemas structured output takes: what the API refuses, the emulator refuses in every row."""

import pydantic
import pytest
from anthropic import transform_schema

from nightbatch.emulator.answers.checks.schema_rules import check_schema
from nightbatch.emulator.errors import ApiError


def shape(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


NODE, DATE = {"$ref": "#/$defs/Node"}, {"type": "string", "format": "date"}

REFUSED = [
    (
        {"type": "object", "properties": {}},
        "'additionalProperties' must be explicitly set to false",
    ),
    (
        shape() | {"additionalProperties": True},
        "'additionalProperties' must be explicitly set to false",
    ),
    (
        shape(a={"type": "object", "properties": {}}),
        "'additionalProperties' must be explicitly set to false",
    ),
    (
        shape(a={"type": "integer", "minimum": 1}),
        "For 'integer' type, property 'minimum' is not supported",
    ),
    (
        shape(a={"type": "integer", "maximum": 5, "minimum": 1}),
        "properties maximum, minimum are not supported",
    ),
    (
        shape(a={"type": "string", "maxLength": 9}),
        "For 'string' type, property 'maxLength' is not supported",
    ),
    (
        shape(a={"type": "string", "format": "phone"}),
        "'format' value 'phone' is not supported",
    ),
    (shape(a={"type": "string", "pattern": "(?=x)y"}), "lookaround"),
    (
        shape(a={"type": "array", "items": {"type": "string"}, "minItems": 2}),
        "'minItems' values other than 0 or 1",
    ),
    (
        shape(a={"type": "array", "items": {"type": "string"}, "maxItems": 2}),
        "property 'maxItems' is not supported",
    ),
    (shape(a={"oneOf": [{"type": "string"}]}), "'oneOf' is not supported"),
    (shape(a={"$ref": "https://example.com/x.json"}), "External $ref"),
    (shape(a={"$ref": "#/$defs/Nobody"}), "cannot be resolved"),
    (shape(a={"type": "decimal"}), "Unknown schema type 'decimal'"),
    (shape(a={"enum": [{"deep": 1}]}), "Enum values must be"),
    (shape(a={}), "Schema must have a 'type'"),
    (shape(location="bar"), "Schema must be a JSON object"),
    ({"foo": "bar"}, "Schema must have a 'type'"),
    (
        shape(a={"$ref": "#/$defs/Node"})
        | {"$defs": {"Node": shape(next={"$ref": "#/$defs/Node"})}},
        "Circular reference",
    ),
    (shape(a={"$ref": "#"}), "Circular reference"),
    (
        shape(**{f"f{n}": {"type": "string"} for n in range(25)}) | {"required": []},
        "too many optional parameters (25)",
    ),
    (
        shape(**{f"f{n}": {"type": ["string", "null"]} for n in range(17)}),
        "union types (17)",
    ),
]


@pytest.mark.parametrize(("schema", "says"), REFUSED, ids=[says for _, says in REFUSED])
def test_what_the_api_does_not_take_is_refused(schema, says):
    with pytest.raises(ApiError) as raised:
        check_schema(schema)
    assert raised.value.kind == "invalid_request_error"
    assert raised.value.message.startswith("output_config.format.schema: ")
    assert says in raised.value.message


@pytest.mark.parametrize("schema", [
    shape(),
    shape(a={"enum": ["x", 1, None, True]}, b={"const": 3}, c={"anyOf": [{"type": "string"}, {"type": "null"}]}),
    shape(a={"type": "array", "items": shape(b={"type": "number"}), "minItems": 1}),
    shape(a=NODE, b=NODE) | {"$defs": {"Node": shape(x=DATE)}},
    shape(a={"type": ["string", "null"], "description": "d", "title": "t"}),
    shape(a={"type": "string", "pattern": "^[a-z]+$"}),
    shape(**{f"f{n}": {"type": "string"} for n in range(24)}) | {"required": []},
    {"type": "array", "items": {"type": "integer"}},
])  # fmt: skip
def test_what_the_api_takes_is_taken(schema):
    check_schema(schema)


class Part(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=1, max_length=40)
    price: float | None = pydantic.Field(default=None, ge=0)


class Bounded(pydantic.BaseModel):
    urgency: int = pydantic.Field(ge=1, le=5)
    parts: list[Part] = pydantic.Field(min_length=2)


def test_a_bounded_model_is_refused_as_it_is_and_taken_as_the_sdk_transforms_it(desk):
    asked = {
        "plain": Bounded.model_json_schema(),
        "transformed": transform_schema(Bounded),
    }
    results = desk.run(
        [
            {
                "custom_id": name,
                "params": desk.params(
                    output_config={"format": {"type": "json_schema", "schema": schema}}
                ),
            }
            for name, schema in asked.items()
        ]
    )
    assert results["plain"]["error"]["error"]["type"] == "invalid_request_error"
    assert results["transformed"]["type"] == "succeeded"
    answer = Bounded.model_validate_json(
        results["transformed"]["message"]["content"][0]["text"]
    )
    assert len(answer.parts) >= 2
