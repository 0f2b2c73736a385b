"""Checks of everything about a request but its messages."""

from typing import Any

from nightbatch.emulator.answers.checks.messages import check_block
from nightbatch.emulator.answers.checks.output import check_output
from nightbatch.emulator.answers.checks.thinking import check_thinking
from nightbatch.emulator.answers.checks.tools import check_tools
from nightbatch.emulator.answers.models import Model, find_model
from nightbatch.emulator.errors import ApiError, invalid
from nightbatch.emulator.wire import Betas, Params

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
_RANGES = {"temperature": (0, 1), "top_p": (0, 1), "top_k": (0, 1_000_000)}


def check_frame(frame: Params, betas: Betas) -> Model:
    """Return the model that will answer, or raise the first error in anything but the messages."""
    _check_keys(frame, betas)
    model = _check_model(frame)
    _check_max_tokens(frame, model, betas)
    _check_modes(frame)
    _check_sampling(frame, model)
    check_thinking(frame, model)
    check_tools(frame, model)
    check_output(frame)
    return model


def _check_keys(frame: Params, betas: Betas) -> None:
    for key in ("model", "max_tokens"):
        if key not in frame:
            raise invalid(f"{key}: Field required")
    allowed_keys = PLAIN | BETA if betas else PLAIN
    for key in frame:
        if key not in allowed_keys:
            raise invalid(f"{key}: Extra inputs are not permitted")


def _check_model(frame: Params) -> Model:
    name = frame["model"]
    if not isinstance(name, str):
        raise invalid("model: Input should be a valid string")
    model = find_model(name)
    if model is None:
        raise ApiError("not_found_error", f"model: {name}")
    return model


def _check_max_tokens(frame: Params, model: Model, betas: Betas) -> None:
    value = frame["max_tokens"]
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


def _check_modes(params: Params) -> None:
    if params.get("stream"):
        raise invalid("stream: streaming is not supported in batch requests")
    if params.get("speed") not in {None, "standard"}:
        raise invalid("speed: fast mode is not supported in batch requests")
    if params.get("service_tier", "auto") not in {"auto", "standard_only"}:
        raise invalid("service_tier: Input should be 'auto' or 'standard_only'")
    stop_sequences = params.get("stop_sequences", [])
    _check_stop_sequences(stop_sequences)
    system = params.get("system", "")
    _check_system(system)


def _check_stop_sequences(stop_sequences: object) -> None:
    if not _are_visible_texts(stop_sequences):
        raise invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _are_visible_texts(values: object) -> bool:
    """Tell whether this is a list of texts, none of them blank."""
    if not isinstance(values, list):
        return False
    return all(isinstance(value, str) and value.strip() for value in values)


def _check_system(system: object) -> None:
    if isinstance(system, str):
        return
    if not isinstance(system, list):
        raise invalid("system: Input should be a valid string or list")
    for number, block in enumerate(system):
        check_block(block, f"system.{number}")


def _check_sampling(params: Params, model: Model) -> None:
    for name in _RANGES:
        value = params.get(name)
        if value is not None:
            _check_range(name, value)
            _check_samples(name, value, model)


def _check_samples(name: str, value: Any, model: Model) -> None:
    """Raise the error of a model that does not sample, which takes nothing but the default temperature."""
    is_default = name == "temperature" and value == 1
    if not is_default and not model.samples:
        raise invalid(f"`{name}` is not supported for this model.")


def _check_range(name: str, value: Any) -> None:
    low, high = _RANGES[name]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise invalid(f"{name}: range: {low}..{high}")
