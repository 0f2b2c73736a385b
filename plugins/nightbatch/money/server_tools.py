"""Tools that the API runs itself and bills by use, such as web search: how often results used them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightbatch.money.prices import SERVER_TOOLS

SUFFIX = "_requests"
MOST_USES = 10_000
"""No answer uses a tool so often: a larger number in `usage` is no number of uses."""


def tool_uses(reported: Any) -> tuple[int, int, int]:
    """Count the uses of each of SERVER_TOOLS in a usage's `server_tool_use`.

    A tool that we do not know, and a count that cannot be one, counts as a use of `other`, which never has a price.
    """
    if reported is None:
        return 0, 0, 0
    if not isinstance(reported, Mapping):
        return 0, 0, 1
    uses = dict.fromkeys(SERVER_TOOLS, 0)
    for name, count in reported.items():
        tool = str(name).removesuffix(SUFFIX)
        if not count:
            continue
        if (
            tool in SERVER_TOOLS[:2]
            and isinstance(count, int)
            and 0 < count < MOST_USES
        ):
            uses[tool] += count
        else:
            uses["other"] += 1
    return uses["web_search"], uses["web_fetch"], uses["other"]
