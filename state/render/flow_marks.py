"""Which steps of a path, and which links, are loops, skip stages or go back: from what a body shows, and no more.

Everything is read in the order of time, also before an anchor. A condition is no item, and only items of the flow's
own dimension are stages.
"""

from collections.abc import Iterator, Sequence

from state.definitions import AnchorMatch, Flow
from state.flow_columns import dimension_by_step
from streams.snapshot import FlowLink, FlowSequence, LinkMarks, Mark, SequenceMarks

_Place = tuple[str, str]  # dimension, item


class FlowMarks:
    """The marks of one flow's paths and links."""

    def __init__(self, flow: Flow) -> None:
        self._order = {stage: number for number, stage in enumerate(flow.stages or ())}
        self._dimension, self._own = flow.dimension, dimension_by_step(flow)
        self._is_condition = isinstance(flow.starts_with or flow.ends_with, AnchorMatch)

    def of_sequences(self, sequences: Sequence[FlowSequence]) -> list[SequenceMarks]:
        """The steps that have any, path by path."""
        return [
            SequenceMarks(number, step, marks)
            for number, sequence in enumerate(sequences)
            for step, marks in self._of_path(sequence)
        ]

    def of_links(self, links: Sequence[FlowLink]) -> list[LinkMarks]:
        """The links that have any; what leads to or from the items not shown has none."""
        made = []
        for number, link in enumerate(links):
            ends = sorted([(link.from_step, link.origin), (link.to_step, link.target)], key=lambda end: end[0])
            earlier, later = (None if item is None else self._place(step, item) for step, item in ends)
            if earlier is not None and later is not None:
                marks = _marks(later == earlier, self._stage(earlier), self._stage(later))
                if marks:
                    made.append(LinkMarks(number, marks))
        return made

    def _of_path(self, sequence: FlowSequence) -> Iterator[tuple[int, list[Mark]]]:
        """The steps with marks, in order: against all items before, and the stage before."""
        seen: set[_Place] = set()
        previous: int | None = None
        for step, item in enumerate([*reversed(sequence.back), *sequence.fore], -len(sequence.back)):
            place = self._place(step, item)
            if place is None:
                continue
            stage = self._stage(place)
            if marks := _marks(place in seen, previous, stage):
                yield step, marks
            seen.add(place)
            previous = previous if stage is None else stage

    def _place(self, step: int, item: str) -> _Place | None:
        """What an item is told by; None for a condition."""
        if step == 0 and self._is_condition:
            return None
        return self._own.get(step, self._dimension), item

    def _stage(self, place: _Place) -> int | None:
        """Its number among the stages; None for what is none."""
        dimension, item = place
        return self._order.get(item) if dimension == self._dimension else None


def _marks(is_again: bool, before: int | None, stage: int | None) -> list[Mark]:
    """The marks of an item that is a stage with this number, behind one with the number `before`."""
    marks: list[Mark] = ["loop"] if is_again else []
    if before is not None and stage is not None:
        if stage > before + 1:
            marks.append("skip")
        elif stage < before:
            marks.append("back")
    return marks
