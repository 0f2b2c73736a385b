"""The page about the emulator names only what is there, and everything that is."""

import re
from pathlib import Path

from nightbatch.emulator.faults.kinds import KINDS, OPTIONS, WHERE
from nightbatch.emulator.faults.rules import MATCHES, WHEN
from nightbatch.emulator.reply import load_responder
from nightbatch.emulator.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "emulator.md").read_text()


def test_every_test_that_the_page_names_exists():
    tests = set[str]()
    for path in Path(__file__).parent.rglob("test_*.py"):
        tests.update(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert named <= tests


def test_every_fault_and_every_option_is_on_the_page():
    kinds = set[str]().union(*KINDS.values())
    for name in kinds | set(WHERE) | OPTIONS | MATCHES | WHEN:
        assert f"`{name}`" in PAGE or f"`{name}:" in PAGE, name


def test_every_responder_that_the_page_names_can_be_loaded():
    names = re.findall(r"`(nightbatch\.[\w.]+:\w+)`", PAGE)
    assert Settings.responder in names
    for name in names:
        load_responder(Settings(responder=name))
