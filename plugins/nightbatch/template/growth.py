"""Which templates print, by their form alone, no more than a fixed multiple of their input.

A list of what is allowed: values and their fields, conditions, loops that are not nested and print only their own
variable, filters that return no more text than they get, and images and documents that are values or their fields. A
template with anything else may print without limit.
"""

from __future__ import annotations

import re
from functools import lru_cache

MARKUP_CHARACTERS = 5_000
"""Of all delimiters and what is between them: it limits how many times a value is printed."""
LOOP_CHARACTERS = 1_000
"""From the first `for` to its `endfor`, over all loops: a row decides how many times they are printed."""

_OPENER = re.compile(r"\{\{|\{%|\{#")
_FILTERS = (
    "abs|bool|capitalize|count|d|default|first|float|int|last|length|lower|max|min|reverse|round|sort|string|title|trim"
    "|truncate|unique|upper"
)
_TESTS = "boolean|defined|even|false|float|integer|iterable|mapping|none|number|odd|sequence|string|true|undefined"
_NAME = r"[A-Za-z_]\w*+"
_NUMBER = r"\d++(?:\.\d++)?+"
_TEXT = r"""(?:'(?:[^'\\{}]|\\[nt])*+'|"(?:[^"\\{}]|\\[nt])*+")"""
_SHORT_TEXT = _TEXT.replace("*+", "{0,20}+")
_LITERAL = rf"(?:{_TEXT}|{_NUMBER}|(?:true|false|none|True|False|None)\b)"
_FILTERED = rf"(?:\s*+\|\s*+(?:{_FILTERS})\b(?:\(\s*+{_LITERAL}(?:\s*+,\s*+{_LITERAL})*+\s*+\))?+)*+"
_JOINED = rf"(?:\s*+\|\s*+join\b(?:\(\s*+{_SHORT_TEXT}\s*+\))?+)?+"
_TESTED = rf"(?:\s++is\s++(?:not\s++)?+(?:{_TESTS})\b)?+"
_OPERATOR = r"(?:\s*+(?:[=!<>]=|[<>])\s*+|\s++(?:and|or|in|not\s++in)\s++)"


def is_bounded(text: str) -> bool:
    """Tell whether all markup of a template is on the list, and short enough."""
    allowed = _markup(_NAME)
    is_loop = False
    position = 0
    loop_start = 0
    markup_characters = 0
    loop_characters = 0
    while opener := _OPENER.search(text, position):
        if opener[0] == "{#":
            end = text.find("#}", opener.end())
            if end < 0:
                return False
            position = end + 2
            continue
        markup = allowed.match(text, opener.start())
        if markup is None:
            return False
        position = markup.end()
        markup_characters += len(markup[0])
        if markup["names"]:
            if is_loop:
                return False
            is_loop = True
            loop_start = position
            loop_names = [*re.findall(_NAME, markup["names"]), "loop"]
            allowed = _markup(rf"(?:{'|'.join(loop_names)})\b")
        elif markup["ends"]:
            is_loop = False
            loop_characters += opener.start() - loop_start
            allowed = _markup(_NAME)
        if markup_characters > MARKUP_CHARACTERS or loop_characters > LOOP_CHARACTERS:
            return False
    return not is_loop


@lru_cache(maxsize=64)
def _markup(root: str) -> re.Pattern[str]:
    """Match one markup over the columns, or inside a loop over its variables, without backtracking."""
    path_pattern = rf"{root}(?:\.{_NAME}|\[(?:{_NUMBER}|{_TEXT})\])*+"
    value_pattern = (
        rf"(?:not\s++)*+(?:{_LITERAL}|{path_pattern}){_FILTERED}{_JOINED}{_TESTED}"
    )
    condition_pattern = rf"{value_pattern}(?:{_OPERATOR}{value_pattern})*+"
    choice_pattern = rf"{condition_pattern}(?:\s++if\s++{condition_pattern}(?:\s++else\s++{condition_pattern})?+)?+"
    media_pattern = rf"(?:image|document)\s*+\(\s*+{path_pattern}\s*+\)"
    loop_pattern = rf"for\s++(?P<names>{_NAME}(?:\s*+,\s*+{_NAME})?+)\s++in\s++{path_pattern}{_FILTERED}"
    tag_pattern = rf"(?:(?:if|elif)\s++{condition_pattern}|else|endif|(?P<ends>endfor)|{loop_pattern})"
    printed_markup = rf"\{{\{{-?+\s*+(?:{media_pattern}|{choice_pattern})\s*+-?+\}}\}}"
    tag_markup = rf"\{{%-?+\s*+{tag_pattern}\s*+-?+%\}}"
    return re.compile(rf"{printed_markup}|{tag_markup}")
