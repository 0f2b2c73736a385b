"""What is wrong with params shows only at the end, as an `errored` row, and harms no other row."""

import pytest

FORCED = {
    "tools": [{"name": "t", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "tool", "name": "t"},
}
LONG = "word " * 900_000


SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
FORM = {"format": {"type": "json_schema", "schema": SCHEMA}}
ASKED, PREFILL = (
    [{"role": "user", "content": "x"}],
    {"role": "assistant", "content": "{"},
)
DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "data": "x"},
    "citations": {"enabled": True},
}
CITED = {"role": "user", "content": [DOCUMENT]}


def marked(ttl):
    return {
        "type": "text",
        "text": "x",
        "cache_control": {"type": "ephemeral", "ttl": ttl},
    }


BAD = [
    ({"model": "claude-nope"}, "not_found_error", "model: claude-nope"),
    ({"model": 7}, "invalid_request_error", "model: Input should be a valid string"),
    ({"model": ...}, "invalid_request_error", "model: Field required"),
    ({"max_tokens": ...}, "invalid_request_error", "max_tokens: Field required"),
    (
        {"max_tokens": 0},
        "invalid_request_error",
        "max_tokens: Input should be greater than or equal to 1",
    ),
    (
        {"max_tokens": "9"},
        "invalid_request_error",
        "max_tokens: Input should be a valid integer",
    ),
    (
        {"max_tokens": 64_001},
        "invalid_request_error",
        "max_tokens: 64001 > 64000, which is the maximum allowed",
    ),
    ({"messages": ...}, "invalid_request_error", "messages: Field required"),
    (
        {"messages": []},
        "invalid_request_error",
        "messages: at least one message is required",
    ),
    (
        {"messages": "Hello"},
        "invalid_request_error",
        "messages: Input should be a valid list",
    ),
    (
        {"messages": [3]},
        "invalid_request_error",
        "messages.0: Input should be a valid dictionary",
    ),
    (
        {"messages": [{"role": "user", "content": ""}]},
        "invalid_request_error",
        "must have non-empty content",
    ),
    (
        {"messages": [{"role": "user", "content": []}]},
        "invalid_request_error",
        "must have non-empty content",
    ),
    (
        {"messages": [{"role": "user", "content": 3}]},
        "invalid_request_error",
        "content: Input should be a valid list",
    ),
    (
        {"messages": [{"role": "robot", "content": "x"}]},
        "invalid_request_error",
        "role: Input should be",
    ),
    (
        {"messages": [{"role": "user", "content": "x", "id": 1}]},
        "invalid_request_error",
        "messages.0.id: Extra inputs",
    ),
    (
        {"messages": [{"role": "assistant", "content": "x"}]},
        "invalid_request_error",
        "first message must use",
    ),
    (
        {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
        "invalid_request_error",
        "content.0.type: Field",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
        "invalid_request_error",
        "non-empty",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "url", "url": "http://x"}}
                    ],
                }
            ]
        },
        "invalid_request_error",
        "Unable to download the file",
    ),
    (
        {"messages": [{"role": "user", "content": LONG}]},
        "invalid_request_error",
        "prompt is too long",
    ),
    (
        {"output_format": {}},
        "invalid_request_error",
        "output_format: Extra inputs are not permitted",
    ),
    (
        {"context_management": {}},
        "invalid_request_error",
        "context_management: Extra inputs are not permitted",
    ),
    ({"stream": True}, "invalid_request_error", "stream: streaming is not supported"),
    ({"speed": "fast"}, "invalid_request_error", "speed: fast mode is not supported"),
    (
        {"service_tier": "batch"},
        "invalid_request_error",
        "service_tier: Input should be",
    ),
    (
        {"stop_sequences": [" "]},
        "invalid_request_error",
        "each stop sequence must contain non-whitespace",
    ),
    (
        {"system": 3},
        "invalid_request_error",
        "system: Input should be a valid string or list",
    ),
    ({"temperature": 2}, "invalid_request_error", "temperature: range: 0..1"),
    (
        {"model": "claude-sonnet-5", "temperature": 0.2},
        "invalid_request_error",
        "not supported for this model",
    ),
    ({"thinking": {"type": "deep"}}, "invalid_request_error", "thinking: Input tag"),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 9}},
        "invalid_request_error",
        "greater than or equal to 1024",
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2_000}},
        "invalid_request_error",
        "must be greater than",
    ),
    (
        {"model": "claude-opus-5-5", "thinking": {"type": "disabled"}},
        "invalid_request_error",
        "thinking.type.disabled",
    ),
    (
        {"model": "claude-opus-5-5", **FORCED},
        "invalid_request_error",
        "forced tool use is not supported",
    ),
    (
        {"thinking": {"type": "adaptive"}, **FORCED},
        "invalid_request_error",
        "Thinking may not be enabled",
    ),
    (
        {"tool_choice": {"type": "any"}},
        "invalid_request_error",
        "only be specified while providing tools",
    ),
    (
        {**FORCED, "tool_choice": {"type": "tool", "name": "u"}},
        "invalid_request_error",
        "Tool 'u' not found",
    ),
    ({"tools": 3}, "invalid_request_error", "tools: Input should be a valid list"),
    (
        {"output_config": 3},
        "invalid_request_error",
        "output_config: Input should be a valid dictionary",
    ),
    (
        {"output_config": {"effort": "huge"}},
        "invalid_request_error",
        "output_config.effort",
    ),
    (
        {"output_config": {"format": {"type": "text"}}},
        "invalid_request_error",
        "output_config.format.type",
    ),
    (
        {"output_config": {"format": {"type": "json_schema"}}},
        "invalid_request_error",
        "schema: Field required",
    ),
    (
        {"messages": [*ASKED, PREFILL], "output_config": FORM},
        "invalid_request_error",
        "prefilling",
    ),
    (
        {"messages": [CITED], "output_config": FORM},
        "invalid_request_error",
        "citations are not supported",
    ),
    (
        {"system": [marked("2h")]},
        "invalid_request_error",
        "cache_control.ephemeral.ttl",
    ),
    (
        {"system": [marked("5m")] * 5},
        "invalid_request_error",
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (
        {"system": [marked("5m"), marked("1h")]},
        "invalid_request_error",
        "must not come after a ttl='5m'",
    ),
]


