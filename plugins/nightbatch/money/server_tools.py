"""Tools that the API runs itself and bills by use, such as web search: how often results used them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightbatch.money.prices import SERVER_TOOLS

SUFFIX = "_requests"
MOST_USES = 10_000
"""No answer uses a tool so often: a larger number in `usage` is not a count of uses."""


def tool_uses(reported: Any) -> tuple[int, int, int]:
    """Count the uses of each of SERVER_TOOLS in a usage's `server_tool_use`.

    An unknown tool, or an impossible count, counts as one use of `other`, which never has a price.
    """
    if reported is None:
        return 0, 0, 0
    if not isinstance(reported, Mapping):
        return 0, 0, 1
    tool_uses = dict.fromkeys(SERVER_TOOLS, 0)
    for name, count in reported.items():
        if not count:
            continue
        tool = str(name).removesuffix(SUFFIX)
        if tool in SERVER_TOOLS[:2] and _is_use_count(count):
            tool_uses[tool] += count
        else:
            tool_uses["other"] += 1
    return tool_uses["web_search"], tool_uses["web_fetch"], tool_uses["other"]


def _is_use_count(count: Any) -> bool:
    return isinstance(count, int) and 0 < count < MOST_USES
