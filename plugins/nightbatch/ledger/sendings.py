"""The POSTs of a claim as the ledger has them: the right to send each, and how it ended."""

from __future__ import annotations

from collections.abc import Collection

from nightbatch.ids import Shard
from nightbatch.ledger import keys
from nightbatch.ledger.facts import Maybe, Post, Refusal, Sending
from nightbatch.ports import Store


def sendings(store: Store, shard: Shard) -> list[Sending]:
    """Read the POSTs of a claim, in their order."""
    post_entries = store.list(f"{keys.POSTS}{shard}/")
    listed_keys = {entry.key for entry in post_entries}
    numbers = {keys.number_of(key) for key in listed_keys if keys.is_post(key)}
    return [_sending(store, shard, number, listed_keys) for number in sorted(numbers)]


def _sending(
    store: Store, shard: Shard, number: int, listed_keys: Collection[str]
) -> Sending:
    """Read one POST. How it ended is read only where it was listed."""
    post_key = keys.post(shard, number)
    post = Post.from_json(store.get(post_key))
    refusal = None
    refusal_key = keys.refusal(shard, number)
    if refusal_key in listed_keys:
        refusal = Refusal.from_json(store.get(refusal_key))
    maybe = None
    maybe_key = keys.maybe(shard, number)
    if maybe_key in listed_keys:
        maybe = Maybe.from_json(store.get(maybe_key))
    return Sending(number, post, refusal, maybe)
