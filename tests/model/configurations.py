"""The worlds that are explored, and in which of them a missing rule shows.

CONFIGURATIONS are small enough for every run of the tests. LARGE ones are explored by `python -m tests.model --large`
only, before a rule is changed: 4.8 million states, about five minutes and 2 GB.
"""

from typing import NamedTuple

from tests.model.laws import Law, no_old_taken_for_new, ready_ends_former_words, ready_holds_the_log
from tests.model.stage import MILESTONES, PARTIALS
from tests.model.world import Bounds, Left

CONFIGURATIONS = {
    "crash": Bounds(left=Left(crashes=2, moves=0, answers=1)),
    "zombie": Bounds("A+ A-", left=Left(crashes=0)),
    "delayed batch": Bounds("A+ A-", wire=("changelog", PARTIALS), outputs=(PARTIALS,)),
    "compaction": Bounds("A+ A-", left=Left(crashes=2, moves=0, disks=1, compactions=1), outputs=(PARTIALS,)),
    "compaction, zombie": Bounds("A+", left=Left(disks=1, compactions=1), outputs=(PARTIALS,), wire=()),
    "deletion": Bounds("A+ Ax", left=Left(crashes=0, compactions=1, tombstones=1), outputs=(PARTIALS,)),
    "tick": Bounds("A+ A-", ticks=1, left=Left(moves=0)),
    "tick, zombie": Bounds("A+ A-", ticks=1, left=Left(crashes=0), outputs=(PARTIALS, MILESTONES)),
    "renewal, crash": Bounds("A+ A-", left=Left(moves=0, days=2)),
    "idle day": Bounds("A+ A-", left=Left(crashes=0, days=1), outputs=(PARTIALS,)),
    "idle days": Bounds("A+ A-", left=Left(crashes=0, days=2), outputs=(PARTIALS,)),
    "standby": Bounds("A+ A-", left=Left(crashes=0, follows=2), outputs=(PARTIALS,)),
    "standby, deletion": Bounds(
        "A+ Ax", left=Left(crashes=0, compactions=1, tombstones=1, follows=1), outputs=(PARTIALS,)
    ),
}

LARGE = {
    "zombie, crash, delayed batch": Bounds(),
    "two moves": Bounds("A+ A-", left=Left(crashes=0, moves=2), wire=()),
    "compaction, zombie, two events": Bounds("A+ A-", left=Left(disks=1, compactions=1), outputs=(PARTIALS,)),
    "deletion, two moves": Bounds(
        "A+ Ax", left=Left(crashes=0, moves=2, compactions=1, tombstones=1), outputs=(PARTIALS,)
    ),
    "idle days, crash": Bounds("A+", left=Left(days=2), outputs=(PARTIALS,), wire=("changelog", PARTIALS)),
    "standby, crash": Bounds("A+ A-", left=Left(follows=2), outputs=(PARTIALS,), wire=()),
    "standby, deletion, two moves": Bounds(
        "A+ Ax", left=Left(crashes=0, moves=2, compactions=1, tombstones=1, follows=1), outputs=(PARTIALS,), wire=()
    ),
    "idle days, two moves": Bounds("A+", left=Left(crashes=0, moves=2, days=3), outputs=(PARTIALS,)),
}

REFUTED_IN = {
    "claim_first": "zombie",
    "fence": "zombie",
    "restore_to_claim": "zombie",
    "publish_again": "crash",
    "read_from_applied": "crash",
    "commit_is_one_batch": "crash",
    "check_base_offset": "crash",
    "publish_after_commit": "crash",
    "publish_before_next_commit": "crash",
    "tag_is_commit_offset": "tick",
    "highest_revision_wins": "crash",
    "discard_stale_disk": "deletion",
    "discard_stale_standby": "standby, deletion",
    "renew_fence": "idle days",
    "fresh_heartbeat": "idle days",
    "keep_fences": "idle days",
    "split_input_not_rows": "crash",
}
"""In which configuration each first line shows when it is missing."""


class SecondLine(NamedTuple):
    """Where a rule shows: without the first lines `missing`, it alone still keeps `law` in the configuration."""

    missing: tuple[str, ...]
    configuration: str
    law: Law


SECOND_LINES = {
    "ready_behind_claim": SecondLine(("fence",), "zombie", ready_holds_the_log),
    "fence_outputs_before_ready": SecondLine((), "zombie", ready_ends_former_words),
    "highest_tag_wins": SecondLine(("fence",), "zombie", no_old_taken_for_new),
}
