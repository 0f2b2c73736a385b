"""Messages parameters that cost more than tokens or reach other hosts: they pass only where an author says so.

Source: the Messages API as of November 2026. A parameter that is not known here counts as one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

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
REFUSED_ELSEWHERE = frozenset(
    {"messages", "model", "max_tokens", "system", "stream", "speed", "custom_id"}
)
OWN_TOOL_TYPE = "custom"


def check(params: Mapping[str, Any], allowed: Collection[str], *, capped: bool) -> None:
    """Raise SettingsError for parameters that are not allowed, or whose cost no cap can bound.

    `allowed`: names, and types of tools, that the author lets pass. `capped`: the run has a cap on its cost.
    """
    if not isinstance(params, Mapping):
        raise SettingsError("params: must be an object of Messages parameters.")
    names = billed(params)
    if barred := sorted(names - set(allowed)):
        raise SettingsError(
            f"params: {', '.join(barred)} may cost more than tokens or reach other hosts. "
            "The author of a DAG allows it with allow_params in its Enrichment."
        )
    if names and capped:
        raise SettingsError(
            f"params: {', '.join(sorted(names))} is billed by its use, which no cap can bound beforehand. "
            "Leave it out, or run without max_cost_usd and max_monthly_cost_usd."
        )


def billed(params: Mapping[str, Any]) -> set[str]:
    """Name the parameters and types of tools that are not known to be billed by tokens alone."""
    other_names = params.keys() - KNOWN - REFUSED_ELSEWHERE
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
        tool_type = tool.get("type") if isinstance(tool, Mapping) else "unknown"
        if tool_type is not None and tool_type != OWN_TOOL_TYPE:
            tool_types.add(str(tool_type))
    return tool_types
