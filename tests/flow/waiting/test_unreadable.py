"""Waiting in one process while the API cannot be read: it is said until when, and it ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.support.nights.flow import settings
from tests.support.nights.memory import MemoryWorld, world_of_rows

from nightbatch.errors import ApiUnavailable
from nightbatch.flow import World, steps
from nightbatch.publish.report import Report

DEAD = 10_000
"""More failures than any test here waits for."""


@pytest.fixture
def world() -> MemoryWorld:
    """Return a world in memory with one partition."""
    return world_of_rows(4)


@pytest.fixture
def lines() -> list[str]:
    """Return the lines that the flow logs."""
    return []


def sent(world: MemoryWorld, lines: list[str], **more: Any) -> Iterator[str | Report]:
    """Run a flow until its batches are sent; return the rest of its steps, with a dead API."""
    in_one_process = World(
        world.store, world.batches, world.now, world.sleep, info=lines.append
    )
    rest = steps(settings(**more), in_one_process, "dag/run")
    while next(rest) != "submit":
        pass
    lines.clear()
    world.batches.faults.reads = DEAD
    return rest


def test_a_wait_ends_once_its_batches_must_have_ended(
    world: MemoryWorld, lines: list[str]
) -> None:
    sent_at = world.now()
    with pytest.raises(ApiUnavailable, match="the API answered 500"):
        next(sent(world, lines))
    assert "It is tried until 2026-11-22 01:00 UTC." in lines[0]
    assert timedelta(hours=25) < world.now() - sent_at < timedelta(hours=26)


def test_a_wait_says_that_it_tries_until_the_deadline(
    world: MemoryWorld, lines: list[str]
) -> None:
    with pytest.raises(ApiUnavailable):
        next(sent(world, lines, deadline_hours=3))
    assert "It is tried until 2026-11-21 03:00 UTC." in lines[0]
    assert world.now().hour == 3


def test_a_wait_for_batches_of_long_ago_has_its_minutes_too(
    world: MemoryWorld, lines: list[str]
) -> None:
    rest = sent(world, lines, give_up_minutes=20)
    world.clock.turn(48 * 3_600)
    began_at = world.now()
    with pytest.raises(ApiUnavailable):
        next(rest)
    assert timedelta(minutes=20) <= world.now() - began_at < timedelta(minutes=25)


def test_a_wait_goes_on_once_the_api_can_be_read(
    world: MemoryWorld, lines: list[str]
) -> None:
    rest = sent(world, lines)
    world.batches.faults.reads = 3
    assert next(rest) == "wait"
    # The first look that sees anything is shown, so that nobody wonders what is waited for.
    assert lines[3].startswith("0 of 1 batch ended (4 requests in all)")
    assert len([line for line in lines if "It is tried until" in line]) == 3
