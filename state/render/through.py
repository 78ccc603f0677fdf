"""Of a flow only the paths through items of given columns: which are asked for, and whether the flow has them."""

from collections.abc import Sequence

from state.definition_set import Definition
from state.definitions import Flow
from state.render.flow import Place
from streams.errors import UsageError


def place_of(text: str) -> Place:
    """The column and item of `STEP=ITEM`. Raises UsageError for anything else."""
    step, equals, item = text.partition("=")
    try:
        if not equals or not item:
            raise ValueError("there is no column and item")
        return int(step), item
    except ValueError as error:
        raise UsageError(
            f"--through {text!r}: {error}; write STEP=ITEM, where the anchor is step 0, the next column 1 and the one"
            " before it -1: --through 1=Webinar"
        ) from error


def require_places(definition: Definition, places: Sequence[Place]) -> None:
    """Raises UsageError when an analysis can not say which of its paths have these items."""
    analysis = definition.analysis
    if not isinstance(analysis, Flow):
        raise UsageError(f"{analysis.name} is a {analysis.kind}; paths through an item are those of a flow")
    if analysis.count != "occurrences":
        raise UsageError(
            f"{analysis.name} counts distinct containers at each item, and not their paths: how many of those at one"
            " item were at another can not be told from its numbers. Define a flow with count: occurrences"
        )
    for step, _ in places:
        if not analysis.first_step <= step <= analysis.last_step:
            raise UsageError(
                f"{analysis.name} has no column {step}; its columns go from {analysis.first_step} to"
                f" {analysis.last_step}, where 0 is the anchor"
            )
