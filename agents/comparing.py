"""`milepost snapshot NAME --compare A B`: two rows of a cohort, from `partials` as they are now."""

from datetime import date

from agents.live_snapshots import days_of, partial_sums
from agents.settings import Settings
from state.definition_set import Definition
from state.render.comparison import Comparison, comparison_of


def compare(
    bootstrap: str,
    settings: Settings,
    definition: Definition,
    labels: tuple[str, str],
    *,
    within: int | None = None,
    dates: tuple[date, date] | None = None,
) -> Comparison:
    """The comparison of the rows that `labels` name, over the inclusions from the first to the last of `dates`.

    Raises UsageError for what can not be compared, UnavailableError where nothing was computed yet.
    """
    sums = next(partial_sums(bootstrap, settings, [definition], None if dates is None else days_of(dates)))
    clock_ms = max(covers.clock_ms for covers in sums.covers.values())
    return comparison_of(definition, sums.totals(definition.version), clock_ms, labels, within)
