"""What a canvas may ask for beyond its counts, as parts of its definition."""

from typing import Annotated

from pydantic import Field

from state.matches import Dimension, Model

ITEM_COUNT_MAX = 100
AFTER_RATIO_MAX = 100
BETWEEN_COUNT_MAX = 50

Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}[smhdw]$", examples=["30d", "2h"])]
_MS_BY_UNIT = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def duration_ms(duration: str | None) -> int | None:
    """The milliseconds of a duration: "2h" is 7,200,000."""
    return None if duration is None else int(duration[:-1]) * _MS_BY_UNIT[duration[-1]]


def check_limits(within: str | None, after: str | None) -> None:
    """Raises ValueError for limits between which nothing lies, or so little that a state could grow by it.

    What is kept of a container between `after` and now grows with `after` / (`within` - `after`).
    """
    most, least = duration_ms(within), duration_ms(after)
    if most is None or least is None:
        return
    if most <= least:
        raise ValueError(f"within: {within} is not longer than after: {after}; nothing lies between them")
    if least > AFTER_RATIO_MAX * (most - least):
        raise ValueError(
            f"within: {within} is hardly longer than after: {after}; the time between the two must be at least"
            f" 1/{AFTER_RATIO_MAX} of after"
        )


class Breakdown(Model):
    """The items of a dimension, the most frequent by name and the rest as one."""

    dimension: Dimension
    top: Annotated[int, Field(ge=1, le=ITEM_COUNT_MAX)] = Field(5, description="Items shown; the rest is `more`.")


class Steps(Model):
    """What containers do around nodes and arrows, by the items of a dimension."""

    dimension: Dimension = "type"
    top: Annotated[int, Field(ge=1, le=ITEM_COUNT_MAX)] = Field(5, description="Items shown; the rest is `more`.")
