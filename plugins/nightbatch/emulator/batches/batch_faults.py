"""Faults that a whole batch is born with: it never ends, is cancelled from outside, is slow, or the credit runs out."""

from dataclasses import replace

from nightbatch.emulator.batches.account import Order
from nightbatch.emulator.faults.rules import Faults
from nightbatch.emulator.settings import Pace


def order_of(order: Order, faults: Faults, pace: Pace) -> Order:
    """Return an order with everything that the faults of this moment do to it."""
    struck = {
        fault.what: fault.options
        for fault in faults.strike("batch", {"requests": order.count})
    }
    duration = (
        float(struck["slow"].get("seconds", 3_600))
        if "slow" in struck
        else pace.duration(order.count)
    )
    cancel_after = None
    if "canceled" in struck:
        share = float(struck["canceled"].get("at", 0.5))
        cancel_after = float(struck["canceled"].get("seconds", share * duration))
    return replace(
        order,
        duration=duration,
        answers_until=float(struck["never_ends"].get("at", 0.5))
        if "never_ends" in struck
        else 1.0,
        cancel_after=cancel_after,
        credit_until=float(struck["credit_out"].get("at", 0.5))
        if "credit_out" in struck
        else 1.0,
        faults=faults.of_rows(),
    )
