"""Checks of one request's params. They run when the batch runs, not when it is created: an error becomes a row."""

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
PLAIN = frozenset(_PLAIN.split())
BETA = frozenset(_BETA.split())
LONG_OUTPUT = "output-300k-2026-03-24"
_NUMBERS = {"temperature": (0, 1), "top_p": (0, 1), "top_k": (0, 1_000_000)}
_EFFORTS = {"low", "medium", "high", "xhigh", "max", None}
_THINKING_TYPES = {"enabled", "disabled", "adaptive", "between_tools"}
_EMPTY_CONTENT = "all messages must have non-empty content except for the optional final assistant message"


def check_frame(frame: Params, betas: frozenset[str]) -> Model:
    """Return the model that will answer, or raise the first error in anything but the messages."""
    _check_keys(frame, betas)
    model = _check_model(frame.get("model"))
    max_tokens = frame.get("max_tokens")
    _check_max_tokens(max_tokens, model, betas)
    _check_modes(frame)
    _check_sampling(frame, model)
    thinking = frame.get("thinking")
    _check_thinking(thinking, frame, model)
    _check_tools(frame, model)
    output_config = frame.get("output_config")
    _check_output(output_config)
    return model


def check_prompt(prompt: Prompt, model: Model) -> None:
    """Raise the error of a prompt that is too long or that sets its cache breakpoints wrong."""
    ttls = [part.ttl for part in prompt.parts if part.ttl is not None]
    _check_breakpoints(ttls)
    if prompt.tokens > model.context:
        raise invalid(
            f"prompt is too long: {prompt.tokens} tokens > {model.context} maximum"
        )


def _check_breakpoints(ttls: list[str]) -> None:
    """Raise the error of cache breakpoints, by their times to live in the order of the prompt."""
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


def check_messages(messages: object) -> None:
    """Raise the error of messages that are malformed."""
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
    if any(_asks_for_citations(message["content"]) for message in messages):
        raise invalid("output_config.format: citations are not supported")


def _asks_for_citations(content: object) -> bool:
    if not isinstance(content, list):
        return False
    for block in content:
        citations = block.get("citations")
        if isinstance(citations, dict) and citations.get("enabled"):
            return True
    return False


def _check_message(message: object, place: str) -> None:
    if not isinstance(message, dict):
        raise invalid(f"{place}: Input should be a valid dictionary")
    extra_keys = message.keys() - {"role", "content"}
    if extra_keys:
        first_key = min(extra_keys)
        raise invalid(f"{place}.{first_key}: Extra inputs are not permitted")
    role = message.get("role")
    if role not in {"user", "assistant", "system"}:
        raise invalid(f"{place}.role: Input should be 'user' or 'assistant'")
    content = message.get("content")
    _check_content(content, place)


def _check_keys(frame: Params, betas: frozenset[str]) -> None:
    for key in ("model", "max_tokens"):
        if key not in frame:
            raise invalid(f"{key}: Field required")
    for key in frame:
        is_beta_key = key in BETA and bool(betas)
        if key not in PLAIN and not is_beta_key:
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
    max_output = model.max_output
    if LONG_OUTPUT in betas and max_output >= 128_000:
        max_output = 300_000
    if value > max_output:
        raise invalid(
            f"max_tokens: {value} > {max_output}, which is the maximum allowed number of output tokens for {model.id}"
        )


def _check_content(content: object, place: str) -> None:
    if not isinstance(content, (str, list)):
        raise invalid(f"{place}.content: Input should be a valid list")
    if not content:
        raise invalid(f"{place}: {_EMPTY_CONTENT}")
    if isinstance(content, str):
        return
    for number, block in enumerate(content):
        _check_block(block, f"{place}.content.{number}")


def _check_block(block: object, place: str) -> None:
    if not isinstance(block, dict):
        raise invalid(f"{place}.type: Field required")
    block_type = block.get("type")
    if not isinstance(block_type, str):
        raise invalid(f"{place}.type: Field required")
    if block_type == "text" and not block.get("text"):
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
    _check_stop_sequences(params.get("stop_sequences", []))
    _check_system(params.get("system", ""))


