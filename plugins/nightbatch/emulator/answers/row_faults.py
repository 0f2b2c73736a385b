"""What a fault does to a single request: it replaces the outcome, or it spoils the answer."""

from dataclasses import replace

from nightbatch.emulator.answers.outcome import Outcome, errored
from nightbatch.emulator.answers.usage import tokens
from nightbatch.emulator.batches.batch import CANCELED, EXPIRED
from nightbatch.emulator.faults.kinds import Options
from nightbatch.emulator.faults.rules import Fault
from nightbatch.emulator.reply import Reply

_THOUGHT = {"type": "thinking", "thinking": "", "signature": "EqQBCkYIARgCKkDw"}
_STOPS = {
    "max_tokens": "max_tokens",
    "context_window": "model_context_window_exceeded",
    "pause_turn": "pause_turn",
    "unknown_stop": "compute_budget",
}
_MESSAGES = {
    "api_error": "Internal server error",
    "overloaded_error": "Overloaded",
    "rate_limit_error": "This request would exceed your organization's rate limit.",
    "timeout_error": "Request timed out",
    "not_found_error": "model: claude-unknown",
    "invalid_request_error": "messages.0.content: the request could not be processed",
}


def replacement_outcome(fault: Fault) -> Outcome | None:
    """Return the outcome that a fault puts in an answer's place; None where it only spoils the answer."""
    match fault.what:
        case "expired":
            return Outcome(EXPIRED, b'{"type":"expired"}')
        case "canceled":
            return Outcome(CANCELED, b'{"type":"canceled"}')
        case "errored":
            return _errored(fault.options)
    return None


def _errored(options: Options) -> Outcome:
    error_type: str = options.get("type", "api_error")
    default_message = _MESSAGES.get(error_type, error_type)
    message: str = options.get("message", default_message)
    details = options.get("details")
    return errored(error_type, message, details)


def spoil_answer(reply: Reply, what: str, options: Options) -> Reply:
    """Return an unusable answer that is billed like a good one."""
    if what in _STOPS:
        return _stopped_halfway(reply, _STOPS[what])
    match what:
        case "refusal":
            refusal_text = options.get("message", "I can't help with that.")
            return Reply(refusal_text, stop_reason="refusal")
        case "invalid_json":
            broken_text = f"Here is the answer: {reply.text[:-1]}"
            return replace(reply, text=broken_text, content=None)
        case "wrong_schema":
            other_text = '{"unexpected": [null, "value"]}'
            return replace(reply, text=other_text, content=None)
        case "empty":
            return replace(reply, text="", content=[])
    return replace(reply, text="", content=[_THOUGHT])


def _stopped_halfway(reply: Reply, stop_reason: str) -> Reply:
    half_length = len(reply.text) // 2
    first_half = reply.text[:half_length]
    output_tokens = max(1, tokens(first_half))
    return Reply(first_half, stop_reason=stop_reason, output_tokens=output_tokens)
