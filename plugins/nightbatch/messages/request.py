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
from nightbatch.ids import ID_BYTES

SUFFIX = b',"role":"user"}]}'
_ITEM_HEAD = b'{"custom_id":"'
_ITEM_MIDDLE = b'","params":'
_ITEM_TAIL = b"}"
BODY_HEAD = b'{"requests":['
BODY_TAIL = b"]}"

SCHEMAS = {"schema", "input_schema"}
Params = dict[str, Any]
"""The parameters of one Messages call, by name."""


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
        """Tell whether what is sent is what requests are named by, except for `cache_control` on the system part."""
        sent_params = _decoded_params(self.wire, b'""')
        named_params = _decoded_params(self.identity, b'""')
        sent_question = _without_cache_control(sent_params)
        return bool(sent_question == _without_cache_control(named_params))

    @property
    def item_overhead(self) -> int:
        """Bytes that one item of the body adds to its content, the separating comma included."""
        fixed_bytes = len(_ITEM_HEAD + _ITEM_MIDDLE + _ITEM_TAIL + SUFFIX)
        custom_id_bytes = 2 * ID_BYTES
        comma_bytes = 1
        return fixed_bytes + custom_id_bytes + len(self.wire) + comma_bytes

    def body_size(self, content_bytes: int, requests: int) -> int:
        """Count the exact bytes of a body with N `requests`, whose contents have `content_bytes` together."""
        missing_commas = 1 if requests else 0  # the first item has none before it
        item_bytes = content_bytes + requests * self.item_overhead - missing_commas
        return len(BODY_HEAD) + item_bytes + len(BODY_TAIL)

    def request_ids(self, contents: pa.Array) -> list[bytes]:
        """Name requests by their contents, JSON values each (large_binary)."""
        copy_frame_hash = self._state.copy
        request_ids = list[bytes]()
        data, starts = buffer(contents)
        for start, end in pairwise(starts.tolist()):
            request_hash = copy_frame_hash()
            request_hash.update(data[start:end])
            request_hash.update(SUFFIX)
            request_ids.append(request_hash.digest()[:ID_BYTES])
        return request_ids

    def items(self, ids: pa.Array, contents: pa.Array) -> memoryview:
        """Encode entries of `requests`, each with a comma before it, without an object a row."""
        printed_ids = custom_ids(ids)
        id_texts = printed_ids.cast(pa.large_string())
        id_bytes = id_texts.cast(pa.large_binary())
        item_start = _large_binary(b"," + _ITEM_HEAD)
        no_separator = _large_binary(b"")
        joined_items = pc.binary_join_element_wise(
            item_start,
            id_bytes,
            _large_binary(_ITEM_MIDDLE + self.wire),
            contents,
            _large_binary(SUFFIX + _ITEM_TAIL),
            no_separator,
        )
        data, starts = buffer(joined_items)
        first_byte = int(starts[0])
        end_byte = int(starts[-1])
        return data[first_byte:end_byte]

    def params(self, content: bytes) -> Params:
        """Decode the params of one request, as the API will see them."""
        return _decoded_params(self.wire, content)


def frame(
    shared: Mapping[str, Any], *, system: str | None = None, cache: bool = False
) -> Frame:
    """Build the frame from all params but the messages.

    `cache` puts a one-hour `cache_control` on the system block, the last block that all requests share.
    """
    identity_params = dict(shared)
    wire_params = dict(shared)
    if system:
        system_block: dict[str, Any] = {"type": "text", "text": system}
        cache_control = {"type": "ephemeral", "ttl": "1h"}
        cached_block = {**system_block, "cache_control": cache_control}
        identity_params["system"] = [system_block]
        wire_params["system"] = [cached_block if cache else system_block]
    return Frame(wire=_prefix(wire_params), identity=_prefix(identity_params))


def shared_params(
    *,
    model: str,
    max_tokens: int,
    params: Mapping[str, Any],
    output_format: Mapping[str, Any] | None,
) -> Params:
    """Merge the named parameters with the author's other Messages parameters, which `billed_params` has checked."""
    merged: Params = {**params, "model": model, "max_tokens": max_tokens}
    if output_format is not None:
        output_config = dict(params.get("output_config") or {})
        merged["output_config"] = {
            **output_config,
            "format": {"type": "json_schema", "schema": output_format},
        }
    return merged


def _decoded_params(prefix: bytes, content: bytes) -> Params:
    params_json = prefix + content + SUFFIX
    params: Params = msgspec.json.decode(params_json)
    return params


def _without_cache_control(params: Params) -> Params:
    """Return params whose system blocks have no `cache_control`."""
    system_blocks = params.get("system")
    if not isinstance(system_blocks, list):
        return params
    plain_blocks = [
        {name: value for name, value in block.items() if name != "cache_control"}
        for block in system_blocks
    ]
    return {**params, "system": plain_blocks}


def _large_binary(value: bytes) -> pa.Scalar:
    return pa.scalar(value, pa.large_binary())


def _sorted(value: Any) -> Any:
    """Sort the keys of a value at all levels, but not inside a schema."""
    if isinstance(value, Mapping):
        sorted_keys = sorted(value)
        return {
            key: value[key] if key in SCHEMAS else _sorted(value[key])
            for key in sorted_keys
        }
    if isinstance(value, (list, tuple)):
        return [_sorted(item) for item in value]
    return value


def _prefix(shared: Mapping[str, Any]) -> bytes:
    encoded_params = msgspec.json.encode(_sorted(shared))
    is_empty = encoded_params == b"{}"
    comma = b"" if is_empty else b","
    return encoded_params[:-1] + comma + b'"messages":[{"content":'
