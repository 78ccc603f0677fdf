"""What a record of `dead-letters` says, whoever wrote it."""

import pytest

from agents.dead_letters import FOREIGN, letter_of

HEADERS = [
    ("reason", b"not-an-event"), ("detail", b"\x1b[2J" + b"x" * 5_000), ("topic", b"milepost.crm-events"),
    ("partition", b"3"), ("offset", b"7"), ("key", b"\xff"),
]  # fmt: skip


def test_a_letter_is_what_its_headers_say() -> None:
    """Its texts are bounded and shown; its bytes are as they came."""
    letter = letter_of(b"id:3:7", b"{", HEADERS)
    assert (letter.reason, letter.topic, letter.partition, letter.offset) == (
        "not-an-event", "milepost.crm-events", 3, 7,
    )  # fmt: skip
    assert (letter.key, letter.value) == (b"\xff", b"{")
    assert letter.detail.startswith("\\x1b[2Jxxx")
    assert len(letter.detail) == 1_000


@pytest.mark.parametrize(
    "headers",
    [
        [],
        HEADERS[:3],
        [*HEADERS, ("offset", b"seven")],
        [*HEADERS, ("offset", "\u0667".encode())],
        [*HEADERS, ("partition", b"9" * 5_000)],
        [*HEADERS, ("partition", None)],
    ],
)
def test_what_nothing_of_ours_wrote_is_foreign(headers: list[tuple[str, bytes | None]]) -> None:
    """It is listed, and can not be sent again, for it came from no topic."""
    letter = letter_of(None, b"x", headers)
    assert (letter.id, letter.reason, letter.topic, letter.value) == (b"", FOREIGN, "", b"x")
