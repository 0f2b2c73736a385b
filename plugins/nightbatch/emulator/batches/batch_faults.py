"""Faults that a whole batch is created with: it never ends, is canceled from outside, is slow, or has no credit."""

from dataclasses import replace

from nightbatch.emulator.batches.account import Order
from nightbatch.emulator.faults.kinds import Options
from nightbatch.emulator.faults.rules import Faults
from nightbatch.emulator.settings import BatchDuration


def order_of(order: Order, faults: Faults, pace: BatchDuration) -> Order:
    """Return an order with everything that the present faults do to it."""
    batch_faults = faults.strike("batch", {"requests": order.count})
    options_by_kind = {fault.what: fault.options for fault in batch_faults}
    duration = pace.duration(order.count)
    slow = options_by_kind.get("slow")
    if slow is not None:
        duration = float(slow.get("seconds", 3_600))
    never_ends = options_by_kind.get("never_ends")
    canceled = options_by_kind.get("canceled")
    credit_out = options_by_kind.get("credit_out")
    return replace(
        order,
        duration=duration,
        answers_until=_share(never_ends),
        cancel_after=_cancel_after(canceled, duration),
        credit_until=_share(credit_out),
        faults=faults.of_rows(),
    )


def _share(options: Options | None) -> float:
    """Return the share of the requests that are answered before the fault strikes; all without a fault."""
    return 1.0 if options is None else float(options.get("at", 0.5))


def _cancel_after(options: Options | None, duration: float) -> float | None:
    """Return the seconds after which a batch is canceled, None if it is not."""
    if options is None:
        return None
    default_seconds = _share(options) * duration
    return float(options.get("seconds", default_seconds))
