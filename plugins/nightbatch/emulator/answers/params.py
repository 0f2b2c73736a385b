"""What is wrong with one request's params. None of it is looked at before the batch runs: it all ends in rows."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from nightbatch.emulator.answers.models import Model, find_model
from nightbatch.emulator.answers.prompt import Prompt, output_schema
from nightbatch.emulator.answers.schema_rules import check_schema
from nightbatch.emulator.errors import ApiError, invalid

Params = Mapping[str, Any]

_PLAIN = """
    model messages max_tokens cache_control container diagnostics inference_geo metadata output_config service_tier
    speed stop_sequences stream system thinking tool_choice tools temperature top_p top_k user_profile_id
"""
_BETA = """
    betas billing_policy compaction context_management fallback_credit_token fallbacks mcp_servers thread
"""
PLAIN, BETA = frozenset(_PLAIN.split()), frozenset(_BETA.split())
LONG_OUTPUT = "output-300k-2026-03-24"
_NUMBERS = {"temperature": (0, 1), "top_p": (0, 1), "top_k": (0, 1_000_000)}
_EFFORTS = {"low", "medium", "high", "xhigh", "max", None}


def check_frame(frame: Params, betas: frozenset[str]) -> Model:
    """Return the model that will answer, or raise the error of everything about a request but its messages."""
    _check_keys(frame, betas)
    model = _check_model(frame.get("model"))
    _check_max_tokens(frame.get("max_tokens"), model, betas)
    _check_modes(frame)
    _check_sampling(frame, model)
    _check_thinking(frame.get("thinking"), frame, model)
    _check_tools(frame, model)
    _check_output(frame.get("output_config"))
    return model


def check_prompt(prompt: Prompt, model: Model) -> None:
    """Raise the error of a prompt that is too long or that sets its cache breakpoints wrong."""
    ttls = [part.ttl for part in prompt.parts if part.ttl is not None]
    if any(ttl not in {"5m", "1h"} for ttl in ttls):
        raise invalid("cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
    if len(ttls) > 4:
        raise invalid(
            f"A maximum of 4 blocks with cache_control may be provided. Found {len(ttls)}."
        )
    if "5m" in ttls and "1h" in ttls[ttls.index("5m") :]:
        raise invalid(
            "A ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
            " Note that blocks are processed in the following order: `tools`, `system`, `messages`."
        )
    if prompt.tokens > model.context:
        raise invalid(
            f"prompt is too long: {prompt.tokens} tokens > {model.context} maximum"
        )


def check_messages(messages: object) -> None:
    """Raise the error of messages that are none."""
    if messages is None:
        raise invalid("messages: Field required")
    if not isinstance(messages, list):
        raise invalid("messages: Input should be a valid list")
    if not messages:
        raise invalid("messages: at least one message is required")
    for number, message in enumerate(messages):
        _check_message(message, f"messages.{number}")
    if messages[0]["role"] == "assistant":
        raise invalid("messages: first message must use the 'user' role")


def check_with_format(frame: Params, messages: list[dict[str, Any]]) -> None:
    """Raise the error of a prefill or of citations where the answer must follow a schema."""
    if output_schema(frame) is None:
        return
    if messages[-1]["role"] == "assistant":
        raise invalid(
            "output_config.format: prefilling the assistant's message is not supported"
        )
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else ():
            citations = block.get("citations")
            if isinstance(citations, dict) and citations.get("enabled"):
                raise invalid("output_config.format: citations are not supported")


def _check_message(message: object, place: str) -> None:
    if not isinstance(message, dict):
        raise invalid(f"{place}: Input should be a valid dictionary")
    if extra := message.keys() - {"role", "content"}:
        raise invalid(f"{place}.{min(extra)}: Extra inputs are not permitted")
    if message.get("role") not in {"user", "assistant", "system"}:
        raise invalid(f"{place}.role: Input should be 'user' or 'assistant'")
    _check_content(message.get("content"), place)


def _check_keys(frame: Params, betas: frozenset[str]) -> None:
    for key in ("model", "max_tokens"):
        if key not in frame:
            raise invalid(f"{key}: Field required")
    for key in frame:
        if key not in PLAIN and (key not in BETA or not betas):
            raise invalid(f"{key}: Extra inputs are not permitted")


def _check_model(name: object) -> Model:
    if not isinstance(name, str):
        raise invalid("model: Input should be a valid string")
    model = find_model(name)
    if model is None:
        raise ApiError("not_found_error", f"model: {name}")
    return model


def _check_max_tokens(value: object, model: Model, betas: frozenset[str]) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid("max_tokens: Input should be a valid integer")
    if value < 1:
        raise invalid("max_tokens: Input should be greater than or equal to 1")
    most = (
        300_000
        if LONG_OUTPUT in betas and model.max_output >= 128_000
        else model.max_output
    )
    if value > most:
        raise invalid(
            f"max_tokens: {value} > {most}, which is the maximum allowed number of output tokens for {model.id}"
        )


def _check_content(content: object, place: str) -> None:
    if isinstance(content, str):
        if not content:
            raise invalid(
                f"{place}: all messages must have non-empty content except for the optional final assistant message"
            )
        return
    if not isinstance(content, list):
        raise invalid(f"{place}.content: Input should be a valid list")
    if not content:
        raise invalid(
            f"{place}: all messages must have non-empty content except for the optional final assistant message"
        )
    for number, block in enumerate(content):
        _check_block(block, f"{place}.content.{number}")


def _check_block(block: object, place: str) -> None:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        raise invalid(f"{place}.type: Field required")
    if block["type"] == "text" and not block.get("text"):
        raise invalid(f"{place}.text: text content blocks must be non-empty")
    source = block.get("source")
    if isinstance(source, dict) and source.get("type") == "url":
        raise invalid(
            f"{place}.source.url: Unable to download the file. Please verify the URL and try again."
        )


def _check_modes(params: Params) -> None:
    if params.get("stream"):
        raise invalid("stream: streaming is not supported in batch requests")
    if params.get("speed") not in {None, "standard"}:
        raise invalid("speed: fast mode is not supported in batch requests")
    if params.get("service_tier", "auto") not in {"auto", "standard_only"}:
        raise invalid("service_tier: Input should be 'auto' or 'standard_only'")
    sequences = params.get("stop_sequences", [])
    if not isinstance(sequences, list) or not all(
        isinstance(text, str) and text.strip() for text in sequences
    ):
        raise invalid("stop_sequences: each stop sequence must contain non-whitespace")
    system = params.get("system", "")
    if not isinstance(system, (str, list)):
        raise invalid("system: Input should be a valid string or list")
    for number, block in enumerate(system if isinstance(system, list) else []):
        _check_block(block, f"system.{number}")


def _check_sampling(params: Params, model: Model) -> None:
    for name, (low, high) in _NUMBERS.items():
        value = params.get(name)
        if value is None:
            continue
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not low <= value <= high
        ):
            raise invalid(f"{name}: range: {low}..{high}")
        if not model.samples and not (name == "temperature" and value == 1):
            raise invalid(f"`{name}` is not supported for this model.")


def _check_thinking(thinking: object, params: Params, model: Model) -> None:
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if thinking is not None and kind not in {
        "enabled",
        "disabled",
        "adaptive",
        "between_tools",
    }:
        raise invalid(
            "thinking: Input tag is not one of 'enabled', 'disabled', 'adaptive', 'between_tools'"
        )
    if model.steers_itself and kind in {"enabled", "disabled"}:
        raise invalid(
            f'"thinking.type.{kind}" is not supported for this model.'
            ' Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        )
    if isinstance(thinking, dict) and kind == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or budget < 1_024:
            raise invalid(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
            )
        if budget >= params["max_tokens"]:
            raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_tools(params: Params, model: Model) -> None:
    tools = params.get("tools", [])
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise invalid("tools: Input should be a valid list")
    choice = params.get("tool_choice")
    if not isinstance(choice, dict):
        return
    if choice.get("type") in {"any", "tool"}:
        thinking = params.get("thinking")
        if model.steers_itself:
            raise invalid(
                f"tool_choice: forced tool use is not supported for {model.id}"
            )
        if isinstance(thinking, dict) and thinking.get("type") in {
            "enabled",
            "adaptive",
        }:
            raise invalid(
                "Thinking may not be enabled when tool_choice forces tool use."
            )
        if not tools:
            raise invalid("tool_choice may only be specified while providing tools")
    if choice.get("type") == "tool" and choice.get("name") not in {
        tool.get("name") for tool in tools
    }:
        raise invalid(f"Tool '{choice.get('name')}' not found in provided tools")


def _check_output(config: object) -> None:
    if config is None:
        return
    if not isinstance(config, dict):
        raise invalid("output_config: Input should be a valid dictionary")
    if config.get("effort") not in _EFFORTS:
        raise invalid(
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"
        )
    form = config.get("format")
    if form is None:
        return
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        raise invalid("output_config.format.type: Input should be 'json_schema'")
    if not isinstance(form.get("schema"), dict):
        raise invalid("output_config.format.schema: Field required")
    if fault := _schema_fault(msgspec.json.encode(form["schema"])):
        raise invalid(fault)


@lru_cache(maxsize=1_024)
def _schema_fault(schema: bytes) -> str | None:
    try:
        check_schema(msgspec.json.decode(schema))
    except ApiError as error:
        return error.message
    return None
