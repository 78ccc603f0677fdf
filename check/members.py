"""Where who is in an audience and the batch computation differ.

The law: whom readers hold as members is who is in by the partition's clock. What time brings about is told in a commit
behind the one whose clock says so, so what was right a minute before that clock is right as well.
"""

from collections.abc import Container

from check.audiences import Who
from check.compare import Difference

TOLD_LATE_MS = 60_000


def member_differences(
    expected: set[Who], earlier: set[Who], found: set[Who], moving: Container[Who]
) -> tuple[int, list[Difference]]:
    """How many were compared, and what differs. expected, earlier: who is in by the clocks, and by those a minute
    before. moving: who came or went while the rest was read."""
    compared = sorted((who for who in expected | found if who not in moving), key=str)
    differences = [
        Difference(_named(who), "in" if who in expected else "out", "in" if who in found else "out", who.part)
        for who in compared
        if (who in expected) != (who in found) and (who in earlier) != (who in found)
    ]
    return len(compared), differences


def _named(who: Who) -> str:
    """Whose it is, in words."""
    return f"account {who.account}" if who.id is None else f"account {who.account}, {who.id}"
