"""Sample support tickets: two nights of a snapshot of all open tickets, the same ones every time.

The second night closes a tenth, gets a follow-up on another tenth and opens as many new ones: a fifth of its rows are
new or changed. Phrases and odd texts come from `include/sample/tickets.json`.
"""

from __future__ import annotations

import itertools
import json
import random
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


class Desk:
    """The help desk whose tickets these are."""

    def __init__(self, phrases: dict[str, Any], *, rows: int) -> None:
        self._phrases = phrases
        self._rows = rows
        self._chance = random.Random(SEED)  # noqa: S311  reproducible, not secret
        self._topics = phrases["topics"]
        self._weights = [topic["weight"] for topic in self._topics]
        self._odd = itertools.cycle(phrases["odd"])
        self._opened = 0

    def first_night(self) -> list[Ticket]:
        """Return the open tickets of the first night, oldest first."""
        tickets: list[Ticket] = []
        for _ in range(self._rows):
            tickets.append(self._next(tickets))
        return tickets

    def next_night(self, before: list[Ticket]) -> list[Ticket]:
        """Return the open tickets a day later: a tenth closed, a tenth written to again, a tenth new."""
        tenth = len(before) // 10
        touched = self._chance.sample(range(len(before)), k=2 * tenth)
        closed, chased = set(touched[:tenth]), set(touched[tenth:])
        kept = [
            self._chase(ticket) if place in chased else ticket
            for place, ticket in enumerate(before)
            if place not in closed
        ]
        return kept + [self._open() for _ in range(tenth)]

    def _next(self, earlier: list[Ticket]) -> Ticket:
        roll = self._chance.random()
        if roll < 0.08 and earlier:
            return self._stamp(self._chance.choice(earlier[-400:]))
        if roll < 0.11:
            return self._strange()
        return self._open()

    def _open(self) -> Ticket:
        topic = self._chance.choices(self._topics, self._weights)[0]
        mood = self._chance.choices(("negative", "neutral", "positive"), (3, 6, 1))[0]
        details = self._chance.sample(topic["details"], k=self._chance.randrange(3))
        sentences = [
            self._pick("openings", topic),
            *details,
            self._chance.choice(self._phrases["closings"][mood]),
        ]
        lines = [
            self._pick("greetings"),
            " ".join(filter(None, sentences)),
            self._pick("signatures"),
        ]
        subject = self._pick("subjects", topic)
        body = "\n\n".join(filter(None, lines))
        return self._ticket(
            topic["products"], subject and self._fill(subject), self._fill(body)
        )

    def _strange(self) -> Ticket:
        odd = next(self._odd)
        body = odd["body"]
        return self._ticket(
            ["Hub", "Larkwood app"],
            odd["subject"],
            body and body * odd.get("repeat", 1),
        )

    def _ticket(
        self, products: list[str], subject: str | None, body: str | None
    ) -> Ticket:
        value = Decimal(self._chance.randrange(1_900, 49_900)) / 100
        return self._stamp(
            Ticket(
                ticket_id="",
                created_at=FIRST_DAY,
                channel=self._chance.choices(
                    ("email", "web", "chat", "phone"), (5, 4, 3, 1)
                )[0],
                product=self._chance.choice(products),
                plan=self._chance.choices(("free", "plus", "business"), (6, 3, 1))[0],
                order_value=value if self._chance.random() < 0.4 else None,
                subject=subject,
                body=body,
                messages=1,
                tags=self._chance.choice((None, [], ["vip"], ["beta", "eu"])),
            )
        )

    def _stamp(self, ticket: Ticket) -> Ticket:
        self._opened += 1
        created = FIRST_DAY + timedelta(milliseconds=self._opened * 371_293)
        return replace(
            ticket, ticket_id=f"T-{500_000 + self._opened}", created_at=created
        )

    def _chase(self, ticket: Ticket) -> Ticket:
        again = self._fill(self._pick("follow_ups"))
        return replace(
            ticket,
            body=f"{ticket.body or ''}\n\n--- follow-up\n{again}",
            messages=ticket.messages + 1,
        )

    def _pick(self, kind: str, source: dict[str, Any] | None = None) -> Any:
        return self._chance.choice((source or self._phrases)[kind])

    def _fill(self, text: str) -> str:
        for name, values in self._slots().items():
            text = text.replace("{" + name + "}", str(values))
        return text

    def _slots(self) -> dict[str, object]:
        number = self._chance.randrange
        return {
            **{
                name: self._chance.choice(values)
                for name, values in self._phrases["slots"].items()
            },
            "invoice": f"INV-{number(80_000, 99_999)}",
            "order": f"LW-{number(200_000, 299_999)}",
            "amount": f"{number(9, 240)}.{number(10):d}0",
            "time": f"{number(24):02d}:{number(60):02d}",
            "day": number(1, 29),
            "days": number(2, 21),
            "count": number(2, 60),
            "degrees": number(9, 17),
            "card": number(1_000, 9_999),
            "year": number(1988, 2026),
        }


def sample(project: Path, *, rows: int = ROWS) -> dict[str, pa.Table]:
    """Return the tables of both nights by partition."""
    phrases = json.loads(
        (project / "include/sample/tickets.json").read_text(encoding="utf-8")
    )
    desk = Desk(phrases, rows=rows)
    first = desk.first_night()
    return dict(zip(NIGHTS, (table(first), table(desk.next_night(first))), strict=True))


def table(tickets: list[Ticket]) -> pa.Table:
    """Turn tickets into a table."""
    return pa.Table.from_pylist([vars(ticket) for ticket in tickets], schema=SCHEMA)


def parts(night: pa.Table, *, count: int = 3) -> dict[str, pa.Table]:
    """Cut a night into files of about equal size."""
    size = -(-night.num_rows // count)
    return {
        f"part-{index:05d}.parquet": night.slice(index * size, size)
        for index in range(count)
    }
