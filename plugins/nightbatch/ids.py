"""The ids in facts, each a type of its own, so that one cannot be used in place of another."""

from __future__ import annotations

from typing import NewType

RequestId = NewType("RequestId", bytes)
"""20 bytes: the head of the SHA-256 of a request's canonical params; 40 hex digits as `custom_id`."""

Shard = NewType("Shard", str)
"""A claim's number in its ledger, eight digits: `00000042`."""

Snapshot = NewType("Snapshot", str)
"""16 hex digits: hash of a source listing and of all settings that shape rows and requests."""

BatchId = NewType("BatchId", str)
"""The API's own id of a batch."""

ID_BYTES = 20
