"""Where who is in an audience and the batch computation differ.

The law: whom readers hold as members is who is in by the partition's clock, and each has the newest attributes. What
time brings about is told in a commit behind the one whose clock says so, so what was right a minute before that clock
is right as well.
"""

from collections.abc import Container, Mapping

from check.audiences import Who
from check.compare import Difference

TOLD_LATE_MS = 60_000
Members = Mapping[Who, Mapping[str, str]]
"""Who is in, with attributes."""


def member_differences(
    expected: Members, earlier: Container[Who], found: Members, moving: Container[Who]
) -> tuple[int, list[Difference]]:
    """How many were compared, and what differs. expected, earlier: who is in by the clocks, and by those a minute
    before. moving: who came, went or changed while the rest was read."""
    compared = sorted((who for who in expected.keys() | found.keys() if who not in moving), key=str)
    differences = []
    for who in compared:
        name = _named(who)
        if who in expected and who in found:
            if expected[who] != found[who]:
                differences.append(Difference(f"{name}: attributes", expected[who], found[who], who.part))
        elif (who in earlier) != (who in found):
            is_in, is_held = ("in" if who in those else "out" for those in (expected, found))
            differences.append(Difference(name, is_in, is_held, who.part))
    return len(compared), differences


def _named(who: Who) -> str:
    """Whose it is, in words."""
    return f"account {who.account}" if who.id is None else f"account {who.account}, {who.id}"
