"""Checks of a whole prompt: its length and its cache breakpoints."""

from nightbatch.emulator.answers.models import Model
from nightbatch.emulator.answers.prompt import Prompt
from nightbatch.emulator.errors import invalid

MOST_BREAKPOINTS = 4


def check_prompt(prompt: Prompt, model: Model) -> None:
    """Raise the error of a prompt that is too long or that sets its cache breakpoints wrong."""
    all_ttls = [part.ttl for part in prompt.parts]
    breakpoint_ttls = [ttl for ttl in all_ttls if ttl is not None]
    _check_breakpoints(breakpoint_ttls)
    if prompt.tokens > model.context:
        raise invalid(
            f"prompt is too long: {prompt.tokens} tokens > {model.context} maximum"
        )


def _check_breakpoints(ttls: list[str]) -> None:
    """Raise the error of cache breakpoints, by their times to live in the order of the prompt."""
    if any(ttl not in {"5m", "1h"} for ttl in ttls):
        raise invalid("cache_control.ephemeral.ttl: Input should be '5m' or '1h'")
    if len(ttls) > MOST_BREAKPOINTS:
        raise invalid(
            f"A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {len(ttls)}."
        )
    if "5m" in ttls and "1h" in ttls[ttls.index("5m") :]:
        raise invalid(
            "A ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
            " Note that blocks are processed in the following order: `tools`, `system`, `messages`."
        )
