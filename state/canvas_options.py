"""What a canvas may ask for beyond its counts, as parts of its definition."""

from typing import Annotated

from pydantic import Field

from state.matches import Dimension, Model

ITEM_COUNT_MAX = 100


class Breakdown(Model):
    """The items of a dimension, the most frequent by name and the rest as one."""

    dimension: Dimension
    top: Annotated[int, Field(ge=1, le=ITEM_COUNT_MAX)] = Field(5, description="Items shown; the rest is `more`.")
