"""What ingest may do for a thousand events.

`make test` counts it (`tests/budget`) and fails when it is more by a twentieth; `python -m tests.budget` prints the
counts, with the name of one their functions. Counts and not seconds, for they are the same on every machine. Whoever
needs more for good raises a budget in the commit that needs it, which says what for.
"""

import msgspec

INSTRUCTIONS_OF = (3, 11)
"""The Python whose instructions are meant; others have other ones, and are held to all the rest."""


class Cost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """Work per thousand events, or per thousand cells.

    calls: of functions, in Python and in C. instructions: of Python's bytecode. asks, keys, rows_read, bytes_read:
    calls of a store, keys that they ask for, and what they give. written: rows of the changelog. published: records of
    outputs; bytes before compression.
    """

    calls: int
    instructions: int
    asks: int = 0
    keys: int = 0
    rows_read: int = 0
    bytes_read: int = 0
    rows_written: int = 0
    bytes_written: int = 0
    rows_published: int = 0
    bytes_published: int = 0


BUDGETS = {"ingest": Cost(calls=14_059, instructions=229_442, rows_published=1_000, bytes_published=182_532)}
