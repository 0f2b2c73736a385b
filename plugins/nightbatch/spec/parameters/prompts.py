"""Checks the prompt: both parts, and that the template is well formed. No message shows any of them."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from nightbatch.errors import SettingsError
from nightbatch.template.language.syntax import check_syntax

if TYPE_CHECKING:
    from nightbatch.spec.enrichment import Enrichment

EMPTY = "prompt: is empty; it is a template such as 'Summarize: {{ body }}'."
_QUOTED = re.compile(r"`[^`\n]*`")
"""Markup between backticks is spoken of, not meant."""
_MARKUP = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


class PromptWarning(UserWarning):
    """A prompt may not do what its author expects."""


def check(settings: Enrichment) -> None:
    """Raise InputError for a prompt that cannot work; warn of one that may not do what its author expects."""
    prompt = settings.prompt
    prompt_system = None if isinstance(prompt, str) else prompt.system
    if prompt_system and settings.system:
        raise SettingsError(
            "system: the Prompt has a system part already; give one of them."
        )
    template = settings.user_template
    if not template:
        return
    if not template.strip():
        raise SettingsError(EMPTY)
    check_syntax(template)
    system_words = _QUOTED.sub("", settings.system_text or "")
    if _MARKUP.search(system_words):
        warnings.warn(
            "system: holds {{ … }} or {% … %}, but the system part is no template: it is sent as it is, the same for"
            " all rows. Put columns into the prompt.",
            PromptWarning,
            stacklevel=5,  # where the Enrichment is made
        )
