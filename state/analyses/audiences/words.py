"""What audiences ask, in words, for the reasons that readers see."""

from typing import assert_never

from state.definitions.audience import (
    ArrowFollowed,
    HasTouchpoints,
    InCohort,
    MilestoneReached,
    Question,
    RecentThreshold,
)
from state.definitions.milestone import NodeReached
from state.definitions.segment import Last
from state.matches import All, Any_, Condition, Match, Not, Operator

_CHARACTERS_MAX = 120


def words_of(question: Question) -> str:
    """One question, shortened where it is long."""
    words = _words(question)
    return words if len(words) <= _CHARACTERS_MAX else words[: _CHARACTERS_MAX - 3] + "..."


def _words(question: Question) -> str:
    match question:
        case HasTouchpoints():
            return _threshold_words(question.has)
        case Last():
            return f"newest {match_words(question.last)}"
        case NodeReached():
            return f"reached {question.node} of {question.canvas}"
        case ArrowFollowed():
            verb = "followed" if question.followed else "did not follow"
            words = f"{verb} {question.arrow.from_} > {question.arrow.to} of {question.canvas}"
            return words + _within_words(question.within)
        case InCohort():
            words = f"in {question.period} of {question.cohort}"
            return words if question.returned is None else f"{words}, returned {question.returned} later"
        case MilestoneReached():
            return f"milestone {question.milestone}{_within_words(question.within)}"
        case _ as never:
            assert_never(never)


def _within_words(within: str | None) -> str:
    return "" if within is None else f" within {within}"


def _threshold_words(threshold: RecentThreshold) -> str:
    words = f"{threshold.metric} of {condition_words(threshold.match)} {threshold.op} {threshold.number}"
    return words + _within_words(threshold.within)


def condition_words(condition: Condition) -> str:
    """A condition on a touchpoint."""
    match condition:
        case Match():
            return match_words(condition)
        case All():
            return "(" + " and ".join(map(condition_words, condition.all)) + ")"
        case Any_():
            return "(" + " or ".join(map(condition_words, condition.any)) + ")"
        case Not():
            return f"not {condition_words(condition.not_)}"
        case _ as never:
            assert_never(never)


def match_words(match_: Match) -> str:
    """A comparison."""
    if match_.op is Operator.EXISTS:
        return f"{match_.field} {'is missing' if match_.value is False else 'exists'}"
    return f"{match_.field} {match_.op} {match_.value}"
