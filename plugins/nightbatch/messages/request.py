"""A request is named by its content: params to canonical bytes, bytes to an id.

Canonical params are JSON without white space, keys sorted, except that `messages` comes last: everything the requests
of one run share is then a prefix (the frame), and hashing a row starts from the frame's ready state. Inside a schema
the author's order stays, since a model writes its answer in that order. `cache_control` is left out of the identity:
it changes what a request costs, never what it asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from nightbatch.columnar.custom_ids import custom_ids
from nightbatch.columnar.json_strings import buffer
from nightbatch.errors import SettingsError
from nightbatch.ids import ID_BYTES

SUFFIX = b',"role":"user"}]}'
_ITEM_HEAD, _ITEM_MIDDLE, _ITEM_TAIL = b'{"custom_id":"', b'","params":', b"}"
BODY_HEAD, BODY_TAIL = b'{"requests":[', b"]}"

RESERVED = {"messages", "model", "max_tokens", "system"}
UNBATCHABLE = {"stream", "speed", "custom_id"}

SCHEMAS = {"schema", "input_schema"}


@dataclass(frozen=True)
class Frame:
    """What all requests of a run share: canonical params up to the content of the one user message."""

    wire: bytes
    identity: bytes

    @cached_property
    def _state(self) -> Any:
        return hashlib.sha256(self.identity)

    @property
    def is_sound(self) -> bool:
        """Tell whether what is sent is what requests are named by, but for marks of the cache on the system part."""
        wire, identity = (
            _unmarked(msgspec.json.decode(part + b'""' + SUFFIX))
            for part in (self.wire, self.identity)
        )
        return bool(wire == identity)

    @property
    def item_overhead(self) -> int:
        """Bytes that one item of the body adds to its content, the separating comma included."""
        return (
            len(_ITEM_HEAD + _ITEM_MIDDLE + _ITEM_TAIL + SUFFIX)
            + 2 * ID_BYTES
            + len(self.wire)
            + 1
        )

    def body_size(self, content_bytes: int, requests: int) -> int:
        """Count the exact bytes of a body with so many requests, whose contents have so many bytes together."""
        commas_less = 1 if requests else 0  # the first item has none before it
        return (
            len(BODY_HEAD)
            + content_bytes
            + requests * self.item_overhead
            - commas_less
            + len(BODY_TAIL)
        )

    def request_ids(self, contents: pa.Array) -> list[bytes]:
        """Name requests by their contents, JSON values each (large_binary)."""
        copy, names = self._state.copy, []
        data, starts = buffer(contents)
        for begin, end in pairwise(starts.tolist()):
            state = copy()
            state.update(data[begin:end])
            state.update(SUFFIX)
            names.append(state.digest()[:ID_BYTES])
        return names

    def items(self, ids: pa.Array, contents: pa.Array) -> memoryview:
        """Encode entries of `requests`, each with a comma before it, without an object a row."""
        parts = [
            b"," + _ITEM_HEAD,
            custom_ids(ids).cast(pa.large_string()).cast(pa.large_binary()),
            _ITEM_MIDDLE + self.wire,
            contents,
            SUFFIX + _ITEM_TAIL,
        ]
        columns = [
            pa.scalar(part, pa.large_binary()) if isinstance(part, bytes) else part
            for part in parts
        ]
        joined = pc.binary_join_element_wise(
            *columns, pa.scalar(b"", pa.large_binary())
        )
        data, starts = buffer(joined)
        return data[int(starts[0]) : int(starts[-1])]

    def params(self, content: bytes) -> dict[str, Any]:
        """Decode the params of one request, as the API will see them."""
        decoded: dict[str, Any] = msgspec.json.decode(self.wire + content + SUFFIX)
        return decoded


def frame(
    shared: Mapping[str, Any], *, system: str | None = None, cache: bool = False
) -> Frame:
    """Build the frame from all params but the messages.

    `cache` puts a one-hour `cache_control` on the system block, the last block that all requests share.
    """
    block = {"type": "text", "text": system}
    plain = {**shared, **({"system": [block]} if system else {})}
    marked = {**block, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    wire = {**plain, **({"system": [marked]} if system and cache else {})}
    return Frame(wire=_prefix(wire), identity=_prefix(plain))


def shared_params(
    *,
    model: str,
    max_tokens: int,
    params: Mapping[str, Any],
    output_format: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Merge the named parameters with the author's other Messages parameters, refusing what a batch cannot carry."""
    if clash := sorted(RESERVED & params.keys()):
        raise SettingsError(
            f"params: {', '.join(clash)} cannot be given here: use the parameter of that name."
        )
    if unfit := sorted(UNBATCHABLE & params.keys()):
        raise SettingsError(
            f"params: {', '.join(unfit)} cannot be used in a batch: remove it."
        )
    merged: dict[str, Any] = {**params, "model": model, "max_tokens": max_tokens}
    if output_format is not None:
        output_config = dict(params.get("output_config") or {})
        if output_config.get("format") is not None:
            raise SettingsError(
                "params: output_config.format and answer_schema are both given: keep one."
            )
        merged["output_config"] = {
            **output_config,
            "format": {"type": "json_schema", "schema": output_format},
        }
    return merged


def _unmarked(params: dict[str, Any]) -> dict[str, Any]:
    """Return params whose system blocks bear no mark of the cache."""
    system = params.get("system")
    if not isinstance(system, list):
        return params
    blocks = [
        {name: value for name, value in block.items() if name != "cache_control"}
        for block in system
    ]
    return {**params, "system": blocks}


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: value[key] if key in SCHEMAS else _sorted(value[key])
            for key in sorted(value)
        }
    return (
        [_sorted(one) for one in value] if isinstance(value, (list, tuple)) else value
    )


def _prefix(shared: Mapping[str, Any]) -> bytes:
    encoded = msgspec.json.encode(_sorted(shared))
    comma = b"," if len(encoded) > 2 else b""
    return encoded[:-1] + comma + b'"messages":[{"content":'