def _check_stop_sequences(stop_sequences: object) -> None:
    if not isinstance(stop_sequences, list) or not all(
        map(_is_visible_text, stop_sequences)
    ):
        raise invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _is_visible_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _check_system(system: object) -> None:
    if isinstance(system, str):
        return
    if not isinstance(system, list):
        raise invalid("system: Input should be a valid string or list")
    for number, block in enumerate(system):
        _check_block(block, f"system.{number}")


def _check_sampling(params: Params, model: Model) -> None:
    for name, (low, high) in _NUMBERS.items():
        value = params.get(name)
        if value is None:
            continue
        is_in_range = _is_number(value) and low <= value <= high
        if not is_in_range:
            raise invalid(f"{name}: range: {low}..{high}")
        is_default = name == "temperature" and value == 1
        if not model.samples and not is_default:
            raise invalid(f"`{name}` is not supported for this model.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_thinking(thinking: object, params: Params, model: Model) -> None:
    thinking_type = thinking.get("type") if isinstance(thinking, dict) else None
    if thinking is not None and thinking_type not in _THINKING_TYPES:
        raise invalid(
            "thinking: Input tag is not one of 'enabled', 'disabled', 'adaptive', 'between_tools'"
        )
    if model.steers_itself and thinking_type in {"enabled", "disabled"}:
        raise invalid(
            f'"thinking.type.{thinking_type}" is not supported for this model.'
            ' Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        )
    if isinstance(thinking, dict) and thinking_type == "enabled":
        _check_thinking_budget(thinking.get("budget_tokens"), params["max_tokens"])


def _check_thinking_budget(budget_tokens: object, max_tokens: int) -> None:
    if not isinstance(budget_tokens, int) or budget_tokens < 1_024:
        raise invalid(
            "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        )
    if budget_tokens >= max_tokens:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_tools(params: Params, model: Model) -> None:
    tools = params.get("tools", [])
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise invalid("tools: Input should be a valid list")
    choice = params.get("tool_choice")
    if not isinstance(choice, dict):
        return
    choice_type = choice.get("type")
    if choice_type in {"any", "tool"}:
        _check_forced_tool(params, model)
    if choice_type == "tool":
        _check_named_tool(choice.get("name"), tools)


def _check_named_tool(name: object, tools: list[dict[str, Any]]) -> None:
    tool_names = {tool.get("name") for tool in tools}
    if name not in tool_names:
        raise invalid(f"Tool '{name}' not found in provided tools")


def _check_forced_tool(params: Params, model: Model) -> None:
    if model.steers_itself:
        raise invalid(f"tool_choice: forced tool use is not supported for {model.id}")
    thinking = params.get("thinking")
    thinking_type = thinking.get("type") if isinstance(thinking, dict) else None
    if thinking_type in {"enabled", "adaptive"}:
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if not params.get("tools", []):
        raise invalid("tool_choice may only be specified while providing tools")


def _check_output(config: object) -> None:
    if config is None:
        return
    if not isinstance(config, dict):
        raise invalid("output_config: Input should be a valid dictionary")
    if config.get("effort") not in _EFFORTS:
        raise invalid(
            "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"
        )
    output_format = config.get("format")
    if output_format is not None:
        _check_format(output_format)


def _check_format(output_format: object) -> None:
    if not isinstance(output_format, dict):
        raise invalid("output_config.format.type: Input should be 'json_schema'")
    if output_format.get("type") != "json_schema":
        raise invalid("output_config.format.type: Input should be 'json_schema'")
    schema = output_format.get("schema")
    if not isinstance(schema, dict):
        raise invalid("output_config.format.schema: Field required")
    schema_error = _schema_error(msgspec.json.encode(schema))
    if schema_error:
        raise invalid(schema_error)


@lru_cache(maxsize=1_024)
def _schema_error(schema: bytes) -> str | None:
    try:
        check_schema(msgspec.json.decode(schema))
    except ApiError as error:
        return error.message
    return None
