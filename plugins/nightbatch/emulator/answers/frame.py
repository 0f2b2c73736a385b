"""Everything about a request but its messages. Requests of a batch mostly share one, so it is checked once."""

from dataclasses import dataclass

import msgspec

from nightbatch.emulator.answers.checks.params import check_frame
from nightbatch.emulator.answers.content import frame_digest
from nightbatch.emulator.answers.models import Model
from nightbatch.emulator.answers.prompt import Prompt, frame_prompt
from nightbatch.emulator.errors import ApiError
from nightbatch.emulator.wire import Betas, Json


@dataclass(frozen=True)
class RequestFrame:
    """A frame: its model, or what is wrong with it; the beginning of the prompt; hashes for the cache and the books."""

    params: Json
    betas: Betas
    model: Model | ApiError
    prompt: Prompt
    variant: bytes
    digest: bytes

    def is_of(self, params: Json, betas: Betas) -> bool:
        """Tell whether these params, with these beta features, have this frame."""
        return self.params == params and self.betas == betas


class Frames:
    """The last frame that was read."""

    def __init__(self) -> None:
        self._last: RequestFrame | None = None

    def read(self, params: Json, betas: Betas) -> RequestFrame:
        """Return the frame of a request: most often the last one again."""
        frame_params = params.copy()
        frame_params.pop("messages", None)
        last_frame = self._last
        if last_frame is not None and last_frame.is_of(frame_params, betas):
            return last_frame
        new_frame = _read(frame_params, betas)
        self._last = new_frame
        return new_frame


def _read(params: Json, betas: Betas) -> RequestFrame:
    model: Model | ApiError
    try:
        model = check_frame(params, betas)
    except ApiError as error:
        model = error
    cache_variant = (params.get("thinking"), params.get("output_config"))
    return RequestFrame(
        params=params,
        betas=betas,
        model=model,
        prompt=frame_prompt(params),
        variant=msgspec.json.encode(cache_variant),
        digest=frame_digest(params),
    )
