"""Working out a batch's answers: in a shuffled order, one slice at a time, written to disk to keep memory low."""

import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from nightbatch.emulator.answers.answering import Answerer, AskedRequest
from nightbatch.emulator.answers.content import content_of
from nightbatch.emulator.answers.outcome import Outcome, add_outcome, errored
from nightbatch.emulator.batches.batch import Batch, BatchAnswers
from nightbatch.emulator.batches.intake import Item, open_items
from nightbatch.emulator.batches.journal import write_index
from nightbatch.emulator.faults.kinds import CREDIT
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.plain.answering import PlainRequests
from nightbatch.emulator.settings import BatchDuration
from nightbatch.emulator.wire import Json

SLICE = 200
WRITE_BYTES = 1_048_576
"""Lines are gathered up to this size before they are written to the disk."""
_params = msgspec.json.Decoder(dict)


@dataclass(frozen=True)
class Job:
    """One batch to work out: where its body is, where its lines go, and their index if they are to be kept."""

    batch: Batch
    body: Path
    lines: Path
    index: Path | None
    pace: BatchDuration
    seed: int


def work(job: Job, answerer: Answerer) -> Iterator[None]:
    """Work out the answers and put them on the batch; yield after each slice, so that other batches progress too."""
    items = _shuffled(job)
    answers = BatchAnswers(array("Q"), bytearray(), array("Q"))
    plain_requests = PlainRequests(answerer, answers, partial(_moments, job))
    any_requests = _AnyRequests(job, answerer, plain_requests)
    with job.lines.open("wb", buffering=WRITE_BYTES) as lines:
        line_end = 0
        for rank, item in enumerate(items):
            line = plain_requests.line(rank, item)
            if line is None:
                outcome, content = any_requests.outcome(rank, item)
                line = add_outcome(answers, item.custom_id, content, outcome)
            line_end += lines.write(line)
            answers.ends.append(line_end)
            if rank % SLICE == SLICE - 1:
                yield
    if job.index is not None:
        write_index(job.index, answers)
    job.batch.answers = answers
    job.body.unlink(missing_ok=True)


def _shuffled(job: Job) -> list[Item]:
    items = open_items(job.body)
    shuffle_seed = f"{job.seed}:{job.batch.number}"
    random.Random(shuffle_seed).shuffle(items)  # noqa: S311
    return items


@dataclass(frozen=True)
class _AnyRequests:
    """The general way: for requests of any kind, and of a batch with faults for all of them."""

    job: Job
    answerer: Answerer
    plain_requests: PlainRequests

    def outcome(self, rank: int, item: Item) -> tuple[Outcome, int]:
        """Return a request's outcome and the hash of its content."""
        batch = self.job.batch
        try:
            params = _params.decode(item.params)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return errored("invalid_request_error", f"params: {error}"), 0
        frame = self.answerer.frames.read(params, batch.betas)
        content = content_of(frame.digest, params.get("messages"))
        if rank >= batch.credit_until * batch.count:
            return errored("invalid_request_error", CREDIT), content
        if not batch.faults and batch.credit_until >= 1:
            self.plain_requests.learn(item, params, frame)
        fault = _fault(batch, item, params) if batch.faults else None
        starts_at, begins_at = _moments(self.job, rank)
        asked_request = AskedRequest(params, frame, starts_at, begins_at)
        return self.answerer.answer(asked_request, fault), content


def _fault(batch: Batch, item: Item, params: Json) -> Fault | None:
    """Return the first fault that strikes a request; those after it do not count the request."""
    params_text = bytes(item.params).decode(errors="replace")
    facts = {
        "chance": f"{batch.number}:{item.custom_id}",
        "custom_id": item.custom_id,
        "requests": batch.count,
        "batch": batch.id,
        "model": params.get("model"),
        "text": params_text,
    }
    for fault in batch.faults:
        if fault.strikes(facts):
            return fault
    return None


def _moments(job: Job, rank: int) -> tuple[float, float]:
    """Return when a request starts and when its answer begins."""
    batch = job.batch
    times = batch.timeline
    begins_after = job.pace.begins_after
    starting_share = 1 - begins_after
    rank_share = rank / batch.count
    start_delay = times.duration * rank_share * starting_share
    starts_at = times.created_at + start_delay
    answer_delay = times.duration * begins_after
    return starts_at, starts_at + answer_delay
