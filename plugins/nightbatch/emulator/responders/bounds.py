"""The bounds of numbers and lists that a schema sets.

They are read from descriptions too: the SDK moves those there that the API rejects, as `{minimum: 1, maximum: 5}`.
"""

import re
from typing import Any

from nightbatch.emulator.responders.combined import Schema

_HINT = re.compile(
    r"\b(minimum|maximum|exclusiveMinimum|exclusiveMaximum|minLength|maxLength|maxItems|minItems): (-?\d+)"
)
_LEAST = 0
_GREATEST = 100


def with_hints(schema: Schema) -> Schema:
    """Return a schema with the bounds that its description names."""
    description = schema.get("description")
    if not isinstance(description, str) or ": " not in description:
        return schema
    hints = {}
    for name, value in _HINT.findall(description):
        hints[name] = int(value)
    return {**hints, **schema}


def item_bounds(schema: Schema) -> tuple[int, int]:
    """Return the least and the greatest number of a list's items."""
    min_items = int(schema.get("minItems", 0))
    max_items = int(schema.get("maxItems", min_items + 3))
    return min_items, max(min_items, max_items)


def number_bounds(schema: Schema, step: float) -> tuple[float, float]:
    """Return the least and the greatest number; by default 0 and 100, moved to agree with the other bound."""
    low = _bound(schema, "minimum", "exclusiveMinimum", step)
    high = _bound(schema, "maximum", "exclusiveMaximum", -step)
    if low is None and high is None:
        return _LEAST, _GREATEST
    if low is None:
        return min(_LEAST, high), high
    if high is None:
        return low, max(low, _GREATEST)
    return low, high


def _bound(schema: Schema, inclusive_key: str, exclusive_key: str, step: float) -> Any:
    """Return a bound, one step inside where it is exclusive; None for a schema without one."""
    if inclusive_key in schema:
        return schema[inclusive_key]
    if exclusive_key in schema:
        return schema[exclusive_key] + step
    return None
