"""The values of a dimension, for who is asked to choose some."""

import unicodedata

from agents.answers.owned_partitions import OwnedPartitions
from agents.answers.parts import ContainedParts
from agents.answers.request import Parameters, ProblemError
from state.matches import known_dimension
from state.values import most_frequent, values_of
from streams.answers import ValuesAnswer
from streams.shown import shown

VALUES_S = 0.2
"""How long touchpoints are looked at; whoever merges the workers' answers waits for 0.3 s."""
VALUE_COUNT, VALUE_COUNT_MAX = 20, 1_000


def values_here(partitions: OwnedPartitions, parameters: Parameters) -> ValuesAnswer:
    """The most frequent values that begin with a text, in the partitions of this worker."""
    dimension = _dimension(parameters.required("dimension", "the field, or attributes.NAME"))
    beginning = unicodedata.normalize("NFC", parameters.text("starts") or "")
    count = parameters.count("limit", VALUE_COUNT, VALUE_COUNT_MAX)
    parameters.require_all_taken()
    counts: dict[str, int] = {}
    looked_at, is_complete = 0, True
    contained = ContainedParts()
    for rows, is_due in partitions.each(VALUES_S, contained):
        found = values_of(rows, dimension, is_due)
        looked_at, is_complete = looked_at + found.looked_at, is_complete and found.is_complete
        for value, number in found.count_by_value.items():
            counts[value] = counts.get(value, 0) + number
    wanted = most_frequent(counts, beginning, count + 1)
    return ValuesAnswer(
        dimension=dimension,
        values=wanted[:count],
        is_cut=len(wanted) > count,
        looked_at=looked_at,
        is_complete=is_complete,
        **contained.said(),
    )


def _dimension(name: str) -> str:
    try:
        return known_dimension(name)
    except ValueError as error:
        raise ProblemError(400, shown(str(error), 500)) from error
