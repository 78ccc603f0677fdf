"""What the owner of `snapshots` answers, who keeps the sums of `partials`: analyses over other days than their own, and
the paths of a flow through some items. The same as `milepost snapshot --range` and `--through`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from agents.answers.request import Parameters, ProblemError, definition_asked
from agents.live_snapshots import part_snapshot
from agents.reading_plan import ReadingPlan
from state.definition_set import Definition
from state.render.flow import Place
from state.render.ranges import Range, range_of
from state.render.through import place_of, require_places
from state.sums import PartialSums
from streams.errors import UnavailableError
from streams.shown import shown
from streams.snapshot import Snapshot


class Standing(Protocol):
    """Who keeps the sums."""

    def standing(self) -> AbstractContextManager[PartialSums]:
        """The sums, which stand still meanwhile. Raises UnavailableError where they are not known yet."""


class SumsAnswers:
    """Snapshots that nobody publishes.

    standing: who keeps the sums here, None where it is another worker. owner_url: where that one answers, None where
    nobody is known.
    """

    def __init__(
        self,
        plan: ReadingPlan,
        standing: Callable[[], Standing | None],
        owner_url: Callable[[], str | None],
        *,
        touchpoints: str,
        lateness_ms: int,
    ) -> None:
        self._plan = plan
        self._standing = standing
        self._owner_url = owner_url
        self._touchpoints = touchpoints
        self._lateness_ms = lateness_ms

    def snapshot(self, parameters: Parameters) -> Snapshot:
        """The analysis over a range; without one over that of its definition."""
        return self._answer(parameters, [])

    def through(self, parameters: Parameters) -> Snapshot:
        """A flow's paths through items, over a range."""
        texts = parameters.texts("item")
        if not texts:
            raise ProblemError(400, "item is missing: STEP=ITEM, where the anchor is step 0; once or several times")
        return self._answer(parameters, [place_of(text) for text in texts])

    def _answer(self, parameters: Parameters, through: list[Place]) -> Snapshot:
        name = parameters.required("analysis", "the name of the analysis")
        version, text, other_filter = (parameters.text(each) for each in ("v", "range", "f"))
        parameters.require_all_taken()
        if other_filter is not None:
            raise _no_other_filter(name)
        definition, sums = self._sums(name, version, None if text is None else range_of(text))
        if through:
            require_places(definition, through)
        sums.define([definition])
        return part_snapshot(definition, sums, self._touchpoints, self._lateness_ms, through)

    def _sums(self, name: str, version: str | None, wanted: Range | None) -> tuple[Definition, PartialSums]:
        """The version that is asked for, and what its sums over the range are made from."""
        standing = self._standing()
        if standing is None:
            raise self._not_here()
        definitions = self._plan.definitions
        with standing.standing() as sums:
            definition = definition_asked(definitions, name, version, lambda: definitions.shown(name, sums.is_complete))
            if not sums.is_complete(definition.version):
                raise UnavailableError(f"{name} does not count all accounts yet; ask again in a moment")
            return definition, sums.over(definition.version, wanted)

    def _not_here(self) -> ProblemError:
        owner = self._owner_url()
        detail = "the sums of analyses are not this worker's; " + (
            f"ask {owner}" if owner else "nobody says that they are theirs: run a worker of the role snapshots"
        )
        return ProblemError(421 if owner else 503, detail, owner)


def _no_other_filter(name: str) -> ProblemError:
    return ProblemError(
        400,
        f"f: {shown(name, 100)} can not be filtered otherwise than its definition does: a snapshot is made of sums, and"
        " sums do not know any more which containers they are of. Define an analysis of its own that has this `filter`:"
        " POST /v1/preview shows it for some accounts, and PUT /v1/definitions/NAME or `milepost definitions apply` has"
        " it counted",
    )
