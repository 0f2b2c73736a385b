"""Which Messages parameters `params` may hold: those that cost more than tokens or reach other hosts pass only where an
author says so, and those that nightbatch sets itself or that no batch can carry never do.

Source: the Messages API as of November 2026. A parameter that is not known here counts as one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from nightbatch.errors import SettingsError

KNOWN = frozenset(
    {
        "cache_control",
        "inference_geo",
        "metadata",
        "output_config",
        "stop_sequences",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
"""Billed by tokens alone; `tools` where each is the author's own."""
RESERVED = frozenset({"messages", "model", "max_tokens", "system"})
UNBATCHABLE = frozenset({"stream", "speed", "custom_id"})
OWN_TOOL_TYPE = "custom"
_OWN_TOOL_TYPES = (OWN_TOOL_TYPE, None)
"""Of a tool that the author's own program runs; it may have no type at all."""


def check(
    params: Mapping[str, Any],
    allowed: Collection[str],
    *,
    capped: bool,
    structured: bool,
) -> None:
    """Raise SettingsError for parameters that are not allowed, or whose cost no cap can bound.

    `allowed`: names, and types of tools, that the author lets pass. `capped`: the run has a cap on its cost.
    `structured`: its answers have a schema.
    """
    _check_own(params, structured)
    names = billed(params)
    barred = sorted(names - set(allowed))
    if barred:
        raise SettingsError(
            f"params: {', '.join(barred)} may cost more than tokens or reach other hosts. "
            "The author of a DAG allows it with allow_params in its Enrichment."
        )
    if names and capped:
        raise SettingsError(
            f"params: {', '.join(sorted(names))} is billed by its use, which no cap can bound beforehand. "
            "Leave it out, or run without max_cost_usd and max_monthly_cost_usd."
        )


def _check_own(params: Mapping[str, Any], structured: bool) -> None:
    """Refuse parameters that have a place of their own, or none in a batch."""
    for name in sorted(RESERVED & params.keys()):
        is_prompt = name == "messages"
        parameter = "prompt" if is_prompt else f"of that name, {name}"
        raise SettingsError(
            f"params: {name} cannot be given here: use the parameter {parameter}."
        )
    if unfit_names := sorted(UNBATCHABLE & params.keys()):
        raise SettingsError(
            f"params: {', '.join(unfit_names)} cannot be used in a batch: remove it."
        )
    try:
        msgspec.json.encode(params)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise SettingsError(
            "params: cannot be written as JSON; use texts, numbers, lists and dicts alone."
        ) from None
    output_config = params.get("output_config") or {}
    if not isinstance(output_config, Mapping):
        raise SettingsError("params: output_config must be an object.")
    if structured and output_config.get("format") is not None:
        raise SettingsError(
            "params: output_config.format and answer_schema are both given: keep one."
        )


def billed(params: Mapping[str, Any]) -> set[str]:
    """Name the parameters and types of tools that are not known to be billed by tokens alone."""
    other_names = params.keys() - KNOWN - RESERVED - UNBATCHABLE
    names = {str(name) for name in other_names}
    tools = params.get("tools")
    if tools is None:
        return names
    if not isinstance(tools, (list, tuple)):
        return names | {"tools"}
    return names | _billed_tool_types(tools)


def _billed_tool_types(tools: Collection[Any]) -> set[str]:
    """Name the types of those tools that are not the author's own."""
    tool_types = set[str]()
    for tool in tools:
        tool_type = "unknown"
        if isinstance(tool, Mapping):
            tool_type = tool.get("type", OWN_TOOL_TYPE)
        is_own = tool_type in _OWN_TOOL_TYPES
        if not is_own:
            tool_types.add(str(tool_type))
    return tool_types
