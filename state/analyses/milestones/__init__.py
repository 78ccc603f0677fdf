"""Milestones as lenses: which lens computes which condition."""

from typing import assert_never

from state.analyses.milestones.amount import AmountLens, ScoreLens
from state.analyses.milestones.canvas import ArrowNotFollowedLens, NodeReachedLens
from state.analyses.milestones.lens import HappensLens, MilestoneLens
from state.analyses.milestones.waiting import MissingLens, UnchangedLens
from state.definitions.milestone import Amount, ArrowNotFollowed, Happens, Missing, NodeReached, Score, Unchanged
from state.milestone_set import MilestoneDefinition


def milestone_lens(made: MilestoneDefinition) -> MilestoneLens:
    """The milestone of one definition, compiled."""
    match made.milestone.when:
        case Happens() as when:
            return HappensLens(made, when)
        case Amount() as when:
            return AmountLens(made, when)
        case Score() as when:
            return ScoreLens(made, when)
        case NodeReached() as when:
            return NodeReachedLens(made, when)
        case ArrowNotFollowed() as when:
            return ArrowNotFollowedLens(made, when)
        case Missing() as when:
            return MissingLens(made, when)
        case Unchanged() as when:
            return UnchangedLens(made, when)
        case _ as never:
            assert_never(never)
