"""The rules of the commit protocol (`docs/architecture.md`, "One batch of one partition"), named as in `streams/`.

Each can be switched off, and then the model does what one would do without it. Two kinds:

- First lines: the protocol fails without one of them, all others in place.
- Second lines: while the first lines hold, no reader and no successor can tell whether these are there. Each keeps a
  law of its own (`configurations.SECOND_LINES`).
  `ready_behind_claim`: once the claim stands, the broker refuses whoever could come between.
  `fence_outputs_before_ready`: a former owner can only have publications of the last commit left, for it awaits those
  before it commits again; these are true until the new owner publishes, and its first batch there fences.
  `highest_tag_wins`: for the same reason no older value follows a newer one.

Not modelled: the end of a producer id's epochs (the product renews some epochs before); a restore that is interrupted
halfway or takes longer than deletions are kept; a batch that is on its way for a day; sequence numbers (an
append that was not answered is never sent again); outputs that several owners write to (`touchpoints`).
"""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Rules:
    """What holds; the comment says what the model does instead when a rule is off."""

    claim_first: bool = True
    """Off: the changelog is restored to its end, then claimed."""
    fence: bool = True
    """Off: every owner writes with a producer id of its own, which fences nobody."""
    fence_outputs_before_ready: bool = True
    """Off: an output learns of a new owner from its first publication. A second line."""
    restore_to_claim: bool = True
    """Off: restored to the end that was asked for at the assignment, before the claim."""
    ready_behind_claim: bool = True
    """Off: ready may land anywhere. A second line."""
    publish_again: bool = True
    """Off: what the last commit lists as pending is not looked at."""
    read_from_applied: bool = True
    """Off: the source is read from the offset that the consumer group committed."""
    commit_is_one_batch: bool = True
    """Off: the rows go first, `!commit` follows in a batch of its own."""
    check_base_offset: bool = True
    """Off: an append whose answer was lost counts as failed, and its input is computed again, perhaps cut elsewhere."""
    publish_after_commit: bool = True
    """Off: published first, tagged with the offset at which the commit is expected."""
    tag_is_commit_offset: bool = True
    """Off: the tag is the applied offset of the input."""
    publish_before_next_commit: bool = True
    """Off: the next commit does not wait until the publications of this one are acknowledged."""
    highest_tag_wins: bool = True
    """Off: readers of absolute values take the last word. A second line."""
    highest_revision_wins: bool = True
    """Off: readers of messages take the last word."""
    discard_stale_disk: bool = True
    """Off: a disk is restored however old it is."""
    discard_stale_standby: bool = True
    """Off: a standby reads on with however old a disk, and its next owner takes it for a fresh one."""
    renew_fence: bool = True
    """Off: an owner fences itself once, and the coordinator forgets it while it lives."""
    fresh_heartbeat: bool = True
    """Off: a writer that the group dropped days ago goes on where it stood. The heartbeat that counts is one of the
    membership in which the writer got the partition: it must be closed before its process joins the group again."""
    keep_fences: bool = True
    """Off: an idle owner writes nothing for a day. It does not notice that it was fenced; partitions forget that."""
    split_input_not_rows: bool = True
    """Off: a commit that is too large is cut into two by rows, each with the offset that it reached."""

    def without(self, *names: str) -> "Rules":
        """These rules switched off."""
        return replace(self, **dict.fromkeys(names, False))


RULE_NAMES = tuple(field.name for field in fields(Rules))
