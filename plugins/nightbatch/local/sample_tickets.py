"""Sample support tickets: two nights of a snapshot of all open tickets, the same ones every time.

The second night closes a tenth, gets a follow-up on another tenth and opens as many new ones: a fifth of its rows are
new or changed. Phrases and odd texts come from `include/sample/tickets.json`.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

NIGHTS = ("dt=2026-11-20", "dt=2026-11-21")
ROWS = 3_000
SEED = 20_261_120
FIRST_DAY = datetime(2026, 11, 8, tzinfo=UTC)
BETWEEN_TICKETS = timedelta(milliseconds=371_293)
MOODS = ("negative", "neutral", "positive")
MOOD_WEIGHTS = (3, 6, 1)
CHANNELS = ("email", "web", "chat", "phone")
CHANNEL_WEIGHTS = (5, 4, 3, 1)
PLANS = ("free", "plus", "business")
PLAN_WEIGHTS = (6, 3, 1)
ODD_PRODUCTS = ["Hub", "Larkwood app"]
SCHEMA = pa.schema(
    [
        pa.field("ticket_id", pa.string(), nullable=False),
        ("created_at", pa.timestamp("ms", tz="UTC")),
        ("channel", pa.dictionary(pa.int8(), pa.string())),
        ("product", pa.string()),
        ("plan", pa.string()),
        ("order_value", pa.decimal128(10, 2)),
        ("subject", pa.string()),
        ("body", pa.string()),
        ("messages", pa.int32()),
        ("tags", pa.list_(pa.string())),
    ]
)


Phrases = dict[str, Any]
"""Texts by what they are for; those of a topic, or all."""


@dataclass(frozen=True)
class Ticket:
    """One open ticket, as the help desk exports it."""

    ticket_id: str
    created_at: datetime
    channel: str
    product: str
    plan: str
    order_value: Decimal | None
    subject: str | None
    body: str | None
    messages: int
    tags: list[str] | None


Night = list[Ticket]
"""The open tickets of one night, oldest first."""


class Desk:
    """The help desk whose tickets these are.

    The order of the draws from `_random` decides the sample: a draw that moves changes every ticket after it.
    """

    def __init__(self, phrases: Phrases, *, rows: int) -> None:
        self._phrases = phrases
        self._rows = rows
        self._random = random.Random(SEED)  # noqa: S311  reproducible, not secret
        self._topics = phrases["topics"]
        self._topic_weights = [topic["weight"] for topic in self._topics]
        self._odd_texts = itertools.cycle(phrases["odd"])
        self._opened_count = 0

    def first_night(self) -> Night:
        """Return the open tickets of the first night."""
        tickets: Night = []
        for _ in range(self._rows):
            next_ticket = self._next_ticket(tickets)
            tickets.append(next_ticket)
        return tickets

    def next_night(self, before: Night) -> Night:
        """Return the open tickets a day later: a tenth closed, a tenth written to again, a tenth new."""
        row_numbers = range(len(before))
        tenth_count = len(before) // 10
        changed_count = 2 * tenth_count
        changed_rows = self._random.sample(row_numbers, k=changed_count)
        closed_rows = set(changed_rows[:tenth_count])
        follow_up_rows = set(changed_rows[tenth_count:])
        kept_tickets = []
        for row_number, ticket in enumerate(before):
            if row_number in follow_up_rows:
                kept_tickets.append(self._with_follow_up(ticket))
            elif row_number not in closed_rows:
                kept_tickets.append(ticket)
        new_tickets = [self._new_ticket() for _ in range(tenth_count)]
        return kept_tickets + new_tickets

    def _next_ticket(self, earlier: Night) -> Ticket:
        """Return a copy of a recent ticket, one with an odd text, or (mostly) a usual one."""
        random_share = self._random.random()
        if random_share < 0.08 and earlier:
            recent_tickets = earlier[-400:]
            copied_ticket = self._random.choice(recent_tickets)
            return self._numbered(copied_ticket)
        if random_share < 0.11:
            return self._odd_ticket()
        return self._new_ticket()

    def _new_ticket(self) -> Ticket:
        topic = self._weighted_choice(self._topics, self._topic_weights)
        body_template = self._body_template(topic)
        subject = self._pick("subjects", topic)
        if subject:
            subject = self._filled(subject)
        body = self._filled(body_template)
        products = topic["products"]
        return self._ticket(products, subject, body)

    def _body_template(self, topic: Phrases) -> str:
        """Return sentences between a greeting and a signature, with their slots; either may be missing."""
        sentences = self._sentences(topic)
        greeting = self._pick("greetings")
        signature = self._pick("signatures")
        return _joined("\n\n", [greeting, sentences, signature])

    def _sentences(self, topic: Phrases) -> str:
        """Return an opening, up to two details and a closing, as one paragraph."""
        mood = self._weighted_choice(MOODS, MOOD_WEIGHTS)
        details = self._details(topic)
        opening = self._pick("openings", topic)
        all_closings = self._phrases["closings"]
        closing = self._pick(mood, all_closings)
        return _joined(" ", [opening, *details, closing])

    def _details(self, topic: Phrases) -> list[str]:
        detail_count = self._random.randrange(3)
        all_details = topic["details"]
        return self._random.sample(all_details, k=detail_count)

    def _odd_ticket(self) -> Ticket:
        odd_text = next(self._odd_texts)
        subject = odd_text["subject"]
        body = odd_text["body"]
        if body:
            body *= odd_text.get("repeat", 1)
        return self._ticket(ODD_PRODUCTS, subject, body)

    def _ticket(
        self, products: list[str], subject: str | None, body: str | None
    ) -> Ticket:
        order_value = Decimal(self._random.randrange(1_900, 49_900)) / 100
        channel = self._weighted_choice(CHANNELS, CHANNEL_WEIGHTS)
        product = self._random.choice(products)
        plan = self._weighted_choice(PLANS, PLAN_WEIGHTS)
        has_order = self._random.random() < 0.4
        tags = self._random.choice((None, [], ["vip"], ["beta", "eu"]))
        ticket = Ticket(
            ticket_id="",
            created_at=FIRST_DAY,
            channel=channel,
            product=product,
            plan=plan,
            order_value=order_value if has_order else None,
            subject=subject,
            body=body,
            messages=1,
            tags=tags,
        )
        return self._numbered(ticket)

    def _numbered(self, ticket: Ticket) -> Ticket:
        """Give a ticket the next id and the next time of creation."""
        self._opened_count += 1
        ticket_id = f"T-{500_000 + self._opened_count}"
        created_at = FIRST_DAY + self._opened_count * BETWEEN_TICKETS
        return replace(ticket, ticket_id=ticket_id, created_at=created_at)

    def _with_follow_up(self, ticket: Ticket) -> Ticket:
        follow_up = self._filled(self._pick("follow_ups"))
        return replace(
            ticket,
            body=f"{ticket.body or ''}\n\n--- follow-up\n{follow_up}",
            messages=ticket.messages + 1,
        )

    def _weighted_choice(self, options: Sequence[Any], weights: Sequence[int]) -> Any:
        return self._random.choices(options, weights)[0]

    def _pick(self, kind: str, source: Phrases | None = None) -> Any:
        phrase_source = source or self._phrases
        return self._random.choice(phrase_source[kind])

    def _filled(self, template: str) -> str:
        """Replace the slots of a template, such as `{invoice}`."""
        text = template
        for slot_name, slot_value in self._slot_values().items():
            text = text.replace("{" + slot_name + "}", str(slot_value))
        return text

    def _slot_values(self) -> dict[str, object]:
        randrange = self._random.randrange
        slot_values: dict[str, object] = {}
        for slot_name, choices in self._phrases["slots"].items():
            slot_values[slot_name] = self._random.choice(choices)
        number_slots = {
            "invoice": f"INV-{randrange(80_000, 99_999)}",
            "order": f"LW-{randrange(200_000, 299_999)}",
            "amount": f"{randrange(9, 240)}.{randrange(10):d}0",
            "time": f"{randrange(24):02d}:{randrange(60):02d}",
            "day": randrange(1, 29),
            "days": randrange(2, 21),
            "count": randrange(2, 60),
            "degrees": randrange(9, 17),
            "card": randrange(1_000, 9_999),
            "year": randrange(1988, 2026),
        }
        return {**slot_values, **number_slots}


def _joined(separator: str, phrases: list[str | None]) -> str:
    """Join the phrases that are not empty."""
    return separator.join(phrase for phrase in phrases if phrase)


def sample(project: Path, *, rows: int = ROWS) -> dict[str, pa.Table]:
    """Return the tables of both nights by partition."""
    phrases = _read_phrases(project)
    desk = Desk(phrases, rows=rows)
    first_night = desk.first_night()
    next_night = desk.next_night(first_night)
    first_partition, next_partition = NIGHTS
    return {
        first_partition: table(first_night),
        next_partition: table(next_night),
    }


def _read_phrases(project: Path) -> Phrases:
    phrase_file = project / "include/sample/tickets.json"
    phrases: Phrases = json.loads(phrase_file.read_text(encoding="utf-8"))
    return phrases


def table(tickets: Night) -> pa.Table:
    """Turn tickets into a table."""
    rows = [vars(ticket) for ticket in tickets]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def parts(night: pa.Table, *, count: int = 3) -> dict[str, pa.Table]:
    """Split a night into files of about equal size."""
    rows_per_file = math.ceil(night.num_rows / count)
    files = {}
    for file_number in range(count):
        first_row = file_number * rows_per_file
        file_name = f"part-{file_number:05d}.parquet"
        files[file_name] = night.slice(first_row, rows_per_file)
    return files
