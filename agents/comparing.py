"""`milepost snapshot NAME --compare A B`: two rows of a cohort, from `partials` as they are now."""

from agents.live_snapshots import partial_sums
from agents.settings import Settings
from state.definition_set import DefinitionSet
from state.render.comparison import Comparison, comparison_of
from state.render.ranges import Range
from streams.errors import UnavailableError


def compare(
    bootstrap: str,
    settings: Settings,
    definitions: DefinitionSet,
    name: str,
    labels: tuple[str, str],
    *,
    within: int | None = None,
    wanted_range: Range | None = None,
) -> Comparison:
    """The comparison of the rows of an analysis that `labels` name, over the inclusions of a range.

    Raises UsageError for what can not be compared, UnavailableError where nothing was computed yet.
    """
    wanted = [each for each in definitions.every if each.analysis.name == name]
    sums = next(partial_sums(bootstrap, settings, wanted, wanted_range))
    definition = definitions.shown(name, sums.is_complete)
    if definition is None:
        raise UnavailableError(f"{name} does not count the past yet; `milepost definitions list` says how far it is")
    clock_ms = max(covers.clock_ms for covers in sums.covers.values())
    return comparison_of(definition, sums.totals(definition.version), clock_ms, labels, within)
