"""Everything about a request but its messages. All requests of a batch tend to share one, so it is looked at once."""

from dataclasses import dataclass
from typing import Any

import msgspec

from nightbatch.emulator.answers.content import frame_digest
from nightbatch.emulator.answers.models import Model
from nightbatch.emulator.answers.params import check_frame
from nightbatch.emulator.answers.prompt import Prompt, frame_prompt
from nightbatch.emulator.errors import ApiError

Betas = frozenset[str]


@dataclass(frozen=True)
class Frame:
    """A frame: who answers, or what is wrong with it; the beginning of the prompt; names for cache and books."""

    params: dict[str, Any]
    betas: Betas
    model: Model | ApiError
    prompt: Prompt
    variant: bytes
    digest: bytes


class Frames:
    """The last frame that was read."""

    def __init__(self) -> None:
        self._last: Frame | None = None

    def read(self, params: dict[str, Any], betas: Betas) -> Frame:
        """Return the frame of a request: most often the last one again."""
        plain = {key: value for key, value in params.items() if key != "messages"}
        last = self._last
        if last is None or last.params != plain or last.betas != betas:
            last = self._last = _read(plain, betas)
        return last


def _read(params: dict[str, Any], betas: Betas) -> Frame:
    model: Model | ApiError
    try:
        model = check_frame(params, betas)
    except ApiError as error:
        model = error
    variant = msgspec.json.encode((params.get("thinking"), params.get("output_config")))
    return Frame(
        params, betas, model, frame_prompt(params), variant, frame_digest(params)
    )
