"""Text of others is shown, bounded, and never obeyed by a terminal."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.shown import is_showable, shown, shown_json, shown_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nordwind AG", "Nordwind AG"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\r\nb\x07\x9b", "a\\r\\nb\\x07\\x9b"),
        ("\u202eGA\u2066", "\\u202eGA\\u2066"),
        ("\ud800", "\\ud800"),
        ("a\u00a0b\u2003c", "a b c"),
        ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648"),
        ("e\u0301 \U0001f469\u200d\U0001f4bb", "e\u0301 \U0001f469\u200d\U0001f4bb"),
    ],
)
def test_signs_are_written_out(text: str, expected: str) -> None:
    """What a terminal obeys is an escape; letters of any script stay."""
    assert shown(text, 100) == expected


@given(st.text(), st.integers(1, 50))
def test_any_text_is_bounded_and_showable(text: str, characters_max: int) -> None:
    """Whatever comes; and text without such signs that fits is given back as it is."""
    said = shown(text, characters_max)
    assert len(said) <= characters_max
    assert all(map(is_showable, said))
    if all(map(is_showable, text)) and len(text) <= characters_max:
        assert said == text


def test_lines_stay_lines() -> None:
    """A message of several lines keeps its own breaks."""
    assert shown_lines("one\ntwo\x1b", 100) == "one\ntwo\\x1b"


@given(st.text())
def test_json_keeps_its_meaning(text: str) -> None:
    """What is escaped is the same text to whoever reads it."""
    said = shown_json(msgspec.json.encode([text, "\x9b\u202e"]))
    assert msgspec.json.decode(said) == [text, "\x9b\u202e"]
    assert "\x9b" not in said
    assert "\u202e" not in said
