"""Strings that match a simple pattern: classes, groups of alternatives and counts; else the bare text."""

import re

from nightbatch.emulator.responders.words import Chance

_PIECE = re.compile(r"(\[[^\]]+\]|\\[dws]|\([^()]*\)|\\.|.)(\{(\d+)(?:,\d*)?\}|[+*?])?")
_ALPHABETS = {
    r"\d": "0123456789",
    r"\w": "abcdefghijklmnopqrstuvwxyz",
    r"\s": " ",
    ".": "abcdefgh",
}


def matching(pattern: str, chance: Chance) -> str:
    """Return a string that matches a pattern."""
    bare_pattern = pattern.removeprefix("^").removesuffix("$")
    return "".join(_pieces(bare_pattern, chance))


def _pieces(pattern: str, chance: Chance) -> list[str]:
    text_pieces = []
    for piece, quantifier, min_count in _PIECE.findall(pattern):
        repeat_count = _repeat_count(quantifier, min_count)
        for _ in range(repeat_count):
            text_piece = _piece(piece, chance)
            text_pieces.append(text_piece)
    return text_pieces


def _repeat_count(quantifier: str, min_count: str) -> int:
    if min_count:
        return int(min_count)
    return 0 if quantifier in {"*", "?"} else 1


def _piece(piece: str, chance: Chance) -> str:
    if piece.startswith("("):
        group = piece[1:-1].removeprefix("?:")
        alternatives = group.split("|")
        alternative = chance.pick(alternatives)
        return matching(alternative, chance)
    if piece.startswith("["):
        letters = _letters(piece[1:-1])
        return chance.pick(letters)
    if piece in _ALPHABETS:
        alphabet = _ALPHABETS[piece]
        return chance.pick(alphabet)
    return piece.removeprefix("\\")


def _letters(character_class: str) -> str:
    """Return all letters of a character class: its ranges and its `\\d` and `\\w` written out."""
    letters = re.sub(r"(.)-(.)", _letter_range, character_class)
    return re.sub(r"\\[dw]", lambda escape: _ALPHABETS[escape[0]], letters)


def _letter_range(ends: re.Match[str]) -> str:
    code_points = range(ord(ends[1]), ord(ends[2]) + 1)
    return "".join(map(chr, code_points))
