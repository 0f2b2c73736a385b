"""The commands describe their flags in the words of the table of parameters."""

from __future__ import annotations

from argparse import ArgumentParser

import pytest

from nightbatch.commands import _parameters, estimate
from nightbatch.spec.parameters.descriptions import DESCRIPTIONS

NAMES = sorted(DESCRIPTIONS.keys() - set(_parameters.NO_FLAGS))


@pytest.fixture(scope="module")
def help_text() -> str:
    """Return what `nightbatch estimate --help` prints, on one line."""
    parser = ArgumentParser()
    estimate.arguments(parser)
    return " ".join(parser.format_help().split())


@pytest.mark.parametrize("name", NAMES)
def test_every_flag_says_what_its_parameter_means(help_text: str, name: str) -> None:
    first_words = " ".join(DESCRIPTIONS[name].text.split()[:4])
    assert f"--{name.replace('_', '-')}" in help_text
    assert first_words in help_text