def test_every_fault_in_params_becomes_an_errored_row_of_its_own(desk):
    requests = [
        {"custom_id": f"bad-{n}", "params": changed(desk, change)}
        for n, (change, _, _) in enumerate(BAD)
    ]
    results = desk.run([*requests, *desk.items(2, prefix="good")])
    assert {results[f"good-{n}"]["type"] for n in range(2)} == {"succeeded"}
    for number, (_, kind, says) in enumerate(BAD):
        result = results[f"bad-{number}"]
        assert result["type"] == "errored", (says, result)
        assert result["error"]["type"] == "error"
        assert result["error"]["error"]["type"] == kind
        assert says in result["error"]["error"]["message"]


def changed(desk, change):
    return {
        name: value
        for name, value in (desk.params() | change).items()
        if value is not ...
    }


def test_a_wrong_template_fails_every_row_and_only_at_the_end(desk):
    batch = desk.create(desk.items(5, temprature=0))
    assert batch.processing_status == "in_progress"
    assert desk.ended(batch.id)["request_counts"]["errored"] == 5


@pytest.mark.parametrize("change", [
    {"temperature": 0.3, "top_p": 0.9, "top_k": 40},
    {"model": "claude-sonnet-5", "temperature": 1},
    {"model": "claude-haiku-4-5-20251001"},
    {"model": "claude-opus-5-5", "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    {"thinking": {"type": "enabled", "budget_tokens": 2_000}, "max_tokens": 4_000},
    {"metadata": {"user_id": "u"}, "service_tier": "auto", "inference_geo": "us", "speed": "standard", "stream": False},
    {"system": [marked("1h"), marked("5m")]},
    {"max_tokens": 64_000},
])  # fmt: skip
def test_what_the_models_take_is_taken(desk, change):
    assert desk.ask(**change)["type"] == "succeeded"


def test_long_output_needs_its_beta(desk):
    wanted = [
        {
            "custom_id": "long",
            "params": desk.params(model="claude-opus-5-5", max_tokens=300_000),
        }
    ]
    refused = desk.run(wanted)["long"]
    assert "300000 > 128000" in refused["error"]["error"]["message"]
    batch = desk.post(
        wanted, headers={"anthropic-beta": "output-300k-2026-03-24"}
    ).json()
    assert desk.ended(batch["id"])["request_counts"]["succeeded"] == 1


def test_beta_parameters_need_a_beta_call(desk):
    wanted = [{"custom_id": "beta", "params": desk.params(mcp_servers=[])}]
    assert desk.run(wanted)["beta"]["type"] == "errored"
    batch = desk.post(wanted, params={"beta": "true"}).json()
    assert desk.ended(batch["id"])["request_counts"]["succeeded"] == 1


def test_an_answer_names_the_dated_model(desk):
    assert desk.ask()["message"]["model"] == "claude-haiku-4-5-20251001"
    assert desk.ask(model="claude-opus-5-5")["message"]["model"] == "claude-opus-5-5"
