"""What plain requests share: the bytes around their texts, which are compared in place of being decoded and checked."""

from __future__ import annotations

from copy import deepcopy

import msgspec

from nightbatch.emulator.answers.checks.messages import check_messages
from nightbatch.emulator.answers.checks.prompt import check_prompt
from nightbatch.emulator.answers.frame import RequestFrame
from nightbatch.emulator.answers.models import Model
from nightbatch.emulator.errors import ApiError
from nightbatch.emulator.wire import Json

_text_decoder = msgspec.json.Decoder(str)


class _Message(msgspec.Struct):
    content: msgspec.Raw


class _Params(msgspec.Struct):
    messages: list[_Message]


_content_decoder = msgspec.json.Decoder(_Params)


class PlainForm:
    """One request as a form, without its text.

    Another JSON string in the text's place makes a request that differs in its text alone, so what was found out about
    the rest holds for it too.
    """

    def __init__(
        self, head: bytes, tail: bytes, params: Json, frame: RequestFrame
    ) -> None:
        self.frame = frame
        self._head = head
        self._tail = tail
        self._original_params = deepcopy(params)
        (self._message,) = self._original_params["messages"]
        self._original_params["messages"] = None
        self._params = deepcopy(self._original_params)

    def text_of(self, params_json: bytes) -> str | None:
        """Return the text of a request of this form; None for any other request, and for an empty text."""
        if not params_json.startswith(self._head):
            return None
        if not params_json.endswith(self._tail):
            return None
        text_json = params_json[len(self._head) : -len(self._tail)]
        try:
            return _text_decoder.decode(text_json) or None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def params_of(self, text: str) -> Json:
        """Return the params of a request, as if decoded from its JSON; what a responder changed before is restored."""
        if self._params != self._original_params:
            self._params = deepcopy(self._original_params)
        params = self._params.copy()
        message = self._message.copy()
        message["content"] = text
        params["messages"] = [message]
        return params


def read_form(
    params_json: bytes, params: Json, frame: RequestFrame
) -> PlainForm | None:
    """Return the form of a request whose params and frame were read; None unless it is plain."""
    if not _is_plain(params, frame):
        return None
    try:
        raw_params = _content_decoder.decode(params_json)
    except msgspec.ValidationError:
        return None
    text_json = bytes(raw_params.messages[0].content)
    text_start = params_json.find(text_json)
    if text_start != params_json.rfind(text_json):
        return None
    text_end = text_start + len(text_json)
    return PlainForm(params_json[:text_start], params_json[text_end:], params, frame)


def _is_plain(params: Json, frame: RequestFrame) -> bool:
    """Tell whether nothing is wrong with a request, and only its length and its answer depend on its one text."""
    if not isinstance(frame.model, Model):
        return False
    if "cache_control" in params or "stop_sequences" in params:
        return False
    messages = params.get("messages")
    try:
        check_messages(messages)
        check_prompt(frame.prompt, frame.model)
    except ApiError:
        return False
    match messages:
        case [{"role": "user", "content": str()}]:
            return True
    return False
